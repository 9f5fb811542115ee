"""The gradients of pooling by compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.trace import trace
from contractconv.arrays.views import Array, contiguous, steps_of
from contractconv.caches import weighed
from contractconv.engines.llvm.direct import kind
from contractconv.engines.llvm.kernels import native, vjp_loops
from contractconv.engines.llvm.kernels import pooling_loops as kernel
from contractconv.engines.llvm.packing import Strides, start_of
from contractconv.engines.llvm.pooling.forward import (
    FEW_POINTS,
    MOST_ENTRIES,
    form,
    is_pooling,
    order,
    windows,
)
from contractconv.engines.llvm.pooling.taps import Met, combined, met
from contractconv.engines.llvm.pooling.window_tables import Walk, nested
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program, offsets
from contractconv.machine import memory
from contractconv.machine.threads import get_num_threads
from contractconv.machine.weight import weight
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import volume
from contractconv.planning.leaves import by_taps, is_leaf
from contractconv.reductions.table import REDUCTIONS

# Windows of so many taps still ask each of them; beyond, it is quicker to go to the chosen one.
_FEW_TAPS = 64
# Axes that are longer are not worth a table of all their elements.
_MOST_ELEMENTS = 1 << 16
# Distances in a window, in bytes, that fit in 32 bits.
_MOST_BYTES = 1 << 31
# Bytes, read and written, from which on a gradient would not stay in cache anyway.
_PAST_CACHE = 1 << 25
# What it is called in plans.
UNPOOLING = "compiled pooling gradient"


def pool_gradient(problem: Problem, array: Array, cotangent: Array) -> Array | None:
    """The gradient of pooling.

    The cotangent of an extremum is added to the first point at which it stands, in row-major order
    of the reduced indices; NaN counts as the extremum. That of a sum or mean is added everywhere.

    Args:
        problem: a contraction of one operand, as
            :func:`~contractconv.engines.llvm.pooling.forward.pool` takes it, but no scatter.
        cotangent: the gradient with respect to the result, of shape ``problem.output_sizes``.

    Returns:
        A new array of the operand's shape; ``None`` if there is no kernel for it.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i+k) -> i", reduce="max"), [(4,)], {"k": 2})
        >>> made = pool_gradient(problem, np.array([1.0, 3.0, 3.0, 2.0]), np.ones(3))
        >>> made if made is not None else "there is no compiler"
        array([0., 2., 1., 0.])
    """
    dtype = kind(array.dtype)
    if dtype is None or cotangent.dtype != array.dtype:
        return None
    ready = _prepared(problem, (array.strides, cotangent.strides), dtype, get_num_threads())
    if ready is None:
        return None
    made = memory.empty(array.shape, array.dtype)
    if ready.adds:
        made.fill(0)
    regions = {"operand": array, "result": cotangent}
    trace.run(UNPOOLING, problem, lambda: ready.program.run(regions, made))
    return made


def can_pool_back(problem: Problem, dtype: str | None) -> bool:
    """Whether there is a kernel for the gradient of a contraction, arrays lying without gaps.

    Args:
        dtype: what kernels call its numbers; ``None`` if they do not know them.
    """
    if dtype is None or len(problem.operands) != 1 or problem.points < FEW_POINTS:
        return False
    strides = contiguous(problem, native.number(dtype).size)
    return _prepared(problem, (strides[0], strides[1]), dtype, get_num_threads()) is not None


class _Ready(NamedTuple):
    """A gradient, ready for arrays of known strides.

    Attributes:
        program: what is done to the regions ``"operand"`` and ``"result"``.
        adds: whether it adds to a gradient that must be zero before.
    """

    program: Prepared
    adds: bool


@weighed(weight)
def _prepared(
    problem: Problem, strides: tuple[Strides, Strides], dtype: str, threads: int
) -> _Ready | None:
    """Make a gradient ready for an operand and a cotangent of these strides."""
    repeats = REDUCTIONS[problem.reduce].linear and not by_taps(problem)
    if repeats or not is_pooling(problem) or not is_leaf(problem):
        return None
    gradient = contiguous(problem, native.number(dtype).size)[0]
    ways = _Gradient(problem, (*strides, gradient), dtype, threads)
    gathered = ways.gathered()
    if gathered is not None:
        return _Ready(Prepared(gathered), adds=False)
    added = ways.added()
    return None if added is None else _Ready(Prepared(added), adds=True)


class _Step(NamedTuple):
    """A kernel, what it goes through, and where the arrays lie."""

    walk: Walk
    function: native.Native
    places: dict[int, Any]


class _Gradient:
    """Ways to a gradient."""

    def __init__(
        self,
        problem: Problem,
        strides: tuple[Strides, Strides, Strides],
        dtype: str,
        threads: int,
    ) -> None:
        self.problem, self.strides, self.dtype, self.threads = problem, strides, dtype, threads
        self.number = native.number(dtype)
        self.accesses = problem.operands[0]
        self.selects = REDUCTIONS[problem.reduce].chooses
        self.given = steps_of(problem.output, strides[1])
        self._taps = volume(problem.reduced, problem.extents)

    def gathered(self) -> Program | None:
        """Every element sums the cotangents of the windows that it is a tap of.

        Returns:
            What has to be done; ``None`` if elements cannot ask, or it does not pay.
        """
        lane = self._lane_axis()
        found = None if lane is None else self._met(lane)
        if lane is None or found is None:
            return None
        name = self.accesses[lane].names[0]
        if self.selects and _is_met_once(self.problem):
            return self._give(lane, name)
        choice = self._choice(name)
        collect = self._collect(lane, name, found, choice)
        if not self.selects:
            return Program([self._pieces(collect)])
        choose = self._choose(name, choice)
        if choose is None:
            return None
        stages = self._together(choose, collect) if self._goes_together(lane, name) else []
        stages = stages or [self._pieces(choose), self._pieces(collect)]
        return Program(stages, shared=volume(self.problem.kept, self.problem.extents))

    def _pieces(self, step: _Step, whole: bool = False) -> list[Calls]:
        pieces = step.walk.pieces(self.problem.points, self.threads, whole)
        return step.walk.calls(step.function, step.places, pieces)

    def _together(self, choose: _Step, collect: _Step) -> list[list[Calls]]:
        """Both steps for one range of the outer loop after the other; nothing if that is short.

        So one thread reads while another one writes, and what was chosen is still in cache.
        """
        first, second = self._pieces(choose, whole=True), self._pieces(collect, whole=True)
        if len(first) < self.threads:
            return []
        return [[a.then(b) for a, b in zip(first, second, strict=True)]]

    def _give(self, lane: int, name: str) -> Program | None:
        """Windows that have no element in common write to all of theirs."""
        found = self._windows(name)
        if found is None:
            return None
        walk, form = found
        function = vjp_loops.kernel(
            "give", self.dtype, replace(form, past_cache=self._is_large(lane))
        )
        return Program([self._pieces(_Step(walk, function, self._everywhere()))])

    def added(self) -> Program | None:
        """Cotangents are added one by one, to a gradient of zeros."""
        found = self._windows()
        if found is None or not np.all(abs(found[0].taps[:, 1]) < _MOST_BYTES):
            return None
        record = REDUCTIONS[self.problem.reduce]
        function = vjp_loops.kernel("drop" if record.chooses else "spread", self.dtype, found[1])
        share = 1 / self._taps if record.averages else 1
        places = self._everywhere() | {kernel.SCALE: np.array([share], self.dtype)}
        # Windows that a middle loop moves overlap.
        return Program([self._pieces(_Step(found[0], function, places), whole=True)])

    def _windows(self, lane: str | None = None) -> tuple[Walk, kernel.Form] | None:
        """How the windows of the operand, of the cotangent and of the gradient are gone through."""
        read, written = (steps_of(self.accesses, self.strides[n]) for n in (0, 2))
        return windows(self.problem, (read, self.given, written), self.dtype, lane)

    def _everywhere(self) -> dict[int, Any]:
        return {
            kernel.OPERAND: Place("operand", start_of(self.accesses, self.strides[0])),
            kernel.RESULT: Place("result", start_of(self.problem.output, self.strides[1])),
            kernel.BESIDE: Place("out", start_of(self.accesses, self.strides[2])),
        }

    def _goes_together(self, lane: int, name: str) -> bool:
        """Whether both steps have the same outer loop."""
        there = steps_of(self.accesses, self.strides[0])
        outer, _, _ = order(self.problem, name, there)
        axes = self._outer_axes(lane)
        return bool(outer) and outer == tuple(self.accesses[n].names[0] for n in axes)

    def _outer_axes(self, lane: int) -> list[int]:
        """The first axes that no window moves along, the lanes' apart."""
        others = [n for n in range(len(self.accesses)) if n != lane]
        return list(takewhile(lambda n: self._is_whole(self.accesses[n]), others))

    def _lane_axis(self) -> int | None:
        """The axis whose elements are neighbours in the gradient, if no window moves along it."""
        for n, (access, stride) in enumerate(zip(self.accesses, self.strides[2], strict=True)):
            if stride == self.number.size and access.size > 1:
                return n if self._is_whole(access) else None
        return None

    def _is_whole(self, access: Access) -> bool:
        """Whether an axis is an index of the result."""
        name = access.plain
        return name in self.problem.kept and self.problem.extents[name] == access.size

    def _met(self, lane: int) -> list[Met | None] | None:
        """How the elements of every axis but the lanes' meet windows."""
        names = [name for access in self.accesses for name in access.names]
        if len(set(names)) < len(names) or set(names) != set(self.problem.indices):
            return None
        if self.selects and self._taps > _FEW_TAPS:
            return None
        if any(a.size > _MOST_ELEMENTS for n, a in enumerate(self.accesses) if n != lane):
            return None
        found = [
            None if n == lane else met(access, self.problem)
            for n, access in enumerate(self.accesses)
        ]
        whole = [m for n, m in enumerate(found) if n != lane]
        entries = prod(len(m.pairs) for m in whole if m is not None)
        return None if None in whole or entries > MOST_ENTRIES else found

    def _choice(self, lane: str) -> dict[str, int]:
        """How the choices of all windows lie in memory, a byte for each."""
        order = sorted(self.problem.kept - {lane}, key=lambda n: -abs(self.given[n]))
        steps, size = {}, 1
        for name in (lane, *reversed(order)):
            steps[name], size = size, size * self.problem.extents[name]
        return steps

    def _choose(self, lane: str, choice: dict[str, int]) -> _Step | None:
        there = steps_of(self.accesses, self.strides[0])
        found = windows(self.problem, (there, choice), self.dtype, lane)
        if found is None:
            return None
        walk, written = found
        # Taps that are written out are numbered as if none of them were missing.
        taps = written.taps if written.taps == self._taps else 0
        places: dict[int, Any] = {
            kernel.OPERAND: Place("operand", start_of(self.accesses, self.strides[0])),
            kernel.RESULT: Place("shared"),
        }
        function = vjp_loops.kernel(
            "choose", self.dtype, replace(written, contiguous=True, taps=taps)
        )
        return _Step(walk, function, places)

    def _collect(
        self, lane: int, name: str, met: Sequence[Met | None], choice: dict[str, int]
    ) -> _Step:
        walk = self._walk(lane, name, met, choice)
        along = self.given[name], self.number.size
        written = walk.known(form(self.problem, along, name, self.dtype), self.dtype)
        written = replace(written, past_cache=self._is_large(lane))
        places: dict[int, Any] = {
            kernel.OPERAND: Place("result", start_of(self.problem.output, self.strides[1])),
            kernel.RESULT: Place("out"),
            kernel.BESIDE: Place("shared"),
        }
        if self.selects:
            function = vjp_loops.kernel("collect", self.dtype, written)
        else:
            divided = REDUCTIONS[self.problem.reduce].averages
            places[kernel.SCALE] = np.array([self._taps], self.dtype)
            function = kernel.pooling(self.dtype, replace(written, divided=divided))
        return _Step(walk, function, places)

    def _is_large(self, lane: int) -> bool:
        """Whether the gradient leaves the cache, and vectors lie at multiples of their size."""
        gradient, given = prod(shape_of(self.accesses)), prod(shape_of(self.problem.output))
        touched = gradient * (2 if self.selects else 1) + given
        others = (stride for n, stride in enumerate(self.strides[2]) if n != lane)
        large = touched * self.number.size >= _PAST_CACHE
        return large and all(stride % memory.LINE == 0 for stride in others)

    def _walk(
        self, lane: int, name: str, met: Sequence[Met | None], choice: dict[str, int]
    ) -> Walk:
        """Through all elements of the gradient: cotangent, gradient, and choice."""
        records: list[Array] = []
        pairs, ends = np.zeros((1, kernel.TAP), np.int64), np.array([0, 1])
        for n, found in enumerate(met):
            if found is not None:
                given, chosen = self._moves(n, choice)
                steps = given, self.strides[2][n], chosen, len(ends) - 1
                records.append(found.records(*steps))
                pairs, ends = combined(found.moved(given, chosen), found.ends, pairs, ends)
        along = (self.given[name], self.number.size, choice[name])
        runs, lanes = np.zeros((1, kernel.RECORD), np.int64), np.array([self.accesses[lane].size])
        outer = max(1, len(self._outer_axes(lane)))
        loops = tuple(map(nested, (records[:outer], records[outer:][:1], records[outer + 1 :])))
        return Walk(runs, lanes, loops, along, ends, np.ascontiguousarray(pairs))

    def _moves(self, axis: int, choice: dict[str, int]) -> tuple[int, int]:
        """Bytes from one window along an axis to the next, in the cotangent and in the choice."""
        for name in self.accesses[axis].names:
            if name in choice:
                return self.given[name], choice[name]
        return 0, 0


def _is_met_once(problem: Problem) -> bool:
    """Whether every element of the operand is at one tap of one window."""
    operand, extents = problem.operands[0], problem.extents
    if problem.points != prod(shape_of(operand)):
        return False
    met = [a.offset + offsets(*((extents[n], step) for n, step in a.terms)) for a in operand]
    return all(np.array_equal(np.sort(m), range(a.size)) for m, a in zip(met, operand, strict=True))
