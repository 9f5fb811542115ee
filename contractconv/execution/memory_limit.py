"""Running a contraction part by part, within a memory limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array, output_view, unread
from contractconv.arrays.workspace import Work
from contractconv.cache_register import kept
from contractconv.engines.llvm.direct_kernels import KINDS
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.pooling.forward import FEW_POINTS, pool
from contractconv.engines.numpy.memory_estimate import of_leaf, of_step
from contractconv.errors import MemoryLimitError
from contractconv.execution.memory_slices import Search, Slicing
from contractconv.execution.pieces import run_pieces
from contractconv.execution.products import known_recipe, new
from contractconv.execution.stages import seen
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Problem
from contractconv.notation.shift import Part, Ranges, part_of
from contractconv.planning.path import Order
from contractconv.planning.piece import Piece
from contractconv.planning.plan import Step, plan_afresh
from contractconv.planning.setting import DIRECT, FRUGAL
from contractconv.planning.strided_leaves import leaves
from contractconv.reductions.numbers import ufunc
from contractconv.reductions.table import REDUCTIONS
from contractconv.uninterrupted import undisturbed

# What kernels need is known when they are there: parts are looked for that would take so many
# sixteenths of the limit without it.
_SIXTEENTHS = (16, 12, 8, 5, 3, 1)


def add_within(
    problem: Problem, arrays: Sequence[Array], out: Array, limit: int, order: Order
) -> None:
    """Carry out a contraction where its result belongs, within a memory limit.

    What has another dtype than the result is converted part by part.

    Args:
        problem: the contraction, of at least one point.
        arrays: its operands, compositions split.
        out: the result, which holds what elements hold on which nothing lands.
        limit: bytes that temporary arrays may take.
        order: in which the operands meet.

    Raises:
        MemoryLimitError: not even one point at a time fits the limit.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.planning.plan import order_of
        >>> problem = resolve(parse("(i+k), k -> i"), [(4,), (2,)], {})
        >>> out = np.zeros(3)
        >>> arrays = [np.arange(4), np.array([1.0, 10.0])]
        >>> add_within(problem, arrays, out, 1000, order_of(problem))
        >>> out
        array([10., 21., 32.])
    """
    parts = parts_of(problem, arrays, out, limit, order)
    for part in parts.slicing.parts(problem):
        parts.add(part, arrays, out)


def parts_of(
    problem: Problem, arrays: Sequence[Array], out: Array, limit: int, order: Order
) -> Parts:
    """The parts that :func:`add_within` goes through, for arrays that lie in memory like these."""
    kinds = tuple((array.dtype, array.strides) for array in (*arrays, out))
    return _parts(problem, kinds, limit, order, native.available(), get_num_threads())


class _Stage(NamedTuple):
    """A step, and what it is carried out on.

    Attributes:
        step: the step.
        arrays: its operands in the dtype of the result.
        out: where its result goes.
        accumulate: whether that is added to what is there.
        room: bytes that are left for it.
    """

    step: Step
    arrays: tuple[Array, ...]
    out: Array
    accumulate: bool
    room: int

    @property
    def needed(self) -> int:
        """Bytes that there must be beyond those that are left, in the way that takes least."""
        return min(size for size, _ in _ways(self)) - self.room

    def run(self) -> None:
        """Carry it out in the fastest way that fits."""
        for size, work in _ways(self):
            chosen = work
            if size <= self.room:
                break
        chosen()


class Parts:
    """The parts of a contraction of arrays that lie in memory in a certain way.

    Args:
        problem: the contraction.
        kinds: dtype and strides of the operands, and of the result.
        limit: bytes that temporary arrays may take.
        order: in which the operands meet.
        compiled: whether there are kernels.
        threads: for how many threads they are made.

    Attributes:
        slicing: how it is cut.
    """

    def __init__(
        self,
        problem: Problem,
        kinds: tuple[tuple[np.dtype[Any], Strides], ...],
        limit: int,
        order: Order,
        compiled: bool,
        threads: int,
    ) -> None:
        self.order = order
        self.kinds, self.limit = kinds, limit
        self.dtype = kinds[-1][0]
        # The steps of all parts that are equal problems, and bytes that they take at once.
        self.known: dict[tuple[Problem, bool], tuple[tuple[Step, ...], int]] = {}
        self.slicing = self._sliced(problem, compiled and self.dtype in KINDS)

    def _sliced(self, problem: Problem, compiled: bool) -> Slicing:
        foreign = frozenset(n for n, (kind, _) in enumerate(self.kinds) if kind != self.dtype)
        beside = problem, self.dtype.itemsize, foreign, self.order
        search = Search(*beside, compiled=True)
        for share in _SIXTEENTHS if compiled else ():
            cut = search.found(self.limit * share // 16)
            if cut is None:
                break
            typical = part_of(cut.typical(problem))
            if typical is None or self._planned(typical, cut.once)[1] <= self.limit:
                return cut
        search = Search(*beside)
        found = search.found(self.limit)
        if found is None:
            raise self._refused(problem, search.least(self.limit))
        return found

    def _refused(self, problem: Problem, least: int) -> MemoryLimitError:
        return MemoryLimitError(
            f"a memory limit of {self.limit} bytes is too small for '{problem}': "
            f"the least is {least}"
        )

    def add(self, problem: Problem, arrays: Sequence[Array], out: Array) -> None:
        """Carry out one part of the problem."""
        part = part_of(problem)
        if part is None:
            return
        steps, needed = self._planned(part, self.slicing.once)
        if needed > self.limit:
            for half in self._halves(problem, needed):
                self.add(half, arrays, out)
            return
        *views, made = map(within, (*arrays, out), part.places)
        for stage in self._stages(steps, views, made, self.slicing.once):
            stage.run()

    def _halves(self, problem: Problem, least: int) -> Iterator[Problem]:
        """A part that does not fit, in two along its longest index."""
        name, size = max(problem.sizes, key=lambda pair: pair[1])
        if size == 1:
            raise self._refused(problem, least)
        yield problem.restricted(name, 0, size // 2)
        yield problem.restricted(name, size // 2, size - size // 2)

    def _planned(self, part: Part, once: bool) -> tuple[tuple[Step, ...], int]:
        """The steps of a part, and what they take: tried on arrays that lie like the true ones."""
        key = part.problem, once
        if key not in self.known:
            steps = plan_afresh(part.problem, DIRECT, self.order).steps
            *views, out = (
                unread(tuple(at.stop - at.start for at in where), strides, dtype)
                for (dtype, strides), where in zip(self.kinds, part.places, strict=True)
            )
            stages = self._stages(steps, views, out, once, tried=True)
            beyond = max(stage.needed for stage in stages)
            self.known[key] = steps, self.limit + beyond
        return self.known[key]

    def _stages(
        self,
        steps: Sequence[Step],
        views: Sequence[Array],
        out: Array,
        once: bool,
        tried: bool = False,
    ) -> Iterator[_Stage]:
        """The steps of a part in turn, with the arrays that they work on.

        Args:
            steps: the steps.
            views: what the part reads of each operand.
            out: what it writes.
            once: whether no other part writes there.
            tried: whether nothing is carried out, so that no array is made.
        """
        # What later steps need, with the bytes that each takes: none for an operand.
        alive = [(view, 0) for view in views]
        for step in steps:
            given = [alive[n][0] for n in step.positions]
            arrays = tuple(self._converted(array, tried) for array in given)
            pairs = zip(arrays, given, strict=True)
            taken = sum(copy.nbytes for copy, old in pairs if copy is not old)
            taken += sum(size for _, size in alive)
            last, whole = step is steps[-1], step.complete
            made = out if last else self._new(step, tried)
            taken += 0 if last else made.nbytes
            accumulate = not whole or (last and not once)
            yield _Stage(step, arrays, made, accumulate, self.limit - taken)
            alive = [pair for n, pair in enumerate(alive) if n not in step.positions]
            alive.append((made, made.nbytes))

    def _converted(self, array: Array, tried: bool) -> Array:
        if array.dtype == self.dtype:
            return array
        return (
            unread(array.shape, None, self.dtype) if tried else array.astype(self.dtype, order="C")
        )

    def _new(self, step: Step, tried: bool) -> Array:
        sizes = step.problem.output_sizes
        return unread(sizes, None, self.dtype) if tried else new(step, self.dtype)


_parts = kept(most=256)(Parts)


def within(array: Array, ranges: Ranges) -> Array:
    """A part of an array, as a view."""
    key: tuple[Any, ...] = (*ranges, ...)  # the dots keep an array of no axes from being a number
    part: Array = array[key]
    return part


def _ways(stage: _Stage) -> Iterator[tuple[int, Callable[[], object]]]:
    """How a step can be carried out, and the bytes that each way takes, the fastest first."""
    step, arrays, out, accumulate, _ = stage
    one_by_one = _reduce
    if len(arrays) == 2 and REDUCTIONS[step.problem.reduce].linear:
        known = known_recipe(step, arrays, out, accumulate)
        taken = 0 if known is None else known.program.extra(out.nbytes)
        # Results that are summed in the end are made like the first one, without gaps.
        if known and (taken == known.program.extra(0) or out.flags.c_contiguous):
            yield taken, lambda: known.run(arrays, out, None)
        listed = step.choice.chosen.pieces
        if listed:
            most = max(of_leaf(piece.problem, out.itemsize, accumulate) for piece in listed)
            yield most, lambda: _by_numpy(listed, stage, accumulate)
        one_by_one = _tap_by_tap
    # That takes little, but writes an element more than once.
    yield of_step(step.problem, out.itemsize, accumulate), lambda: one_by_one(stage)


def _tap_by_tap(stage: _Stage) -> None:
    again = not stage.accumulate and not stage.step.is_leaf
    if again:
        stage.out[...] = 0
    _by_numpy(map(Piece, leaves(stage.step.problem)), stage, stage.accumulate or again)


def _by_numpy(pieces: Iterable[Piece], stage: _Stage, accumulate: bool) -> None:
    # A thread of our own has no helpers, whose blocks would come on top.
    undisturbed(lambda: run_pieces(pieces, Work(stage.arrays, stage.out, accumulate, FRUGAL)))


def _reduce(stage: _Stage) -> None:
    step, arrays, out, accumulate, _ = stage
    record = REDUCTIONS[step.problem.reduce]
    for problem in leaves(step.problem):
        pooled = not accumulate and problem.points >= FEW_POINTS
        if pooled and len(arrays) == 1 and pool(problem, arrays[0], out):
            continue
        view = output_view(out, problem)
        made = seen(problem, arrays, view.labels)
        if accumulate:
            ufunc(record)(view.array, made, out=view.array)
        else:
            view.array[...] = made
