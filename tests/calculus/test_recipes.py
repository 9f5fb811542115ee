"""Forward derivatives, Jacobians and curvature by brute force, in exact integers.

The oracle differentiates the definition, one element of the result at a time; what it says is the
Jacobian. Everything else is put together from that by the textbook.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import gradient, natural_output_shape
from strategies import Array, Problem, Shape, filled, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction

EXACT = ("sum", "max", "min", "prod")
ROUNDED = ("mean", "logsumexp")
MOST_PARTIALS = 4000  # of one Jacobian

# Deriving takes longer than running: a quarter of what the profile says is enough.
fewer = settings(max_examples=max(1, settings().max_examples // 4))


# --- the oracle ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A contraction with the shapes of its operands and the extents of all its indices."""

    spec: str
    shapes: tuple[Shape, ...]
    extents: Mapping[str, int]
    reduce: Reduction = "sum"

    @property
    def contraction(self) -> cc.Contraction:
        """The contraction."""
        return cc.Contraction(self.spec, self.reduce)

    @property
    def result_shape(self) -> Shape:
        """The shape that the string asks for."""
        return natural_output_shape(self.spec, self.shapes, self.extents)

    def operands(self, seed: int = 1) -> list[Array]:
        """Small integers, so small for a product of many that it stays exact."""
        bound = 1 if self.reduce == "prod" else 3
        return [integers(shape, 5 * seed + n, bound) for n, shape in enumerate(self.shapes)]

    def jacobian(self, n: int, seed: int = 1) -> Array:
        """The gradient of each element of the result, one after the other."""
        shape, operands = self.result_shape, self.operands(seed)
        rows = [
            gradient(self.spec, n, unit, operands, self.extents, shape, self.reduce)
            for unit in units(shape)
        ]
        full = (*shape, *self.shapes[n])
        return np.array(rows).reshape(full) if rows else np.zeros(full, np.int64)

    def matrix(self, n: int, seed: int = 1) -> Array:
        """The Jacobian with one axis for the result and one for the operand."""
        return self.jacobian(n, seed).reshape(
            math.prod(self.result_shape), math.prod(self.shapes[n])
        )

    def call(self, derived: Any, *arrays: Array, seed: int = 1) -> Array:
        """Ask the library: some arrays, then the operands."""
        result: Array = derived(*arrays, *self.operands(seed), **self.extents)
        return result


def units(shape: Shape, dtype: str = "int64") -> Array:
    """Every array of that shape with a one in one place."""
    count = math.prod(shape)
    return np.eye(count, dtype=dtype).reshape((count, *shape))


def integers(shape: Shape, seed: int, bound: int = 3) -> Array:
    return filled(shape, seed, bound, "int64")


def assert_same(result: Array, expected: Array) -> None:
    assert result.shape == expected.shape
    assert result.dtype.kind == "i"
    np.testing.assert_array_equal(result, expected)


def assert_close(result: Array, expected: Array) -> None:
    assert result.shape == expected.shape
    scale = float(np.abs(expected).max(initial=1))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 * scale)


def from_problem(problem: Problem, reduce: Reduction = "sum") -> Case:
    """A drawn problem in the shape that its string asks for, if it is small enough."""
    case = Case(problem.spec, problem.shapes, problem.extents, reduce)
    largest = max(math.prod(shape) for shape in case.shapes)
    assume(math.prod(case.result_shape) * largest <= MOST_PARTIALS)
    return case


CASES = {
    case.spec: case
    for case in [
        Case("b i, i o -> b o", ((2, 3), (3, 2)), {"b": 2, "i": 3, "o": 2}),
        Case(
            "b (2*i+k-1) c, k c o -> b i o",
            ((2, 5, 2), (3, 2, 2)),
            {"b": 2, "i": 3, "k": 3, "c": 2, "o": 2},
        ),
        Case(
            "b (i+2*k) (3*j+l-1) c, k l c -> b i j c",
            ((2, 4, 5, 2), (2, 2, 2)),
            {"b": 2, "i": 2, "j": 2, "k": 2, "l": 2, "c": 2},
        ),
        Case(
            "b i c, k c o -> b (3*i+2*k-1) o",
            ((2, 3, 2), (2, 2, 2)),
            {"b": 2, "i": 3, "k": 2, "c": 2, "o": 2},
        ),
        Case("b i, k -> b (i-k)", ((2, 4), (3,)), {"b": 2, "i": 4, "k": 3}),
        Case("b (4-i) c, i o -> b o c", ((2, 5, 2), (5, 2)), {"b": 2, "i": 5, "c": 2, "o": 2}),
        Case("b ((h-k)/2), k -> b h", ((2, 3), (2,)), {"b": 2, "h": 6, "k": 2}),
        Case("b (h w), (w h) o -> b o", ((2, 6), (6, 2)), {"b": 2, "h": 2, "w": 3, "o": 2}),
        Case(
            "b (i k) c, k c o -> b (i o)",
            ((2, 6, 2), (2, 2, 3)),
            {"b": 2, "i": 3, "k": 2, "c": 2, "o": 3},
        ),
        Case("i j, j k, k l -> i l", ((2, 3), (3, 2), (2, 3)), {"i": 2, "j": 3, "k": 2, "l": 3}),
        Case("q d, k d, k e -> q e", ((3, 2), (4, 2), (4, 2)), {"q": 3, "k": 4, "d": 2, "e": 2}),
        Case("i, i ->", ((4,), (4,)), {"i": 4}),
        Case(", i -> i", ((), (3,)), {"i": 3}),
        Case("i, k -> (2*i+k) k", ((3,), (2,)), {"i": 3, "k": 2}),
        Case("b (1) c, c o -> b o", ((2, 3, 2), (2, 2)), {"b": 2, "c": 2, "o": 2}),
        Case("b c, c -> b n", ((2, 3), (3,)), {"b": 2, "c": 3, "n": 2}),
        Case("r r_ k_, r k k_ -> r_ k", ((2, 3, 2), (2, 2, 2)), {"r": 2, "r_": 3, "k_": 2, "k": 2}),
    ]
}
# One operand and nothing else: the Jacobian is made of zeros and ones.
ALONE = {
    case.spec: case
    for case in [
        Case("b c -> b c", ((2, 3),), {"b": 2, "c": 3}),
        Case("b t c -> b c", ((2, 3, 2),), {"b": 2, "t": 3, "c": 2}),
        Case("o -> b i o", ((2,),), {"b": 2, "i": 3, "o": 2}),
        Case("b (2*i+k) -> b i", ((2, 5),), {"b": 2, "i": 2, "k": 2}),
        Case("b (i+2*k) -> b i", ((2, 5),), {"b": 2, "i": 3, "k": 2}),
        Case("b h w -> b (h w)", ((2, 2, 3),), {"b": 2, "h": 2, "w": 3}),
        Case("i i ->", ((3, 3),), {"i": 3}),
        Case("b i -> b (2*i)", ((2, 3),), {"b": 2, "i": 3}),
        Case("->", ((),), {}),
    ]
}
EVERY = CASES | ALONE
POOLS = {
    reduce: Case("b (2*i+k-1) c -> b i c", ((2, 6, 2),), {"b": 2, "i": 3, "k": 3, "c": 2}, reduce)
    for reduce in ("max", "min", "prod")
}
WEIGHTED = {
    f"weighted {reduce}": Case(
        "b (2*i+k-1) c, k c -> b i c",
        ((2, 6, 2), (3, 2)),
        {"b": 2, "i": 3, "k": 3, "c": 2},
        reduce,
    )
    for reduce in ("max", "min", "prod")
}


def operands_of(cases: Mapping[str, Case]) -> list[Any]:
    """Each case with the position of each of its operands."""
    return [
        pytest.param(case, n, id=f"{name}-{n}")
        for name, case in cases.items()
        for n in range(len(case.shapes))
    ]


# --- forward derivatives and Jacobians -------------------------------------------------------


@pytest.mark.parametrize(("case", "n"), operands_of(EVERY | POOLS | WEIGHTED))
def test_forward_derivatives_are_exact(case: Case, n: int) -> None:
    tangent = integers(case.shapes[n], 40)
    expected = (case.matrix(n) @ tangent.ravel()).reshape(case.result_shape)
    assert_same(case.call(case.contraction.jvp(n), tangent), expected)


@pytest.mark.parametrize(("case", "n"), operands_of(CASES | POOLS | WEIGHTED))
def test_jacobians_are_exact(case: Case, n: int) -> None:
    assert_same(case.call(case.contraction.jacobian(n)), case.jacobian(n))


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE)
def test_jacobians_without_another_operand_are_zeros_and_ones(case: Case) -> None:
    result = case.call(case.contraction.jacobian(0))
    assert result.shape == case.jacobian(0).shape
    np.testing.assert_array_equal(result, case.jacobian(0))


@pytest.mark.parametrize("reduce", ROUNDED)
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions_that_round(reduce: Reduction, weighted: bool) -> None:
    table = WEIGHTED["weighted max"] if weighted else POOLS["max"]
    case = Case(table.spec, table.shapes, table.extents, reduce)
    for n, shape in enumerate(case.shapes):
        operands = [operand.astype(float) for operand in case.operands()]
        tangent = integers(shape, 40).astype(float)
        rows = [
            gradient(case.spec, n, unit, operands, case.extents, case.result_shape, reduce)
            for unit in units(case.result_shape, "float64")
        ]
        jacobian = np.array(rows).reshape((*case.result_shape, *shape))
        c = case.contraction
        assert_close(c.jacobian(n)(*operands, extents=case.extents), jacobian)
        expected = np.tensordot(jacobian, tangent, tangent.ndim)
        assert_close(c.jvp(n)(tangent, *operands, extents=case.extents), expected)


def test_a_mean_over_a_scatter_beside_a_composition() -> None:
    case = Case(
        "i, k, h w -> (i+k) (h w)",
        ((3,), (2,), (2, 2)),
        {"i": 3, "k": 2, "h": 2, "w": 2},
        "mean",
    )
    c, tangent = case.contraction, np.arange(1.0, 4)
    # A mean is linear in each operand, so its derivative is the mean with the tangent put in.
    expected = c(tangent, *case.operands()[1:])
    assert_close(case.call(c.jvp(0), tangent), expected)


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_of_equal_extremes_the_first_one_moves(reduce: Reduction) -> None:
    pool = cc.Contraction("(2*i+k) -> i", reduce)
    same = np.array([4, 4, 7, 7])
    np.testing.assert_array_equal(pool.jvp(0)(np.array([1, 10, 100, 1000]), same, k=2), [1, 100])
    np.testing.assert_array_equal(pool.jacobian(0)(same, k=2), [[1, 0, 0, 0], [0, 0, 1, 0]])


def test_a_product_with_zeros_has_a_derivative() -> None:
    c = cc.Contraction("b k -> b", reduce="prod")
    x = np.array([[2, 0, 5], [0, 3, 0]])
    np.testing.assert_array_equal(
        c.jacobian(0)(x), [[[0, 10, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    )


def test_one_array_in_two_positions_has_two_derivatives_that_add() -> None:
    square = cc.Contraction("b i, b i -> b")
    x, v = integers((2, 3), 1), integers((2, 3), 2)
    total = square.jvp(0)(v, x, x) + square.jvp(1)(v, x, x)
    assert_same(total, 2 * (x * v).sum(1))


# --- the Gauss-Newton matrix -----------------------------------------------------------------

ROOT_COLUMNS = 2


def root_of(case: Case) -> Array:
    return integers((ROOT_COLUMNS, *case.result_shape), 60, 2)


def as_columns(case: Case, root: Array, along: Sequence[int]) -> Array:
    """A root whose columns each belong to one example, as a matrix.

    Args:
        case: the layer.
        root: the root as the library takes it.
        along: the axes of the result that number examples.
    """
    numbers = np.indices(case.result_shape)
    kept = [case.result_shape[axis] for axis in along]
    columns = [
        np.where(np.all([numbers[a] == e for a, e in zip(along, example, strict=True)], 0), r, 0)
        for r in root
        for example in np.ndindex(*kept)
    ]
    return np.array(columns).reshape(len(columns), math.prod(case.result_shape))


@pytest.mark.parametrize(("case", "n"), operands_of(EVERY | POOLS | WEIGHTED))
def test_products_for_half_the_squared_error(case: Case, n: int) -> None:
    tangent, matrix = integers(case.shapes[n], 40), case.matrix(n)
    expected = (matrix.T @ (matrix @ tangent.ravel())).reshape(tangent.shape)
    assert_same(case.call(case.contraction.curvature(n).product(), tangent), expected)


# Layers with a batch in front, and what else could number examples: names and axes.
BATCHES = [
    ("b (2*i+k-1) c, k c o -> b i o", None, (0,)),
    ("b (2*i+k-1) c, k c o -> b i o", "", ()),
    ("b (2*i+k-1) c, k c o -> b i o", "o", (2,)),
    ("b (2*i+k-1) c, k c o -> b i o", "b i", (0, 1)),
    ("b (2*i+k-1) c, k c o -> b i o", "i", (1,)),
    ("b (2*i+k-1) c, k c o -> b i o", "o,b,i", (0, 1, 2)),
    ("b (i+2*k) (3*j+l-1) c, k l c -> b i j c", None, (0,)),
    ("b (i+2*k) (3*j+l-1) c, k l c -> b i j c", "", ()),
    ("b (i+2*k) (3*j+l-1) c, k l c -> b i j c", "c j", (2, 3)),
    ("b i c, k c o -> b (3*i+2*k-1) o", None, (0,)),
    ("b i c, k c o -> b (3*i+2*k-1) o", "", ()),
    ("b i c, k c o -> b (3*i+2*k-1) o", "h", (1,)),
    ("b i, k -> b (i-k)", None, (0,)),
    ("b (4-i) c, i o -> b o c", "c", (2,)),
    ("b ((h-k)/2), k -> b h", "h", (1,)),
    ("b ((h-k)/2), k -> b h", "", ()),
    ("b (h w), (w h) o -> b o", None, (0,)),
    ("i j, j k, k l -> i l", None, (0,)),
    ("i j, j k, k l -> i l", "", ()),
    ("q d, k d, k e -> q e", "e", (1,)),
    ("i, i ->", None, ()),
    ("r r_ k_, r k k_ -> r_ k", None, (0,)),
    ("r r_ k_, r k k_ -> r_ k", "", ()),
    ("r r_ k_, r k k_ -> r_ k", "k", (1,)),
]
EVERY_BATCH = [
    pytest.param(EVERY[spec], batch, along, n, id=f"{spec}-{batch}-{n}")
    for spec, batch, along in BATCHES
    for n in range(len(EVERY[spec].shapes))
]


@pytest.mark.parametrize(("case", "batch", "along", "n"), EVERY_BATCH)
def test_products_with_a_root(case: Case, batch: str | None, along: Sequence[int], n: int) -> None:
    tangent, root, matrix = integers(case.shapes[n], 40), root_of(case), case.matrix(n)
    half = as_columns(case, root, along) @ matrix
    expected = (half.T @ (half @ tangent.ravel())).reshape(tangent.shape)
    product = case.contraction.curvature(n, batch).product(root=True)
    assert_same(case.call(product, tangent, root), expected)


# An index that numbers examples must not be solved for: i of a convolution, h of its transpose.
@pytest.mark.parametrize(("case", "batch", "along", "n"), EVERY_BATCH)
def test_diagonals_with_a_root(case: Case, batch: str | None, along: Sequence[int], n: int) -> None:
    root = root_of(case)
    half = as_columns(case, root, along) @ case.matrix(n)
    expected = (half**2).sum(0).reshape(case.shapes[n])
    diagonal = case.contraction.curvature(n, batch).diagonal(root=True)
    assert_same(case.call(diagonal, root), expected)


def either_refused_or(case: Case, n: int, root: bool) -> None:
    """Compare a diagonal with brute force, unless it says that it cannot be derived."""
    matrix, first = case.matrix(n), [root_of(case)] * root
    half = root_of(case).reshape(ROOT_COLUMNS, -1) @ matrix if root else matrix
    try:
        diagonal = case.contraction.curvature(n, "").diagonal(root)
    except cc.SpecError:
        return
    result = case.call(diagonal, *first)
    assert result.shape == case.shapes[n]
    np.testing.assert_array_equal(result, (half**2).sum(0).reshape(case.shapes[n]))


@pytest.mark.parametrize(("case", "n"), operands_of(CASES))
def test_diagonals_for_half_the_squared_error(case: Case, n: int) -> None:
    expected = (case.matrix(n) ** 2).sum(0).reshape(case.shapes[n])
    assert_same(case.call(case.contraction.curvature(n).diagonal()), expected)


@pytest.mark.parametrize(("case", "n"), operands_of(POOLS | WEIGHTED))
def test_diagonals_of_other_reductions(case: Case, n: int) -> None:
    either_refused_or(case, n, root=False)
    either_refused_or(case, n, root=True)


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE)
def test_diagonals_without_another_operand(case: Case) -> None:
    either_refused_or(case, 0, root=False)


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE)
def test_diagonals_with_a_root_and_no_other_operand(case: Case) -> None:
    either_refused_or(case, 0, root=True)


# Neither the columns of the root nor the second copy of r may take a name that is in use.
@pytest.mark.parametrize("columns", [2, 3])
def test_an_index_called_r_is_not_the_columns_of_the_root(columns: int) -> None:
    x, w, v = integers((2, 3), 1), integers((3, 2), 2), integers((3, 2), 3)
    root = integers((columns, 2, 2), 4)
    named_r = cc.Contraction("b r, r o -> b o").curvature(1)
    named_i = cc.Contraction("b i, i o -> b o").curvature(1)
    expected = named_i.product(root=True)(v, root, x, w)
    assert_same(named_r.product(root=True)(v, root, x, w), expected)
    expected = named_i.diagonal(root=True)(root, x, w)
    assert_same(named_r.diagonal(root=True)(root, x, w), expected)


@pytest.mark.parametrize(("case", "n"), operands_of(EVERY))
def test_roots_without_columns_make_nothing(case: Case, n: int) -> None:
    root = np.zeros((0, *case.result_shape), np.int64)
    tangent = integers(case.shapes[n], 40)
    product = case.contraction.curvature(n).product(root=True)
    assert_same(case.call(product, tangent, root), np.zeros(case.shapes[n], np.int64))


@pytest.mark.parametrize(
    ("spec", "reduce"),
    [("i -> i i", "sum"), ("(i+k), k -> (2*i)", "sum"), ("i, k -> (i+k)", "mean")],
)
def test_a_scatter_without_a_gather_form_has_products_with_a_root_only(
    spec: str, reduce: Reduction
) -> None:
    c = cc.Contraction(spec, reduce)
    curvature = c.curvature(0, batch="")
    refused: list[Callable[[], object]] = [
        curvature.product,
        curvature.diagonal,
        curvature.kronecker,
        lambda: curvature.diagonal(root=True),
    ]
    for derive in refused:
        with pytest.raises(cc.SpecError, match=re.escape(f"'{c}' has no gather form")):
            derive()
    operands = [np.array([1, 2, 3]), np.array([4, 5])][: 1 + spec.count(",")]
    tangent, root = np.array([1, -2, 1]), integers((2, *c(*operands).shape), 3)
    changed = c.jvp(0)(tangent, *operands)
    expected = np.sum([c.grad(0)(r * (r * changed).sum(), *operands) for r in root], axis=0)
    assert_close(curvature.product(root=True)(tangent, root, *operands), expected)


# --- Kronecker factors -----------------------------------------------------------------------


def windows_of(x: Array, taps: int, stride: int, padding: int, places: int) -> Array:
    """What each place of each example reads, tap by tap: ``b i (k c)``."""
    batch, size, channels = x.shape
    found = np.zeros((batch, places, taps, channels), x.dtype)
    for i, k in np.ndindex(places, taps):
        if 0 <= (at := stride * i + k - padding) < size:
            found[:, i, k] = x[:, at]
    return found.reshape(batch, places, taps * channels)


def outer_sum(vectors: Sequence[Array]) -> Array:
    total: Array = np.sum([np.outer(v, v) for v in vectors], axis=0)
    return total


# With powers of two for the numbers of examples and places no quotient is rounded.
def test_factors_of_a_convolution_are_averages_of_outer_products() -> None:
    conv = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
    x, w, g = integers((2, 8, 3), 1), integers((3, 3, 2), 2), integers((2, 4, 2), 3)
    a = windows_of(x, 3, 2, 1, 4)
    left, right = conv.curvature(1).kronecker("expand")(g, x, w)
    np.testing.assert_array_equal(left, outer_sum([*a[0], *a[1]]))
    np.testing.assert_array_equal(right, outer_sum([*g[0], *g[1]]) / (2 * 4))
    left, right = conv.curvature(1).kronecker("reduce")(g, x, w)
    np.testing.assert_array_equal(left, outer_sum(a.sum(1)) / (4 * 4))
    np.testing.assert_array_equal(right, outer_sum(g.sum(1)) / 2)


def test_factors_of_a_transposed_convolution_have_a_place_for_each_position() -> None:
    transposed = cc.Contraction("b i c, k c o -> b (2*i+k) o")
    x, w, g = integers((2, 3, 3), 1), integers((4, 3, 2), 2), integers((2, 8, 2), 3)
    stuffed = np.zeros((2, 5, 3), np.int64)
    stuffed[:, ::2] = x
    # Each position reads what precedes it: the taps run backwards.
    a = windows_of(stuffed, 4, 1, 3, 8).reshape(2, 8, 4, 3)[:, :, ::-1].reshape(2, 8, 12)
    left, right = transposed.curvature(1).kronecker("expand")(g, x, w)
    np.testing.assert_array_equal(left, outer_sum([*a[0], *a[1]]))
    np.testing.assert_array_equal(right, outer_sum([*g[0], *g[1]]) / (2 * 8))
    left, right = transposed.curvature(1).kronecker("reduce")(g, x, w)
    np.testing.assert_array_equal(left, outer_sum(a.sum(1)) / (8 * 8))
    np.testing.assert_array_equal(right, outer_sum(g.sum(1)) / 2)


def test_each_group_has_factors_of_its_own() -> None:
    grouped = cc.Contraction("b (i+k) g c, k g c o -> b i g o").curvature(1)
    single = cc.Contraction("b (i+k) c, k c o -> b i o").curvature(1)
    x, w, y = integers((2, 5, 3, 2), 1), integers((2, 3, 2, 2), 2), integers((2, 4, 3, 2), 3)
    for kind in ("expand", "reduce"):
        each = [single.kronecker(kind)(y[:, :, g], x[:, :, g], w[:, g]) for g in range(3)]
        left, right = grouped.kronecker(kind)(y, x, w)
        np.testing.assert_array_equal(left, [a for a, _ in each])
        np.testing.assert_array_equal(right, [b for _, b in each])


@pytest.mark.parametrize(("kind", "count"), [("expand", 8.0), ("reduce", 2.0)])
def test_the_input_of_a_bias_is_one_at_every_place(kind: str, count: float) -> None:
    bias = cc.Contraction("o -> b i o").curvature(0)
    left, right = bias.kronecker(kind)(np.ones((2, 4, 3)), np.ones(3), b=2, i=4)
    np.testing.assert_array_equal(left, count)
    np.testing.assert_array_equal(right, np.full((3, 3), 1.0 if kind == "expand" else 16.0))


def test_examples_that_are_named_twice_are_counted_once() -> None:
    dense = cc.Contraction("b i, i o -> b o")
    x, w, g = integers((2, 3), 1), integers((3, 2), 2), integers((2, 2), 3)
    once = dense.curvature(1, "b").kronecker()(g, x, w)
    try:
        twice = dense.curvature(1, "b b").kronecker()(g, x, w)
    except cc.ContractionError:
        return
    for left, right in zip(once, twice, strict=True):
        np.testing.assert_array_equal(left, right)


# --- strings ---------------------------------------------------------------------------------

CONV = "b (2*i+k-1) c, k c o -> b i o"
PLANE = "b (2*i+k-1) (j+2*l) g c, k l g c o -> b i j g o"
TRANSPOSED = "b i c, k c o -> b (2*i+k) o"
DENSE = "b i, i o -> b o"
ATTENTION = "b q h d, b k h d, b k h e -> b q h e"

STRINGS: list[tuple[str, str, Callable[[cc.Contraction], object]]] = [
    (CONV, CONV, lambda c: c.jvp(0)),
    (CONV, CONV, lambda c: c.jvp(1)),
    (PLANE, PLANE, lambda c: c.jvp(1)),
    (TRANSPOSED, TRANSPOSED, lambda c: c.jvp(0)),
    (ATTENTION, ATTENTION, lambda c: c.jvp(2)),
    ("... i, i o -> ... o", "... i, i o -> ... o", lambda c: c.jvp(1)),
    (CONV, "b (2*i+k-1) c -> b i o k c o", lambda c: c.jacobian(1)),
    (CONV, "k c o -> b i o b (2*i+k-1) c", lambda c: c.jacobian(0)),
    (DENSE, "i o -> b o b i", lambda c: c.jacobian(0)),
    (DENSE, "b i -> b o i o", lambda c: c.jacobian(1)),
    (ATTENTION, "b q h d, b k h d -> b q h e b k h e", lambda c: c.jacobian(2)),
    (DENSE, "i o, i_ o, b i_ -> b i", lambda c: c.curvature(0).product()),
    (DENSE, "b i, b i_, i_ o -> i o", lambda c: c.curvature(1).product()),
    (
        CONV,
        "b (2*i+k-1) c, b (2*i+k_-1) c_, k_ c_ o -> k c o",
        lambda c: c.curvature(1).product(),
    ),
    (
        DENSE,
        "r b o, b i, r b o_, b i_, i_ o_ -> i o",
        lambda c: c.curvature(1).product(root=True),
    ),
    (
        DENSE,
        "r b o, b i, r b_ o_, b_ i_, i_ o_ -> i o",
        lambda c: c.curvature(1, batch="").product(root=True),
    ),
    (DENSE, "b i, b i -> i o", lambda c: c.curvature(1).diagonal()),
    (DENSE, "i o, i o -> b i", lambda c: c.curvature(0).diagonal()),
    (DENSE, "r b o, b i, r b o, b i -> i o", lambda c: c.curvature(1).diagonal(root=True)),
    (CONV, "(h-2*i+1) c o, (h-2*i+1) c o -> b h c", lambda c: c.curvature(0).diagonal()),
    (DENSE, "A: b i, b i_ -> i i_\nB: b o, b o_ -> o o_", lambda c: c.curvature(1).kronecker()),
    (
        CONV,
        "A: b (2*i+k-1) c, b (2*i_+k_-1) c_ -> (k c) (k_ c_)\nB: b i o, b i_ o_ -> o o_",
        lambda c: c.curvature(1).kronecker("reduce"),
    ),
    (
        "b (2*i+k-1) (j+2*l) g c, k l g c o -> b i j g o",
        ("A: b (2*i+k-1) (j+2*l) g c, b (2*i+k_-1) (j+2*l_) g c_ -> g (k l c) (k_ l_ c_)\n"
        "B: b i j g o, b i j g o_ -> g o o_"),
        lambda c: c.curvature(1).kronecker("expand"),
    ),
    (
        TRANSPOSED,
        "A: b ((h-k)/2) c, b ((h-k_)/2) c_ -> (k c) (k_ c_)\nB: b h o, b h o_ -> o o_",
        lambda c: c.curvature(1).kronecker(),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "string", "derive"), STRINGS)
def test_strings(spec: str, string: str, derive: Callable[[cc.Contraction], object]) -> None:
    assert str(derive(cc.Contraction(spec))) == string


def test_roles_say_what_each_operand_of_the_string_is() -> None:
    conv, pool = cc.Contraction(CONV), cc.Contraction("b (2*i+k) c -> b i c", "max")
    attention = cc.Contraction(ATTENTION)
    assert conv.jvp(0).roles == ("V", "W")
    assert conv.jvp(1).roles == ("X", "V")
    assert attention.jvp(1).roles == ("T0", "V", "T2")
    assert conv.jacobian(1).roles == ("X",)
    assert conv.curvature(1).product().roles == ("X", "X", "V")
    assert conv.curvature(1).product(root=True).roles == ("R", "X", "R", "X", "V")
    assert conv.curvature(1).diagonal(root=True).roles == ("R", "X", "R", "X")
    assert conv.curvature(1).kronecker().output.roles == ("G", "G")
    assert pool.jvp(0).roles == ("S", "V")
    assert pool.jacobian(0).roles == ("S",)


def test_what_is_taken_before_the_operands() -> None:
    curvature = cc.Contraction(CONV).curvature(1)
    assert curvature.jvp.takes == ("V",)
    assert curvature.forward.jacobian(1).takes == ()
    assert curvature.product().takes == ("V",)
    assert curvature.product(root=True).takes == ("V", "R")
    assert curvature.diagonal().takes == ()
    assert curvature.diagonal(root=True).takes == ("R",)
    assert curvature.kronecker().input.takes == ()
    assert curvature.kronecker().output.takes == ("G",)


def test_representations() -> None:
    dense = cc.Contraction(DENSE)
    name = "Contraction('b i, i o -> b o')"
    assert repr(dense.jvp(0)) == f"<forward derivative of {name} by operand 0>"
    assert repr(dense.jacobian(1)) == f"<Jacobian of {name} by operand 1>"
    assert repr(dense.curvature(1)) == f"{name}.curvature(1, batch='b')"
    assert repr(dense.curvature(1, "b o")) == f"{name}.curvature(1, batch='b o')"
    assert repr(dense.curvature(1).product()) == f"<Gauss-Newton product of {name} by operand 1>"
    assert repr(dense.curvature(1).kronecker()) == f"<Kronecker factors (expand) of {name}>"


def test_formulas() -> None:
    conv = cc.Contraction("b (i+k) c, k c o -> b i o")
    factors = conv.curvature(1).kronecker("expand")
    assert conv.jvp(0).formula == "JV[b, i, o] = Σ_{k,c} V[b, i+k, c] · W[k, c, o]"
    assert conv.jacobian(1).formula == "J[b, i, o, k, c, o′] = X[b, i+k, c] · δ(o′, o)"
    assert factors.input.formula == ("A[(k c), (k′ c′)] = Σ_{b,i} X[b, i+k, c] · X[b, i+k′, c′]")
    assert factors.output.formula == "B[o, o′] = 1/(N_b N_i) · Σ_{b,i} G[b, i, o] · G[b, i, o′]"


def test_no_condition_of_a_formula_is_written_twice() -> None:
    # Both copies of the weight are read in the same way.
    formula = cc.Contraction(CONV).curvature(0).diagonal().formula
    conditions = formula.partition(" where ")[2].strip().split(", ")
    assert len(conditions) == len(set(conditions))


def run_string(case: Case, derived: Any, first: Mapping[str, Array], shape: Shape) -> Array:
    """Run the string like any other one: each operand is what its role says."""
    names = ("X", "W") if len(case.shapes) <= 2 else ("T0", "T1", "T2")
    arrays = dict(zip(names, case.operands(), strict=False)) | dict(first)
    again = cc.Contraction(str(derived))
    assert str(again) == str(derived.contraction)
    # A copy k_ of an index k has its extent.
    known = {**case.extents, **{f"{name}_": size for name, size in case.extents.items()}}
    extents: dict[str, Any] = {name: known[name] for name in again.indices if name in known}
    result: Array = again(*map(arrays.__getitem__, derived.roles), output_shape=shape, **extents)
    return result


@pytest.mark.parametrize(
    ("case", "n"), operands_of({name: case for name, case in CASES.items() if "r" not in name})
)
def test_strings_can_be_run_like_any_other(case: Case, n: int) -> None:
    c, tangent, root = case.contraction, integers(case.shapes[n], 40), root_of(case)
    both = (*case.result_shape, *case.shapes[n])
    product = c.curvature(n, "").product(root=True)
    first = {"V": tangent, "R": root}
    assert_same(
        run_string(case, c.jvp(n), {"V": tangent}, case.result_shape),
        case.call(c.jvp(n), tangent),
    )
    assert_same(run_string(case, c.jacobian(n), {}, both), case.call(c.jacobian(n)))
    assert_same(run_string(case, product, first, case.shapes[n]), case.call(product, tangent, root))


# --- errors ----------------------------------------------------------------------------------

TWO, THREE, FIVE = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 5))
ROOT = np.ones((1, 2, 4))

WRONG_CALLS: list[tuple[type[Exception], str, Callable[[cc.Contraction], object]]] = [
    (
        cc.OperandError,
        (
            "the forward derivative of 'b i, i o -> b o' is called with V and 2 operands, "
            "not with V and 1"
        ),
        lambda c: c.jvp(0)(TWO, TWO),
    ),
    (
        cc.OperandError,
        (
            "the forward derivative of 'b i, i o -> b o' is called with V and 2 operands, "
            "not with V and 3"
        ),
        lambda c: c.jvp(0)(TWO, TWO, THREE, THREE),
    ),
    (
        cc.OperandError,
        "the Jacobian of 'b i, i o -> b o' is called with 2 operands, not with 1",
        lambda c: c.jacobian(1)(TWO),
    ),
    (
        cc.OperandError,
        (
            "the Gauss-Newton product of 'b i, i o -> b o' is called with V and R and 2 operands, "
            "not with V and R and 1"
        ),
        lambda c: c.curvature(0).product(root=True)(TWO, ROOT, TWO),
    ),
    (
        cc.OperandError,
        (
            "the Gauss-Newton diagonal of 'b i, i o -> b o' is called with R and 2 operands, "
            "not with R and 1"
        ),
        lambda c: c.curvature(0).diagonal(root=True)(ROOT, TWO),
    ),
    (
        cc.OperandError,
        "the input factor of 'b i, i o -> b o' is called with 2 operands, not with 1",
        lambda c: c.curvature(1).kronecker().input(TWO),
    ),
    (
        cc.OperandError,
        "the output factor of 'b i, i o -> b o' is called with G and 2 operands, not with G and 1",
        lambda c: c.curvature(1).kronecker().output(TWO, THREE),
    ),
    (
        cc.ShapeError,
        "the tangent V has shape (3, 4), operand 0 of 'b i, i o -> b o' has (2, 3)",
        lambda c: c.jvp(0)(THREE, TWO, THREE),
    ),
    (
        cc.ShapeError,
        "the tangent V has shape (2, 3), operand 1 of 'b i, i o -> b o' has (3, 4)",
        lambda c: c.curvature(1).product()(TWO, TWO, THREE),
    ),
    (
        cc.ShapeError,
        "the tangent V has shape (), operand 1 of 'b i, i o -> b o' has (3, 4)",
        lambda c: c.curvature(1).product(root=True)(1.0, ROOT, TWO, THREE),
    ),
    (
        cc.ShapeError,
        (
            "the root R has shape (2, 4); it must have an axis for its columns, then those of the "
            "result: (..., 2, 4)"
        ),
        lambda c: c.curvature(1).product(root=True)(THREE, ROOT[0], TWO, THREE),
    ),
    (
        cc.ShapeError,
        (
            "the root R has shape (1, 2, 3); it must have an axis for its columns, then those of "
            "the result: (..., 2, 4)"
        ),
        lambda c: c.curvature(0).diagonal(root=True)(ROOT[..., :3], TWO, THREE),
    ),
    (
        cc.ShapeError,
        "the cotangent has shape (2, 5), the result of 'b i, i o -> b o' has (2, 4)",
        lambda c: c.curvature(1).kronecker()(FIVE, TWO, THREE),
    ),
    (
        cc.OperandError,
        "V is not an array of numbers: its dtype is <U1 (it is of type list)",
        lambda c: c.jvp(0)([["a"]], TWO, THREE),
    ),
    (
        cc.OperandError,
        "R is not an array of numbers: its dtype is object (it is of type NoneType)",
        lambda c: c.curvature(0).diagonal(root=True)(None, TWO, THREE),
    ),
    (
        cc.ShapeError,
        "'b i, i o -> b o' has no index or parameter called 'r'; it has: b, o, i",
        lambda c: c.curvature(0).product(root=True)(TWO, ROOT, TWO, THREE, r=1),
    ),
    (
        cc.OperandError,
        "there is no operand 2 in 'b i, i o -> b o': it has 2 operands, counted from 0",
        lambda c: c.jvp(2),
    ),
    (
        cc.OperandError,
        "there is no operand -1 in 'b i, i o -> b o': it has 2 operands, counted from 0",
        lambda c: c.jacobian(-1),
    ),
    (
        cc.OperandError,
        "there is no operand 7 in 'b i, i o -> b o': it has 2 operands, counted from 0",
        lambda c: c.curvature(7),
    ),
    (
        cc.ContractionError,
        "unknown kind 'mean': choose one of expand, reduce",
        lambda c: c.curvature(1).kronecker("mean"),
    ),
    (
        cc.ContractionError,
        (
            "'z' cannot number the examples of 'b i, i o -> b o': it is not an index of the "
            "result, which has: b, o"
        ),
        lambda c: c.curvature(1, batch="b z"),
    ),
    (
        cc.ContractionError,
        (
            "'i' cannot number the examples of 'b i, i o -> b o': it is not an index of the "
            "result, which has: b, o"
        ),
        lambda c: c.curvature(1, batch=["i"]),
    ),
]


@pytest.mark.parametrize(("error", "message", "call"), WRONG_CALLS)
def test_what_is_wrong_with_a_call(
    error: type[Exception], message: str, call: Callable[[cc.Contraction], object]
) -> None:
    with pytest.raises(error) as raised:
        call(cc.Contraction(DENSE))
    assert str(raised.value) == message
    assert isinstance(raised.value, cc.ContractionError)


@pytest.mark.parametrize(
    ("spec", "reduce", "n", "error", "message"),
    [
        (
            CONV,
            "sum",
            0,
            cc.ContractionError,
            (
                "Kronecker factors are for weights, whose axes are indices of their own; operand 0 "
                "of 'b (2*i+k-1) c, k c o -> b i o' is read through 'b (2*i+k-1) c'"
            ),
        ),
        (
            "i i, i ->",
            "sum",
            0,
            cc.ContractionError,
            (
                "Kronecker factors are for weights, whose axes are indices of their own; operand 0 "
                "of 'i i, i ->' is read through 'i i'"
            ),
        ),
        (
            "b (i+k) c, k c -> b i c",
            "max",
            1,
            cc.ContractionError,
            "Kronecker factors are for sums, not for reduce='max'",
        ),
        (
            "... i, i o -> ... o",
            "sum",
            1,
            cc.SpecError,
            (
                "write the axes of '... i, i o -> ... o' out: each of them takes part twice, and "
                "those of an ellipsis have no names"
            ),
        ),
    ],
)
def test_what_has_no_kronecker_factors(
    spec: str, reduce: Reduction, n: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        cc.Contraction(spec, reduce).curvature(n).kronecker()
    assert str(raised.value) == message


def test_an_ellipsis_has_no_jacobian() -> None:
    with pytest.raises(cc.SpecError, match=re.escape("write the axes of '... i -> ...' out")):
        cc.Contraction("... i -> ...").jacobian(0)


def test_a_result_without_indices_has_no_examples() -> None:
    inner = cc.Contraction("i, i ->")
    assert inner.curvature(0).batch == ()
    with pytest.raises(cc.ContractionError, match="which has: none"):
        inner.curvature(0, batch="i")


def test_a_number_is_no_root_of_a_scalar_result() -> None:
    product = cc.Contraction("i, i ->").curvature(0).product(root=True)
    with pytest.raises(cc.ShapeError, match="the root R"):
        product(np.ones(3), 1.0, np.ones(3), np.ones(3))


def test_an_axis_is_no_name_of_a_batch() -> None:
    with pytest.raises(cc.ContractionError):
        cc.Contraction(DENSE).curvature(0, batch=0)  # type: ignore[arg-type]


def test_names_of_a_batch_come_in_any_form() -> None:
    dense = cc.Contraction(DENSE)
    for batch in ("b o", "b, o", ["b", "o"], ("b", "o")):
        assert dense.curvature(0, batch).batch == ("b", "o")
    assert dense.curvature(0).batch == ("b",)
    assert dense.curvature(0, "").batch == ()


# --- parameters, extents, and numbers of other kinds -----------------------------------------

SYMBOLIC = cc.Contraction("b (s*i+d*k-p) c, k c o -> b i o", parameters="s d p")
TABLE = ("X", "W", "VX", "VW", "R", "G")


def arrays_for(c: cc.Contraction, x: Shape, w: Shape, dtype: str = "int64") -> dict[str, Array]:
    """An operand, a weight, a tangent of each, a root and a cotangent."""
    y = c.output_shape(x, w)
    shapes = dict(zip(TABLE, (x, w, x, w, (2, *y), y), strict=True))
    return {name: filled(shape, 7 + n, 3, dtype) for n, (name, shape) in enumerate(shapes.items())}


def everything(c: cc.Contraction, given: Mapping[str, Any], **extents: int) -> dict[str, Array]:
    """All that is derived from a layer with a weight, by name."""
    x, w, root, cotangent = (given[name] for name in ("X", "W", "R", "G"))
    found: dict[str, Array] = {}
    for n, tangent in enumerate((given["VX"], given["VW"])):
        curvature = c.curvature(n)
        found |= {
            f"jvp {n}": c.jvp(n)(tangent, x, w, extents=extents),
            f"jacobian {n}": c.jacobian(n)(x, w, extents=extents),
            f"product {n}": curvature.product()(tangent, x, w, extents=extents),
            f"product {n}, root": curvature.product(root=True)(
                tangent, root, x, w, extents=extents
            ),
            f"diagonal {n}": curvature.diagonal()(x, w, extents=extents),
            f"diagonal {n}, root": curvature.diagonal(root=True)(root, x, w, extents=extents),
        }
    for kind in ("expand", "reduce"):
        left, right = c.curvature(1).kronecker(kind)(cotangent, x, w, **extents)
        found |= {f"{kind} input": left, f"{kind} output": right}
    return found


def assert_all_equal(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, result in found.items():
        assert result.shape == expected[name].shape, name
        np.testing.assert_array_equal(result, expected[name], err_msg=name)


@pytest.mark.parametrize("values", [(2, 1, 1), (1, 3, 2), (3, 2, 0), (2, -1, -2), (1, 0, 0)])
def test_parameters_are_bound_before_or_given_in_the_call(values: tuple[int, int, int]) -> None:
    s, d, p = values
    plain = cc.Contraction(f"b ({s}*i+{d}*k-{p}) c, k c o -> b i o")
    given = arrays_for(plain, (2, 7, 2), (3, 2, 2))
    expected = everything(plain, given)
    assert_all_equal(everything(SYMBOLIC.bind(s=s, d=d, p=p), given), expected)
    assert_all_equal(everything(SYMBOLIC, given, s=s, d=d, p=p), expected)
    assert_all_equal(everything(SYMBOLIC.bind(s=s), given, d=d, p=p), expected)


def test_parameters_stay_in_the_strings() -> None:
    curvature = SYMBOLIC.curvature(0)
    assert str(SYMBOLIC.jvp(0)) == "b (s*i+d*k-p) c, k c o -> b i o"
    assert str(curvature.diagonal(root=True)) == (
        "r b ((h-d*k+p)/s) o, k c o, r b ((h-d*k_+p)/s) o_, k_ c o_ -> b h c"
    )
    assert curvature.product().contraction.parameters == ("d", "p", "s")


def test_a_parameter_without_a_value_is_named() -> None:
    x, w = np.ones((2, 7, 2)), np.ones((3, 2, 2))
    calls: list[Callable[[], object]] = [
        lambda: SYMBOLIC.jvp(0)(x, x, w),
        lambda: SYMBOLIC.jacobian(0)(x, w),
        lambda: SYMBOLIC.curvature(0).product()(x, x, w),
        lambda: SYMBOLIC.curvature(1).kronecker()(np.ones((2, 3, 2)), x, w),
    ]
    for call in calls:
        with pytest.raises(cc.ParameterError, match="unbound: the parameters d, p, s"):
            call()
    with pytest.raises(cc.ParameterError, match="unbound: the parameter s"):
        SYMBOLIC.jvp(0)(x, x, w, d=1, p=0)


def test_an_extent_in_the_call_may_reach_beyond_the_natural_one() -> None:
    conv = cc.Contraction("(2*i+k-1), k -> i")
    x, w, v = np.array([1, 2, 3, 4]), np.array([1, 10, 100]), np.array([1, 1, 1, 1])
    np.testing.assert_array_equal(conv.jvp(0)(v, x, w), [110, 111])
    np.testing.assert_array_equal(conv.jvp(0)(v, x, w, i=3), [110, 111, 1])
    assert conv.jacobian(0)(x, w, i=4).shape == (4, 4)


def test_a_pool_is_told_its_window() -> None:
    pool = cc.Contraction("b (2*i+k) -> b i", reduce="max")
    x, v = np.array([[5, 1, 2, 7, 3]]), np.array([[1, 10, 100, 1000, 10000]])
    np.testing.assert_array_equal(pool.jvp(0)(v, x, k=2), [[1, 1000]])
    np.testing.assert_array_equal(pool.jvp(0)(v, x, k=3), [[1, 1000]])
    np.testing.assert_array_equal(pool.curvature(0).product()(v, x, k=2), [[1, 0, 0, 1000, 0]])
    np.testing.assert_array_equal(pool.curvature(0).product()(v, x, k=4), [[0, 0, 0, 1000, 0]])
    np.testing.assert_array_equal(pool.curvature(0).diagonal()(x, k=2), [[1, 0, 0, 1, 0]])
    with pytest.raises(cc.ShapeError, match=re.escape("give i=... or k=...")):
        pool.jvp(0)(v, x)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_the_dtype_is_kept(dtype: str) -> None:
    c = cc.Contraction(CONV)
    given = arrays_for(c, (2, 5, 2), (3, 2, 2), dtype)
    averaged = dtype if np.dtype(dtype).kind in "fc" else "float64"
    for name, result in everything(c, given).items():
        is_average = name in ("expand output", "reduce input", "reduce output")
        assert result.dtype == (averaged if is_average else dtype), name


def test_complex_numbers_are_not_conjugated() -> None:
    c = cc.Contraction(CONV)
    x, w, vx, vw, _, g = arrays_for(c, (2, 5, 2), (3, 2, 2), "complex128").values()
    for n, tangent in enumerate((vx, vw)):
        jacobian = np.array([
            gradient(CONV, n, unit, [x, w], c.extents(x.shape, w.shape), g.shape)
            for unit in units(g.shape, "complex128")
        ]).reshape(g.size, tangent.size)  # fmt: skip
        assert_close(c.jacobian(n)(x, w), jacobian.reshape(*g.shape, *tangent.shape))
        assert_close(c.jvp(n)(tangent, x, w), (jacobian @ tangent.ravel()).reshape(g.shape))


def test_everything_is_what_the_jacobian_makes_it() -> None:
    c = cc.Contraction(CONV)
    x, w, vx, vw, root, g = arrays_for(c, (2, 5, 2), (3, 2, 2), "float64").values()
    found = everything(c, dict(zip(TABLE, (x, w, vx, vw, root, g), strict=True)))
    for n, tangent in enumerate((vx, vw)):
        jacobian = np.array([
            gradient(CONV, n, unit, [x, w], c.extents(x.shape, w.shape), g.shape)
            for unit in units(g.shape, "float64")
        ]).reshape(g.size, tangent.size)  # fmt: skip
        examples = root.reshape(2, 2, -1)
        half = np.concatenate(
            [examples[:, b] @ jacobian.reshape(2, -1, tangent.size)[b] for b in (0, 1)]
        )
        expected = {
            "jacobian": jacobian.reshape(*g.shape, *tangent.shape),
            "jvp": (jacobian @ tangent.ravel()).reshape(g.shape),
            "product": (jacobian.T @ jacobian @ tangent.ravel()).reshape(tangent.shape),
            "diagonal": (jacobian**2).sum(0).reshape(tangent.shape),
        }
        for name, values in expected.items():
            assert_close(found[f"{name} {n}"], values)
        assert_close(
            found[f"product {n}, root"], (half.T @ half @ tangent.ravel()).reshape(tangent.shape)
        )
        assert_close(found[f"diagonal {n}, root"], (half**2).sum(0).reshape(tangent.shape))
    a = windows_of(x, 3, 2, 1, 3)
    assert_close(found["expand input"], outer_sum([*a[0], *a[1]]))
    assert_close(found["expand output"], outer_sum([*g[0], *g[1]]) / 6)


def test_no_array_is_written_to_nor_must_be_contiguous() -> None:
    c = cc.Contraction(CONV)
    given = arrays_for(c, (2, 5, 2), (3, 2, 2))
    expected = everything(c, given)
    layouts: list[Callable[[Array], Array]] = [
        np.asfortranarray,
        lambda array: array[::-1].copy()[::-1],
        lambda array: array.repeat(2, -1)[..., ::2],
    ]
    for layout in layouts:
        laid_out = {name: layout(array) for name, array in given.items()}
        for array in laid_out.values():
            array.flags.writeable = False
        assert_all_equal(everything(c, laid_out), expected)


def test_lists_are_arrays() -> None:
    c = cc.Contraction(CONV)
    given = arrays_for(c, (2, 5, 2), (3, 2, 2))
    lists = {name: array.tolist() for name, array in given.items()}
    assert_all_equal(everything(c, lists), everything(c, given))


def test_numbers_are_arrays_without_axes() -> None:
    scaled = cc.Contraction(", i -> i")
    x = np.array([1, 2, 3])
    np.testing.assert_array_equal(scaled.jvp(0)(2, 5, x), [2, 4, 6])
    np.testing.assert_array_equal(scaled.jacobian(0)(5, x), x)
    np.testing.assert_array_equal(scaled.curvature(0).product()(2, 5, x), 28)
    np.testing.assert_array_equal(scaled.curvature(0).diagonal()(5, x), 14)


def test_a_batch_without_examples_has_derivatives() -> None:
    c = cc.Contraction(CONV)
    given = arrays_for(c, (0, 5, 2), (3, 2, 2))
    x, w, vx, vw, root, _ = given.values()
    assert_same(c.jvp(0)(vx, x, w), np.zeros((0, 3, 2), np.int64))
    assert_same(c.jvp(1)(vw, x, w), np.zeros((0, 3, 2), np.int64))
    assert_same(c.jacobian(0)(x, w), np.zeros((0, 3, 2, 0, 5, 2), np.int64))
    assert_same(c.jacobian(1)(x, w), np.zeros((0, 3, 2, 3, 2, 2), np.int64))
    for n, tangent in enumerate((vx, vw)):
        curvature = c.curvature(n)
        for result in (
            curvature.product()(tangent, x, w),
            curvature.product(root=True)(tangent, root, x, w),
            curvature.diagonal()(x, w),
            curvature.diagonal(root=True)(root, x, w),
        ):
            assert_same(result, np.zeros(tangent.shape, np.int64))


@pytest.mark.parametrize("kind", ["expand", "reduce"])
def test_an_average_over_no_examples_is_zero(kind: str) -> None:
    # As a mean of the notation is where there are no points.
    c = cc.Contraction(CONV)
    given = arrays_for(c, (0, 5, 2), (3, 2, 2))
    left, right = c.curvature(1).kronecker(kind)(given["G"], given["X"], given["W"])
    np.testing.assert_array_equal(left, np.zeros((6, 6)))
    np.testing.assert_array_equal(right, np.zeros((2, 2)))


# --- random contractions ---------------------------------------------------------------------

anything = st.one_of(problems(), windows(), problems(empty=True))


@pytest.mark.parametrize("reduce", EXACT)
@fewer
@given(problem=anything, seed=seeds())
def test_forward_and_backward_are_transposes(
    reduce: Reduction, problem: Problem, seed: int
) -> None:
    case = from_problem(problem, reduce)
    c, cotangent = case.contraction, integers(case.result_shape, 5 * seed + 4)
    for n, shape in enumerate(case.shapes):
        tangent = integers(shape, 500 + seed)
        forward = case.call(c.jvp(n), tangent, seed=seed)
        backward = case.call(c.grad(n), cotangent, seed=seed)
        assert forward.shape == case.result_shape
        assert (cotangent * forward).sum() == (backward * tangent).sum()


@pytest.mark.parametrize("reduce", EXACT)
@fewer
@given(problem=anything, seed=seeds())
def test_a_jacobian_times_a_tangent_is_the_forward_derivative(
    reduce: Reduction, problem: Problem, seed: int
) -> None:
    case = from_problem(problem, reduce)
    c = case.contraction
    for n, shape in enumerate(case.shapes):
        tangent = integers(shape, 500 + seed)
        jacobian = case.call(c.jacobian(n), seed=seed)
        assert jacobian.shape == (*case.result_shape, *shape)
        assert_same(
            np.asarray(
                (jacobian * tangent).sum(tuple(range(len(case.result_shape), jacobian.ndim)))
            ),
            case.call(c.jvp(n), tangent, seed=seed),
        )


@fewer
@given(problem=anything, seed=seeds())
def test_a_product_goes_forward_and_back_again(problem: Problem, seed: int) -> None:
    case = from_problem(problem)
    for n, shape in enumerate(case.shapes):
        curvature, tangent = case.contraction.curvature(n), integers(shape, 500 + seed)
        try:
            product = curvature.product()
        except cc.SpecError:
            continue
        there = case.call(curvature.jvp, tangent, seed=seed)
        back = case.call(curvature.vjp, there, seed=seed)
        assert_same(case.call(product, tangent, seed=seed), back)


@fewer
@given(problem=anything, seed=seeds())
def test_a_product_with_a_root_needs_no_gather_form(problem: Problem, seed: int) -> None:
    case = from_problem(problem)
    root = integers((2, *case.result_shape), 700 + seed)
    for n, shape in enumerate(case.shapes):
        curvature = case.contraction.curvature(n, batch="")
        tangent = integers(shape, 500 + seed)
        there = case.call(curvature.jvp, tangent, seed=seed)
        back = [
            case.call(curvature.vjp, np.asarray(r * (r * there).sum()), seed=seed) for r in root
        ]
        product = curvature.product(root=True)
        assert_same(case.call(product, tangent, root, seed=seed), np.asarray(sum(back)))


@fewer
@given(problem=anything, seed=seeds())
def test_a_diagonal_adds_up_squares_of_the_jacobian(problem: Problem, seed: int) -> None:
    case = from_problem(problem)
    root = integers((2, *case.result_shape), 700 + seed)
    for n, shape in enumerate(case.shapes):
        c, curvature = case.contraction, case.contraction.curvature(n, batch="")
        matrix = case.call(c.jacobian(n), seed=seed).reshape(root[0].size, math.prod(shape))
        for first, half in (((), matrix), ((root,), root.reshape(2, len(matrix)) @ matrix)):
            try:
                diagonal = curvature.diagonal(root=bool(first))
            except cc.SpecError:
                continue
            result = case.call(diagonal, *first, seed=seed)
            assert_same(result, np.asarray((half**2).sum(0).reshape(shape)))


# --- as values -------------------------------------------------------------------------------

PARTS: list[Callable[[cc.Contraction], Any]] = [
    lambda c: c.grad(1),
    lambda c: c.jvp(1),
    lambda c: c.jacobian(1),
    lambda c: c.curvature(1).product(),
    lambda c: c.curvature(1, "b").product(root=True),
    lambda c: c.curvature(1).diagonal(),
    lambda c: c.curvature(1).kronecker("reduce").input,
]


@pytest.mark.parametrize("part", PARTS)
def test_what_is_derived_twice_is_equal_and_can_be_sent(
    part: Callable[[cc.Contraction], Any],
) -> None:
    one, other = part(cc.Contraction(CONV)), part(cc.Contraction(CONV))
    assert one == other
    assert hash(one) == hash(other)
    assert one != part(cc.Contraction(DENSE))
    assert len({p(cc.Contraction(CONV)) for p in PARTS}) == len(PARTS)
    sent = pickle.loads(pickle.dumps(one))
    assert sent == one
    assert str(sent) == str(one)


def test_a_result_of_another_shape_has_a_forward_derivative() -> None:
    c = cc.Contraction("b i c, k c o -> b (2*i+k) o")
    x, w, v = integers((1, 3, 2), 1), integers((3, 2, 2), 2), integers((3, 2, 2), 3)
    shape = (1, 9, 2)
    expected = c(x, v, output_shape=shape)
    np.testing.assert_array_equal(c.jvp(1)(v, x, w, output_shape=shape), expected)
    g = integers(shape, 4)
    assert (c.grad(1)(g, x, w) * v).sum() == (g * expected).sum()
    assert c.jacobian(1)(x, w, output_shape=shape).shape == (*shape, *w.shape)
    a, b = c.curvature(1).kronecker()(g, x, w)
    assert (a.shape, b.shape) == ((6, 6), (2, 2))
