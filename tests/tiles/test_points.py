"""The points that are chosen: none of the pool are better, and they come in opposite pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from windowsums import MEASURED, entries

from contractconv.tiles.decomposition import at_points
from contractconv.tiles.points import INFINITY, ZERO, Point, best_points, growth


def growth_of_factors(points: tuple[Point, ...], outputs: int) -> float:
    """The sum of the products of the columns' squared norms, of the factors as they are."""
    tile = at_points(points, outputs)
    squares = [(entries(tile, which, "float64") ** 2).sum(0) for which in "ABC"]
    return float(np.prod(squares, axis=0).sum())


def symmetric_sets(outputs: int, taps: int, pool: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    products = outputs + taps - 1
    center = (ZERO,) * (products % 2 == 0)
    for chosen in itertools.combinations(pool, (products - 1) // 2):
        yield (*center, *[(sign * u, v) for u, v in chosen for sign in (1, -1)], INFINITY)


@pytest.mark.parametrize(("outputs", "taps"), [*MEASURED, (2, 2), (3, 3), (5, 3), (7, 3), (8, 3)])
def test_no_points_of_the_pool_are_better(outputs: int, taps: int) -> None:
    heights = range(1, 5 if outputs + taps > 8 else 6)
    pool = [(u, v) for u in heights for v in heights if math.gcd(u, v) == 1]
    every = symmetric_sets(outputs, taps, pool)
    least = min(growth_of_factors(points, outputs) for points in every)
    assert growth_of_factors(best_points(outputs, taps), outputs) <= least * (1 + 1e-9)


@pytest.mark.parametrize(
    ("outputs", "taps"), [*MEASURED, (1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (8, 5), (11, 2)]
)
def test_growth_is_that_of_the_factors(outputs: int, taps: int) -> None:
    pool = [(1, 3), (5, 2), (1, 1), (4, 5), (7, 1), (2, 9), (3, 2)]
    for points in itertools.islice(symmetric_sets(outputs, taps, pool), 20):
        pairs = [(u, v) for u, v in points if u > 0 and v]
        found = growth(pairs, outputs, taps)
        assert found == pytest.approx(growth_of_factors(points, outputs), rel=1e-9)


@pytest.mark.parametrize("outputs", [*range(1, 13), 18])
def test_points_are_distinct_and_symmetric(outputs: int) -> None:
    points = best_points(outputs, 3)
    assert len(set(points)) == len(points) == outputs + 2
    assert {(-u, v) for u, v in points if u and v} == {(u, v) for u, v in points if u and v}
    assert all(math.gcd(u, v) == 1 for u, v in points)
