"""Tiles as they are asked for: by their sizes, with factors that sympy can work with."""

from __future__ import annotations

import pickle
from math import inf

import pytest
import sympy

import contractconv as cc
from contractconv.tiles.decomposition import toom_cook


def test_a_tile_is_asked_for_by_its_sizes() -> None:
    tile = cc.toom_cook(4, 3)
    assert cc.toom_cook(4, 3) is tile
    assert str(tile) == str(toom_cook(4, 3))
    assert pickle.loads(pickle.dumps(tile)) == tile
    tile.verify()


@pytest.mark.parametrize(("outputs", "taps"), [(1, 1), (2, 3), (4, 3), (4, 5), (3, 1)])
def test_factors_and_points_are_there_for_sympy(outputs: int, taps: int) -> None:
    tile, made = cc.toom_cook(outputs, taps), toom_cook(outputs, taps)
    for matrix, rows in zip((tile.A, tile.B, tile.C), (made.a, made.b, made.c), strict=True):
        assert isinstance(matrix, sympy.ImmutableMatrix)
        assert matrix.tolist() == [[sympy.Rational(str(value)) for value in row] for row in rows]
    assert all(isinstance(point, sympy.Expr) for point in tile.points)
    assert [sympy.oo if point == inf else point for point in made.points] == [*tile.points]


@pytest.mark.parametrize(
    "sizes",
    [(0, 3), (2, 0), (-1, 3), (2.0, 3), ("2", 3), (None, 3), (True, 3), (2, True), ([], 3)],
)
def test_a_tile_without_sizes_is_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(cc.ShapeError):
        cc.toom_cook(*sizes)
