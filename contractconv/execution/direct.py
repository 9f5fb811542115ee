"""Sums of products by compiled kernels, straight from the operands where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from contractconv.execution.blocks import Cut, apart, cut, unpadded
from contractconv.execution.copying import End, add_copy, add_zeros
from contractconv.execution.nest import Nest, choose
from contractconv.execution.sequence import Calls, Place, Program, offsets
from contractconv.execution.staging import Copy, Reading, Strides, reading, steps_of, writing
from contractconv.execution.threads import get_num_threads
from contractconv.execution.views import Array
from contractconv.kernels import native
from contractconv.kernels import products as kernel
from contractconv.kernels.finish import RAW, Finish
from contractconv.kernels.number import DTYPES
from contractconv.notation.problem import Problem

# The names of the numbers that kernels are compiled for.
KINDS = {np.dtype(name): name for name in DTYPES}
# Bytes of a panel of vectors: beside a small result it stays in the first level of cache,
# a larger result is read again for every panel, so the panel fills half of the second level.
_SMALL_PANEL, _LARGE_PANEL = 1 << 15, 1 << 18
# Products that are summed in one line.
_CHUNK = 1024
# Numbers that are copied in the time of one more call.
_COPIED_A_CALL = 1 << 11
# Multiplications that are worth handing over to another thread.
_WORTH = 1 << 20
_LINE = 64


def prepared(
    problem: Problem,
    strides: tuple[Strides, ...],
    dtype: np.dtype[Any],
    accumulate: bool,
    finish: Finish = RAW,
) -> Program | None:
    """Make a leaf ready to run.

    Args:
        problem: a leaf of two operands, summed.
        strides: those of both operands and of the result, in bytes.
        dtype: of all three.
        accumulate: whether to add to what is there.
        finish: what is done to the result; a bias is along its last axis.

    Returns:
        What to run on the regions ``"0"`` and ``"1"`` (and ``"bias"``); ``None`` if there is no
        kernel for it.
    """
    name = KINDS.get(dtype)
    if name is None or len(problem.operands) != 2 or not native.available():
        return None
    return _prepared(problem, strides, name, accumulate, finish, get_num_threads())


@lru_cache(maxsize=512)
def _prepared(
    problem: Problem,
    strides: tuple[Strides, ...],
    dtype: str,
    accumulate: bool,
    finish: Finish,
    threads: int,
) -> Program | None:
    nest = nest_of(problem, strides, dtype)
    if nest is None or not problem.reduced:
        return None
    leaf = _Leaf(problem, nest, strides, dtype, accumulate, finish, threads)
    return leaf.program()


def nest_of(problem: Problem, strides: tuple[Strides, ...], dtype: str) -> Nest | None:
    """The loop nest for a leaf; ``None`` if there is none."""
    terms = (*problem.operands, problem.output)
    steps = tuple(steps_of(t, s) for t, s in zip(terms, strides, strict=True))
    return choose(problem, steps, dtype, native.number(dtype).size)


class _Leaf:
    """Turns a leaf into calls of kernels."""

    def __init__(
        self,
        problem: Problem,
        nest: Nest,
        strides: tuple[Strides, ...],
        dtype: str,
        accumulate: bool,
        finish: Finish,
        threads: int,
    ) -> None:
        self.problem, self.nest, self.strides = problem, nest, strides
        self.dtype, self.accumulate, self.threads = dtype, accumulate, threads
        self.finish = finish
        self.number = native.number(dtype)
        both = nest.tile.elementwise
        self.lanes = [nest.lane if both or nest.vectors == n else None for n in (0, 1)]
        self.whole = [self.read(problem, n) for n in (0, 1)]
        self.tables: dict[Any, Array] = {}

    def read(self, problem: Problem, which: int) -> Reading:
        """How a block reads one operand."""
        term, strides = problem.operands[which], self.strides[which]
        return reading(problem, term, strides, self.number.size, self.lanes[which])

    def program(self) -> Program | None:
        """The calls for all blocks, in groups for the threads; ``None`` if they cannot finish."""
        split = self._cut()
        if self.finish != RAW and not self._finishes(split):
            return None
        blocks = [part for group in split.groups for part in group]
        # A copy that all blocks read is made once.
        self.shared = [
            self.whole[n].copy is not None
            and all(self.read(part, n) == self.whole[n] for part in blocks)
            for n in (0, 1)
        ]
        self.scratch = 0
        pieces = tuple(self._piece(n, group, split) for n, group in enumerate(split.groups))
        shared, size = self._shared_copies()
        stages = (shared, pieces) if shared else (pieces,)
        copies = len(split.groups) if split.private else 1
        return Program(stages, size, self.scratch, 0, copies)

    def _finishes(self, split: Cut) -> bool:
        """Whether every sum is complete when it is put where it belongs, along the last axis."""
        last = self.problem.output[-1].plain if self.problem.output else None
        if last is None or split.private or split.sums:
            return False
        there, size = steps_of(self.problem.output, self.strides[2]), self.number.size
        if there[last] != size:
            return False
        if there[self.nest.lane] == size:
            return last == self.nest.lane
        return all(part.extents[last] > 1 for group in split.groups for part in group)

    def _cut(self) -> Cut:
        copied = [read.copy is not None for read in self.whole]
        split = cut(self.problem, self.nest, copied, self.number.size, self.threads)
        parts = () if split.private else self._without_copies()
        if len(parts) > 1:
            groups = (g for part in parts for g in apart(part, self.nest, 0, self.threads))
            split = Cut(_joined([part for group in groups for part in group], self.threads), False)
        return split

    def _without_copies(self) -> tuple[Problem, ...]:
        """The parts of the leaf that need no copies, if that is cheaper than padded copies."""
        copies = [(n, read.copy) for n, read in enumerate(self.whole) if read.copy is not None]
        if not any(copy.padded for _, copy in copies):
            return ()
        parts = unpadded(self.problem)
        cheap = sum(copy.elements for _, copy in copies) > len(parts) * _COPIED_A_CALL
        if not cheap or any(self.read(part, n).copy for part in parts for n, _ in copies):
            return ()
        return parts

    def _shared_copies(self) -> tuple[tuple[Calls, ...], int]:
        """The calls that make copies for all blocks, and the bytes of them all."""
        found, size = [], 0
        for n, read in enumerate(self.whole):
            if self.shared[n] and read.copy is not None:
                calls = Calls()
                self._copy(calls, n, read.copy, Place("shared", size))
                found.append(calls)
                size += _room(read.copy, self.number.size)
        return tuple(found), size

    def _piece(self, number: int, group: tuple[Problem, ...], split: Cut) -> Calls:
        calls = Calls()
        out = f"out{number}" if split.private and number else "out"
        adding = self.accumulate or out != "out"
        for part in group:
            self._block(calls, part, out, adding)
            # Blocks of a group add up, unless each of them writes a part of its own.
            adding = adding or split.sums
        return calls

    def _block(self, calls: Calls, part: Problem, out: str, adding: bool) -> None:
        """Copy what has to be copied, multiply, and put the result where it belongs."""
        labels = (*self.nest.batch, *self.nest.rows)
        target, aside = writing(part, self.strides[2], self.number.size, self.nest.lane, labels)
        used, places, steps = 0, [], []
        for n in (0, 1):
            read = self.read(part, n)
            place = Place(str(n), read.offset)
            if read.copy is not None and self.shared[n]:
                before = _room(self.whole[0].copy, self.number.size) if n and self.shared[0] else 0
                place = Place("shared", before + read.offset)
            elif read.copy is not None:
                self._copy(calls, n, read.copy, Place("scratch", used))
                place = Place("scratch", used + read.offset)
                used += _room(read.copy, self.number.size)
            places.append(place)
            steps.append(read.steps)
        result = Place("scratch", used) if aside else Place(out, target.offset)
        self._multiply(calls, part, places, steps, result, target.steps, adding and not aside)
        if aside:
            self._put(calls, part, result, target.steps, out, adding)
            used += prod(part.extents[n] for n in part.kept) * self.number.size + _LINE
        self.scratch = max(self.scratch, used)

    def _copy(self, calls: Calls, which: int, copy: Copy, target: Place) -> None:
        if copy.padded:
            add_zeros(calls, self.dtype, copy.elements, target)
        size, strides = self.number.size, self.strides[which]
        source = sum(part.start * step for part, step in zip(copy.outof, strides, strict=True))
        here = tuple(step * size for step in copy.strides)
        moved = sum(part.start * step for part, step in zip(copy.into, here, strict=True))
        shape = tuple(part.stop - part.start for part in copy.into)
        there = tuple(strides[axis] for axis in copy.order)
        add_copy(
            calls, self.dtype, shape, End(Place(str(which), source), there),
            End(Place(target.region, target.offset + moved), here), False,
        )  # fmt: skip

    def _put(
        self,
        calls: Calls,
        part: Problem,
        made: Place,
        steps: Mapping[str, int],
        out: str,
        adding: bool,
    ) -> None:
        labels = (*self.nest.batch, *self.nest.rows, self.nest.lane)
        there = steps_of(part.output, self.strides[2])
        start = sum(a.offset * s for a, s in zip(part.output, self.strides[2], strict=True))
        shape = tuple(part.extents[n] for n in labels)
        source = End(made, tuple(steps[n] for n in labels))
        target = End(Place(out, start), tuple(there[n] for n in labels))
        bias = self._bias(part)
        add_copy(calls, self.dtype, shape, source, target, adding, self.finish, bias)

    def _multiply(
        self,
        calls: Calls,
        part: Problem,
        places: Sequence[Place],
        steps: Sequence[Mapping[str, int]],
        result: Place,
        out: Mapping[str, int],
        adding: bool,
    ) -> None:
        nest, extents, number = self.nest, part.extents, self.number
        first, second = 1 - nest.vectors, nest.vectors
        scalars, vectors = steps[first], steps[second]
        taps, run = taps_and_run(nest, extents, scalars, vectors)
        wide = nest.tile.vectors * number.bytes
        rows = prod(extents[n] for n in nest.rows)
        small = rows * extents[nest.lane] * number.size <= _LARGE_PANEL
        panel = _SMALL_PANEL if small else _LARGE_PANEL

        def table(labels: Iterable[str], along: Mapping[str, int]) -> Array:
            return self._table(tuple((extents[n], along.get(n, 0)) for n in labels))

        arguments = {
            kernel.SCALARS: places[first],
            kernel.VECTORS: places[second],
            kernel.OUT: result,
            kernel.BATCH: prod(extents[n] for n in nest.batch),
            kernel.BATCH_SCALARS: table(nest.batch, scalars),
            kernel.BATCH_VECTORS: table(nest.batch, vectors),
            kernel.BATCH_OUT: table(nest.batch, out),
            kernel.ROW_STOP: rows,
            # Elementwise nothing is used twice but by the next panel: it comes soon.
            kernel.ROWS_AT_ONCE: 8 * nest.tile.rows if nest.tile.elementwise else rows,
            kernel.ROW_SCALARS: table(nest.rows, scalars),
            kernel.ROW_OUT: table(nest.rows, out),
            kernel.PANEL_STOP: -(-extents[nest.lane] * number.size // wide),
            kernel.PANEL_SCALARS: wide if nest.tile.elementwise else 0,
            kernel.PANEL_VECTORS: wide,
            kernel.PANEL_OUT: wide,
            kernel.LANES: extents[nest.lane],
            kernel.TAPS: prod(size for size, _, _ in taps),
            kernel.TAPS_AT_ONCE: max(1, min(panel // (run[0] * wide), _CHUNK // run[0])),
            kernel.TAP_SCALARS: self._table(tuple((size, step) for size, step, _ in taps)),
            kernel.TAP_VECTORS: self._table(tuple((size, step) for size, _, step in taps)),
            kernel.RUN: run[0],
            kernel.RUN_SCALARS: run[1],
            kernel.RUN_VECTORS: run[2],
            kernel.ACCUMULATE: int(adding),
        }
        finish = RAW if result.region == "scratch" else self.finish
        arguments[kernel.BIAS] = self._bias(part)
        calls.call(kernel.kernel(self.dtype, nest.tile, finish), arguments)

    def _bias(self, part: Problem) -> Place | int:
        """What is added along the last axis of a part."""
        return Place("bias", part.output[-1].offset * self.number.size) if self.finish.bias else 0

    def _table(self, loops: tuple[tuple[int, int], ...]) -> Array:
        """A table of offsets; equal ones are made once."""
        if loops not in self.tables:
            self.tables[loops] = offsets(*loops)
        return self.tables[loops]


def _room(copy: Copy | None, size: int) -> int:
    """Bytes of a copy, up to the beginning of a line of the cache."""
    return 0 if copy is None else -(-copy.elements * size // _LINE) * _LINE


def _joined(parts: list[Problem], threads: int) -> tuple[tuple[Problem, ...], ...]:
    """Parts of very different sizes, shared out evenly."""
    points = sum(part.points for part in parts)
    count = max(1, min(2 * threads, points // _WORTH, len(parts))) if threads > 1 else 1
    groups: list[list[Problem]] = [[] for _ in range(count)]
    for part in sorted(parts, key=lambda p: -p.points):
        min(groups, key=lambda g: sum(p.points for p in g)).append(part)
    return tuple(map(tuple, groups))


Loop = tuple[int, int, int]


def taps_and_run(
    nest: Nest, extents: Mapping[str, int], scalars: Mapping[str, int], vectors: Mapping[str, int]
) -> tuple[list[Loop], Loop]:
    """The summed indices as loops: size, step of the scalars, step of the vectors.

    Neighbouring loops that go on where the inner one ends are one loop. The longest one is the
    run; a very long one is cut, so that its panel of vectors stays in cache.
    """
    loops = [(extents[n], scalars.get(n, 0), vectors.get(n, 0)) for n in nest.summed]
    merged: list[Loop] = []
    for loop in loops:
        size, first, second = loop
        if merged and merged[-1][1:] == (first * size, second * size):
            outer = merged.pop()
            merged.append((outer[0] * size, first, second))
        else:
            merged.append(loop)
    # From sixteen steps on a run is long enough: then neighbours in memory are better.
    run = merged.pop(max(range(len(merged)), key=lambda n: (min(merged[n][0], 16), n)))
    return _shortened(merged, run)


def _shortened(taps: list[Loop], run: Loop) -> tuple[list[Loop], Loop]:
    size, first, second = run
    for parts in range(-(-size // 256), size // 64):
        if size % parts == 0:
            short = size // parts
            return [*taps, (parts, first * short, second * short)], (short, first, second)
    return taps, run
