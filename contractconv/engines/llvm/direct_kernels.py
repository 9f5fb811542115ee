"""Sums of products by compiled kernels, straight from the operands where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.views import Array, steps_of
from contractconv.cache_register import weighed
from contractconv.engines.llvm import row_tiles
from contractconv.engines.llvm.kernel_calls import Bounds, Factor, Sums
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.kernels.number_kinds import DTYPES
from contractconv.engines.llvm.kernels.product_loops import Panels, panels_of
from contractconv.engines.llvm.loop_nest import Along, Nest, along, choose, exists
from contractconv.engines.llvm.packing import (
    Copy,
    End,
    Reading,
    Strides,
    add_copy,
    add_zeros,
    in_panels,
    reading,
    start_of,
    writing,
)
from contractconv.engines.llvm.partition import (
    Cut,
    Span,
    apart,
    cut,
    restricted,
    shares,
    shorter,
    unpadded,
)
from contractconv.engines.llvm.program import Calls, Place, Program, offsets
from contractconv.machine.kept_bytes import weight
from contractconv.machine.memory import lines
from contractconv.notation.problem import Problem
from contractconv.planning.cost import volume
from contractconv.planning.trimming import reaches_outside

# The names of the numbers that kernels are compiled for.
KINDS = {np.dtype(name): name for name in DTYPES}
# Numbers that are copied in the time of one more call.
_COPIED_A_CALL = 1 << 11
# ... and of one vector of products more, a few lanes wide.
_COPIED_A_STEP = 4
# Of the products one in so many, if they are made in tiles that are not full, is too much.
_THIN = 2
# Bytes that are copied for all blocks together: they stay in the second level of cache.
_MOST_SHARED = 1 << 20
# Bytes of a result that is made aside before it is added.
_MOST_ALONE = 1 << 21
# Rows that read a panel, and numbers of each of its lanes that are summed, from which on it pays to
# copy panels so that they have no gaps; and bytes of such a copy, for a block and for all of them.
_REUSED, _LONG_SUM = 64, 32
_MOST_PANELS, _MOST_TOGETHER = 1 << 21, 1 << 24
# Multiplications by zero that are worth one more call, and a number more that is copied.
_SAVED_A_CALL, _SAVED_A_NUMBER = 1 << 15, 64


def kind(dtype: np.dtype[Any]) -> str | None:
    """What kernels call the numbers of a dtype; ``None`` if there are no kernels for them."""
    return KINDS.get(dtype) if native.available() else None


@weighed(weight)
def prepared(
    problem: Problem,
    strides: tuple[Strides, ...],
    dtype: str,
    accumulate: bool,
    finish: Finish,
    threads: int,
) -> Program | None:
    """Make a leaf ready to run.

    Args:
        problem: a leaf of two operands.
        strides: those of both operands and of the result, in bytes.
        finish: what is done to the result; a bias is along its last axis.

    Returns:
        What to run on the regions ``"0"`` and ``"1"`` (and ``"bias"``); ``None`` if there is no
        kernel for it.
    """
    nest = nest_of(problem, strides, dtype)
    if nest is None:
        return None
    return _Leaf(problem, nest, strides, dtype, accumulate, finish, threads).program()


def nest_of(problem: Problem, strides: tuple[Strides, ...], dtype: str) -> Nest | None:
    """The loop nest for a leaf; ``None`` if there is none."""
    steps = _steps(problem, strides)
    nest = choose(problem, steps, dtype)
    return nest and row_tiles.considered(nest, problem, steps, dtype)


def has_nest(problem: Problem, strides: tuple[Strides, ...], dtype: str) -> bool:
    """Whether there is a loop nest for a leaf."""
    return exists(problem, _steps(problem, strides), dtype)


def _steps(problem: Problem, strides: tuple[Strides, ...]) -> tuple[dict[str, int], ...]:
    terms = (*problem.operands, problem.output)
    return tuple(steps_of(t, s) for t, s in zip(terms, strides, strict=True))


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
        # Whether what is copied is copied as a whole, for all blocks.
        self.entire = False
        # The operand and the axis outside of which tiles along a window read nothing.
        self.open: tuple[int, int] | None = None
        self.number = native.number(dtype)
        self.lanes = [nest.lanes if nest.has_lanes(n) else () for n in (0, 1)]
        # Whether vectors are copied panel by panel, and whether one copy is for all blocks.
        self.in_panels = self.together = False
        self.whole = [self.read(problem, n) for n in (0, 1)]
        self.tables: dict[Any, Array] = {}
        # Where in shared memory the copies of operands lie that all blocks read.
        self.shared: dict[int, int] = {}

    def read(self, problem: Problem, which: int) -> Reading:
        """How a block reads one operand."""
        term, strides = problem.operands[which], self.strides[which]
        left_out = self.open[1] if self.open is not None and self.open[0] == which else None
        if self.nest.packed and which != self.nest.vectors:
            row = self.nest.rows[-1]
            tiles = ((range(problem.extents[row]), self.nest.tile.rows),)
            return in_panels(term, (problem, term), strides, self.number.size, row, tiles)
        if self.in_panels and which == self.nest.vectors:
            whole = self.problem if self.together else problem
            return in_panels(
                term, (whole, whole.operands[which]), strides, self.number.size,
                self.nest.lane, self._panels(whole),
            )  # fmt: skip
        return reading(
            problem, term, strides, self.number.size, self.lanes[which], self.entire, left_out
        )

    def _panels(self, problem: Problem) -> Panels:
        """The lanes in panels."""
        width, lanes = self.nest.width(problem.extents), self.number.lanes
        return panels_of(width, lanes, self.nest.tile.vectors)

    def _are_panels_worth(self) -> bool:
        """Whether panels without gaps save more than it takes to copy them.

        Where a result is wider than a panel, what one panel reads lies apart: at each step a line
        in another place, of which a few are kept at the same places of the cache.
        """
        nest, extents = self.nest, self.problem.extents
        if nest.tile.varies or nest.group is not None:
            return False
        wide = nest.width(extents) > nest.tile.vectors * self.number.lanes
        term = self.problem.operands[nest.vectors]
        axes = [a for a in term if nest.lane in a.names]
        alone = len(axes) == 1 < len(term) and len(axes[0].terms) == 1 and axes[0].divisor == 1
        if not (wide and alone and volume(nest.rows, extents) >= _REUSED):
            return False
        return volume(nest.summed, extents) >= _LONG_SUM and self._window(self.problem) is None

    def _pack(self, split: Cut, blocks: Sequence[Problem]) -> None:
        """Decide who copies vectors panel by panel: one copy for all blocks, or each its own."""
        if not self._are_panels_worth():
            return
        self.together = not split.private and self._bytes(self.problem) <= _MOST_TOGETHER
        self.in_panels = self.together or all(
            self._bytes(block) <= _MOST_PANELS and volume(self.nest.rows, block.extents) >= _REUSED
            for block in blocks
        )

    def _bytes(self, block: Problem) -> int:
        """Those of a copy of the vectors that a block reads."""
        reaches = (access.reach(block.extents) for access in block.operands[self.nest.vectors])
        return self.number.size * prod(high - low + 1 for low, high in reaches)

    def program(self) -> Program | None:
        """The calls for all blocks, in groups for the threads; ``None`` if they cannot finish."""
        split = self._cut()
        self.short = {part: self._shorter(part) for group in split.groups for part in group}
        blocks = [block for parts in self.short.values() for block in parts]
        if self.finish != RAW and not self._finishes(split):
            return None
        self._pack(split, blocks)
        shared, size = self._shared_copies(blocks)
        self.scratch = 0
        pieces = tuple(self._piece(n, group, split) for n, group in enumerate(split.groups))
        stages = (shared, pieces) if shared else (pieces,)
        copies = len(split.groups) if split.private else 1
        return Program(stages, size, self.scratch, 0, copies)

    def _finishes(self, split: Cut) -> bool:
        """Whether every sum is complete when it is put where it belongs, along the last axis."""
        last = self.problem.output[-1].plain if self.problem.output else None
        if last is None or self.nest.group is not None:
            return False
        if split.private or split.sums or any(b[1:] for b in self.short.values()):
            return False
        there, size = steps_of(self.problem.output, self.strides[2]), self.number.size
        if there[last] != size:
            return False
        if there[self.nest.lane] == size:
            return last == self.nest.lane
        return all(part.extents[last] > 1 for group in split.groups for part in group)

    def _cut(self) -> Cut:
        split = self._whole_cut()
        if split.sums:
            return self._cut_sums(split) or split
        self.open = self._open_axis(self.problem)
        if self.open is not None:
            self.whole = [self.read(self.problem, n) for n in (0, 1)]
            split = self._cut_apart()
            blocks = [b for group in split.groups for part in group for b in self._shorter(part)]
            if all(self._open_axis(block) == self.open for block in blocks):
                return split
            self.open = None
            self.whole = [self.read(self.problem, n) for n in (0, 1)]
        return self._cut_apart()

    def _whole_cut(self) -> Cut:
        copied = [read.copy is not None for read in self.whole]
        split = cut(self.problem, self.nest, copied, self.number.size)
        if split.sums and self._are_panels_worth():
            copied[self.nest.vectors] = True
            split = cut(self.problem, self.nest, copied, self.number.size)
        return split

    def _cut_apart(self) -> Cut:
        parts = self._without_copies(self.problem) or self._without_padding()
        if len(parts) < 2:
            return self._adding(self._pieces(self.problem), private=False) or self._whole_cut()
        pieces = list(self._pieces(self.problem))
        if self._are_thin(parts, len(pieces)):
            return Cut(tuple((p,) for part in parts for p in self._pieces(part)), False)
        # Piece by piece: what a part reads, its neighbours have brought into cache.
        return Cut(tuple(unpadded(piece, left_out=self.open) for piece in pieces), False)

    def _are_thin(self, parts: Sequence[Problem], pieces: int) -> bool:
        """Whether parts that are cut into so many pieces have too few rows for whole tiles."""
        high = self.nest.tile.rows * pieces
        thin = sum(p.points for p in parts if volume(self.nest.rows, p.extents) < high)
        return thin * _THIN > sum(part.points for part in parts)

    def _pieces(self, problem: Problem) -> Iterator[Problem]:
        """Parts that write different elements, none of which is copied for."""
        return (piece for (piece,) in apart(problem, self.nest, 0, self.number.size))

    def _window(self, problem: Problem) -> Along | None:
        """The window along which tiles of a part run, if they do."""
        scalars = 1 - self.nest.vectors
        steps = steps_of(problem.operands[scalars], self.strides[scalars])
        return along(self.nest, problem.extents, steps, self.number.lanes)

    def _open_axis(self, problem: Problem) -> tuple[int, int] | None:
        """The axis along which windows of a part leave out what lies outside, if there is one."""
        which = 1 - self.nest.vectors
        term = problem.operands[which]
        steps = steps_of(term, self.strides[which])
        window = self._window(problem)
        side_by_side = self.nest.tile.elementwise and steps[self.nest.lane] == self.number.size
        if window is None or not side_by_side:
            return None
        if window.window.taps != problem.extents[window.tap]:
            return None
        pair = {window.rows[-1], window.tap}
        axes = [n for n, access in enumerate(term) if pair & set(access.names)]
        if len(axes) != 1 or set(term[axes[0]].names) != pair:
            return None
        access = self.problem.operands[which][axes[0]]
        return (which, axes[0]) if reaches_outside(access, self.problem.extents) else None

    def _bounds(self, part: Problem) -> Bounds | None:
        """The axis that is left open, as a part reads it; a copy has zeros outside."""
        if self.open is None:
            return None
        which, axis = self.open
        if self.read(part, which).copy is not None:
            return None
        return Bounds(part.operands[which][axis], self.strides[which][axis])

    def _cut_sums(self, split: Cut) -> Cut | None:
        """A cut of what is summed whose blocks need no copies; ``None`` if that does not pay."""
        return self._adding(shares(self.problem, self.nest, len(split.groups)), split.private)

    def _adding(self, pieces: Iterable[Problem], private: bool) -> Cut | None:
        """A cut in which the blocks of each piece add up and need no copies, if that pays."""
        groups = []
        for piece in pieces:
            blocks = self._without_copies(piece, adding=True)
            if not blocks:
                return None
            groups.append(blocks)
        return Cut(tuple(groups), private, sums=True)

    def _without_copies(self, problem: Problem, adding: bool = False) -> tuple[Problem, ...]:
        """The parts of a leaf that need no copies, if that is cheaper than padded copies."""
        copies = [self.read(problem, n).copy for n in (0, 1)]
        if not any(copy.padded for copy in copies if copy is not None):
            return ()
        parts = unpadded(problem, adding, self.open)
        copied = sum(copy.elements for copy in copies if copy is not None)
        more = -self._saved(problem, parts) // self.number.lanes
        if copied <= len(parts) * _COPIED_A_CALL + _COPIED_A_STEP * more:
            return ()
        return () if any(self.read(part, n).copy for part in parts for n in (0, 1)) else parts

    def _without_padding(self) -> tuple[Problem, ...]:
        """The parts of the leaf that meet no padding, if much of it is zeros, read from copies."""
        parts = unpadded(self.problem, left_out=self.open)
        saved = self._saved(self.problem, parts)
        # What lies outside is met by no part: only lanes that are no neighbours need a copy.
        copied = sum(
            prod(access.size for access in self.problem.operands[n])
            for n in (0, 1)
            if self.read(parts[0], n).copy is not None
        )
        most = max(_MOST_SHARED // self.number.size, saved // _SAVED_A_NUMBER)
        if saved < len(parts) * _SAVED_A_CALL or copied > most:
            return ()
        self.entire = True
        return parts

    def _saved(self, problem: Problem, parts: Sequence[Problem]) -> int:
        """Multiplications that parts of a leaf save: a few lanes take as long as a vector."""

        def taken(part: Problem) -> int:
            lanes, width = self.nest.width(part.extents), self.number.lanes
            return part.points // lanes * -(-lanes // width) * width

        return taken(problem) - sum(map(taken, parts))

    def _shared_copies(self, blocks: Sequence[Problem]) -> tuple[tuple[Calls, ...], int]:
        """The calls that make the copies that all blocks read, and the bytes of them all."""
        found, size = [], 0
        for n in (0, 1):
            copy = self.read(blocks[0], n).copy
            by_chunks = self.nest.packed and n != self.nest.vectors
            if by_chunks or copy is None or any(self.read(part, n).copy != copy for part in blocks):
                continue
            self.shared[n] = size
            for part in copy.shares(self.threads):
                calls = Calls()
                self._copy(calls, n, part, Place("shared", size))
                found.append(calls)
            size += self._room(copy)
        return tuple(found), size

    def _room(self, copy: Copy) -> int:
        """Bytes of a copy, up to the beginning of a line of the cache."""
        return lines(copy.elements * self.number.size)

    def _piece(self, number: int, group: tuple[Problem, ...], split: Cut) -> Calls:
        calls = Calls()
        out = f"out{number}" if split.private and number else "out"
        adding = self.accumulate or out != "out"
        for part in group:
            blocks = self.short[part]
            for n, block in enumerate(blocks):
                self._block(calls, block, out, adding or n > 0, alone=len(blocks) > 1)
            # Blocks of a group add up, unless each of them writes a part of its own.
            adding = adding or split.sums
        return calls

    def _shorter(self, part: Problem) -> list[Problem]:
        """Blocks of what is summed, unless the result is so large that it takes as long anyway."""
        size = volume(part.kept, part.extents) * self.number.size
        return shorter(part, self.nest) if size <= _MOST_ALONE else [part]

    def _block(self, calls: Calls, part: Problem, out: str, adding: bool, *, alone: bool) -> None:
        """Copy what has to be copied, multiply, and put the result where it belongs.

        What is summed alone is added as a whole, not to its sums as they are made.
        """
        labels = (*self.nest.batch, *self.nest.rows)
        there, lanes = self.strides[2], self.nest.lanes
        target, aside = writing(part, there, self.number.size, lanes, labels, tidy=alone)
        used = lines(volume(part.kept, part.extents) * self.number.size) if aside else 0
        made = Factor(Place("scratch") if aside else Place(out, target.offset), target.steps)
        chunks = list(row_tiles.chunks(part, self.nest, self.dtype))
        for n, some in enumerate(chunks):
            chunk = restricted(part, some)
            factors = self._factors(calls, part, (chunk, some), used)
            finished = not aside and n + 1 == len(chunks)
            sums = Sums(
                self.dtype, self.nest, chunk.extents,
                scalars=factors[1 - self.nest.vectors], vectors=factors[self.nest.vectors],
                out=made,
                adding=(adding and not aside) or n > 0,
                finish=self.finish if finished else RAW,
                bias=self._bias(part), bounds=self._bounds(chunk),
            )  # fmt: skip
            sums.append_to(calls, self._table)
        if aside:
            self._put(calls, part, made, out, adding)

    def _factors(
        self, calls: Calls, part: Problem, some: tuple[Problem, Mapping[str, Span]], used: int
    ) -> list[Factor]:
        """Where both operands lie, for some of what a block sums.

        What has to be copied, and is not shared, is copied behind what is used of scratch already.

        Args:
            some: that part of the block, and which values it has of what is cut.
        """
        found, (chunk, spans) = list[Factor](), some
        for n in (0, 1):
            shared = n in self.shared
            read = self.read(part if shared else chunk, n)
            place = Place(str(n), read.offset)
            if shared:
                place = Place("shared", self.shared[n] + read.offset)
            elif read.copy is not None:
                self._copy(calls, n, read.copy, Place("scratch", used))
                place = Place("scratch", used + read.offset)
                used += self._room(read.copy)
            factor = Factor(place, read.steps, read.panel)
            for name, (start, _) in spans.items() if shared else ():
                factor = factor.moved(name, start)
            found.append(factor)
        self.scratch = max(self.scratch, used)
        return found

    def _copy(self, calls: Calls, which: int, copy: Copy, target: Place) -> None:
        if copy.padded:
            add_zeros(calls, self.dtype, copy.elements, target)
        for shape, (source, there), (moved, here) in copy.moves(
            self.strides[which], self.number.size
        ):
            add_copy(
                calls, self.dtype, shape, End(Place(str(which), source), there),
                End(Place(target.region, target.offset + moved), here), False,
            )  # fmt: skip

    def _put(self, calls: Calls, part: Problem, made: Factor, out: str, adding: bool) -> None:
        """Bring what was made aside to where it belongs."""
        labels = (*self.nest.batch, *self.nest.rows, *self.nest.lanes)
        there = steps_of(part.output, self.strides[2])
        start = start_of(part.output, self.strides[2])
        shape = tuple(part.extents[n] for n in labels)
        source = End(made.place, tuple(made.steps[n] for n in labels))
        target = End(Place(out, start), tuple(there[n] for n in labels))
        bias = self._bias(part)
        add_copy(calls, self.dtype, shape, source, target, adding, self.finish, bias)

    def _bias(self, part: Problem) -> Place | int:
        """What is added along the last axis of a part."""
        return Place("bias", part.output[-1].offset * self.number.size) if self.finish.bias else 0

    def _table(self, loops: tuple[tuple[int, int], ...]) -> Array:
        """A table of offsets; equal ones are made once."""
        if loops not in self.tables:
            self.tables[loops] = offsets(*loops)
        return self.tables[loops]
