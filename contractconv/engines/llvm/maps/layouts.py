"""How the arrays of a group lie in memory, as the arguments of its kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul

import numpy as np

from contractconv.engines.llvm.maps.map_loops import (
    APART,
    AT,
    COUNT,
    RANK,
    REPEATED,
    ROWS,
    SIZE,
    STEPS,
    UNIT,
    Places,
)
from contractconv.machine.memory import Table
from contractconv.machine.work_sharing import evenly

Shape = tuple[int, ...]
Steps = tuple[int, ...]
# Elements of a row that are not divided, for threads that write to the same line wait.
_TOGETHER = 64


def contiguous(sizes: Shape, itemsize: int) -> Steps:
    """The bytes along each axis of an array that lies in order.

    Example:
        >>> contiguous((2, 3, 4), 8)
        (96, 32, 8)
    """
    behind = accumulate(sizes[:0:-1], mul, initial=itemsize)
    return tuple(behind)[::-1] if sizes else ()


@dataclass(frozen=True)
class Layout:
    """Where some arrays lie, with as few axes as possible.

    Attributes:
        sizes: of the axes, of which there is at least one; the last one runs along the lanes.
        steps: for each array the bytes along each axis.
    """

    sizes: Shape
    steps: tuple[Steps, ...]

    @staticmethod
    def of(sizes: Shape, steps: Sequence[Steps]) -> Layout:
        """Put axes together that can be walked as one.

        Example:
            >>> Layout.of((2, 3, 4), [(96, 32, 8), (0, 0, 8)])
            Layout(sizes=(6, 4), steps=((32, 8), (0, 8)))
        """
        found: list[tuple[int, Steps]] = []
        for size, along in zip(sizes, zip(*steps, strict=True), strict=True):
            if size == 1:
                continue
            if found and found[-1][1] == tuple(step * size for step in along):
                found[-1] = (found[-1][0] * size, along)
            else:
                found.append((size, along))
        found = found or [(1, (0,) * len(steps))]
        by_axis = zip(*(along for _, along in found), strict=True)
        return Layout(tuple(size for size, _ in found), tuple(by_axis))

    def forms(self, itemsizes: Sequence[int]) -> tuple[str, ...]:
        """How each array lies along the lanes."""
        along = [steps[-1] for steps in self.steps]
        return tuple(map(_form, along, itemsizes))

    def table(self, places: Places, pieces: int) -> Table:
        """The arguments of the kernel, but for the arrays and what is told: a row for each piece.

        Args:
            places: where they stand.
            pieces: how many are wanted; there may be fewer.
        """
        *outer, count = self.sizes
        rows = prod(outer)
        cut = evenly(rows, pieces) if rows >= pieces else [range(rows)]
        parts = evenly(-(-count // _TOGETHER), -(-pieces // len(cut)))
        runs = [range(p.start * _TOGETHER, min(p.stop * _TOGETHER, count)) for p in parts]
        table = Table((len(cut) * len(runs), places.width(len(outer))))
        for n, row in enumerate(table.numbers):
            self._fill(row, places, cut[n // len(runs)], runs[n % len(runs)])
        return table

    def _fill(self, row: np.ndarray, places: Places, rows: range, run: range) -> None:
        *outer, _ = self.sizes
        at = np.unravel_index(rows.start, outer) if outer else ()
        row[[ROWS, COUNT, RANK]] = len(rows), len(run), len(outer)
        steps = np.array(self.steps, np.int64)
        row[places.offsets : places.lanes] = steps @ np.array([*at, run.start], np.int64)
        row[places.lanes : places.numbers] = steps[:, -1]
        records = row[places.axes :].reshape(len(outer), places.record)[::-1]
        records[:, SIZE], records[:, AT] = outer, at
        records[:, STEPS:] = steps[:, :-1].T


def _form(step: int, itemsize: int) -> str:
    if step == 0:
        return REPEATED
    return UNIT if step == itemsize else APART
