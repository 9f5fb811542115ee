"""Brute force against examples by hand, and against the oracle, with which it shares nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import evaluate, gradient
from strategies import Array, problems, seeds, windows
from strategies import Problem as Drawn

from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Accesses, Problem
from contractconv.notation.spec import REDUCTIONS
from contractconv.reductions.table import REDUCTIONS as RECORDS
from contractconv.verification.brute_force import BruteForce

Numbers = dict[tuple[int, ...], Any]

# Each of these tests goes through every operand and every point, so fewer problems are enough.
few = settings(max_examples=settings().max_examples // 5)

EXACT = ("sum", "max", "min", "prod")


# --- asking both sides -----------------------------------------------------------------------


def by_place(array: Any, accesses: Accesses) -> Numbers:
    """The elements of an array by position, compositions split."""
    split = np.asarray(array).reshape([access.size for access in accesses])
    return {place: element.item() for place, element in np.ndenumerate(split)}


def as_array(numbers: Mapping[tuple[int, ...], Any], accesses: Accesses, like: Array) -> Array:
    """The array of elements by position; zero where there is none."""
    sizes = [access.size for access in accesses]
    elements = [numbers.get(place, 0) for place in np.ndindex(*sizes)]
    return np.array(elements, object).reshape(like.shape)


def problem_of(spec: str, shapes: Sequence[tuple[int, ...]], reduce: str = "sum") -> Problem:
    return resolve(parse(spec, reduce), shapes)


def brute(spec: str, *operands: Any, reduce: str = "sum") -> tuple[BruteForce, Problem]:
    arrays = list(map(np.asarray, operands))
    problem = problem_of(spec, [array.shape for array in arrays], reduce)
    return BruteForce(problem, list(map(by_place, arrays, problem.operands))), problem


def gradient_of(
    spec: str, n: int, cotangent: Any, *operands: Any, reduce: str = "sum"
) -> list[Any]:
    found, problem = brute(spec, *operands, reduce=reduce)
    total = found.gradient(n, by_place(cotangent, problem.output))
    like = np.asarray(operands[n])
    return list(as_array(total, problem.operands[n], like).tolist())


def drawn(problem: Drawn, reduce: str, operands: Sequence[Array]) -> BruteForce:
    resolved = resolve(
        parse(problem.spec, reduce), problem.shapes, problem.extents, problem.output_shape
    )
    return BruteForce(resolved, list(map(by_place, operands, resolved.operands)))


# --- by hand ---------------------------------------------------------------------------------


def test_a_matrix_product_by_hand() -> None:
    a, b, g = [[1, 2], [3, 4]], [[5, 6], [7, 8]], [[1, 10], [100, 1000]]
    # G times the transpose of B, and the transpose of A times G.
    assert gradient_of("i j, j k -> i k", 0, g, a, b) == [[65, 87], [6500, 8700]]
    assert gradient_of("i j, j k -> i k", 1, g, a, b) == [[301, 3010], [402, 4020]]


def test_a_strided_and_padded_window_by_hand() -> None:
    x, w, g = [1, 2, 3, 4, 5], [10, 100, 1000], [1, 2, 3]
    # i = 0 reads nothing, x0, x1; i = 1 reads x1, x2, x3; i = 2 reads x3, x4 and nothing.
    assert gradient_of("(2*i+k-1), k -> i", 0, g, x, w) == [100, 1020, 200, 2030, 300]
    assert gradient_of("(2*i+k-1), k -> i", 1, g, x, w) == [2 * 2 + 3 * 4, 1 + 6 + 15, 2 + 8]


def test_elements_behind_the_last_window_have_no_gradient() -> None:
    found, problem = brute("(2*i+k), k -> i", [1, 2, 3, 4, 5, 6], [1, 1, 1])
    total = found.gradient(0, by_place([1, 1], problem.output))
    assert total == {(0,): 1, (1,): 1, (2,): 2, (3,): 1, (4,): 1}
    assert (5,) not in total


def test_a_scatter_by_hand() -> None:
    # Product i, k goes to 2i+k-1: (0, 0) falls below zero, and (1, 2) past the end of three.
    problem = resolve(parse("i, k -> (2*i+k-1)"), [(2,), (3,)], None, (3,))
    operands = [by_place([1, 2], problem.operands[0]), by_place([10, 20, 30], problem.operands[1])]
    found = BruteForce(problem, operands)
    g = by_place([1, 10, 100], problem.output)
    assert found.gradient(0, g) == {(0,): 20 + 300, (1,): 100 + 2000}
    assert found.gradient(1, g) == {(0,): 20, (1,): 1 + 200, (2,): 10}
    assert [point for point, _, _ in found.points] == [(0, 1), (0, 2), (1, 0), (1, 1)]


def test_a_fraction_by_hand() -> None:
    problem = resolve(parse("((h-1)/2) -> h"), [(2,)], {"h": 6})
    found = BruteForce(problem, [by_place([7, 8], problem.operands[0])])
    g = by_place([1, 2, 4, 8, 16, 32], problem.output)
    assert found.gradient(0, g) == {(0,): 2, (1,): 8}


def test_a_diagonal_and_a_constant_axis_by_hand() -> None:
    assert gradient_of("i i -> i", 0, [5, 6], [[1, 2], [3, 4]]) == [[5, 0], [0, 6]]
    assert gradient_of("(1) i -> i", 0, [5, 6], [[1, 2], [3, 4]]) == [[0, 0], [5, 6]]
    assert gradient_of("i -> i i", 0, [[5, 9], [9, 6]], [1, 2]) == [5, 6]


def test_a_composition_by_hand() -> None:
    found, problem = brute("h w, (h w) -> h", [[1, 2], [3, 4]], [5, 6, 7, 8])
    assert found.gradient(0, by_place([1, 10], problem.output)) == {
        (0, 0): 5,
        (0, 1): 6,
        (1, 0): 70,
        (1, 1): 80,
    }
    assert gradient_of("h w, (h w) -> h", 1, [1, 10], [[1, 2], [3, 4]], [5, 6, 7, 8]) == [
        1,
        2,
        30,
        40,
    ]


def test_an_array_in_two_positions_has_two_gradients() -> None:
    assert gradient_of("i, i ->", 0, 3, [1, 2], [1, 2]) == [3, 6]
    assert gradient_of("i, i ->", 1, 3, [1, 2], [1, 2]) == [3, 6]


def test_a_scalar_by_hand() -> None:
    assert gradient_of("i, -> i", 0, [5, 7], [1, 2], 3) == [15, 21]
    found, problem = brute("i, -> i", [1, 2], 3)
    assert found.gradient(1, by_place([5, 7], problem.output)) == {(): 19}


def test_the_first_maximum_is_chosen() -> None:
    x = [3, 1, 5, 5, 2, 5]
    problem = resolve(parse("(2*i+k) -> i", "max"), [(6,)], {"k": 2})
    found = BruteForce(problem, [by_place(x, problem.operands[0])])
    assert found.local == {(0, 0): 1, (0, 1): 0, (1, 0): 1, (1, 1): 0, (2, 0): 0, (2, 1): 1}
    assert found.gradient(0, by_place([1, 10, 100], problem.output)) == {
        (0,): 1,
        (1,): 0,
        (2,): 10,
        (3,): 0,
        (4,): 0,
        (5,): 100,
    }


def test_the_first_minimum_is_chosen_of_the_points_that_are_inside() -> None:
    problem = resolve(parse("(i+k-1) -> i", "min"), [(3,)], {"i": 3, "k": 3})
    found = BruteForce(problem, [by_place([4, 4, 9], problem.operands[0])])
    # At i = 0 the tap 0 is outside; at i = 2 the tap 2 is.
    chosen = [point for point, weight in found.local.items() if weight]
    assert chosen == [(0, 1), (1, 0), (2, 0)]
    assert (0, 0) not in found.local


def test_a_product_of_points_by_hand() -> None:
    problem = resolve(parse("i j -> i", "prod"), [(2, 3)])
    found = BruteForce(problem, [by_place([[2, 3, 4], [5, 0, 6]], problem.operands[0])])
    assert list(found.local.values()) == [12, 8, 6, 0, 30, 0]
    assert found.gradient(0, by_place([1, 10], problem.output)) == {
        (0, 0): 12,
        (0, 1): 8,
        (0, 2): 6,
        (1, 0): 0,
        (1, 1): 300,
        (1, 2): 0,
    }


def test_a_product_of_products_is_differentiated_twice() -> None:
    # Y = (2*5)(3*7), so dY/dx0 = 5*(3*7), dY/dw1 = 3*(2*5).
    assert gradient_of("i, i ->", 0, 1, [2, 3], [5, 7], reduce="prod") == [105, 70]
    assert gradient_of("i, i ->", 1, 1, [2, 3], [5, 7], reduce="prod") == [42, 30]


def test_a_mean_counts_the_points_beyond_the_boundary() -> None:
    problem = resolve(parse("(i+k-1) -> i", "mean"), [(3,)], {"i": 3, "k": 3})
    found = BruteForce(problem, [by_place([3, 6, 9], problem.operands[0])])
    assert found.gradient(0, by_place([1, 1, 1], problem.output)) == {
        (0,): Fraction(2, 3),
        (1,): 1,
        (2,): Fraction(2, 3),
    }
    assert set(found.local.values()) == {Fraction(1, 3)}


def test_a_mean_of_a_scatter_counts_what_lands() -> None:
    problem = resolve(parse("i, k -> (i+k)", "mean"), [(2,), (2,)])
    found = BruteForce(problem, [by_place([1, 2], problem.operands[0])] * 2)
    g = by_place([1, 10, 100], problem.output)
    assert found.gradient(0, g) == {(0,): 1 + 10, (1,): 5 + 200}


def test_a_logsumexp_has_the_softmax() -> None:
    x = [0.0, math.log(2), math.log(5)]
    found = gradient_of("i ->", 0, 8.0, x, reduce="logsumexp")
    assert found == pytest.approx([1.0, 2.0, 5.0])
    large = gradient_of("i ->", 0, 1.0, [1000.0, 1000.0], reduce="logsumexp")
    assert large == [0.5, 0.5]


def test_no_point_at_all_has_no_gradient() -> None:
    for reduce in REDUCTIONS:
        problem = resolve(parse("(i+5) -> i", reduce), [(3,)], {"i": 2})
        found = BruteForce(problem, [by_place([1, 2, 3], problem.operands[0])])
        assert found.points == []
        assert found.gradient(0, by_place([1, 1], problem.output)) == {}


def test_numbers_do_not_wrap_around() -> None:
    large = 10**15
    found, problem = brute("i, i, i ->", *[[large, 1]] * 3)
    assert found.gradient(0, by_place(10**3, problem.output)) == {(0,): 10**33, (1,): 10**3}


def test_a_directional_derivative_by_hand() -> None:
    x, w = [1, 2, 3, 4, 5], [10, 100, 1000]
    found, problem = brute("(2*i+k-1), k -> i", x, w)
    image = found.directional(0, by_place([1, 0, 0, 0, 2], problem.operands[0]))
    assert image == {(0,): 100, (1,): 0, (2,): 200}
    image = found.directional(1, by_place([1, 0, 0], problem.operands[1]))
    assert image == {(0,): 0, (1,): 2, (2,): 4}


@pytest.mark.parametrize("reduce", [r for r in REDUCTIONS if r not in ("sum", "mean")])
def test_local_derivatives_are_differences(reduce: str) -> None:
    def result(values: list[float]) -> float:
        if reduce == "logsumexp":
            return math.log(sum(map(math.exp, values)))
        reductions: dict[str, Callable[[list[float]], float]]
        reductions = {"max": max, "min": min, "prod": math.prod}
        return reductions[reduce](values)

    values = [0.5, -1.25, 2.0, 1.5]
    local = RECORDS[reduce].local
    assert local.exact is not None
    for n, weight in enumerate(local.exact(values)):
        moved = [[*values[:n], values[n] + step, *values[n + 1 :]] for step in (1e-6, -1e-6)]
        slope = (result(moved[0]) - result(moved[1])) / 2e-6
        assert weight == pytest.approx(slope, abs=1e-6)


# --- against the oracle ----------------------------------------------------------------------


@pytest.mark.parametrize("reduce", EXACT)
@few
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_gradients_equal_those_of_the_oracle(reduce: str, problem: Drawn, seed: int) -> None:
    operands = problem.operands(seed, 1 if reduce == "prod" else 4)
    found = drawn(problem, reduce, operands)
    cotangent = problem.cotangent(seed)
    g = by_place(cotangent, found.problem.output)
    for n, operand in enumerate(operands):
        expected = gradient(
            problem.spec, n, cotangent, operands, problem.extents, problem.output_shape, reduce
        )
        result = as_array(found.gradient(n, g), found.problem.operands[n], operand)
        assert result.tolist() == expected.tolist()


@pytest.mark.parametrize("reduce", ["mean", "logsumexp"])
@few
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_gradients_equal_those_of_the_oracle_nearly(reduce: str, problem: Drawn, seed: int) -> None:
    operands = problem.operands(seed, 2, "float64")
    found = drawn(problem, reduce, operands)
    cotangent = problem.cotangent(seed, 2, "float64")
    g = by_place(cotangent, found.problem.output)
    for n, operand in enumerate(operands):
        expected = gradient(
            problem.spec, n, cotangent, operands, problem.extents, problem.output_shape, reduce
        )
        result = as_array(found.gradient(n, g), found.problem.operands[n], operand)
        np.testing.assert_allclose(result.astype(float), expected, rtol=1e-10, atol=1e-8)


@few
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_a_sum_moves_with_its_operand(problem: Drawn, seed: int) -> None:
    operands, tangents = problem.operands(seed), problem.operands(seed + 100)
    found = drawn(problem, "sum", operands)
    for n, tangent in enumerate(tangents):
        moved = [tangent if m == n else operand for m, operand in enumerate(operands)]
        expected = evaluate(problem.spec, moved, problem.extents, problem.output_shape)
        image = found.directional(n, by_place(tangent, found.problem.operands[n]))
        result = as_array(image, found.problem.output, expected)
        assert result.tolist() == expected.tolist()


@pytest.mark.parametrize("reduce", EXACT)
@few
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_gradient_and_directional_derivative_are_transposes(
    reduce: str, problem: Drawn, seed: int
) -> None:
    operands, tangents = problem.operands(seed, 2), problem.operands(seed + 100)
    found = drawn(problem, reduce, operands)
    g = by_place(problem.cotangent(seed), found.problem.output)
    for n, tangent in enumerate(tangents):
        v = by_place(tangent, found.problem.operands[n])
        image, back = found.directional(n, v), found.gradient(n, g)
        assert sum(g[at] * y for at, y in image.items()) == sum(v[at] * x for at, x in back.items())


@few
@given(problem=problems(empty=True), seed=seeds())
def test_an_empty_index_has_no_point(problem: Drawn, seed: int) -> None:
    assume(problem.points == 0)
    for reduce in REDUCTIONS:
        operands = problem.operands(seed)
        found = drawn(problem, reduce, operands)
        assert found.points == []
        assert found.gradient(0, by_place(problem.cotangent(seed), found.problem.output)) == {}
