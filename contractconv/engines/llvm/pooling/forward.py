"""Pooling by compiled kernels: one operand, reduced over windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array, contiguous, steps_of
from contractconv.cache_register import weighed
from contractconv.engines.llvm.direct_kernels import kind
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels import pooling_loops as kernel
from contractconv.engines.llvm.packing import Strides, start_of
from contractconv.engines.llvm.pooling.window_tables import Walk, nested
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program, offsets
from contractconv.machine.kept_bytes import weight
from contractconv.machine.memory import lines
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import volume
from contractconv.planning.one_axis_each import stages
from contractconv.planning.trimming import reaches_outside
from contractconv.reductions.table import REDUCTIONS

Labels = tuple[str, ...]
# For each index the bytes from one of its values to the next: operand, result, and beside them.
Steps = Sequence[Mapping[str, int]]
# Where values of an index begin that meet the same taps of an axis, and what each such place adds
# to the number of a class.
Edge = tuple[Array, int]
# Fewer points than this are not worth compiling a kernel for.
FEW_POINTS = 1 << 12
# Entries of a table of taps, which is kept for the next call.
MOST_ENTRIES = 1 << 18
# So many numbers apart lanes are still picked from vectors.
_NEAR = 4
# So many times fewer points are worth poolings along one axis after the other.
_WORTH = 1.7


class End(NamedTuple):
    """What is done to results before they are stored.

    Attributes:
        divided: whether a mean is divided by the points of a window; otherwise it is their sum.
        rectified: whether what is negative becomes zero.
    """

    divided: bool = False
    rectified: bool = False


_RAW = End()
# What it is called in plans.
POOLING = "compiled pooling"


def pool(problem: Problem, array: Array, out: Array, end: End = _RAW) -> bool:
    """Reduce the windows of one operand.

    Args:
        problem: a leaf of one operand that is summed, averaged, or of which an extreme is chosen.
        out: the whole result, of the same dtype, of which the leaf's part is written.

    Returns:
        Whether it was done; if not, there is no kernel for it.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k) c -> i c", reduce="max"), [(4, 2)], {"k": 2})
        >>> x, out = np.arange(8.0).reshape(4, 2), np.zeros((2, 2))
        >>> out if pool(problem, x, out) else "there is no compiler"
        array([[2., 3.],
               [6., 7.]])
    """
    program = pooling(problem, array, out, end)
    if program is None:
        return False
    trace.run(POOLING, problem, lambda: program.run({"operand": array}, out))
    return True


def pooling(problem: Problem, array: Array, out: Array, end: End = _RAW) -> Prepared | None:
    """What :func:`pool` runs on a region ``"operand"``, for arrays that lie like these."""
    dtype = kind(array.dtype)
    if dtype is None or out.dtype != array.dtype:
        return None
    return _prepared(problem, (array.strides, out.strides), dtype, end, get_num_threads())


def can_pool(problem: Problem, dtype: str | None) -> bool:
    """Whether there is a kernel for a leaf of one operand, arrays lying without gaps.

    Args:
        dtype: what kernels call its numbers; ``None`` if they do not know them.
    """
    if dtype is None or not is_pooling(problem) or problem.points < FEW_POINTS:
        return False
    strides = contiguous(problem, native.number(dtype).size)
    terms = (*problem.operands, problem.output)
    steps = [steps_of(term, s) for term, s in zip(terms, strides, strict=True)]
    return windows(problem, steps, dtype) is not None


def is_pooling(problem: Problem) -> bool:
    """Whether one operand is reduced in a way that there are kernels for."""
    record = REDUCTIONS[problem.reduce]
    known = record.combine in kernel.LOOPS and (record.linear or record.chooses)
    return known and len(problem.operands) == 1 and bool(problem.reduced)


@weighed(weight)
def _prepared(
    problem: Problem, strides: tuple[Strides, Strides], dtype: str, end: End, threads: int
) -> Prepared | None:
    """Make a leaf ready for arrays of these strides: operand and result."""
    if not is_pooling(problem):
        return None
    every, size = stages(problem, _WORTH) or (problem,), native.number(dtype).size
    steps, room, read, given = list[list[Calls]](), 0, Place("operand"), strides[0]
    points = np.array([volume(problem.reduced, problem.extents)], dtype)
    for stage in every:
        last, made = stage is every[-1], contiguous(stage, size)[1]
        written = Place("out") if last else Place("shared", room)
        room += 0 if last else lines(volume(stage.kept, stage.extents) * size)
        layout = (given, strides[1] if last else made)
        after = end if last else _RAW
        calls = _calls(stage, layout, (read, written, points), dtype, after, threads)
        if calls is None:
            return None
        steps.append(calls)
        read, given = written, made
    return Prepared(Program(steps, shared=room))


def _calls(
    problem: Problem,
    strides: tuple[Strides, Strides],
    given: tuple[Place, Place, Array],
    dtype: str,
    end: End,
    threads: int,
) -> list[Calls] | None:
    """The calls for one pooling.

    Args:
        given: where the operand is, where the result goes, and by how many a mean is divided.
    """
    read, written, points = given
    terms = (problem.operands[0], problem.output)
    steps = [steps_of(term, s) for term, s in zip(terms, strides, strict=True)]
    found = windows(problem, steps, dtype)
    if found is None:
        return None
    walk, form = found
    function = kernel.pooling(dtype, replace(form, divided=end.divided, rectified=end.rectified))
    starts = [start_of(term, s) for term, s in zip(terms, strides, strict=True)]
    places = {
        kernel.OPERAND: read._replace(offset=read.offset + starts[0]),
        kernel.RESULT: written._replace(offset=written.offset + starts[1]),
        kernel.SCALE: points,
    }
    return walk.calls(function, places, walk.pieces(problem.points, threads))


def windows(
    problem: Problem, steps: Steps, dtype: str, lane: str | None = None
) -> tuple[Walk, kernel.Form] | None:
    """How the windows of a leaf are gone through.

    Args:
        steps: in operand, result and, if there is one, the array beside them.
        lane: the index along the lanes; the cheapest one unless it is given.

    Returns:
        The walk, and what the kernel is written for; ``None`` if there is none.
    """
    found = _classes(problem)
    if found is None or not problem.kept or not problem.kept <= steps[0].keys():
        return None
    classes, inside = found
    forms = {n: form(problem, (steps[0][n], steps[1][n]), n, dtype) for n in problem.kept}
    if lane is None:
        lane = min(forms, key=lambda n: (_cost(n, problem, forms[n], dtype), n))
    steps = [*steps, {}][:3]
    labels = order(problem, lane, steps[0])

    def record(name: str) -> Array:
        values = np.arange(problem.extents[name])
        return _records(values, [step.get(name, 0) for step in steps], classes.get(name, []))

    loops = tuple(nested(map(record, loop)) for loop in labels)
    along, edges = [step.get(lane, 0) for step in steps], classes.get(lane, [])
    # Lanes of one class that follow each other go together.
    starts = np.unique(np.concatenate([[0], *(at for at, _ in edges)]))
    runs, lanes = _records(starts, along, edges), np.diff(starts, append=problem.extents[lane])
    walk = Walk(runs, lanes, loops, along, *_taps(nested(map(record, problem.reduced)), inside))
    return walk, walk.known(forms[lane], dtype)


def form(problem: Problem, along: Sequence[int], lane: str, dtype: str) -> kernel.Form:
    """What a kernel is written for whose lanes lie so many bytes apart in operand and result."""
    number = native.number(dtype)
    apart, uneven = divmod(along[0], number.size)
    step = apart if 0 < apart <= _NEAR and not uneven else 0
    wide = -(-problem.extents[lane] // number.lanes)
    most = native.registers()[0] // 4 if step else 1
    return kernel.Form(
        REDUCTIONS[problem.reduce].combine,
        -(-wide // -(-wide // most)),
        step,
        along[1] == number.size,
    )


def _cost(lane: str, problem: Problem, form: kernel.Form, dtype: str) -> float:
    """Roughly how many instructions a result takes."""
    lanes, extent = native.number(dtype).lanes, problem.extents[lane]
    taps = volume(problem.reduced, problem.extents)
    vector = taps * (form.step or lanes) + (1 if form.contiguous else lanes)
    return vector * -(-extent // lanes) / extent


def order(problem: Problem, lane: str, there: Mapping[str, int]) -> tuple[Labels, Labels, Labels]:
    """The indices of the outer, the middle and the inner loop.

    The outer ones stand alone on an axis of the operand, so that two of their values share none of
    its elements.
    """
    alone = {access.names[0] for access in problem.operands[0] if len(access.terms) == 1}
    names = sorted(problem.kept - {lane}, key=lambda name: (-abs(there[name]), name))
    single = tuple(name for name in names if name in alone)
    moving = tuple(name for name in names if name not in alone)
    # One short loop around a long one: tables of loops stay small.
    inside = 0 if moving else len(single) // 2
    outer = single[: len(single) - inside]
    return outer, moving[:1], (*single[len(outer) :], *moving[1:])


def _records(values: Array, steps: Sequence[int], edges: Sequence[Edge]) -> Array:
    """For some values of an index: bytes in each array, and what they add to the class."""
    every = [values * step for step in steps]
    classes = [weight * (np.searchsorted(at, values, side="right") - 1) for at, weight in edges]
    return np.stack([*every, sum(classes, 0 * values)], axis=1)


def _taps(every: Array, inside: Array) -> tuple[Array, Array]:
    """Where the taps of every class begin, and the taps."""
    every = np.stack([every[:, 0], every[:, 2], np.arange(len(every))], axis=1)
    chosen = np.broadcast_to(every, (*inside.shape, kernel.TAP))[inside]
    return np.cumsum([0, *inside.sum(axis=1)]), np.ascontiguousarray(chosen)


def _classes(problem: Problem) -> tuple[dict[str, list[Edge]], Array] | None:
    """Where the classes of kept indices change, and for every class which taps lie inside."""
    count = volume(problem.reduced, problem.extents)
    if count > MOST_ENTRIES:
        return None
    inside, classes = np.ones((1, count), bool), dict[str, list[Edge]]()
    for access in problem.operands[0]:
        if not reaches_outside(access, problem.extents):
            continue
        kept = [name for name in access.names if name in problem.kept]
        taps = _places(access, problem)
        starts = _starts(access, problem, kept, taps)
        # Of two indices that meet a boundary together, each would not add a number of its own.
        if len(kept) > 1 or len(starts) * inside.size > MOST_ENTRIES:
            return None
        for name in kept:
            classes.setdefault(name, []).append((starts, len(inside)))
        places = np.add.outer(dict(access.terms)[kept[0]] * starts if kept else starts, taps)
        kinds = (places >= 0) & (places < access.size)
        inside = (kinds[:, None] & inside).reshape(-1, count)
    return classes, inside


def _places(access: Access, problem: Problem) -> Array:
    """Where on an axis each tap is, for the first window."""
    steps = dict(access.terms)
    loops = ((problem.extents[n], steps.get(n, 0)) for n in problem.reduced)
    return access.offset + offsets(*loops)


def _starts(access: Access, problem: Problem, kept: Sequence[str], taps: Array) -> Array:
    """The values of an index from which on other taps are inside an axis than before."""
    steps = dict(access.terms)
    step, extent = (steps[kept[0]], problem.extents[kept[0]]) if kept else (1, 1)
    # A tap comes inside, or leaves, where these are zero.
    ends = np.concatenate([taps, taps - access.size])
    edges = -(ends // step) if step > 0 else ends // -step + 1
    return np.unique(np.append(edges[(edges > 0) & (edges < extent)], 0))
