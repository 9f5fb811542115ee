"""Where the elements of tiles lie: tables of offsets, for any stride and any boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contractconv.arrays.views import Array
from contractconv.notation.problem import Access, Problem

NOWHERE = -(1 << 60)


@dataclass(frozen=True, slots=True)
class Axis:
    """One window axis, cut into tiles.

    Attributes:
        result: the index that counts windows.
        tap: the index that counts the points of a window.
        data: how the data's axis is met: ``step*result + step*tap + offset`` or with a minus.
        outputs: values of ``result`` that a tile covers.
        taps: values of ``tap``.
    """

    result: str
    tap: str
    data: Access
    outputs: int
    results: int
    taps: int

    @property
    def tiles(self) -> int:
        """How many tiles cover the results."""
        return -(-self.results // self.outputs)

    @property
    def flipped(self) -> bool:
        """Whether the window runs against its result: ``(i-k)``."""
        steps = dict(self.data.terms)
        return steps[self.tap] == -steps[self.result]

    def data_places(self) -> Array:
        """Positions on the data's axis: a row for every tile; outside the axis ``NOWHERE``."""
        step = dict(self.data.terms)[self.result]
        first = np.arange(self.tiles) * self.outputs
        element = np.arange(self.outputs + self.taps - 1)
        if self.flipped:
            element = element - (self.taps - 1)
        places = step * np.add.outer(first, element) + self.data.offset
        return np.where((places >= 0) & (places < self.data.size), places, NOWHERE)

    def result_places(self) -> Array:
        """Values of ``result``: a row for every tile; beyond the last one ``NOWHERE``."""
        places = np.arange(self.tiles * self.outputs).reshape(self.tiles, self.outputs)
        return np.where(places < self.results, places, NOWHERE)

    def tap_places(self) -> Array:
        """Values of ``tap`` in the order in which a tile meets them, as one row."""
        taps = np.arange(self.taps)
        return (taps[::-1] if self.flipped else taps).reshape(1, self.taps)


def axes_of(
    problem: Problem, operand: int, windows: Sequence[tuple[int, str, str]], outputs: Sequence[int]
) -> tuple[Axis, ...]:
    """The window axes of a leaf.

    Args:
        problem: the leaf; on every window both steps have the same absolute value.
        operand: which operand is read through windows.
        windows: axis, result and tap of each window.
        outputs: for each window how many results a tile covers.
    """
    return tuple(
        Axis(result, tap, problem.operands[operand][axis], size, problem.extents[result],
             problem.extents[tap])
        for (axis, result, tap), size in zip(windows, outputs, strict=True)
    )  # fmt: skip


def element_table(places: Sequence[Array], strides: Sequence[int]) -> Array:
    """Offsets in bytes of the elements of every tile: the tiles, then the elements of one.

    Args:
        places: for each window axis, rows of positions, one row for every tile along it.
        strides: for each window axis, bytes from one position to the next.
    """
    total = np.zeros((1, 1), np.int64)
    for rows, stride in zip(places, strides, strict=True):
        here = np.where(rows == NOWHERE, NOWHERE, rows * stride)
        both = total[:, None, :, None] + here[None, :, None, :]
        both = np.where(both < NOWHERE // 2, NOWHERE, both)
        total = both.reshape(total.shape[0] * rows.shape[0], -1)
    return np.ascontiguousarray(total).reshape(-1)
