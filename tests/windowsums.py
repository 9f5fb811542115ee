"""Sums over the windows of a tile, by the factors of its decomposition and by definition."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from contractconv.tiles.decomposition import Decomposition
from contractconv.tiles.rounding import Role

Array = np.ndarray[Any, np.dtype[Any]]
Tiles = Sequence[Decomposition]

ROLES: tuple[Role, ...] = ("result", "data", "kernel")
# For each role: the factor of what is computed and those of the two operands.
FACTORS = {"result": "BAC", "data": "ABC", "kernel": "CAB"}
MEASURED = [(2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (3, 4)]


def entries(tile: Decomposition, which: str, dtype: str) -> Array:
    """A factor: in exact fractions if the dtype is ``object``."""
    return np.array(tile.exact(which) if dtype == "object" else tile.floats(which), dtype)


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
