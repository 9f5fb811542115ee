"""Rounding errors: measured ones keep to the bounds, and are what is typical."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from windowsums import (
    FACTORS,
    MEASURED,
    ROLES,
    Array,
    Tiles,
    by_algorithm,
    by_definition,
    last_axes,
    sizes,
)

from contractconv.errors import AlgorithmError
from contractconv.tiles import rounding
from contractconv.tiles.decomposition import Decomposition, at_points, direct, toom_cook
from contractconv.tiles.points import Point
from contractconv.tiles.rounding import Growth, Role, fourier_growth, growth

USUAL: tuple[Point, ...] = ((0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 0))
SINGLE = 2.0**-24
HALF = 2.0**-11


def error_bound(tiles: Tiles, terms: int, epsilon: float, role: Role = "result") -> float:
    return rounding.error_bound([growth(tile, role, epsilon) for tile in tiles], terms, epsilon)


def typical_error(tiles: Tiles, terms: int, epsilon: float, role: Role = "result") -> float:
    return rounding.typical_error([growth(tile, role, epsilon) for tile in tiles], terms, epsilon)


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
    check_growths(measured, [growth(tile, role, epsilon) for tile in tiles], terms, epsilon)


def check_growths(measured: Array, axes: Sequence[Growth], terms: int, epsilon: float) -> None:
    assert measured.max() <= rounding.error_bound(axes, terms, epsilon)
    typical = rounding.typical_error(axes, terms, epsilon)
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
    # Of what the definition sums nothing but sizes counts.
    tiles = [toom_cook(outputs, taps)] * dimensions
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
    check_growths(measured, [fourier_growth(outputs, taps, "result")] * dimensions, 4, SINGLE)


@pytest.mark.parametrize("role", ROLES)
def test_the_usual_points_are_worse(role: Role) -> None:
    usual, chosen = [at_points(USUAL, 4)] * 2, [toom_cook(4, 3)] * 2
    usual[0].verify()
    assert typical_error(chosen, 16, SINGLE, role) < typical_error(usual, 16, SINGLE, role)
    assert np.quantile(errors(chosen, 16, role), 0.99) < np.quantile(errors(usual, 16, role), 0.99)


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
    bounds = [
        rounding.error_bound([fourier_growth(*sizes, "result")], 1, SINGLE)
        for sizes in [(4, 5), (1, 1)]
    ]
    assert bounds == pytest.approx([roundings * 8, SINGLE], rel=1e-5)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tile", [toom_cook(4, 3), direct(3)])
def test_axes_contribute_independently(tile: Decomposition, role: Role) -> None:
    roundings, worst, typical, points = growth(tile, role, SINGLE)
    assert points == points_summed([tile], role)
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
