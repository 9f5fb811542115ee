"""Property tests: the library against a naive oracle, on random contractions.

The oracle shares nothing with the library, so equality is evidence. Integers are compared exactly.
A falsifying example prints as code; paste it above its test as ``@example(problem=..., seed=...)``,
or build the arrays with ``problem.operands(seed)`` and ``problem.cotangent(seed)``.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import evaluate, gradient, natural_output_shape
from strategies import Array, Problem, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction

EXACT: tuple[Reduction, ...] = ("sum", "max", "min", "prod")
ROUNDED: tuple[Reduction, ...] = ("mean", "logsumexp")
TOLERANCE = {"float32": 1e-4, "complex64": 1e-4, "float64": 1e-10, "complex128": 1e-10}

anything = st.one_of(problems(), windows(), problems(empty=True))


# --- asking both sides -----------------------------------------------------------------------


def _contract(problem: Problem, operands: Sequence[Array], reduce: Reduction) -> Array:
    """What the library says."""
    extents: dict[str, Any] = dict(problem.extents)
    return cc.contract(
        problem.spec, *operands, reduce=reduce, output_shape=problem.output_shape, **extents
    )


def _evaluate(problem: Problem, operands: Sequence[Array], reduce: Reduction) -> Array:
    """What the oracle says."""
    return evaluate(problem.spec, operands, problem.extents, problem.output_shape, reduce)


def _grad(
    problem: Problem, n: int, cotangent: Array, operands: Sequence[Array], reduce: Reduction
) -> Array:
    """What the library says of a gradient."""
    derivation = cc.Contraction(problem.spec, reduce).grad(n)
    result: Array = derivation(cotangent, *operands, **problem.extents)
    return result


def _gradient(
    problem: Problem, n: int, cotangent: Array, operands: Sequence[Array], reduce: Reduction
) -> Array:
    """What the oracle says of a gradient."""
    extents, shape = problem.extents, problem.output_shape
    return gradient(problem.spec, n, cotangent, operands, extents, shape, reduce)


def _scale(expected: Array, magnitude: Array) -> float:
    """What a relative error is relative to: cancellation may leave a result far below it."""
    finite = np.abs(np.concatenate([expected.ravel(), magnitude.ravel()]))
    return float(finite[np.isfinite(finite)].max(initial=1.0))


def _assert_same(result: Array, expected: Array) -> None:
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)


def _assert_close(result: Array, expected: Array, tolerance: float) -> None:
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


# --- integers, exactly -----------------------------------------------------------------------


@pytest.mark.parametrize("reduce", EXACT)
@given(problem=anything, seed=seeds())
def test_results_are_exact(reduce: Reduction, problem: Problem, seed: int) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    _assert_same(_contract(problem, operands, reduce), _evaluate(problem, operands, reduce))


@pytest.mark.parametrize("reduce", EXACT)
@given(problem=anything, seed=seeds())
def test_gradients_are_exact(reduce: Reduction, problem: Problem, seed: int) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    cotangent = problem.cotangent(seed)
    for n in range(len(operands)):
        _assert_same(
            _grad(problem, n, cotangent, operands, reduce),
            _gradient(problem, n, cotangent, operands, reduce),
        )


@pytest.mark.parametrize("reduce", ["max", "min"])
@given(problem=anything, seed=seeds())
def test_of_equal_extremes_the_first_point_is_chosen(
    reduce: Reduction, problem: Problem, seed: int
) -> None:
    operands = problem.operands(seed, 1)  # so few values that nearly every extreme is shared
    cotangent = problem.cotangent(seed)
    for n in range(len(operands)):
        _assert_same(
            _grad(problem, n, cotangent, operands, reduce),
            _gradient(problem, n, cotangent, operands, reduce),
        )


@pytest.mark.parametrize("reduce", ROUNDED)
@given(problem=anything, seed=seeds())
def test_results_of_rounding_reductions(reduce: Reduction, problem: Problem, seed: int) -> None:
    operands = problem.operands(seed)
    result, expected = _contract(problem, operands, reduce), _evaluate(problem, operands, reduce)
    assert result.dtype == np.float64
    _assert_close(result, expected, 1e-10 * _scale(expected, expected))


@pytest.mark.parametrize("reduce", ROUNDED)
@given(problem=anything, seed=seeds())
def test_gradients_of_rounding_reductions(reduce: Reduction, problem: Problem, seed: int) -> None:
    operands, cotangent = problem.operands(seed), problem.cotangent(seed)
    for n in range(len(operands)):
        expected = _gradient(problem, n, cotangent, operands, reduce)
        result = _grad(problem, n, cotangent, operands, reduce)
        _assert_close(result, expected, 1e-10 * _scale(expected, expected))


# --- the two forms of a gradient -------------------------------------------------------------


def _run_form(form: Any, problem: Problem, n: int, cotangent: Array) -> Callable[..., Array]:
    """A derived contraction as a function of the other operands."""
    extents = {name: e for name, e in problem.extents.items() if name in form.indices}

    def run(others: Sequence[Array]) -> Array:
        result: Array = form(cotangent, *others, output_shape=problem.shapes[n], **extents)
        return result

    return run


@given(problem=anything, seed=seeds())
def test_scatter_and_gather_are_the_gradient(problem: Problem, seed: int) -> None:
    operands, cotangent = problem.operands(seed), problem.cotangent(seed)
    for n in range(len(operands)):
        derivation = cc.Contraction(problem.spec).grad(n)
        expected = _gradient(problem, n, cotangent, operands, "sum")
        others = [*operands[:n], *operands[n + 1 :]]
        for form in (derivation.scatter, derivation.gather):
            _assert_same(_run_form(form, problem, n, cotangent)(others), expected)


# --- shapes ----------------------------------------------------------------------------------


@given(problem=st.one_of(problems(), windows()))
def test_output_shapes(problem: Problem) -> None:
    contraction = cc.Contraction(problem.spec)
    expected = natural_output_shape(problem.spec, problem.shapes, problem.extents)
    assert contraction.output_shape(*problem.shapes, **problem.extents) == expected


@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_without_an_output_shape_the_natural_one_is_taken(problem: Problem, seed: int) -> None:
    operands = problem.operands(seed)
    shape = natural_output_shape(problem.spec, problem.shapes, problem.extents)
    extents: dict[str, Any] = dict(problem.extents)
    result = cc.contract(problem.spec, *operands, **extents)
    _assert_same(result, evaluate(problem.spec, operands, problem.extents, shape))


@given(problem=windows(layers=["conv", "depthwise"]))
def test_windows_determine_their_extents(problem: Problem) -> None:
    assert cc.Contraction(problem.spec).extents(*problem.shapes) == problem.extents


# --- other numbers ---------------------------------------------------------------------------


def _defined(dtype: str) -> list[Reduction]:
    """The reductions that are defined for a dtype: complex numbers have no order."""
    return ["sum", "mean", "prod"] if dtype.startswith("complex") else [*EXACT, *ROUNDED]


def _wide(array: Array) -> Array:
    """The same numbers, in double precision."""
    return array.astype(np.result_type(array, np.float64))


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(problem=anything, seed=seeds(), data=st.data())
def test_inexact_numbers(dtype: str, problem: Problem, seed: int, data: st.DataObject) -> None:
    reduce = data.draw(st.sampled_from(_defined(dtype)), label="reduce")
    operands = problem.operands(seed, min(2, problem.bound(reduce)), dtype)
    cotangent = problem.cotangent(seed, 2, dtype)
    wide = [_wide(array) for array in operands]
    sizes = [np.abs(array) for array in wide]
    result, expected = _contract(problem, operands, reduce), _evaluate(problem, wide, reduce)
    assert result.dtype == dtype
    scale = _scale(expected, _evaluate(problem, sizes, reduce))
    _assert_close(result, expected, TOLERANCE[dtype] * scale)
    for n in range(len(operands)):
        result = _grad(problem, n, cotangent, operands, reduce)
        expected = _gradient(problem, n, _wide(cotangent), wide, reduce)
        assert result.dtype == dtype
        bulk = _gradient(problem, n, np.abs(_wide(cotangent)), sizes, reduce)
        _assert_close(result, expected, TOLERANCE[dtype] * _scale(expected, bulk))


# --- memory ----------------------------------------------------------------------------------


def _everywhere(part: slice, array: Array) -> Any:
    """The same slice on every axis; the ellipsis keeps a scalar an array."""
    return (..., *[part] * array.ndim)


def _reversed(array: Array) -> Array:
    """The same values behind negative strides."""
    backwards = _everywhere(slice(None, None, -1), array)
    view: Array = array[backwards].copy()[backwards]
    return view


def _strided(array: Array) -> Array:
    """The same values with others between them."""
    large = np.full(tuple(2 * size for size in array.shape), 99, array.dtype)
    view: Array = large[_everywhere(slice(None, None, 2), array)]
    view[...] = array
    return view


def _read_only(array: Array) -> Array:
    """The same values, not to be written to."""
    frozen = array.copy()
    frozen.flags.writeable = False
    return frozen


LAYOUTS: Mapping[str, Callable[[Array], Array]] = {
    "read-only": _read_only,
    "fortran": lambda array: np.asfortranarray(array).reshape(array.shape, order="F"),
    "reversed": _reversed,
    "strided": _strided,
}


@given(
    problem=anything,
    seed=seeds(),
    reduce=st.sampled_from((*EXACT, *ROUNDED)),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_the_layout_of_memory_does_not_matter(
    problem: Problem, seed: int, reduce: Reduction, layout: str
) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    cotangent = problem.cotangent(seed)
    laid_out = [LAYOUTS[layout](array) for array in (cotangent, *operands)]
    expected = _evaluate(problem, operands, reduce)
    tolerance = 1e-10 * _scale(expected, expected) if reduce in ROUNDED else 0.0
    _assert_close(_contract(problem, laid_out[1:], reduce), expected, tolerance)
    for n in range(len(operands)):
        expected = _gradient(problem, n, cotangent, operands, reduce)
        tolerance = 1e-10 * _scale(expected, expected) if reduce in ROUNDED else 0.0
        result = _grad(problem, n, laid_out[0], laid_out[1:], reduce)
        _assert_close(result, expected, tolerance)
    for before, after in zip((cotangent, *operands), laid_out, strict=True):
        np.testing.assert_array_equal(after, before, err_msg="an input was written to")


# --- strings and objects ---------------------------------------------------------------------


@given(problem=anything, reduce=st.sampled_from((*EXACT, *ROUNDED)))
def test_a_contraction_survives_being_printed(problem: Problem, reduce: Reduction) -> None:
    contraction = cc.Contraction(problem.spec, reduce)
    again = cc.Contraction(str(contraction), reduce)
    assert again == contraction
    assert hash(again) == hash(contraction)
    assert str(again) == str(contraction)


@given(problem=anything, seed=seeds())
def test_the_printed_string_means_the_same(problem: Problem, seed: int) -> None:
    operands, shape = problem.operands(seed), problem.output_shape
    printed = str(cc.Contraction(problem.spec))
    _assert_same(
        evaluate(printed, operands, problem.extents, shape), _evaluate(problem, operands, "sum")
    )


@given(problem=anything, reduce=st.sampled_from((*EXACT, *ROUNDED)))
def test_a_contraction_survives_being_pickled(problem: Problem, reduce: Reduction) -> None:
    contraction = cc.Contraction(problem.spec, reduce)
    again = pickle.loads(pickle.dumps(contraction))
    assert again == contraction
    assert hash(again) == hash(contraction)
    assert str(again) == str(contraction)


@given(problem=anything)
def test_the_reduction_is_part_of_a_contraction(problem: Problem) -> None:
    each = {cc.Contraction(problem.spec, reduce) for reduce in (*EXACT, *ROUNDED)}
    assert len(each) == len(EXACT) + len(ROUNDED)


# --- the strings of np.einsum ----------------------------------------------------------------


@st.composite
def einsum_specs(draw: Callable[..., Any]) -> str:
    """A spec in numpy's style, with its output or without."""
    terms = draw(st.lists(st.text("ijk", max_size=3), min_size=1, max_size=3))
    names = sorted(set("".join(terms)))
    spec = ",".join(terms)
    if draw(st.booleans()):
        return spec or "->"
    chosen = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    return f"{spec}->{''.join(chosen)}"


@given(spec=einsum_specs(), seed=seeds())
def test_einsum_keeps_its_meaning(spec: str, seed: int) -> None:
    sizes = {"i": 2, "j": 3, "k": 4}
    terms = spec.partition("->")[0].split(",")
    shapes = tuple(tuple(sizes[name] for name in term) for term in terms)
    operands = Problem(spec, shapes, sizes, ()).operands(seed)
    _assert_same(cc.contract(spec, *operands), np.asarray(np.einsum(spec, *operands)))
