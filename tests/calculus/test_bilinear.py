"""Bilinear algorithms: the identity in rationals, all that follows from it, and what it costs."""

from __future__ import annotations

import doctest
import inspect
import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy

from contractconv.calculus import bilinear, conditioning
from contractconv.calculus.bilinear import (
    Bilinear,
    direct,
    error_bound,
    fourier,
    toom_cook,
    typical_error,
)
from contractconv.calculus.conditioning import (
    INFINITY,
    ZERO,
    Point,
    Role,
    best_points,
    growth,
    growth_of_axis,
    powers,
)
from contractconv.errors import AlgorithmError, CertificateError, ContractionError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
Tiles = Sequence[Bilinear]

ROLES: tuple[Role, ...] = ("result", "data", "kernel")
# For each role: the factor of what is computed and those of the two operands.
FACTORS = {"result": "BAC", "data": "ABC", "kernel": "CAB"}
MEASURED = [(2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (3, 4)]
USUAL: tuple[Point, ...] = ((0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 0))
SINGLE = 2.0**-24
HALF = 2.0**-11


# --- both sides ------------------------------------------------------------------------------


def entries(tile: Bilinear, which: str, dtype: str) -> Array:
    """A factor: in exact fractions if the dtype is ``object``."""
    if dtype != "object":
        return np.array(tile.floats(which), dtype)
    rows = getattr(tile, which).tolist()
    return np.array([[Fraction(int(x.p), int(x.q)) for x in row] for row in rows], object)


def sizes(tiles: Tiles, which: str) -> list[int]:
    return [{"A": tile.span, "B": tile.outputs, "C": tile.taps}[which] for tile in tiles]


def last_axes(places: Iterable[object]) -> Any:
    return (..., *places)


def transformed(matrices: Sequence[Array], array: Array) -> Array:
    """Multiply the last axes by matrices, one each."""
    for axis, matrix in enumerate(matrices, start=array.ndim - len(matrices)):
        array = np.moveaxis(np.tensordot(array, matrix, (axis, 1)), -1, axis)
    return array


def by_algorithm(tiles: Tiles, role: Role, first: Array, second: Array) -> Array:
    """Transform, multiply, sum over the axis before the tile's, transform back."""
    last, *operands = (
        [entries(tile, which, str(first.dtype)) for tile in tiles] for which in FACTORS[role]
    )
    forth = [[matrix.T for matrix in matrices] for matrices in operands]
    product = transformed(forth[0], first) * transformed(forth[1], second)
    return transformed(last, product.sum(-1 - len(tiles)))


def by_definition(tiles: Tiles, role: Role, first: Array, second: Array) -> Array:
    """The sum over the window's points, one after another."""
    batch = first.shape[: -1 - len(tiles)]
    total = np.zeros((*batch, *sizes(tiles, FACTORS[role][0])), first.dtype)
    for i in itertools.product(*map(range, sizes(tiles, "B"))):
        for k in itertools.product(*map(range, sizes(tiles, "C"))):
            y = tuple(a + b for a, b in zip(i, k, strict=True))
            out, left, right = (last_axes({"A": y, "B": i, "C": k}[f]) for f in FACTORS[role])
            total[out] += (first[left] * second[right]).sum(-1)
    return total


def integers(shape: Sequence[int], seed: int) -> Array:
    """Whole numbers as Python's own, which never overflow."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(object)


def check_exact(tiles: Tiles) -> None:
    for role in ROLES:
        first = integers((2, *sizes(tiles, FACTORS[role][1])), 1)
        second = integers((2, *sizes(tiles, FACTORS[role][2])), 2)
        found = by_algorithm(tiles, role, first, second)
        assert (found == by_definition(tiles, role, first, second)).all()


def faulty(tile: Bilinear, which: str, place: tuple[int, int], change: sympy.Expr) -> Bilinear:
    matrix = getattr(tile, which).as_mutable()
    matrix[place] += change
    return replace(tile, **{which: sympy.ImmutableMatrix(matrix)})


# --- the identity ----------------------------------------------------------------------------


@pytest.mark.parametrize("taps", range(1, 8))
@pytest.mark.parametrize("outputs", range(1, 9))
def test_interpolation_decomposes_the_window(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    assert (tile.products, tile.span) == (outputs + taps - 1,) * 2
    A, B, C = (entries(tile, which, "object") for which in "ABC")
    total = (A[:, None, None] * B[:, None] * C).sum(-1)
    y, i, k = np.indices(total.shape)
    assert (total == (y == i + k)).all()
    tile.verify()


@pytest.mark.parametrize(
    ("outputs", "taps"), [*itertools.product(range(1, 5), repeat=2), (8, 2), (6, 7), (9, 7)]
)
def test_roots_of_unity_decompose_the_window(outputs: int, taps: int) -> None:
    tile = fourier(outputs, taps)
    assert tile.residue() == 0
    A, B, C = (entries(tile, which, "complex128") for which in "ABC")
    total = np.einsum("yp,ip,kp->yik", A, B, C)
    y, i, k = np.indices(total.shape)
    np.testing.assert_allclose(total, y == i + k, atol=1e-13)


@pytest.mark.parametrize("taps", range(1, 6))
def test_the_definition_decomposes_the_window(taps: int) -> None:
    assert direct(taps).residue() == 0
    assert direct(taps).products == taps
    assert direct(taps).points == ()


@pytest.mark.parametrize("tile", [toom_cook(3, 3), fourier(2, 2), fourier(3, 3), direct(3)])
@pytest.mark.parametrize("which", "ABC")
def test_one_wrong_entry_is_caught(tile: Bilinear, which: str) -> None:
    # So small that no floating-point number of the size of the entry would show it.
    change = sympy.Rational(1, 10**30)
    rows, columns = getattr(tile, which).shape
    for place in itertools.product(range(rows), range(columns)):
        wrong = faulty(tile, which, place, change)
        assert 0 < wrong.residue() < 10 * change
        with pytest.raises(CertificateError, match="does not decompose the window"):
            wrong.verify()


def test_the_first_wrong_entry_is_named() -> None:
    wrong = faulty(toom_cook(2, 3), "A", (1, 1), sympy.Rational(1, 7))
    assert wrong.residue() == sympy.Rational(1, 14)
    with pytest.raises(CertificateError) as caught:
        wrong.verify()
    message = "F(2, 3) does not decompose the window: at y=1, i=0, k=0 it has 1/14 where 0 belongs"
    assert str(caught.value) == message


def test_a_deviation_at_roots_of_unity_is_in_lowest_terms() -> None:
    wrong = faulty(fourier(3, 3), "A", (1, 1), sympy.Rational(1, 7))
    assert wrong.residue() == sympy.Rational(1, 7)


@pytest.mark.parametrize("entry", [sympy.Float(0.5), sympy.sqrt(2), sympy.E, sympy.Symbol("x")])
def test_what_is_not_exact_is_refused(entry: sympy.Expr) -> None:
    with pytest.raises(TypeError, match="not a root of unity"):
        faulty(toom_cook(2, 3), "A", (0, 1), entry).verify()


# --- the three contractions ------------------------------------------------------------------


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (1, 1), (1, 4), (5, 1), (7, 5)])
def test_result_and_gradients_in_one_dimension(outputs: int, taps: int) -> None:
    check_exact([toom_cook(outputs, taps)])


@pytest.mark.parametrize(
    "tiles",
    [
        [toom_cook(2, 3), toom_cook(2, 3)],
        [toom_cook(4, 3), toom_cook(2, 5)],
        [direct(3), toom_cook(4, 3)],
        [toom_cook(3, 2), direct(2)],
        [direct(2), direct(3)],
        [toom_cook(2, 2), direct(2), toom_cook(1, 2)],
    ],
    ids=lambda tiles: " ".join(tile.name for tile in tiles),
)
def test_result_and_gradients_nested(tiles: Tiles) -> None:
    check_exact(tiles)


# --- points and scales -----------------------------------------------------------------------


def symmetric_sets(outputs: int, taps: int, pool: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    products = outputs + taps - 1
    center = (ZERO,) * (products % 2 == 0)
    for chosen in itertools.combinations(pool, (products - 1) // 2):
        yield (*center, *[(sign * u, v) for u, v in chosen for sign in (1, -1)], INFINITY)


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (2, 2), (3, 3), (5, 3), (7, 3), (8, 3)])
def test_no_points_of_the_pool_are_better(outputs: int, taps: int) -> None:
    heights = range(1, 5 if outputs + taps > 8 else 6)
    pool = [(u, v) for u in heights for v in heights if math.gcd(u, v) == 1]
    least = min(growth(points, outputs, taps) for points in symmetric_sets(outputs, taps, pool))
    assert growth(best_points(outputs, taps), outputs, taps) <= least * (1 + 1e-9)


def with_points(points: tuple[Point, ...], monkeypatch: pytest.MonkeyPatch) -> Bilinear:
    with monkeypatch.context() as patched:
        patched.setattr(bilinear, "best_points", lambda outputs, taps: points)
        tile: Bilinear = inspect.unwrap(toom_cook)(4, 3)
    return tile


@pytest.mark.parametrize("role", ROLES)
def test_the_usual_points_are_worse(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = [with_points(USUAL, monkeypatch)] * 2
    chosen = [toom_cook(4, 3)] * 2
    usual[0].verify()
    assert growth(best_points(4, 3), 4, 3) < growth(USUAL, 4, 3)
    assert typical_error(chosen, 16, SINGLE, role) < typical_error(usual, 16, SINGLE, role)
    assert np.quantile(errors(chosen, 16, role), 0.99) < np.quantile(errors(usual, 16, role), 0.99)


@pytest.mark.parametrize(("outputs", "taps"), MEASURED)
def test_growth_is_that_of_the_factors(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    squares = [(entries(tile, which, "float64") ** 2).sum(0) for which in "ABC"]
    expected = math.sqrt(np.prod(squares, axis=0).sum())
    assert growth(best_points(outputs, taps), outputs, taps) == pytest.approx(expected)


@pytest.mark.parametrize("outputs", [*range(1, 13), 18])
def test_points_are_distinct_and_symmetric(outputs: int) -> None:
    points = best_points(outputs, 3)
    assert len(set(points)) == len(points) == outputs + 2
    assert {(-u, v) for u, v in points if u and v} == {(u, v) for u, v in points if u and v}
    assert all(math.gcd(u, v) == 1 for u, v in points)


def test_monomials_at_a_point() -> None:
    assert powers((-2, 3), 4) == (27, -18, 12, -8)
    assert powers(ZERO, 3) == (1, 0, 0)
    assert powers((5, 7), 1) == (1,)


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (8, 7)])
def test_columns_are_balanced(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    lengths = [np.linalg.norm(entries(tile, which, "float64"), axis=0) for which in "ABC"]
    assert (np.max(lengths, 0) <= 4 * np.min(lengths, 0)).all()


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (5, 3), (8, 7)])
def test_data_and_results_have_binary_factors(outputs: int, taps: int) -> None:
    for which in "AB":
        for entry in entries(toom_cook(outputs, taps), which, "object").flat:
            assert entry.denominator.bit_count() == 1


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (5, 3)])
def test_opposite_points_share_even_and_odd_parts(outputs: int, taps: int) -> None:
    tile = toom_cook(outputs, taps)
    assert len(tile.points) > 2
    for place, point in enumerate(tile.points):
        if point not in (0, sympy.oo):
            opposite = tile.points.index(-point)
            for which in "ABC":
                left, right = entries(tile, which, "object")[:, [place, opposite]].T
                alternating = left * [(-1) ** row for row in range(len(left))]
                assert (right == alternating).all() or (right == -alternating).all()


# --- values ----------------------------------------------------------------------------------


def test_names_and_savings() -> None:
    assert [tile.name for tile in (toom_cook(4, 3), fourier(4, 3), direct(3))] == [
        "F(4, 3)",
        "DFT(6)",
        "direct(3)",
    ]
    assert (toom_cook(4, 3).savings, fourier(4, 3).savings, direct(3).savings) == (2, 2, 1)


def test_floats_are_nearest() -> None:
    tile = toom_cook(6, 5)
    for which in "ABC":
        for row, exact in zip(tile.floats(which), entries(tile, which, "object"), strict=True):
            assert list(row) == [float(value) for value in exact]
            assert all(type(value) is float for value in row)
    assert all(type(value) is complex for row in fourier(2, 2).floats("A") for value in row)


@pytest.mark.parametrize("make", [toom_cook, fourier])
def test_derived_once_and_always_alike(make: Any) -> None:
    assert make(3, 2) is make(3, 2)
    assert make.__wrapped__(3, 2) == make(3, 2)
    assert hash(make.__wrapped__(3, 2)) == hash(make(3, 2))
    assert make(3, 2) != make(2, 3)


def test_alike_in_another_process() -> None:
    code = (
        "from contractconv.calculus.bilinear import toom_cook; "
        "print(*(repr(toom_cook(m, r)) for m, r in [(4, 3), (7, 3), (3, 3)]))"
    )
    environment = {"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    expected = [repr(toom_cook(m, r)) for m, r in [(4, 3), (7, 3), (3, 3)]]
    assert run.stdout.strip() == " ".join(expected)


@pytest.mark.parametrize("tile", [toom_cook(4, 3), fourier(3, 3), direct(2)])
def test_pickles(tile: Bilinear) -> None:
    copy = pickle.loads(pickle.dumps(tile))
    assert copy == tile
    assert hash(copy) == hash(tile)


@pytest.mark.parametrize("make", [toom_cook, fourier])
@pytest.mark.parametrize(("outputs", "taps"), [(0, 3), (3, 0), (-1, 2)])
def test_no_tile_without_results_or_taps(make: Any, outputs: int, taps: int) -> None:
    with pytest.raises(ShapeError, match=f"{outputs} results of a window with {taps} taps"):
        make(outputs, taps)


def test_no_window_without_taps() -> None:
    with pytest.raises(ContractionError, match="0 taps"):
        direct(0)


# --- rounding errors -------------------------------------------------------------------------


def points_summed(tiles: Tiles, role: Role) -> int:
    """The most points that meet one element, counted."""
    ones = [np.ones((1, *sizes(tiles, which))) for which in FACTORS[role][1:]]
    return int(by_definition(tiles, role, ones[0], ones[1]).max())


def relative(found: Array, exact: Array, operands: Sequence[Array], points: int) -> Array:
    """The greatest error of each tile, in the unit of the bounds."""
    difference = np.abs(found - exact).reshape(len(found), -1).max(1)
    greatest = [np.abs(operand).astype("float64").reshape(len(found), -1) for operand in operands]
    return np.asarray(difference / greatest[0].max(1) / greatest[1].max(1) / points)


def errors(
    tiles: Tiles, terms: int, role: Role, dtype: str = "float32", count: int = 1000
) -> Array:
    """The errors of random tiles, as the bounds measure them."""
    draw = np.random.default_rng(len(tiles)).uniform
    first, second = (
        draw(-1, 1, (count, terms, *sizes(tiles, which))).astype(dtype)
        for which in FACTORS[role][1:]
    )
    found = by_algorithm(tiles, role, first, second)
    assert found.dtype == dtype
    exact = by_definition(tiles, role, first.astype("float64"), second.astype("float64"))
    return relative(found, exact, [first, second], terms * points_summed(tiles, role))


def check_errors(measured: Array, tiles: Tiles, terms: int, epsilon: float, role: Role) -> None:
    assert measured.max() <= error_bound(tiles, terms, epsilon, role)
    typical = typical_error(tiles, terms, epsilon, role)
    assert typical / 2 < np.quantile(measured, 0.99) < typical * 4


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(("outputs", "taps"), MEASURED)
def test_errors_keep_to_bound_and_estimate(
    outputs: int, taps: int, dimensions: int, role: Role
) -> None:
    tiles = [toom_cook(outputs, taps)] * dimensions
    check_errors(errors(tiles, 4, role), tiles, 4, SINGLE, role)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("terms", [1, 64])
@pytest.mark.parametrize("tiles", [[direct(3)] * 2, [direct(3), toom_cook(4, 3)]])
def test_errors_with_axes_left_alone(tiles: Tiles, terms: int, role: Role) -> None:
    check_errors(errors(tiles, terms, role, count=200), tiles, terms, SINGLE, role)


@pytest.mark.parametrize("outputs", [2, 4])
def test_errors_in_half_precision(outputs: int) -> None:
    tiles = [toom_cook(outputs, 3)]
    measured = errors(tiles, 4, "result", "float16")
    check_errors(measured, tiles, 4, HALF, "result")
    # Both sides can fail: half precision does not keep to the bound of single precision.
    assert measured.min() > error_bound(tiles, 4, SINGLE)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(("outputs", "taps"), [(2, 2), (6, 3), (7, 5), (20, 12), (13, 1)])
def test_errors_of_fast_fourier_transforms(outputs: int, taps: int, dimensions: int) -> None:
    tiles = [fourier(outputs, taps)] * dimensions
    shape, axes = sizes(tiles, "A"), tuple(range(-dimensions, 0))
    draw = np.random.default_rng(0).uniform
    data = draw(-1, 1, (300, 4, *shape)).astype("float32")
    kernel = draw(-1, 1, (300, 4, *sizes(tiles, "C"))).astype("float32")
    product = np.fft.rfftn(data, axes=axes) * np.fft.rfftn(kernel, shape, axes).conj()
    circular = np.fft.irfftn(product.sum(1), shape, axes)
    assert circular.dtype == "float32"
    found = circular[last_axes(map(slice, sizes(tiles, "B")))]
    exact = by_definition(tiles, "result", data.astype("float64"), kernel.astype("float64"))
    measured = relative(found, exact, [data, kernel], 4 * taps**dimensions)
    check_errors(measured, tiles, 4, SINGLE, "result")


def test_the_bound_is_within_reach() -> None:
    for outputs, taps in MEASURED:
        tiles = [toom_cook(outputs, taps)]
        assert errors(tiles, 1, "result").max() > error_bound(tiles, 1, SINGLE) / 100


def test_the_definition_has_the_textbook_bound() -> None:
    # A sum of n products by hand: each passes n roundings.
    expected = 12 * SINGLE / (1 - 12 * SINGLE)
    assert error_bound([direct(3)], 10, SINGLE) == pytest.approx(expected)


def test_exact_factors_cost_no_rounding() -> None:
    # By hand: additions of 2 data, of 3 taps and of 3 products, and one multiplication.
    roundings = 1 + 2 + 2 + 1
    # Of data, taps and results: 2·1·1 at zero, and 2·(3/2)·1 at either one; 3 points are summed.
    expected = roundings * SINGLE * (2 + 3 + 3) / 3
    assert error_bound([toom_cook(2, 3)], 1, SINGLE) == pytest.approx(expected, rel=1e-5)


def test_fast_fourier_transforms_pass_a_rounding_a_level() -> None:
    # By hand: 3 transforms of 3 levels with 5 roundings each, the length, a complex product.
    roundings = (3 * 3 * 5 + 2 + 3) * SINGLE
    assert error_bound([fourier(4, 5)], 1, SINGLE) == pytest.approx(roundings * 8, rel=1e-5)
    assert error_bound([fourier(1, 1)], 1, SINGLE) == pytest.approx(SINGLE)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tile", [toom_cook(4, 3), fourier(3, 3), direct(3)])
def test_axes_contribute_independently(tile: Bilinear, role: Role) -> None:
    roundings, worst, typical = growth_of_axis(tile, role, SINGLE)
    passed = (2 * roundings + 5) * SINGLE
    bound = passed / (1 - passed) * worst**2
    assert error_bound([tile] * 2, 5, SINGLE, role) == pytest.approx(bound)
    estimate = SINGLE / 3 * math.sqrt((2 * roundings + 5) / 5) * typical**2
    assert typical_error([tile] * 2, 5, SINGLE, role) == pytest.approx(estimate)


def test_errors_grow_with_the_tile_and_the_kernel() -> None:
    for estimate in (error_bound, typical_error):
        by_tile = [estimate([toom_cook(m, 3)], 8, SINGLE) for m in (2, 4, 6, 8, 10)]
        assert by_tile == sorted(by_tile)
        assert estimate([toom_cook(4, 3)] * 2, 8, SINGLE) > estimate([toom_cook(4, 3)], 8, SINGLE)


def test_too_many_roundings_have_no_bound() -> None:
    assert error_bound([toom_cook(4, 3)], 3000, HALF) == math.inf
    assert typical_error([toom_cook(4, 3)], 3000, HALF) < 1


@pytest.mark.parametrize("estimate", [error_bound, typical_error])
def test_unknown_roles_are_refused(estimate: Any) -> None:
    with pytest.raises(AlgorithmError, match="unknown role 'bias': it is one of result, data"):
        estimate([direct(3)], 1, SINGLE, "bias")


@pytest.mark.parametrize("module", [bilinear, conditioning], ids=["bilinear", "conditioning"])
def test_every_session_in_a_docstring_runs(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
