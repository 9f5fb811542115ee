"""The gradients of pooling by compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array, contiguous, gapless, steps_of
from contractconv.cache_register import weighed
from contractconv.engines.llvm.direct_kernels import kind
from contractconv.engines.llvm.kernels import native, pooling_vjp_loops
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
from contractconv.machine.kept_bytes import weight
from contractconv.machine.memory import lines
from contractconv.machine.placement import LINE
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import volume
from contractconv.planning.one_axis_each import stages
from contractconv.planning.strided_leaves import by_taps, is_leaf
from contractconv.planning.workspace import NONE, Workspace
from contractconv.reductions.table import REDUCTIONS

# Windows of so many taps still ask each of them; beyond, it is quicker to go to the chosen one.
_FEW_TAPS = 64
# Axes that are longer are not worth a table of all their elements.
_MOST_ELEMENTS = 1 << 16
# Distances in a window, in bytes, that fit in 32 bits.
_MOST_BYTES = 1 << 31
# Bytes, read and written, from which on a gradient would not stay in cache anyway.
_PAST_CACHE = 1 << 25
# Where kernels find the addresses of the three arrays.
_THREE = kernel.OPERAND, kernel.RESULT, kernel.BESIDE
# So many times fewer points are worth gradients along one axis after the other.
_WORTH = 1.4
# Where operand, cotangent and gradient are, and what lies in memory for a while.
_PLACES, _SHARED = (Place("operand"), Place("result"), Place("out")), Place("shared")
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
    ready = _ready(problem, array, cotangent)
    if ready is None:
        return None
    made = memory.empty(array.shape, array.dtype)
    if ready.adds:
        made.fill(0)
    regions = {"operand": array, "result": cotangent}
    trace.run(UNPOOLING, problem, lambda: ready.program.run(regions, made))
    return made


def gradient_program(problem: Problem, array: Array, cotangent: Array) -> Program | None:
    """What :func:`pool_gradient` calls on regions ``"operand"`` and ``"result"``, for such arrays.

    Returns:
        ``None`` if there is no kernel for it, or if the gradient has to be zero before.
    """
    ready = _ready(problem, array, cotangent)
    return None if ready is None or ready.adds else ready.program.program


def gradient_workspace(problem: Problem, array: Array, cotangent: Array) -> Workspace:
    """What :func:`pool_gradient` takes beside the gradient, for arrays that lie like these."""
    ready = _ready(problem, array, cotangent)
    return NONE if ready is None else ready.program.workspace(array.nbytes)


def _ready(problem: Problem, array: Array, cotangent: Array) -> _Ready | None:
    dtype = kind(array.dtype)
    if dtype is None or cotangent.dtype != array.dtype:
        return None
    return _prepared(problem, (array.strides, cotangent.strides), dtype, get_num_threads())


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
    gathered = _one_axis_each(problem, strides, dtype, threads) or ways.gathered()
    if gathered is not None:
        return _Ready(Prepared(gathered), adds=False)
    added = ways.added()
    return None if added is None else _Ready(Prepared(added), adds=True)


# Calls, in pieces for the threads; or as a whole for each range of the outer loop.
Step = Callable[[bool], list[Calls]]


def _one_axis_each(
    problem: Problem, strides: tuple[Strides, Strides], dtype: str, threads: int
) -> Program | None:
    """The gradient of poolings along one axis each that make one; ``None`` if there is no such.

    What each makes of the operand lies in shared memory, and then its cotangent in the same place.
    """
    every, size = stages(problem, _WORTH), native.number(dtype).size
    if not every:
        return None
    forward, back, room = list[list[Calls]](), list[list[Calls]](), 0
    made, given = Place("operand"), strides[0]
    for stage in every:
        last, (gradient, result) = stage is every[-1], contiguous(stage, size)
        kept = Place("result") if last else Place("shared", room)
        room += 0 if last else lines(volume(stage.kept, stage.extents) * size)
        ways = _Gradient(
            stage, (given, strides[1] if last else result, gradient), dtype, threads,
            (made, kept, made if back else Place("out")), Place("shared", room),
        )  # fmt: skip
        points = 1 if back else volume(problem.reduced, problem.extents)
        steps = ways.in_steps(points, None if last else kept)
        if steps is None:
            return None
        choose, collect = steps
        forward += [] if choose is None else [choose(False)]
        back.insert(0, collect(False))
        room += lines(volume(stage.kept, stage.extents)) if choose is not None else 0
        made, given = kept, result
    return Program([*forward, *back], shared=room)


class _Gradient:
    """Ways to a gradient.

    Args:
        strides: of the operand, the cotangent and the gradient.
        places: where these are.
        chosen: where there is room for what windows choose, a byte for each.
    """

    lane: int  # the axis of the gradient whose elements are neighbours
    name: str  # its index

    def __init__(
        self,
        problem: Problem,
        strides: tuple[Strides, Strides, Strides],
        dtype: str,
        threads: int,
        places: tuple[Place, Place, Place] = _PLACES,
        chosen: Place = _SHARED,
    ) -> None:
        self.problem, self.strides, self.dtype, self.threads = problem, strides, dtype, threads
        self.number = native.number(dtype)
        self.accesses = problem.operands[0]
        self.record = REDUCTIONS[problem.reduce]
        self.points = volume(problem.reduced, problem.extents)
        terms = self.accesses, problem.output, self.accesses
        pairs = list(zip(terms, strides, strict=True))
        self.there, self.given, self.written = (steps_of(*pair) for pair in pairs)
        self.places = tuple(
            place._replace(offset=place.offset + start_of(*pair))
            for place, pair in zip(places, pairs, strict=True)
        )
        self.gradient, self.chosen = places[2], chosen

    def _step(
        self, walk: Walk, function: native.Native, *places: Place, scale: float | None = None
    ) -> Step:
        """A kernel, what it goes through, and where operand, result and what is beside them lie."""
        given: dict[int, Any] = dict(zip(_THREE, places, strict=False))
        if scale is not None:
            given[kernel.SCALE] = np.array([scale], self.dtype)

        def pieces(whole: bool) -> list[Calls]:
            cut = walk.pieces(self.problem.points, self.threads, whole)
            return walk.calls(function, given, cut)

        return pieces

    def added(self) -> Program | None:
        """Cotangents are added one by one, to a gradient of zeros."""
        steps = self.there, self.given, self.written
        found = windows(self.problem, steps, self.dtype)
        if found is None or not np.all(abs(found[0].taps[:, 1]) < _MOST_BYTES):
            return None
        verb, share = "drop" if self.record.chooses else "spread", 1.0
        if self.record.averages:
            share /= self.points
        function = pooling_vjp_loops.kernel(verb, self.dtype, found[1])
        # Windows that a middle loop moves overlap.
        return Program([self._step(found[0], function, *self.places, scale=share)(True)])

    def gathered(self) -> Program | None:
        """Every element sums the cotangents of the windows that it is a tap of.

        Returns:
            What has to be done; ``None`` if elements cannot ask, or it does not pay.
        """
        if self.record.chooses and _is_met_once(self.problem):
            return self._give() if self._has_lanes() and self._met() is not None else None
        steps = self.in_steps(self.points)
        if steps is None:
            return None
        choose, collect = steps
        if choose is None:
            return Program([collect(False)])
        both = self._together(choose, collect) or [choose(False), collect(False)]
        return Program(both, shared=volume(self.problem.kept, self.problem.extents))

    def in_steps(self, points: int, keep: Place | None = None) -> tuple[Step | None, Step] | None:
        """Choosing, if anything is chosen, and collecting.

        Args:
            points: by how many a mean is divided.
            keep: where the extrema are written to, without gaps, if they are.

        Returns:
            ``None`` if elements cannot ask.
        """
        found = self._met() if self._has_lanes() else None
        if found is None:
            return None
        choice = self._choice()
        collect = self._collect(found, choice, points)
        if not self.record.chooses:
            return None, collect
        choose = self._choose(choice, keep)
        return None if choose is None else (choose, collect)

    def _has_lanes(self) -> bool:
        """Whether neighbours of the gradient are those of an axis that no window moves along."""
        lane = self._lane_axis()
        if lane is None:
            return False
        self.lane, self.name = lane, self.accesses[lane].names[0]
        return True

    def _together(self, choose: Step, collect: Step) -> list[list[Calls]]:
        """Both steps for one range of the outer loop after the other; nothing if that is short.

        So one thread reads while another one writes, and what was chosen is still in cache.
        """
        outer, _, _ = order(self.problem, self.name, self.there)
        if not outer or outer != tuple(self.accesses[n].names[0] for n in self._outer_axes()):
            return []
        first, second = choose(True), collect(True)
        if len(first) < self.threads:
            return []
        return [[a.then(b) for a, b in zip(first, second, strict=True)]]

    def _give(self) -> Program | None:
        """Windows that have no element in common write to all of theirs."""
        steps = self.there, self.given, self.written
        found = windows(self.problem, steps, self.dtype, self.name)
        if found is None:
            return None
        form = replace(found[1], past_cache=self._is_large())
        function = pooling_vjp_loops.kernel("give", self.dtype, form)
        return Program([self._step(found[0], function, *self.places)(False)])

    def _choose(self, choice: dict[str, int], keep: Place | None) -> Step | None:
        kept = steps_of(self.problem.output, contiguous(self.problem, self.number.size)[1])
        found = windows(self.problem, (self.there, choice, kept), self.dtype, self.name)
        if found is None:
            return None
        walk, form = found
        # Taps that are written out are numbered as if none of them were missing.
        form = replace(form, contiguous=True, taps=form.taps if form.taps == self.points else 0)
        verb = "choose" if keep is None else "choose_and_keep"
        function = pooling_vjp_loops.kernel(verb, self.dtype, form)
        return self._step(walk, function, self.places[0], self.chosen, keep or self.chosen)

    def _collect(self, met: Sequence[Met | None], choice: dict[str, int], points: int) -> Step:
        walk = self._walk(met, choice)
        along = self.given[self.name], self.number.size
        written = walk.known(form(self.problem, along, self.name, self.dtype), self.dtype)
        written = replace(written, past_cache=self._is_large())
        places = self.places[1], self.gradient, self.chosen
        if self.record.chooses:
            return self._step(
                walk, pooling_vjp_loops.kernel("collect", self.dtype, written), *places
            )
        divided = self.record.averages and points > 1
        function = kernel.pooling(self.dtype, replace(written, divided=divided))
        return self._step(walk, function, *places, scale=points)

    def _outer_axes(self) -> list[int]:
        """The first axes that no window moves along, the lanes' apart."""
        others = [n for n in range(len(self.accesses)) if n != self.lane]
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

    def _met(self) -> list[Met | None] | None:
        """How the elements of every axis but the lanes' meet windows."""
        names = [name for access in self.accesses for name in access.names]
        if len(set(names)) < len(names) or set(names) != set(self.problem.indices):
            return None
        if self.record.chooses and self.points > _FEW_TAPS:
            return None
        others = [a for n, a in enumerate(self.accesses) if n != self.lane]
        if any(access.size > _MOST_ELEMENTS for access in others):
            return None
        found = [met(access, self.problem) for access in others]
        entries = prod(len(m.pairs) for m in found if m is not None)
        if None in found or entries > MOST_ENTRIES:
            return None
        return [*found[: self.lane], None, *found[self.lane :]]

    def _choice(self) -> dict[str, int]:
        """How the choices of all windows lie in memory, a byte for each."""
        others = sorted(self.problem.kept - {self.name}, key=lambda n: -abs(self.given[n]))
        names = (*others, self.name)
        steps = gapless([self.problem.extents[name] for name in names])
        return dict(zip(names, steps, strict=True))

    def _is_large(self) -> bool:
        """Whether the gradient leaves the cache, and vectors lie at multiples of their size."""
        gradient, given = prod(shape_of(self.accesses)), prod(shape_of(self.problem.output))
        touched = gradient * (2 if self.record.chooses else 1) + given
        others = (stride for n, stride in enumerate(self.strides[2]) if n != self.lane)
        large = touched * self.number.size >= _PAST_CACHE
        return large and all(stride % LINE == 0 for stride in others)

    def _walk(self, met: Sequence[Met | None], choice: dict[str, int]) -> Walk:
        """Through all elements of the gradient: cotangent, gradient, and choice."""
        records: list[Array] = []
        pairs, ends = np.zeros((1, kernel.TAP), np.int64), np.array([0, 1])
        for n, found in enumerate(met):
            if found is not None:
                # Bytes from one window along the axis to the next.
                moved = next((name for name in self.accesses[n].names if name in choice), "")
                given, chosen = self.given.get(moved, 0), choice.get(moved, 0)
                steps = given, self.strides[2][n], chosen, len(ends) - 1
                records.append(found.records(*steps))
                pairs, ends = combined(found.moved(given, chosen), found.ends, pairs, ends)
        along = (self.given[self.name], self.number.size, choice[self.name])
        runs = np.zeros((1, kernel.RECORD), np.int64)
        lanes, outer = np.array([self.accesses[self.lane].size]), max(1, len(self._outer_axes()))
        loops = tuple(map(nested, (records[:outer], records[outer:][:1], records[outer + 1 :])))
        return Walk(runs, lanes, loops, along, ends, np.ascontiguousarray(pairs))


def _is_met_once(problem: Problem) -> bool:
    """Whether every element of the operand is at one tap of one window."""
    operand, extents = problem.operands[0], problem.extents
    if problem.points != prod(shape_of(operand)):
        return False
    met = [a.offset + offsets(*((extents[n], step) for n, step in a.terms)) for a in operand]
    return all(np.array_equal(np.sort(m), range(a.size)) for m, a in zip(met, operand, strict=True))
