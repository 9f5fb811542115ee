"""Sums of products by compiled kernels, straight from the operands where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from contractconv.execution import copying
from contractconv.execution.blocks import Cut, apart, cut, unpadded
from contractconv.execution.nest import Nest, choose
from contractconv.execution.rooms import address, room
from contractconv.execution.staging import Reading, Strides, reading, steps_of, writing
from contractconv.execution.threads import get_num_threads, in_parallel
from contractconv.execution.views import Array, output_view
from contractconv.kernels import native
from contractconv.kernels import products as kernel
from contractconv.kernels.number import DTYPES
from contractconv.notation.problem import Problem

# Bytes of a panel of vectors: beside a small result it stays in the first level of cache,
# a larger result is read again for every panel, so the panel fills half of the second level.
_SMALL_PANEL, _LARGE_PANEL = 1 << 15, 1 << 18
# The names of the numbers that kernels are compiled for.
KINDS = {np.dtype(name): name for name in DTYPES}
_NOTHING = np.empty(0)
# Numbers that are copied in the time of one more call.
_COPIED_A_CALL = 1 << 14


@dataclass(frozen=True, slots=True)
class _Block:
    """One call of the kernel.

    Attributes:
        readings: how it reads both operands.
        writing: how it writes the result.
        table: the kernel's arguments, but for the addresses of the arrays.
        kept: the arrays whose addresses are in ``table``.
        aside: the block itself, if its result is put into the output afterwards.
    """

    readings: tuple[Reading, Reading]
    writing: Reading
    table: Array
    kept: tuple[Array, ...]
    aside: Problem | None


@dataclass(frozen=True, slots=True)
class Direct:
    """A leaf, ready to run on arrays of known strides."""

    nest: Nest
    groups: tuple[tuple[_Block, ...], ...]
    private: bool
    dtype: np.dtype[Any]
    shared: tuple[bool, bool]
    rooms: tuple[int, int, int]

    def run(self, arrays: Sequence[Array], out: Array, accumulate: bool) -> None:
        """Write the leaf's part of ``out``, or add to it."""
        with ExitStack() as rooms:
            arrays = [self._shared(n, array, rooms) for n, array in enumerate(arrays)]
            self._run(arrays, out, accumulate)

    def _run(self, arrays: Sequence[Array], out: Array, accumulate: bool) -> None:
        function = kernel.kernel(KINDS[self.dtype], self.nest.tile)
        copies = [out]
        if self.private:
            copies += [np.zeros(out.shape, out.dtype) for _ in self.groups[1:]]

        def group(which: int) -> None:
            target = copies[which] if self.private else out
            add = accumulate or which > 0 and self.private
            with ExitStack() as stack:
                rooms = [self._room(size, stack) for size in self.rooms]
                for block in self.groups[which]:
                    self._call(function, block, arrays, target, rooms, add)
                    add = True

        in_parallel(group, len(self.groups))
        for extra in copies[1:]:
            np.add(out, extra, out=out)

    def _room(self, elements: int, stack: ExitStack) -> Array:
        if not elements:
            return _NOTHING
        return stack.enter_context(room(elements * self.dtype.itemsize)).view(self.dtype)

    def _shared(self, which: int, array: Array, stack: ExitStack) -> Array:
        """The copy of an operand that all blocks read, or the operand itself."""
        if not self.shared[which]:
            return array
        copy = self.groups[0][0].readings[which].copy
        assert copy is not None
        place = self._room(copy.elements, stack)
        copy.fill(array, place)
        return place

    def _call(
        self,
        function: kernel.Native,
        block: _Block,
        arrays: Sequence[Array],
        out: Array,
        rooms: Sequence[Array],
        accumulate: bool,
    ) -> None:
        table = block.table.copy()
        for which, (array, read) in enumerate(zip(arrays, block.readings, strict=True)):
            base = array
            if read.copy is not None and not self.shared[which]:
                base = rooms[which]
                read.copy.fill(array, base)
            place = kernel.VECTORS if which == self.nest.vectors else kernel.SCALARS
            table[place] = address(base) + read.offset
        aside = block.aside
        table[kernel.OUT] = address(out if aside is None else rooms[2]) + block.writing.offset
        table[kernel.ACCUMULATE] = accumulate and aside is None
        function(address(table))
        if aside is not None:
            self._put(rooms[2], aside, out, accumulate)

    def _put(self, made: Array, block: Problem, out: Array, accumulate: bool) -> None:
        labels = (*self.nest.batch, *self.nest.rows, self.nest.lane)
        target = output_view(out, block).arranged(labels)
        result = made[: target.size].reshape(target.shape)
        if accumulate:
            np.add(target, result, out=target)
        else:
            copying.copy(result, target)


def prepared(problem: Problem, strides: tuple[Strides, ...], dtype: np.dtype[Any]) -> Direct | None:
    """Make a leaf ready to run.

    Args:
        problem: a leaf of two operands, summed.
        strides: those of both operands and of the result, in bytes.
        dtype: of all three.

    Returns:
        What to run; ``None`` if there is no kernel for it.
    """
    name = KINDS.get(dtype)
    if name is None or len(problem.operands) != 2 or not native.available():
        return None
    return _prepared(problem, strides, name, get_num_threads())


@lru_cache(maxsize=512)
def _prepared(
    problem: Problem, strides: tuple[Strides, ...], dtype: str, threads: int
) -> Direct | None:
    numbers = np.dtype(dtype)
    size = numbers.itemsize
    terms = (*problem.operands, problem.output)
    steps = tuple(steps_of(t, s) for t, s in zip(terms, strides, strict=True))
    nest = choose(problem, steps, dtype, size)
    if nest is None or not problem.reduced:
        return None
    lanes = [nest.lane if nest.tile.elementwise or nest.vectors == n else None for n in (0, 1)]
    whole = [_read(problem, n, strides, size, lanes[n]) for n in (0, 1)]
    copied = [r.copy is not None for r in whole]
    split = cut(problem, nest, copied, size, threads)
    if not split.private:
        parts = _without_padding(problem, whole, strides, size, lanes)
        if len(parts) > 1:
            groups = (group for part in parts for group in apart(part, nest, 0, threads))
            split = Cut(tuple(groups), False)
    tables = _Tables(nest, dtype)
    groups = tuple(
        tuple(
            tables.block(part, (_read(part, 0, strides, size, lanes[0]),
                                _read(part, 1, strides, size, lanes[1])), strides[2])
            for part in group
        )
        for group in split.groups
    )  # fmt: skip
    return _assembled(nest, split, groups, numbers, whole)


def _without_padding(
    problem: Problem, whole: list[Reading], strides: tuple[Strides, ...], size: int, lanes: Any
) -> tuple[Problem, ...]:
    """The parts of a leaf that need no copies, if that is cheaper than padded copies."""
    copies = [(n, r.copy) for n, r in enumerate(whole) if r.copy is not None]
    if not any(copy.padded for _, copy in copies):
        return (problem,)
    parts = unpadded(problem)
    if sum(copy.elements for _, copy in copies) <= len(parts) * _COPIED_A_CALL:
        return (problem,)
    if any(_read(part, n, strides, size, lanes[n]).copy for part in parts for n, _ in copies):
        return (problem,)
    return parts


def _read(
    problem: Problem, which: int, strides: tuple[Strides, ...], size: int, lane: str | None
) -> Reading:
    return reading(problem, problem.operands[which], strides[which], size, lane)


def _assembled(
    nest: Nest,
    split: Cut,
    groups: tuple[tuple[_Block, ...], ...],
    dtype: np.dtype[Any],
    whole: list[Reading],
) -> Direct:
    blocks = [block for group in groups for block in group]
    first, second = (
        whole[n].copy is not None and all(b.readings[n] == whole[n] for b in blocks) for n in (0, 1)
    )
    shared = (first, second)

    def most(readings: list[Reading]) -> int:
        return max(r.copy.elements if r.copy else 0 for r in readings)

    rooms = [0 if shared[n] else most([b.readings[n] for b in blocks]) for n in (0, 1)]
    written = max(prod(b.aside.extents[n] for n in b.aside.kept) if b.aside else 0 for b in blocks)
    return Direct(nest, groups, split.private, dtype, shared, (rooms[0], rooms[1], written))


class _Tables:
    """Makes the tables of offsets that the kernel reads; equal ones are made once."""

    def __init__(self, nest: Nest, dtype: str) -> None:
        self.nest = nest
        self.number = native.number(dtype)
        self.known: dict[Any, Array] = {}

    def block(
        self, problem: Problem, readings: tuple[Reading, Reading], strides: Strides
    ) -> _Block:
        nest, extents = self.nest, problem.extents
        labels = (*nest.batch, *nest.rows)
        target, aside = writing(problem, strides, self.number.size, nest.lane, labels)
        scalars, vectors = readings[1 - nest.vectors].steps, readings[nest.vectors].steps
        out = target.steps
        taps, run = _taps_and_run(nest, extents, scalars, vectors)
        zero = np.zeros(kernel.ARGUMENTS, np.int64)
        kept: list[Array] = []

        def table(place: int, labels: Sequence[tuple[int, int]]) -> None:
            entries = self._offsets(tuple(labels))
            kept.append(entries)
            zero[place] = address(entries)

        def pairs(labels: Sequence[str], steps: Any) -> list[tuple[int, int]]:
            return [(extents[n], steps.get(n, 0)) for n in labels]

        for place, steps in (
            (kernel.BATCH_SCALARS, scalars), (kernel.BATCH_VECTORS, vectors), (kernel.BATCH_OUT, out)
        ):  # fmt: skip
            table(place, pairs(nest.batch, steps))
        table(kernel.ROW_SCALARS, pairs(nest.rows, scalars))
        table(kernel.ROW_OUT, pairs(nest.rows, out))
        table(kernel.TAP_SCALARS, [(n, s) for n, s, _ in taps])
        table(kernel.TAP_VECTORS, [(n, v) for n, _, v in taps])
        wide = nest.tile.vectors * self.number.bytes
        panels = -(-extents[nest.lane] * self.number.size // wide)
        rows = prod(extents[n] for n in nest.rows)
        result = rows * extents[nest.lane] * self.number.size
        panel = _SMALL_PANEL if result <= _LARGE_PANEL else _LARGE_PANEL
        zero[kernel.BATCH] = prod(extents[n] for n in nest.batch)
        zero[kernel.ROW_STOP] = rows
        # Elementwise nothing is used twice but by the next panel: it comes soon.
        zero[kernel.ROWS_AT_ONCE] = 8 * nest.tile.rows if nest.tile.elementwise else max(1, rows)
        zero[kernel.PANEL_STOP] = panels
        zero[kernel.PANEL_SCALARS] = wide if nest.tile.elementwise else 0
        zero[kernel.PANEL_VECTORS] = zero[kernel.PANEL_OUT] = wide
        zero[kernel.LANES] = extents[nest.lane]
        zero[kernel.TAPS] = prod(n for n, _, _ in taps)
        zero[kernel.TAPS_AT_ONCE] = max(1, panel // (run[0] * wide))
        zero[kernel.RUN], zero[kernel.RUN_SCALARS], zero[kernel.RUN_VECTORS] = run
        return _Block(readings, target, zero, tuple(kept), problem if aside else None)

    def _offsets(self, loops: tuple[tuple[int, int], ...]) -> Array:
        """The bytes to add for every combination of some indices, the last one fastest."""
        if loops not in self.known:
            total = np.zeros((), np.int64)
            for size, step in loops:
                total = np.add.outer(total, np.arange(size, dtype=np.int64) * step)
            self.known[loops] = np.ascontiguousarray(total).reshape(-1)
        return self.known[loops]


Loop = tuple[int, int, int]


def _taps_and_run(nest: Nest, extents: Any, scalars: Any, vectors: Any) -> tuple[list[Loop], Loop]:
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
