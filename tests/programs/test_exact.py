"""Exact evaluation, against numpy and against sums written out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from symbolic import contract, program

from contractconv.api.tensor import Tensor, applied, index, tensor
from contractconv.programs.exact import Known, evaluated
from contractconv.programs.nodes import Input, Node
from contractconv.programs.residues import PRIME, Residues

Values = np.ndarray[Any, Any]


def exactly(made: Tensor, arrays: dict[str, Values], dtype: str = "int64") -> Values:
    """What a tensor is of small integers, read with signs."""
    given = program([made], arrays, dtype)
    known = Known(given.shapes, given.dtypes, given.problems)
    leaves: dict[Node, list[int]] = {
        node: [int(v) % PRIME for v in arrays[node.name].ravel()]
        for node in given.graph.nodes
        if isinstance(node, Input)
    }
    (output,) = given.graph.wanted
    values = evaluated(given.graph.nodes, known, Residues(0), leaves)[output]
    signed = [v - PRIME if 2 * v > PRIME else v for v in values]
    return np.array(signed, dtype=object).reshape(given.shapes[output])


def drawn(*shapes: Sequence[int]) -> list[Values]:
    random = np.random.default_rng(7)
    return [random.integers(-9, 10, tuple(shape)) for shape in shapes]


def test_the_prime_is_one_and_minus_one_has_a_root() -> None:
    sympy = pytest.importorskip("sympy")
    assert sympy.isprime(PRIME)
    assert Residues(0).number(1j) ** 2 % PRIME == PRIME - 1


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("i k, k j -> i j", [(2, 3), (3, 4)]),
        ("i i -> i", [(3, 3)]),
        ("i j ->", [(2, 3)]),
        ("b i, b i, b -> b", [(2, 3), (2, 3), (2,)]),
    ],
)
def test_sums_are_those_of_numpy(spec: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = drawn(*shapes)
    terms = spec.split("->", maxsplit=1)[0].split(",")
    inputs = [
        tensor(f"x{n}", [f"a{m}" for m in range(len(term.split()))], "int64")
        for n, term in enumerate(terms)
    ]
    made = exactly(contract(spec, *inputs), {f"x{n}": a for n, a in enumerate(arrays)})
    assert (made == np.einsum(spec.replace(" ", ""), *arrays)).all()


def test_a_window_reads_zeros_beyond_its_axis() -> None:
    x, w = drawn((5,), (3,))
    made = exactly(
        contract("(2*i+k-1), k -> i", tensor("x", "a", "int64"), tensor("w", "k", "int64")),
        {"x": x, "w": w},
    )
    wanted = [
        sum(int(x[2 * i + k - 1] * w[k]) for k in range(3) if 0 <= 2 * i + k - 1 < 5)
        for i in range(3)
    ]
    assert made.tolist() == wanted


@pytest.mark.parametrize(("reduce", "numpy"), [("prod", np.prod), ("max", np.max), ("min", np.min)])
def test_other_reductions_are_those_of_numpy(reduce: str, numpy: Any) -> None:
    (x,) = drawn((3, 4))
    made = exactly(contract("i j -> i", tensor("x", "i j", "int64"), reduce=reduce), {"x": x})
    assert (made == numpy(x, axis=1)).all()


def test_compositions_are_row_major() -> None:
    (x,) = drawn((2, 6))
    made = exactly(contract("b (h w) -> w b h", tensor("x", "b n", "int64"), h=2), {"x": x})
    assert (made == x.reshape(2, 2, 3).transpose(2, 0, 1)).all()


def test_a_mean_is_a_sum_over_a_count() -> None:
    (x,) = drawn((3, 4))
    made = contract("i j -> i", tensor("x", "i j"), reduce="mean") * 4
    assert (exactly(made, {"x": x}, "float64") == x.sum(axis=1)).all()


def test_maps_align_by_name() -> None:
    x, y = drawn((2, 3), (3, 4))
    a, b = tensor("x", "i j", "int64"), tensor("y", "j k", "int64")
    made = exactly(a * b - applied("max", a, b), {"x": x, "y": y})
    wide = x[:, :, None], y[None]
    assert (made == wide[0] * wide[1] - np.maximum(*wide)).all()


def test_masks_are_those_of_the_integers() -> None:
    (x,) = drawn((3, 3))
    a = tensor("x", "q k", "int64")
    made = exactly(applied("where", index("q") >= index("k"), a, 0), {"x": x})
    assert (made == np.tril(x)).all()


def test_the_local_derivative_of_a_maximum_is_at_the_first() -> None:
    from contractconv.api.symbolic import grad

    x = np.array([[1, 5, 5], [2, 0, -3]])
    a = tensor("x", "i j")
    made = exactly(
        grad(contract("i ->", contract("i j -> i", a, reduce="max")), a), {"x": x}, "float64"
    )
    assert made.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_quotient_times_its_divisor_is_what_was_divided() -> None:
    field = Residues(3)
    for a, b in product((1, 5, PRIME - 2), (3, 7, PRIME - 1)):
        assert field.applied("multiply", (field.applied("divide", (a, b)), b)) == a


def test_functions_depend_on_the_seed_and_on_nothing_else() -> None:
    values = {Residues(seed).applied("tanh", (5,)) for seed in range(8)}
    assert len(values) == 8
    assert Residues(1).applied("tanh", (5,)) == Residues(1).applied("tanh", (5,))
