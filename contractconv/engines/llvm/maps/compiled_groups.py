"""Groups of maps that kernels carry out: which ones, and how for arrays of some layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.llvm.kernels import foreign_calls, native
from contractconv.engines.llvm.maps.layouts import Layout, Steps, contiguous
from contractconv.engines.llvm.maps.long_rows import LONG, LongRows, long_rows, may_be_longer
from contractconv.engines.llvm.maps.map_loops import ARRAYS, UNIT, kernel, places_of
from contractconv.engines.llvm.maps.partial_sums import PartialSums
from contractconv.engines.llvm.maps.straight_code import (
    GIVEN,
    Translated,
    UnknownMapError,
    translated,
)
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.lazy import remembered
from contractconv.machine import memory
from contractconv.machine.memory import Native, Table, code_of
from contractconv.machine.threads import get_num_threads
from contractconv.machine.work_sharing import evenly
from contractconv.planning.programs.fusion import Fused
from contractconv.programs.kinds import itemsize
from contractconv.programs.nodes import Axes, Node

# Elements from which on a kernel is worth being compiled.
WORTH_COMPILING = 1 << 2
# Instructions beyond which compiling takes longer than many a program.
LONGEST = 400
# Instructions, each for all elements, from which on a group is worth another thread.
WORTH_SHARING = 1 << 20
# Pieces for each thread, of which whoever comes first takes the next.
PIECES = 4

Shape = tuple[int, ...]


def compiled(
    group: Fused, axes: Axes, sizes: Shape, dtypes: Mapping[Node, str]
) -> CompiledMaps | None:
    """Make kernels carry out a group.

    Args:
        group: the maps.
        axes: the axes of the results, in the order in which they lie in memory.
        sizes: the sizes of these.
        dtypes: the dtype of every node.

    Returns:
        ``None`` if there are few elements or too many maps, no compiler, or a map that it does not
        know.
    """
    if prod(sizes) < WORTH_COMPILING or not native.available():
        return None
    try:
        code = translated(group, dtypes, knows)
    except UnknownMapError:
        return None
    if len(code.code.instructions) > LONGEST:
        return None
    return CompiledMaps(code, group, axes, sizes)


def knows(does: str, dtype: str) -> bool:
    """Whether there is machine code for what an instruction does, in a dtype."""
    # Late: it needs the compiler.
    from contractconv.engines.llvm.maps.vector_kinds import DTYPES
    from contractconv.engines.llvm.maps.vector_maps import rule

    if dtype not in DTYPES or (dtype == "float16" and not native.converts_halves()):
        return False
    return does in GIVEN or rule(does, dtype) is not None


class Loop(NamedTuple):
    """A kernel, for arrays that lie in one way.

    Attributes:
        work: the kernel.
        table: its arguments but for the arrays, a row for each piece.
        sums: what becomes of the parts of its sums.
        rows: what has to be done to arrays before.
    """

    work: Native
    table: Table
    sums: PartialSums
    rows: LongRows


class CompiledMaps:
    """A group of maps and its kernels, one for each way in which arrays lie along the lanes.

    Attributes:
        work: instructions for all of its elements.
        arrays: how many it reads and makes.
        dtypes: of the leaves.
    """

    def __init__(self, code: Translated, group: Fused, axes: Axes, sizes: Shape) -> None:
        self._code, self._sizes = code, sizes
        self._places = places_of(code.code)
        self._leaves = [[axes.index(name) for name in leaf.axes] for leaf in group.leaves]
        self.dtypes = [np.dtype(i.dtype) for i in code.code.instructions if i.does == "leaf"]
        self._results = [contiguous(sizes, itemsize(dtype)) for dtype in code.code.stored]
        positions = [axes.index(node.axes[0]) for node in code.positions]
        self._positions = [self._along([axis], [1]) for axis in positions]
        self._sums = PartialSums(group.sums, sizes, code.code.summed)
        self._told = np.array(list(map(_bits, code.told)), np.int64)
        self.work = prod(sizes) * len(code.code.instructions)
        self.arrays = len(self._leaves) + len(self._results)
        self._ready = Shelf()

    @property
    def beside(self) -> int:
        """Bytes that a run takes beside what it reads and makes: parts of its sums, long rows."""
        row = LONG if may_be_longer(self._sizes) else 0
        repeated = sum(dtype.itemsize for dtype in self.dtypes) * row
        return repeated + self._parts(row)

    def _parts(self, row: int = 0) -> int:
        """Bytes of the parts of its sums, if rows may be so long."""
        return self._sums.size(self._sums.pieces(_shares(self._threads)), row)

    @property
    def _threads(self) -> int:
        """How many threads share a run."""
        return get_num_threads() if self.work >= WORTH_SHARING else 1

    def run(self, leaves: Sequence[Array], results: Sequence[Array]) -> list[Array] | None:
        """Fill the results, which lie in the order that was said.

        Returns:
            The sums; ``None`` if nothing could be done: leaves of other dtypes, or at places where
            no numbers of theirs begin, are for numpy, and so is everything if no kernel can be made
            after all.
        """
        ready = self.shared_loop(leaves)
        return None if ready is None else ready.run([*leaves, *results])

    def shared_loop(self, leaves: Sequence[Array]) -> SharedLoop | None:
        """The kernel for leaves that lie in one way; ``None`` if nothing could be done."""
        threads = self._threads
        key = (threads, *[leaf.strides for leaf in leaves])
        if not all(map(fits, leaves, self.dtypes)):
            return None
        ready: SharedLoop | None = self._ready.get(key)
        if ready is None:
            shares = _shares(threads)
            try:
                ready = SharedLoop(self.loop(leaves, shares), shares)
            except native.UnfitError:
                return None
            self._ready.put(key, ready, ready.size)
        return ready

    def loop(self, leaves: Sequence[Array], shares: int) -> Loop:
        """The kernel for leaves that lie in one way, cut into so many shares at least."""
        code = self._code.code
        read = [
            self._along(at, leaf.strides) for at, leaf in zip(self._leaves, leaves, strict=True)
        ]
        sizes = [dtype.itemsize for dtype in self.dtypes] + list(map(itemsize, code.stored))
        whole = [*sizes, *self._sums.itemsizes, *(1 for _ in self._positions)]
        steps = [*read, *self._results, *self._sums.steps, *self._positions]
        rows = self._laid_out(steps, whole)
        layout, sums = rows.layout, self._sums.repeated(rows, len(sizes))
        forms = list(layout.forms(whole))
        forms[code.leaves : len(sizes)] = self._written()
        table = layout.table(self._places, self._pieces(layout, shares))
        sums.place(table, self._places, len(sizes))
        table.numbers[:, self._places.numbers : self._places.axes] = self._told
        return Loop(self._kernel(tuple(forms)), table, sums, rows)

    def _laid_out(self, steps: Sequence[Steps], itemsizes: Sequence[int]) -> LongRows:
        """The loop over arrays with these steps: leaves, results, sums, positions."""
        leaves, written = len(self._leaves), len(self._leaves) + len(self._results)
        may = [*range(leaves), *range(written, written + len(self._sums.itemsizes))]
        return long_rows(Layout.of(self._sizes, steps), itemsizes, may)

    def _written(self) -> list[str]:
        """How each result lies along the lanes."""
        return [UNIT] * len(self._code.code.stored)

    def _pieces(self, layout: Layout, shares: int) -> int:
        """Into how many pieces the loop is cut."""
        return self._sums.pieces(shares)

    def _kernel(self, forms: tuple[str, ...]) -> Native:
        """The kernel for arrays that lie along the lanes like that."""
        return kernel(self._code.code, forms)

    def _along(self, at: Sequence[int], strides: Sequence[int]) -> Steps:
        """The bytes from one element to the next along each axis of the group."""
        steps = [0] * len(self._sizes)
        for axis, stride in zip(at, strides, strict=True):
            steps[axis] = stride if self._sizes[axis] > 1 else 0
        return tuple(steps)


def fits(leaf: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a kernel can read a leaf as numbers of a dtype."""
    return leaf.dtype == dtype and leaf.flags.aligned


def _bits(number: float | int) -> int:
    """What stands in a table for a number."""
    return int(np.float64(number).view(np.int64)) if isinstance(number, float) else number


def _shares(threads: int) -> int:
    """Into how many shares so many threads cut a loop."""
    return PIECES * threads if threads > 1 else 1


class OpenTable(NamedTuple):
    """Arguments of kernels but for the addresses of arrays.

    Attributes:
        numbers: the arguments.
        places: where the address of each array stands: a row for each piece.
    """

    numbers: Array
    places: Array


class SharedLoop:
    """A kernel for arrays that lie in one way, whose pieces threads share.

    Args:
        loop: the kernel.
        shares: how many shares its pieces are cut into.

    Attributes:
        program: the calls of it, whose region ``"out"`` is its table.
        repeated: the numbers of the arrays that are repeated before they are read.
    """

    def __init__(self, loop: Loop, shares: int) -> None:
        self._work, self._table, self._sums, self._rows = loop
        self._pieces, row = self._table.numbers.shape[0], self._table.row_bytes
        parts = evenly(self._pieces, shares)
        self.program = Program([[_some(self._work, run, row) for run in parts]])
        self._idle: list[Table] = []
        self.repeated = self._rows.repeated

    @property
    def size(self) -> int:
        """Bytes that it keeps."""
        return self._table.numbers.nbytes

    @remembered
    def _prepared(self) -> Prepared:
        return Prepared(self.program)

    def open_table(self, arrays: int) -> OpenTable:
        """The table for so many arrays, parts of sums among them."""
        pieces, width = self._table.numbers.shape
        rows = width * np.arange(pieces)[:, None]
        return OpenTable(self._table.numbers.reshape(-1), rows + ARRAYS + np.arange(arrays))

    @property
    def parts(self) -> list[tuple[Shape, np.dtype[Any]]]:
        """Shapes and dtypes of the parts of its sums, which are zeros before."""
        return self._sums.parts(self._pieces)

    def repeat(self, array: Array) -> Array:
        """An array as often as it is read as one."""
        return self._rows.repeat(array)

    def totals(self, parts: Sequence[Array]) -> list[Array]:
        """The sums, from their parts."""
        return self._sums.totals(parts)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Carry it out; return the sums."""
        own, parts = self._taken(), [memory.zeros(*one) for one in self.parts]
        own.lend(ARRAYS, [*self._rows.taken(arrays), *parts])
        if self._pieces == 1:
            self._work(own.address)
        else:
            self._prepared.run({}, own.numbers)
        own.let_go()
        if self._pieces == 1:
            self._idle.append(own)
        return self.totals(parts)

    def _taken(self) -> Table:
        # A kernel counts rows in its table: all of them bring it to where it began, and so that of
        # an earlier run serves again, unless another run is using it; those of a piece do not.
        if self._pieces == 1:
            with suppress(IndexError):
                return self._idle.pop()
        return self._table.copy()


def _some(work: Native, pieces: range, row: int) -> Calls:
    """The calls of a kernel for some rows of its table."""
    calls = Calls()

    def piece(calls: Calls, which: int) -> None:
        relayed = {
            foreign_calls.FUNCTION: code_of(work),
            foreign_calls.TABLE: Place("out", which * row),
        }
        calls.call(foreign_calls.relay(), relayed)

    calls.each(piece, pieces)
    return calls
