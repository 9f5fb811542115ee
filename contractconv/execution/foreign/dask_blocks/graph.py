"""The tasks of a contraction that is cut, as dask takes them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from dask import config
from dask.array import Array
from dask.array.chunk import getitem
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from contractconv.execution.foreign.dask_blocks.layer import BlockLayer, Load, Work
from contractconv.execution.foreign.dask_blocks.memory import refuse
from contractconv.execution.foreign.dask_blocks.tasks import Combined, Contracted, Finish
from contractconv.notation.problem import shape_of
from contractconv.notation.shift import Part, Ranges
from contractconv.planning.blocks.parts import Cut, Read, reads
from contractconv.planning.options import Options

Key = tuple[Any, ...]
# Parts that one task combines, unless dask is told otherwise.
_COMBINED = 4


class Ending(NamedTuple):
    """What becomes of the result of a contraction, once it is whole.

    Attributes:
        dtype: of its numbers.
        counted: for a mean how the contraction is cut whose points are counted.
    """

    dtype: np.dtype[Any]
    counted: Cut | None = None

    def of(self, box: Ranges) -> Finish:
        """The same of a block."""
        counted = None if self.counted is None else self.counted.whole(box).problem
        return Finish(self.dtype.name, counted)


def blocked(cut: Cut, operands: Sequence[Array], options: Options, ending: Ending) -> Array:
    """A contraction as an array whose blocks are made when they are asked for.

    Args:
        cut: how it is cut, where the operands are.
        operands: the operands, compositions split.
        options: of the contraction of each part, the dtype of its sums among them.
        ending: what is done to each block of the result.

    Returns:
        The result, compositions split.
    """
    token = tokenize(repr(cut.problem), cut.cuts, [a.name for a in operands], repr(options), ending)
    name = f"contract-{token}"
    weaver = _Weaver(cut, operands, options, ending, token)
    for where, box in cut.boxes():
        weaver.add((name, *where), where, box)
    layer = BlockLayer(weaver.tasks, str(cut.problem), weaver.works, weaver.combined)
    refuse(layer)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=list(operands))
    return Array(graph, name, cut.grid, dtype=ending.dtype)


class _Weaver:
    """Makes the tasks of all blocks; those that are equal but for what they read are one object."""

    def __init__(
        self, cut: Cut, operands: Sequence[Array], options: Options, ending: Ending, token: str
    ) -> None:
        self._cut, self._operands, self._options = cut, operands, options
        self._ending, self._token = ending, token
        self._dtypes = tuple(array.dtype.name for array in operands)
        self._known: dict[Hashable, Work] = {}
        self.tasks: dict[Key, Any] = {}
        self.combined = 0

    @property
    def works(self) -> tuple[Work, ...]:
        """What tasks do, with the most that each is given."""
        return tuple(self._known.values())

    def add(self, key: Key, where: tuple[int, ...], box: Ranges) -> None:
        """Add what makes one block of the result."""
        parts, finish = self._cut.parts(box), self._ending.of(box)
        if len(parts) == 1:
            self.tasks[key] = self._contracted(parts[0], finish)
            return
        keys = []
        for n, part in enumerate(parts):
            keys.append((f"contract-part-{self._token}", *where, n))
            self.tasks[keys[-1]] = self._contracted(part, None)
        self._combine(key, where, keys, finish)
        size = prod(at.stop - at.start for at in box) * np.dtype(self._options.dtype).itemsize
        self.combined = max(self.combined, (min(len(keys), _combined()) + 1) * size)

    def _combine(self, key: Key, where: tuple[int, ...], keys: list[Key], finish: Finish) -> None:
        """Combine parts in a tree, whose tasks hold few of them at once."""
        most, reduce, level = _combined(), self._cut.problem.reduce, 0
        while len(keys) > most:
            groups, level = list(_groups(keys, most)), level + 1
            keys = [(f"contract-sum-{self._token}", *where, level, n) for n in range(len(groups))]
            for above, group in zip(keys, groups, strict=True):
                self.tasks[above] = (Combined(reduce), group) if len(group) > 1 else group[0]
        self.tasks[key] = (Combined(reduce, finish), keys)

    def _contracted(self, part: Part, finish: Finish | None) -> tuple[Any, ...]:
        known = (part.problem, finish)
        first = Work(Contracted(*known, self._options), self._dtypes, Load())
        work = self._known.setdefault(known, first)
        load, pieces = Load(), []
        for n, place in enumerate(part.places[:-1]):
            piece, taken = self._read(n, place)
            pieces.append(piece)
            load = load.with_operand(taken, shape_of(part.problem.operands[n]), self._itemsize(n))
        self._known[known] = work._replace(load=max(load, work.load, key=sum))
        return (work.contracted, *pieces)

    def _itemsize(self, n: int) -> int:
        return int(self._operands[n].dtype.itemsize)

    def _read(self, n: int, place: Ranges) -> tuple[Any, list[int]]:
        """What a task reads of an operand, nested lists; and the elements that it holds for it."""
        operand = self._operands[n]
        counts, found = reads(place, operand.chunks)
        if not found:
            return np.empty([at.stop - at.start for at in place], operand.dtype), []
        pieces = [self._piece(n, read) for read in found]
        return _nested([piece for piece, _ in pieces], counts), [size for _, size in pieces]

    def _piece(self, n: int, read: Read) -> tuple[Any, int]:
        """What is read of one block: all of it, most of it, or a copy of less than half of it."""
        operand = self._operands[n]
        key = (operand.name, *read.block)
        size = prod(sizes[b] for sizes, b in zip(operand.chunks, read.block, strict=True))
        if read.whole:
            return key, size
        least = prod(at.stop - at.start for at in read.at)
        if 2 * least > size:
            return (getitem, key, read.at), size
        span = (number for at in read.at for number in (at.start, at.stop))
        piece = (f"contract-read-{self._token}", n, *read.block, *span)
        self.tasks[piece] = (getitem, key, read.at)
        return piece, least


def _combined() -> int:
    """Parts that a task combines at most."""
    return max(2, config.get("split_every", None) or _COMBINED)


def _groups(keys: Sequence[Key], most: int) -> Iterator[list[Key]]:
    return (list(keys[n : n + most]) for n in range(0, len(keys), most))


def _nested(pieces: list[Any], counts: Sequence[int]) -> Any:
    """Pieces in row-major order as nested lists, one level for each axis."""
    for count in reversed(counts):
        pieces = [pieces[n : n + count] for n in range(0, len(pieces), count)]
    return pieces[0]
