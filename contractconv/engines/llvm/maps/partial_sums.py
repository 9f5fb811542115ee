"""Sums over the outer axes of a group: each piece of the loop adds up a part of its own.

So no two threads write to the same sum, and no sum has very many terms that are added one after
the other, each of which would be rounded to the whole of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import isqrt, prod
from operator import mul
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.maps.layouts import Steps, contiguous
from contractconv.engines.llvm.maps.long_rows import LongRows
from contractconv.engines.llvm.maps.map_loops import Places
from contractconv.machine.memory import Table
from contractconv.planning.programs.outer_sums import OuterSum

# Elements of the group that are worth a piece, whose call costs as much as hundreds of them.
_WORTH_PIECE = 1 << 13
# Elements to multiples of which a part is rounded up: whole lines, and room for all lanes.
_ROOM = 64

Shape = tuple[int, ...]


class PartialSums:
    """The sums of a group.

    Args:
        sums: the sums.
        sizes: of the axes of the group, in the order in which they lie in memory.
        dtypes: of the sums.
    """

    def __init__(self, sums: Sequence[OuterSum], sizes: Shape, dtypes: Sequence[str]) -> None:
        self._sums, self._size = sums, prod(sizes)
        self._dtypes = [np.dtype(dtype) for dtype in dtypes]
        self._shapes = [sizes[len(sizes) - len(one.kept) :] for one in sums]
        self._times = [1 for _ in sums]
        self._rooms = [_room(prod(shape)) for shape in self._shapes]
        outer = len(sizes)
        self.steps: list[Steps] = [
            _along(shape, dtype.itemsize, outer)
            for shape, dtype in zip(self._shapes, self._dtypes, strict=True)
        ]

    @property
    def itemsizes(self) -> list[int]:
        """The bytes of an element of each sum."""
        return [dtype.itemsize for dtype in self._dtypes]

    def pieces(self, least: int) -> int:
        """Into how many pieces the loop is cut, into so many if there is nothing to be added.

        Sums are the same for any number of threads.
        """
        if not self._sums:
            return least
        rows = max(one.count for one in self._sums)
        return max(1, min(isqrt(rows), self._size // _WORTH_PIECE))

    def repeated(self, rows: LongRows, first: int) -> PartialSums:
        """The same, where rows are longer than what a sum keeps: then it has more parts.

        Args:
            rows: the rows.
            first: the number of the first sum among the arrays that lie in them.
        """
        if not rows.repeated:
            return self
        made = copy(self)
        made._times = [
            rows.times if n in rows.repeated else 1 for n, _ in enumerate(self._sums, first)
        ]
        sizes = map(prod, self._shapes)
        made._rooms = [_room(times * size) for times, size in zip(made._times, sizes, strict=True)]
        return made

    def size(self, pieces: int, row: int = 0) -> int:
        """Bytes of the parts of so many pieces, if rows may be so long."""
        each: int = sum(map(mul, (max(room, row) for room in self._rooms), self.itemsizes))
        return pieces * each

    def place(self, table: Table, places: Places, first: int) -> None:
        """Give each piece its parts, which are arrays of the kernel from ``first`` on."""
        pieces = np.arange(len(table.numbers))
        for n, (room, size) in enumerate(zip(self._rooms, self.itemsizes, strict=True)):
            table.numbers[:, places.offsets + first + n] += pieces * room * size

    def parts(self, pieces: int) -> list[tuple[Shape, np.dtype[Any]]]:
        """Shapes and dtypes of the parts of so many pieces, which are zeros before."""
        return [((pieces, room), d) for room, d in zip(self._rooms, self._dtypes, strict=True)]

    def totals(self, parts: Sequence[Array]) -> list[Array]:
        """The sums, from their parts."""
        if not parts:
            return []
        pairs = zip(self._sums, parts, self._shapes, self._times, strict=True)
        return [_total(one, part, shape, times) for one, part, shape, times in pairs]


def _room(elements: int) -> int:
    return -(-elements // _ROOM) * _ROOM


def _along(kept: Shape, itemsize: int, rank: int) -> Steps:
    steps = contiguous(kept, itemsize)
    moved = tuple(step if size > 1 else 0 for step, size in zip(steps, kept, strict=True))
    return (0,) * (rank - len(kept)) + moved


def _total(one: OuterSum, parts: Array, shape: Shape, times: int) -> Array:
    total = _added(parts, prod(shape), times)
    if one.is_mean:
        total /= one.count
    return total.reshape(shape)


def _added(parts: Array, size: int, times: int) -> Array:
    """The sum of all parts, of so many elements."""
    if len(parts) == times == 1 < size:
        return parts[0, :size].copy()
    with np.errstate(all="ignore"):
        if size == 1:  # every lane has a part
            return np.asarray(parts.sum(keepdims=True))
        total = np.asarray(parts[:, : times * size].sum(axis=0))
        return total if times == 1 else np.asarray(total.reshape(times, size).sum(axis=0))
