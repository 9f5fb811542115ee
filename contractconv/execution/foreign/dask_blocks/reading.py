"""How tasks come to what they read of an operand."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from dask.array import Array
from dask.array.chunk import getitem

from contractconv.execution.foreign.dask_blocks.layer import Load
from contractconv.execution.foreign.dask_blocks.sources import first_block, source_of
from contractconv.execution.foreign.dask_blocks.tasks import Edges
from contractconv.notation.shift import Ranges
from contractconv.planning.blocks.parts import Read, reads

Key = tuple[Any, ...]

# Bytes of an array that tasks hold themselves. As a task of its own it would come after the first
# blocks that are to meet it, more than one of which would be made to wait for it.
_HELD = 1 << 16


class Reader:
    """Knows what a task has to be given for a part of an operand.

    Args:
        operand: the operand.
        name: what its edges are called.
    """

    def __init__(self, operand: Array, name: str) -> None:
        self._operand, self._name = operand, name
        self._source = source_of(operand)
        self._array = _array_of(operand)
        # Of each block the pieces that others need of it, by their places.
        self._edges: dict[tuple[int, ...], dict[tuple[tuple[int, int], ...], int]] = {}

    def edges(self) -> dict[Key, Any]:
        """The tasks that copy pieces for other blocks."""
        return {
            (self._name, *block): (Edges(tuple(places)), (self._operand.name, *block))
            for block, places in self._edges.items()
        }

    def read(self, place: Ranges) -> tuple[Any, Load]:
        """What a task is given, nested lists of pieces, and the bytes of that."""
        operand, shape = self._operand, [at.stop - at.start for at in place]
        size = prod(shape) * int(operand.dtype.itemsize)
        if not size:
            return np.empty(shape, operand.dtype), Load()
        if self._array is not None:
            return self._array[place], Load(size)
        if self._source is not None:
            return self._source(place), Load(size)
        counts, found = reads(place, operand.chunks)
        pieces, loads = zip(*map(self._piece, found), strict=True)
        copied = Load(copied=size) if len(pieces) > 1 else Load()
        return _nested(list(pieces), counts), sum(loads, copied)

    def _piece(self, read: Read) -> tuple[Any, Load]:
        """What is read of one block: all of it, most of it, or a copy of less than half of it."""
        operand, width = self._operand, int(self._operand.dtype.itemsize)
        key = (operand.name, *read.block)
        size = prod(sizes[b] for sizes, b in zip(operand.chunks, read.block, strict=True)) * width
        if read.whole:
            return key, Load(size)
        least = prod(at.stop - at.start for at in read.at) * width
        if 2 * least > size:
            return (getitem, key, read.at), Load(size)
        places = self._edges.setdefault(read.block, {})
        number = places.setdefault(tuple((at.start, at.stop) for at in read.at), len(places))
        return (getitem, (self._name, *read.block), number), Load(least, near=size)


def _array_of(operand: Array) -> Any:
    """The small array of numpy that an operand is, if it is one."""
    block = first_block(operand)
    is_whole = isinstance(block, np.ndarray) and block.shape == operand.shape
    return block if is_whole and block.nbytes <= _HELD else None


def _nested(pieces: list[Any], counts: Sequence[int]) -> Any:
    """Pieces in row-major order as nested lists, one level for each axis."""
    for count in reversed(counts):
        pieces = [pieces[n : n + count] for n in range(0, len(pieces), count)]
    return pieces[0]
