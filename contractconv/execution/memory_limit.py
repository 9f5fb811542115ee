"""Running a contraction part by part, within a memory limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array, output_view, unread
from contractconv.arrays.work import Work
from contractconv.aside import undisturbed
from contractconv.caches import kept
from contractconv.engines.llvm.compiled_ways import Recipe
from contractconv.engines.llvm.direct import KINDS
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.pooling.forward import FEW_POINTS, pool
from contractconv.engines.numpy.footprint import of_leaf, of_step
from contractconv.engines.numpy.matrix_product import sum_leaf
from contractconv.engines.numpy.reducing import reduce_leaf
from contractconv.errors import MemoryLimitError
from contractconv.execution.pieces import run_pieces
from contractconv.execution.products import known_recipe
from contractconv.execution.slicing import Part, Ranges, Slicing, part_of, refused, sliced
from contractconv.machine import memory
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Problem
from contractconv.planning.leaves import leaves
from contractconv.planning.path import Order
from contractconv.planning.piece import Piece
from contractconv.planning.plan import Step, plan_afresh
from contractconv.planning.setting import DIRECT, FRUGAL
from contractconv.reductions.numbers import ufunc
from contractconv.reductions.table import REDUCTIONS

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
    parts = _parts_of(problem, arrays, out, limit, order)
    for part in parts.slicing.parts(problem):
        parts.add(part, arrays, out)


def slicing_within(
    problem: Problem, arrays: Sequence[Array], out: Array, limit: int, order: Order
) -> Slicing:
    """How :func:`add_within` cuts a contraction of arrays that lie in memory like these."""
    return _parts_of(problem, arrays, out, limit, order).slicing


def _parts_of(
    problem: Problem, arrays: Sequence[Array], out: Array, limit: int, order: Order
) -> _Parts:
    kinds = tuple((array.dtype, array.strides) for array in (*arrays, out))
    return _parts(problem, kinds, limit, order, native.available(), get_num_threads())


Kind = tuple[np.dtype[Any], Strides]


@kept(most=256)
def _parts(
    problem: Problem,
    kinds: tuple[Kind, ...],
    limit: int,
    order: Order,
    compiled: bool,
    threads: int,
) -> _Parts:
    return _Parts(problem, kinds, limit, order, compiled)


class _Planned(NamedTuple):
    """The plan of all parts that are equal problems.

    Attributes:
        steps: its steps.
        bytes: what they take at once.
    """

    steps: tuple[Step, ...]
    bytes: int


class _Taken(NamedTuple):
    """What a step is carried out on.

    Attributes:
        arrays: its operands in the dtype of the result.
        room: bytes that are left for it.
    """

    arrays: tuple[Array, ...]
    room: int


class _Parts:
    """The parts of a contraction of arrays that lie in memory in a certain way.

    Args:
        problem: the contraction.
        kinds: dtype and strides of the operands, and of the result.
        limit: bytes that temporary arrays may take.
        order: in which the operands meet.
        compiled: whether there are kernels.
    """

    def __init__(
        self,
        problem: Problem,
        kinds: tuple[Kind, ...],
        limit: int,
        order: Order,
        compiled: bool,
    ) -> None:
        self.order = order
        self.kinds, self.limit = kinds, limit
        self.dtype = kinds[-1][0]
        self.combine = ufunc(REDUCTIONS[problem.reduce])
        self.known: dict[tuple[Problem, bool], _Planned] = {}
        self.slicing = self._sliced(problem, compiled and self.dtype in KINDS)

    def _sliced(self, problem: Problem, compiled: bool) -> Slicing:
        foreign = frozenset(n for n, (kind, _) in enumerate(self.kinds) if kind != self.dtype)
        size = self.dtype.itemsize
        for share in _SIXTEENTHS if compiled else ():
            cut = sliced(
                problem, self.limit * share // 16, size, foreign, self.order, compiled=True
            )
            if cut is None:
                break
            typical = part_of(cut.typical(problem))
            if typical is None or self._planned(typical, cut).bytes <= self.limit:
                return cut
        found = sliced(problem, self.limit, size, foreign, self.order)
        if found is None:
            raise refused(problem, self.limit, size, foreign, self.order)
        return found

    def add(self, problem: Problem, arrays: Sequence[Array], out: Array) -> None:
        """Carry out one part of the problem."""
        part = part_of(problem)
        if part is None:
            return
        planned = self._planned(part, self.slicing)
        if planned.bytes > self.limit:
            for half in self._halves(problem, planned.bytes):
                self.add(half, arrays, out)
            return
        views = [within(a, at) for a, at in zip(arrays, part.inputs, strict=True)]
        alive = _Alive(self.dtype, self.limit, views)
        for step in planned.steps[:-1]:
            taken = alive.taken(step)
            whole = step.complete
            made = (memory.empty if whole else memory.zeros)(step.problem.output_sizes, self.dtype)
            self._add(step, taken, made, not whole)
            alive.replace(step, made)
        last = planned.steps[-1]
        accumulate = not (self.slicing.once and last.complete)
        self._add(last, alive.taken(last), within(out, part.output), accumulate)

    def _halves(self, problem: Problem, least: int) -> Iterator[Problem]:
        """A part that does not fit, in two along its longest index."""
        name, size = max(problem.sizes, key=lambda pair: pair[1])
        if size == 1:
            raise MemoryLimitError(
                f"a memory limit of {self.limit} bytes is too small for '{problem}': "
                f"the least is {least}"
            )
        yield problem.restricted(name, 0, size // 2)
        yield problem.restricted(name, size // 2, size - size // 2)

    def _planned(self, part: Part, slicing: Slicing) -> _Planned:
        known = self.known.get((part.problem, slicing.once))
        if known is None:
            steps = plan_afresh(part.problem, DIRECT, slicing.order).steps
            known = _Planned(steps, self._bytes(steps, part, slicing.once))
            self.known[part.problem, slicing.once] = known
        return known

    def _bytes(self, steps: Sequence[Step], part: Part, once: bool) -> int:
        """What the steps take, tried on arrays that lie like the true ones."""
        like = [
            unread(tuple(at.stop - at.start for at in where), strides, dtype)
            for (dtype, strides), where in zip(self.kinds, (*part.inputs, part.output), strict=True)
        ]
        alive = _Alive(self.dtype, 0, like[:-1])
        most = 0
        for step in steps[:-1]:
            made = unread(step.problem.output_sizes, None, self.dtype)
            most = max(most, _needed(step, alive.taken(step, like=True), made, not step.complete))
            alive.replace(step, made)
        last = alive.taken(steps[-1], like=True)
        return max(most, _needed(steps[-1], last, like[-1], not (once and steps[-1].complete)))

    def _add(self, step: Step, taken: _Taken, out: Array, accumulate: bool) -> None:
        """Carry out a step where its result belongs."""
        linear = REDUCTIONS[step.problem.reduce].linear
        if linear and len(taken.arrays) == 2:
            _multiply(step, taken, out, accumulate)
            return
        leaf = sum_leaf if linear else reduce_leaf
        for problem in leaves(step.problem):
            pooled = not accumulate and problem.points >= FEW_POINTS
            if pooled and len(taken.arrays) == 1 and pool(problem, taken.arrays[0], out):
                continue
            view = output_view(out, problem)
            made = leaf(problem, taken.arrays, view.labels)
            if accumulate:
                self.combine(view.array, made, out=view.array)
            else:
                view.array[...] = made


class _Alive:
    """The arrays that later steps need, with the bytes that each takes: none for an operand."""

    def __init__(self, dtype: np.dtype[Any], limit: int, views: Sequence[Array]) -> None:
        self.dtype, self.limit = dtype, limit
        self.arrays = [(view, 0) for view in views]

    def taken(self, step: Step, like: bool = False) -> _Taken:
        """What a step is carried out on, converted; or arrays that lie like this."""
        given = [self.arrays[n][0] for n in step.positions]
        arrays = tuple(
            array if array.dtype == self.dtype
            else unread(array.shape, None, self.dtype) if like
            else array.astype(self.dtype, order="C")
            for array in given
        )  # fmt: skip
        copies = sum(new.nbytes for new, old in zip(arrays, given, strict=True) if new is not old)
        kept = sum(size for _, size in self.arrays)
        result = prod(step.problem.output_sizes) * self.dtype.itemsize
        last = len(self.arrays) == len(arrays)
        return _Taken(arrays, self.limit - kept - copies - (0 if last else result))

    def replace(self, step: Step, made: Array) -> None:
        """Put the result of a step in the place of what it took."""
        self.arrays = [pair for n, pair in enumerate(self.arrays) if n not in step.positions]
        self.arrays.append((made, made.nbytes))


def within(array: Array, ranges: Ranges) -> Array:
    """A part of an array, as a view."""
    key: tuple[Any, ...] = (*ranges, ...)  # the dots keep an array of no axes from being a number
    part: Array = array[key]
    return part


def _needed(step: Step, taken: _Taken, out: Array, accumulate: bool) -> int:
    """Bytes that there must be for a step, by kernels or by numpy, and for what lives beside it."""
    least = of_step(step.problem, out.itemsize, accumulate)
    listed = step.choice.chosen.pieces
    if listed and len(taken.arrays) == 2:
        least = min(least, max(of_leaf(p.problem, out.itemsize, accumulate) for p in listed))
    known = _recipe(step, taken.arrays, out, accumulate)
    if known is not None and _fits(known, out, least):
        least = known.program.extra(out.nbytes)
    return least - taken.room


def _recipe(step: Step, arrays: tuple[Array, ...], out: Array, accumulate: bool) -> Recipe | None:
    if not REDUCTIONS[step.problem.reduce].linear or len(arrays) != 2:
        return None
    return known_recipe(step, arrays, out, accumulate)


def _fits(known: Recipe, out: Array, room: int) -> bool:
    """Whether kernels take so many bytes at most, with a result that lies like this one."""
    taken = known.program.extra(out.nbytes)
    # Results that are summed in the end are made like the first one, without gaps.
    compact = taken == known.program.extra(0) or out.flags.c_contiguous
    return compact and taken <= room


def _multiply(step: Step, taken: _Taken, out: Array, accumulate: bool) -> None:
    """By kernels, if what they need fits; otherwise by numpy."""
    known = _recipe(step, taken.arrays, out, accumulate)
    if known is not None and _fits(known, out, taken.room):
        known.run(taken.arrays, out, None)
        return
    listed = step.choice.chosen.pieces
    pieces: Iterable[Piece] = listed
    if not _fit(listed, taken.room, out.itemsize, accumulate):
        # Tap by tap it takes less, but writes an element more than once.
        pieces = map(Piece, leaves(step.problem))
        if not accumulate and not step.is_leaf:
            out[...] = 0
            accumulate = True
    # A thread of our own has no helpers, whose blocks would come on top.
    undisturbed(lambda: run_pieces(pieces, Work(taken.arrays, out, accumulate, FRUGAL)))


def _fit(pieces: Sequence[Piece], room: int, itemsize: int, adding: bool) -> bool:
    """Whether each of some pieces fits; no if they are not listed."""
    sizes = (of_leaf(piece.problem, itemsize, adding) for piece in pieces)
    return max(sizes, default=room + 1) <= room
