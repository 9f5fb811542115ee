"""The oracle against facts that were written down by hand, and the strategies against the oracle.

The witness of the property tests must be right by itself, so it is checked here without the
library: against numpy where numpy has the operation, against loops where it has not, and its
gradients by perturbing one element at a time in exact integers.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, find, given, settings
from hypothesis import strategies as st
from oracle import (
    evaluate,
    gradient,
    min_max,
    natural_output_shape,
    plain_index,
    read_axis,
    read_spec,
)
from strategies import (
    LAYERS,
    MOST_ELEMENTS,
    POOL,
    Array,
    Problem,
    filled,
    problems,
    seeds,
    windows,
)

REDUCTIONS = ("sum", "max", "min", "prod", "mean", "logsumexp")
few = settings(max_examples=100)


def _whole(shape: tuple[int, ...], seed: int = 1) -> Array:
    return filled(shape, seed, 4, "int64")


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["(2*i+k-1)", "(2i+k-1)", "(-1 + 2*i + k)", "(2*(i+k)-(k+1))", "((4*i+2*k-2)/2)"]
)
def test_one_affine_axis_has_many_spellings(text: str) -> None:
    assert min_max(text, {"i": 4, "k": 3}) == (-1, 7)
    axis = read_axis(text).resolve({})
    assert dict(axis.coefficients) == {"i": 2, "k": 1}
    assert axis.offset == -1


def test_indices_are_ordered_by_appearance_output_first() -> None:
    spec = read_spec("a (2*k+i), (i-z) y -> (q-p) a")
    assert spec.indices == ("p", "q", "a", "i", "k", "z", "y")


def test_a_composition_is_row_major() -> None:
    axis = read_axis("(h w c)").resolve({"h": 2, "w": 3, "c": 4})
    assert [*axis.names, *map(int, dict(axis.coefficients).values())] == ["h", "w", "c", 12, 4, 1]


def test_the_style_follows_from_the_blanks() -> None:
    assert read_spec("bhwc,kc->bh").indices == ("b", "h", "w", "c", "k")
    assert read_spec("batch row, row -> batch").indices == ("batch", "row")
    assert [len(axes) for axes in read_spec(", i -> i i").inputs] == [0, 1]


@pytest.mark.parametrize("text", ["i", "(i)", "(i+0)", "((2*i)/2)"])
def test_an_index_is_recognised_in_disguise(text: str) -> None:
    assert plain_index(text) == "i"


@pytest.mark.parametrize("text", ["(2*i)", "(i+1)", "(i/2)", "(i k)", "(0)", "(i+k)"])
def test_more_than_an_index_is_not_plain(text: str) -> None:
    assert plain_index(text) is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("i, k", "no '->'"),
        ("(i -> i", "never closed"),
        ("i) -> i", "begins no axis"),
        ("3 ->", "begins no axis"),
        ("(i*k) -> i", "may not be multiplied"),
        ("(2/i) -> i", "nor divided by"),
        ("(i $) -> i", "means nothing"),
        ("() ->", "neither a number nor an index"),
    ],
)
def test_what_is_no_spec_is_refused(spec: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_spec(spec)


def test_a_problem_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        evaluate("i -> i", [_whole((3,))], {"i": 4}, (4,))
    with pytest.raises(ValueError, match="size"):
        evaluate("(h w) -> h", [_whole((7,))], {"h": 2, "w": 3}, (2,))
    with pytest.raises(ValueError, match="terms"):
        evaluate("i j -> i", [_whole((3,))], {"i": 3, "j": 1}, (3,))
    with pytest.raises(ValueError, match="output"):
        evaluate("i -> i", [_whole((3,))], {"i": 3}, (3, 3))


def test_an_integer_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        evaluate("i ->", [np.full(64, 4)], {"i": 64}, (), "prod")


# --- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "extents", "size"),
    [
        ("i", {"i": 5}, 5),
        ("(i k)", {"i": 5, "k": 3}, 15),
        ("(0)", {}, 1),
        ("(i+k)", {"i": 5, "k": 3}, 7),
        ("(2*i+k)", {"i": 5, "k": 3}, 11),
        ("(2*i+k-1)", {"i": 5, "k": 3}, 9),  # (5-1)*2 - 2*1 + 3, what frameworks compute
        ("(i-k)", {"i": 5, "k": 3}, 3),
        ("(-i)", {"i": 3}, 0),
        ("(i-9)", {"i": 3}, 0),
        ("(i+2)", {"i": 3}, 5),
        ("((h-k+1)/2)", {"h": 8, "k": 3}, 5),  # from ceil(-1/2) = 0 to floor(8/2) = 4
        ("((h-k)/2)", {"h": 8, "k": 3}, 3),  # from -1 to floor(7/2) = 3
        ("(2*i+k)", {"i": 0, "k": 3}, 0),
    ],
)
def test_natural_sizes(axis: str, extents: dict[str, int], size: int) -> None:
    assert natural_output_shape(f"-> {axis}", [()], extents) == (size,)


# --- plain contractions are numpy's ----------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        "ij,jk->ik",
        "bij,bjk->bik",
        "ii->",
        "ii->i",
        "ij->ji",
        "i,j->ij",
        "ijk,jil,kl->l",
        "ij,ij->",
        "iji->j",
        ",i->i",
        "->",
        "ijk->kij",
    ],
)
def test_plain_contractions_are_einsum(spec: str) -> None:
    extents = dict(zip("bijkl", (2, 3, 4, 5, 2), strict=True))
    left, right = spec.split("->")
    operands = [
        _whole(tuple(extents[name] for name in term), seed)
        for seed, term in enumerate(left.split(","), start=1)
    ]
    result = evaluate(spec, operands, extents, tuple(extents[name] for name in right))
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, np.einsum(spec, *operands))


def test_both_styles_mean_the_same() -> None:
    operands, extents = (_whole((3, 4)), _whole((4, 2))), {"i": 3, "j": 4, "k": 2}
    np.testing.assert_array_equal(
        evaluate("ij,jk->ik", operands, extents, (3, 2)),
        evaluate("i j, j k -> i k", operands, extents, (3, 2)),
    )


def test_diagonals_and_broadcasts() -> None:
    x = _whole((3,))
    np.testing.assert_array_equal(evaluate("i -> i i", [x], {"i": 3}, (3, 3)), np.diag(x))
    repeated = evaluate("i -> j i", [x], {"i": 3, "j": 2}, (2, 3))
    np.testing.assert_array_equal(repeated, np.stack([x, x]))
    np.testing.assert_array_equal(evaluate("-> j", [x[0]], {"j": 2}, (2,)), [x[0]] * 2)


def test_constants_select_and_place() -> None:
    x = _whole((3, 4))
    np.testing.assert_array_equal(evaluate("(0) j -> j", [x], {"j": 4}, (4,)), x[0])
    np.testing.assert_array_equal(evaluate("(3) j -> j", [x], {"j": 4}, (4,)), np.zeros(4))
    placed = evaluate("i j -> i (1) j", [x], {"i": 3, "j": 4}, (3, 2, 4))
    np.testing.assert_array_equal(placed, np.stack([0 * x, x], axis=1))


def test_compositions_are_reshapes() -> None:
    x = _whole((2, 3, 4))
    extents = {"h": 2, "w": 3, "c": 4}
    flat = evaluate("h w c -> (h w c)", [x], extents, (24,))
    np.testing.assert_array_equal(flat, x.ravel())
    np.testing.assert_array_equal(evaluate("(h w c) -> h w c", [flat], extents, (2, 3, 4)), x)
    turned = evaluate("(h w) c -> c (w h)", [x.reshape(6, 4)], extents, (4, 6))
    np.testing.assert_array_equal(turned, x.transpose(2, 1, 0).reshape(4, 6))


# --- windows, by hand ------------------------------------------------------------------------


def test_the_full_convolution_is_numpys() -> None:
    x, w = _whole((6,), 1), _whole((3,), 2)
    result = evaluate("(i-k), k -> i", [x, w], {"i": 8, "k": 3}, (8,))
    np.testing.assert_array_equal(result, np.convolve(x, w, "full"))


def test_the_valid_correlation_is_numpys() -> None:
    x, w = _whole((6,), 1), _whole((3,), 2)
    result = evaluate("(i+k), k -> i", [x, w], {"i": 4, "k": 3}, (4,))
    np.testing.assert_array_equal(result, np.correlate(x, w, "valid"))


def _convolved(x: Array, w: Array, stride: int, dilation: int, padding: int) -> Array:
    """A 2-D convolution of ``b h w c`` with ``k l c o``, as the frameworks define it."""
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    reach = [dilation * (taps - 1) + 1 for taps in w.shape[:2]]
    height, width = ((x.shape[1 + a] - reach[a]) // stride + 1 for a in (0, 1))
    y = np.zeros((x.shape[0], height, width, w.shape[3]), x.dtype)
    for i, j in itertools.product(range(height), range(width)):
        rows = slice(stride * i, stride * i + reach[0], dilation)
        columns = slice(stride * j, stride * j + reach[1], dilation)
        y[:, i, j] = np.tensordot(x[:, rows, columns], w, 3)
    return y


@pytest.mark.parametrize(
    ("stride", "dilation", "padding"), [(1, 1, 0), (1, 1, 1), (2, 1, 1), (3, 1, 0), (1, 2, 2)]
)
def test_convolutions(stride: int, dilation: int, padding: int) -> None:
    x, w = _whole((2, 6, 5, 2), 1), _whole((3, 2, 2, 2), 2)
    expected = _convolved(x, w, stride, dilation, padding)
    axes = " ".join(f"({stride}*{i}+{dilation}*{k}-{padding})" for i, k in ("ik", "jl"))
    extents = dict(zip("bijoklc", (*expected.shape, 3, 2, 2), strict=True))
    result = evaluate(f"b {axes} c, k l c o -> b i j o", [x, w], extents, expected.shape)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_transposed_convolutions(stride: int, padding: int) -> None:
    x, w = _whole((4,), 1), _whole((3,), 2)
    whole = np.zeros(stride * 3 + 3, np.int64)
    for i, k in itertools.product(range(4), range(3)):
        whole[stride * i + k] += x[i] * w[k]
    expected = whole[padding : len(whole) - padding]
    spec, extents = f"i, k -> ({stride}*i+k-{padding})", {"i": 4, "k": 3}
    assert natural_output_shape(spec, [(4,), (3,)], extents) == expected.shape
    np.testing.assert_array_equal(evaluate(spec, [x, w], extents, expected.shape), expected)


def test_a_fraction_reads_only_where_the_division_is_exact() -> None:
    x = np.array([5, 7, 9])
    spread = evaluate("(h/2) -> h", [x], {"h": 6}, (6,))
    np.testing.assert_array_equal(spread, [5, 0, 7, 0, 9, 0])
    shifted = evaluate("((h-1)/2) -> h", [x], {"h": 6}, (6,))
    np.testing.assert_array_equal(shifted, [0, 5, 0, 7, 0, 9])


def test_a_fraction_in_the_output_lands_only_where_the_division_is_exact() -> None:
    x = np.array([5, 7, 9, 11])
    spec, extents = "i -> ((i-1)/2)", {"i": 4}
    np.testing.assert_array_equal(evaluate(spec, [x], extents, (2,)), [7, 11])
    np.testing.assert_array_equal(evaluate(spec, [x], extents, (2,), "mean"), [7, 11])


@pytest.mark.parametrize("padding", [0, 1])
def test_max_pooling_pads_with_nothing(padding: int) -> None:
    x = -1 - abs(_whole((2, 7)))  # a zero of padding would win against these
    padded = np.pad(x, [(0, 0), (padding, padding)], constant_values=-99)
    count = (padded.shape[1] - 3) // 2 + 1
    expected = np.stack([padded[:, 2 * i : 2 * i + 3].max(1) for i in range(count)], 1)
    extents = {"b": 2, "i": count, "k": 3}
    result = evaluate(f"b (2*i+k-{padding}) -> b i", [x], extents, (2, count), "max")
    np.testing.assert_array_equal(result, expected)


# --- reductions ------------------------------------------------------------------------------


def test_reductions_of_products() -> None:
    x, w = filled((3, 4), 1, 2, "int64"), filled((4, 2), 2, 2, "int64")
    products = x[:, :, None] * w[None]
    extents = {"i": 3, "j": 4, "k": 2}
    expected = {
        "sum": products.sum(1),
        "max": products.max(1),
        "min": products.min(1),
        "prod": products.prod(1),
        "mean": products.mean(1),
        "logsumexp": np.log(np.exp(products).sum(1)),
    }
    for reduce, values in expected.items():
        result = evaluate("i j, j k -> i k", [x, w], extents, (3, 2), reduce)
        assert result.dtype == values.dtype
        np.testing.assert_allclose(result, values, rtol=1e-12 if result.dtype.kind == "f" else 0)


@pytest.mark.parametrize("dtype", ["int64", "int32", "float64"])
def test_where_nothing_contributes_the_identity_stands(dtype: str) -> None:
    x = np.ones(2, dtype)
    whole = np.dtype(dtype).kind == "i"
    expected = {
        "sum": 0,
        "mean": 0,
        "prod": 1,
        "max": np.iinfo(dtype).min if whole else -math.inf,
        "min": np.iinfo(dtype).max if whole else math.inf,
        "logsumexp": -math.inf,
    }
    for reduce, identity in expected.items():
        assert evaluate("i -> (i+1)", [x], {"i": 2}, (3,), reduce).tolist()[0] == identity
        assert evaluate("(i+5) ->", [x], {"i": 2}, (), reduce).tolist() == identity


def test_the_mean_counts_the_boundary() -> None:
    x = np.array([3, 6, 9])
    result = evaluate("(i+k-1) -> i", [x], {"i": 3, "k": 3}, (3,), "mean")
    np.testing.assert_array_equal(result, [3.0, 6.0, 5.0])


def test_the_mean_does_not_count_what_lands_elsewhere() -> None:
    x, w = np.array([3, 6, 9]), np.array([1, 1])
    result = evaluate("i, k -> (i+k)", [x, w], {"i": 3, "k": 2}, (4,), "mean")
    np.testing.assert_array_equal(result, [3.0, 4.5, 7.5, 9.0])


def test_dtypes_are_kept() -> None:
    for dtype in ("int32", "float32", "float64", "complex128"):
        x = filled((3,), 1, 4, dtype)
        assert evaluate("i ->", [x], {"i": 3}, ()).dtype == dtype
        assert gradient("i ->", 0, np.ones((), dtype), [x], {"i": 3}, ()).dtype == dtype


# --- gradients -------------------------------------------------------------------------------


def _perturbed(problem: Problem, n: int, seed: int, reduce: str) -> Array:
    """``L(T_n + e) - L(T_n)`` for every unit ``e``: the gradient, where L is affine in each one."""
    operands, cotangent = list(problem.operands(seed, 2)), problem.cotangent(seed)

    def loss(changed: Array) -> Any:
        changes = [*operands[:n], changed, *operands[n + 1 :]]
        y = evaluate(problem.spec, changes, problem.extents, problem.output_shape, reduce)
        return np.sum(cotangent * y)

    units = np.eye(operands[n].size, dtype=np.int64).reshape(-1, *operands[n].shape)
    base = loss(operands[n])
    differences = [loss(operands[n] + unit) - base for unit in units]
    return np.array(differences, np.int64).reshape(operands[n].shape)


def _gradient(problem: Problem, n: int, seed: int, reduce: str) -> Array:
    operands, cotangent = problem.operands(seed, 2), problem.cotangent(seed)
    extents, shape = problem.extents, problem.output_shape
    return gradient(problem.spec, n, cotangent, operands, extents, shape, reduce)


@settings(max_examples=60)
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_the_gradient_of_a_sum_is_what_a_unit_changes(problem: Problem, seed: int) -> None:
    cost = problem.points * max(math.prod(shape) for shape in problem.shapes)
    assume(cost <= 8000)  # every element costs an evaluation
    for n in range(len(problem.shapes)):
        np.testing.assert_array_equal(
            _gradient(problem, n, seed, "sum"), _perturbed(problem, n, seed, "sum")
        )


# No output element reads an operand's element twice: each product is affine in every element.
READ_ONCE = [
    Problem("(2*i+k-1), k -> i", ((7,), (3,)), {"i": 4, "k": 3}, (4,)),
    Problem("i j, j -> i", ((3, 4), (4,)), {"i": 3, "j": 4}, (3,)),
    Problem("i, k -> (2*i+k-1)", ((4,), (2,)), {"i": 4, "k": 2}, (7,)),
    Problem("((h-k+1)/2), k -> h", ((4,), (3,)), {"h": 8, "k": 3}, (8,)),
    Problem("(h w) h -> w", ((6, 2),), {"h": 2, "w": 3}, (3,)),
]


@pytest.mark.parametrize("problem", READ_ONCE, ids=lambda problem: problem.spec)
@pytest.mark.parametrize("seed", range(6))
def test_the_gradient_of_a_product_is_what_a_unit_changes(problem: Problem, seed: int) -> None:
    for n in range(len(problem.shapes)):
        np.testing.assert_array_equal(
            _gradient(problem, n, seed, "prod"), _perturbed(problem, n, seed, "prod")
        )


def test_the_perturbation_notices_a_wrong_gradient() -> None:
    right, wrong = READ_ONCE[0], Problem("(2*i+k), k -> i", ((7,), (3,)), {"i": 4, "k": 3}, (4,))
    for reduce in ("sum", "prod"):
        assert not np.array_equal(_gradient(wrong, 0, 1, reduce), _perturbed(right, 0, 1, reduce))


@pytest.mark.parametrize("values", [[2, 3, 5], [0, 3, 5], [0, 3, 0], [7]])
def test_the_gradient_of_a_product_survives_zeros(values: list[int]) -> None:
    x = np.array(values)
    result = gradient("i ->", 0, np.array(2), [x], {"i": len(x)}, (), "prod")
    others = [math.prod(values[:i] + values[i + 1 :]) for i in range(len(x))]
    np.testing.assert_array_equal(result, 2 * np.array(others))


def test_the_gradient_of_a_power() -> None:
    x, ones = np.array([3]), np.ones(4, np.int64)
    result = gradient("(0), k ->", 0, np.array(1), [x, ones], {"k": 4}, (), "prod")
    assert result.tolist() == [4 * 3**3]


@pytest.mark.parametrize(("reduce", "best"), [("max", 5), ("min", -5)])
def test_of_equal_extremes_the_first_gets_everything(reduce: str, best: int) -> None:
    x = np.array([[1, best, best], [best, 0, best]])
    row = gradient("i j -> i", 0, np.array([2, 3]), [x], {"i": 2, "j": 3}, (2,), reduce)
    np.testing.assert_array_equal(row, [[0, 2, 0], [3, 0, 0]])
    by_i = gradient("i j ->", 0, np.array(2), [x], {"i": 2, "j": 3}, (), reduce)
    np.testing.assert_array_equal(by_i, [[0, 2, 0], [0, 0, 0]])


def test_reduced_indices_are_ordered_as_the_inputs_name_them() -> None:
    x, ones = np.array([[1, 5], [5, 1]]), np.ones(2, np.int64)
    extents = {"i": 2, "j": 2}
    by_rows = gradient("i j ->", 0, np.array(1), [x], extents, (), "max")
    by_columns = gradient("j, i j ->", 1, np.array(1), [ones, x], extents, (), "max")
    assert by_rows.tolist() == [[0, 1], [0, 0]]
    assert by_columns.tolist() == [[0, 0], [1, 0]]


def test_the_extreme_passes_on_the_other_factors() -> None:
    x, w = np.array([1, 4, 2]), np.array([3, 2, 5])  # products 3, 8, 10
    gradients = [gradient("i, i ->", n, np.array(7), [x, w], {"i": 3}, (), "max") for n in (0, 1)]
    assert [g.tolist() for g in gradients] == [[0, 0, 35], [0, 0, 14]]


def test_the_gradient_of_a_mean_divides_by_the_boundary_too() -> None:
    x, g = np.array([3, 6, 9]), np.array([3, 6, 9])
    result = gradient("(i+k-1) -> i", 0, g, [x], {"i": 3, "k": 3}, (3,), "mean")
    np.testing.assert_array_equal(result, [3.0, 6.0, 5.0])


def test_the_gradient_of_a_log_sum_exp_is_a_softmax() -> None:
    x = np.array([[0.5, -1.0, 2.0], [800.0, 0.0, 799.0]])
    g = np.array([2.0, 3.0])
    weights = np.exp(x - x.max(1, keepdims=True))
    expected = g[:, None] * weights / weights.sum(1, keepdims=True)
    result = gradient("i j -> i", 0, g, [x], {"i": 2, "j": 3}, (2,), "logsumexp")
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_where_nothing_contributes_nothing_flows_back(reduce: str) -> None:
    x = np.ones(2)
    result = gradient("(i+5) -> i", 0, np.ones(2), [x], {"i": 2}, (2,), reduce)
    np.testing.assert_array_equal(result, np.zeros(2))


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("problem", READ_ONCE, ids=lambda problem: problem.spec)
def test_gradients_agree_with_differences(problem: Problem, reduce: str) -> None:
    operands, g = problem.operands(5, 2, "float64"), problem.cotangent(5, 2, "float64")
    rest = (problem.extents, problem.output_shape, reduce)
    step = 1e-6
    for n, operand in enumerate(operands):
        direction = filled(operand.shape, 77, 1, "float64")
        ahead, behind = (
            evaluate(problem.spec, [*operands[:n], moved, *operands[n + 1 :]], *rest)
            for moved in (operand + step * direction, operand - step * direction)
        )
        usual = np.isfinite(ahead)  # an empty maximum is -inf on both sides
        change = np.sum((g * ahead)[usual] - (g * behind)[usual]) / (2 * step)
        slope = np.sum(direction * gradient(problem.spec, n, g, operands, *rest))
        assert slope == pytest.approx(change, rel=1e-5, abs=1e-5)


# --- the strategies --------------------------------------------------------------------------


def _answers(problem: Problem, seed: int) -> None:
    """The oracle can say everything about a problem."""
    operands, cotangent = problem.operands(seed, 1), problem.cotangent(seed)
    shape = problem.output_shape
    assert len(natural_output_shape(problem.spec, problem.shapes, problem.extents)) == len(shape)
    assert set(problem.extents) == set(read_spec(problem.spec).indices)
    result = evaluate(problem.spec, operands, problem.extents, shape)
    assert result.shape == shape
    for n, operand in enumerate(operands):
        backward = gradient(problem.spec, n, cotangent, operands, problem.extents, shape)
        assert backward.shape == operand.shape


@few
@given(problem=problems(), seed=seeds())
def test_problems_can_be_evaluated(problem: Problem, seed: int) -> None:
    _answers(problem, seed)
    assert 1 <= len(problem.shapes) <= 3
    assert all(1 <= extent <= 4 for extent in problem.extents.values())
    assert all(math.prod(shape) <= MOST_ELEMENTS for shape in problem.shapes)
    assert math.prod(problem.output_shape) <= MOST_ELEMENTS


@few
@given(problem=problems(empty=True), seed=seeds())
def test_empty_problems_can_be_evaluated(problem: Problem, seed: int) -> None:
    _answers(problem, seed)
    assert list(problem.extents.values()).count(0) <= 1


@few
@given(problem=windows(), seed=seeds())
def test_windows_can_be_evaluated(problem: Problem, seed: int) -> None:
    _answers(problem, seed)
    assert min(problem.extents.values()) >= 1


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_can_be_drawn(layer: str) -> None:
    found = find(windows(layers=[layer]), lambda problem: True)
    assert found.points == 1
    assert "->" in found.spec


def _sides(problem: Problem) -> tuple[str, str]:
    """The inputs and the output of the spec."""
    left, _, right = problem.spec.partition("->")
    return left, right


def _repeats(term: str) -> bool:
    """Whether an index has two plain axes of a term."""
    return any(term.split().count(name) > 1 for name in POOL)


KINDS: dict[str, Callable[[Problem], bool]] = {
    "affine read": lambda p: bool(re.search(r"\([^)]*[+-]", _sides(p)[0])),
    "scatter": lambda p: bool(re.search(r"\([^)]*[+-]", _sides(p)[1])),
    "fraction read": lambda p: "/" in _sides(p)[0],
    "fraction landed on": lambda p: "/" in _sides(p)[1],
    "composition read": lambda p: bool(re.search(r"\(\w \w", _sides(p)[0])),
    "composition written": lambda p: bool(re.search(r"\(\w \w", _sides(p)[1])),
    "constant read": lambda p: bool(re.search(r"\([1-3]\)", _sides(p)[0])),
    "constant written": lambda p: bool(re.search(r"\([1-3]\)", _sides(p)[1])),
    "diagonal read": lambda p: any(_repeats(term) for term in _sides(p)[0].split(",")),
    "diagonal written": lambda p: _repeats(_sides(p)[1]),
    "broadcast": lambda p: any(name not in _sides(p)[0] for name in p.extents),
    "nested": lambda p: bool(re.search(r"\*\(", p.spec)),
    "three indices on an axis": lambda p: bool(re.search(r"\([^ ()]*(\w[+-][^ ()]*){2}\w", p.spec)),
    "no star": lambda p: bool(re.search(r"\d[a-z]", p.spec)),
    "scalar": lambda p: () in p.shapes,
    "one operand": lambda p: len(p.shapes) == 1,
    "three operands": lambda p: len(p.shapes) == 3,
    "four axes": lambda p: any(len(shape) == 4 for shape in p.shapes),
    "five indices": lambda p: len(p.extents) == 5,
    "another shape": lambda p: p.output_shape != natural_output_shape(p.spec, p.shapes, p.extents),
}


def test_every_kind_of_axis_is_drawn() -> None:
    seen: set[str] = set()

    @settings(max_examples=500, derandomize=True, phases=[Phase.generate], database=None)
    @given(problem=problems())
    def look(problem: Problem) -> None:
        seen.update(kind for kind, holds in KINDS.items() if holds(problem))

    look()
    assert seen == set(KINDS)


@few
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_a_problem_prints_as_code(problem: Problem, seed: int) -> None:
    again = eval(repr(problem), {"Problem": Problem})
    assert again == problem
    for one, other in zip(again.operands(seed), problem.operands(seed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_fillings_keep_to_their_bounds() -> None:
    assert filled((5,), 0, 4, "int64").tolist() == [1, 2, 3, 4, 1]
    values = filled((4000,), 3, 4, "int64")
    assert set(values.tolist()) == set(range(-4, 5))
    for dtype in ("float32", "float64", "complex128"):
        inexact = filled((50,), 3, 4, dtype)
        assert inexact.dtype == dtype
        assert abs(inexact.real).max() <= 4
        assert abs(inexact.imag).max() <= 4
        assert np.any(inexact != inexact.round())
    assert not np.array_equal(filled((9,), 1, 4, "int64"), filled((9,), 2, 4, "int64"))
