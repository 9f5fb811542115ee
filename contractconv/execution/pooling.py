"""Pooling by compiled kernels: one operand, reduced over windows, and the gradients of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.execution import memory
from contractconv.execution.direct import KINDS
from contractconv.execution.sequence import Calls, Place, Program, offsets
from contractconv.execution.staging import Strides, steps_of
from contractconv.execution.threads import get_num_threads
from contractconv.execution.views import Array
from contractconv.kernels import native
from contractconv.kernels import pooling as kernel
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.planning.cost import volume
from contractconv.planning.lowering import by_taps, is_leaf

Labels = tuple[str, ...]
# For each index the bytes from one of its values to the next: operand, result, gradient.
Steps = tuple[dict[str, int], ...]
Range = tuple[int, int]
# Ranges of the outer and of the middle loop; those of one round may run at the same time.
Piece = tuple[Range, Range]
Rounds = tuple[tuple[Piece, ...], ...]
# Fewer points than this are not worth compiling a kernel for.
FEW_POINTS = 1 << 12
# Entries of a table of taps, which is kept for the next call.
_MOST_ENTRIES = 1 << 18
# Points of a piece of work that is worth handing over.
_WORTH = 1 << 16
# So many numbers apart lanes are still picked from vectors; so long a window fits in 32 bits.
_NEAR, _MOST_BYTES = 4, 1 << 31
# Up to so many taps a cotangent is added to all of them rather than number by number.
_FEW_TAPS = 12


class End(NamedTuple):
    """What is done to results before they are stored.

    Attributes:
        divided: whether a mean is divided by the points of a window; otherwise it is their sum.
        rectified: whether what is negative becomes zero.
    """

    divided: bool = False
    rectified: bool = False


_RAW = End()


def pool(problem: Problem, array: Array, out: Array, end: End = _RAW) -> bool:
    """Reduce the windows of one operand.

    Args:
        problem: a leaf of one operand with reduce ``"max"``, ``"min"``, ``"sum"`` or ``"mean"``.
        array: the operand, compositions split.
        out: the whole result, of the same dtype, of which the leaf's part is written.
        end: what is done to results.

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
    ready = _ready(problem, (array, out), end)
    if ready is None:
        return False
    ready.program.run({"operand": array}, out)
    return True


def pool_gradient(problem: Problem, array: Array, cotangent: Array) -> Array | None:
    """The gradient of pooling.

    The cotangent of an extremum is added to the first point at which it stands, in row-major order
    of the reduced indices; NaN counts as the extremum. That of a sum or mean is added everywhere.

    Args:
        problem: a contraction of one operand, as :func:`pool` takes it, but no scatter.
        array: the operand, compositions split.
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
    repeats = problem.reduce in ("sum", "mean") and not by_taps(problem)
    if repeats or not is_leaf(problem):
        return None
    made = memory.empty(array.shape, array.dtype)
    ready = _ready(problem, (array, cotangent, made))
    if ready is None:
        return None
    if not ready.clears:
        made.fill(0)
    ready.program.run({"operand": array, "result": cotangent}, made)
    return made


def _ready(problem: Problem, arrays: Sequence[Array], end: End = _RAW) -> _Ready | None:
    dtype = KINDS.get(arrays[0].dtype)
    if dtype is None or any(array.dtype != arrays[0].dtype for array in arrays):
        return None
    if problem.reduce not in ("sum", "mean", "max", "min") or len(problem.operands) != 1:
        return None
    if not problem.reduced or not native.available():
        return None
    strides = tuple(array.strides for array in arrays)
    return _prepared(problem, strides, dtype, end, get_num_threads())


class _Ready(NamedTuple):
    """A leaf, ready to run on arrays of known strides.

    Attributes:
        program: what is done to the regions ``"operand"`` and, for a gradient, ``"result"``.
        clears: whether it makes the gradient zero beforehand.
    """

    program: Program
    clears: bool


@lru_cache(maxsize=512)
def _prepared(
    problem: Problem, strides: tuple[Strides, ...], dtype: str, end: End, threads: int
) -> _Ready | None:
    """Make a leaf ready for arrays of these strides: operand, result and, if wanted, gradient."""
    wanted = len(strides) == 3
    strides = (*strides, strides[0])[:3]
    terms = (problem.operands[0], problem.output, problem.operands[0])
    steps = tuple(steps_of(term, s) for term, s in zip(terms, strides, strict=True))
    found = _classes(problem)
    if found is None or not problem.kept or not problem.kept <= steps[0].keys():
        return None
    classes, inside = found
    nest = _known(_nest(problem, steps, dtype, wanted, end), problem, classes, inside)
    rounds = _rounds(problem, nest, threads, wanted)
    tables = _loops(problem, nest, steps, classes) | _taps(problem, steps, inside)
    points = volume(problem.reduced, problem.extents) if problem.reduce == "mean" else 1
    tables[kernel.SCALE] = np.array([1 / points if wanted else points], dtype)
    if wanted and not np.all(abs(tables[kernel.TAPS]) < _MOST_BYTES):
        return None
    once = nest.form.gradient == "once"
    cleared = _cleared(problem, nest, strides[2]) if wanted and len(rounds) == 1 else None
    if cleared is not None and not once:
        tables[kernel.CLEARED] = cleared
    function = (kernel.unpooling if wanted else kernel.pooling)(dtype, nest.form)
    places = _places(wanted, tuple(map(_start, terms, strides)))
    arguments = places | _arguments(nest.lane, steps, tables)
    stages = [[_piece(function, arguments, piece) for piece in pieces] for pieces in rounds]
    return _Ready(Program(stages), once or cleared is not None)


def _places(wanted: bool, starts: Strides) -> dict[int, Place]:
    """Where operand, result and gradient begin."""
    regions = ("operand", "result", "out") if wanted else ("operand", "out", "operand")
    return {
        kernel.OPERAND + n: Place(*place)
        for n, place in enumerate(zip(regions, starts, strict=True))
    }


def _piece(function: native.Native, arguments: Mapping[int, Any], piece: Piece) -> Calls:
    outer, middle = piece
    bounds = {
        kernel.OUTER_START: outer[0],
        kernel.OUTER_STOP: outer[1],
        kernel.MIDDLE_START: middle[0],
        kernel.MIDDLE_STOP: middle[1],
    }
    calls = Calls()
    calls.call(function, {**arguments, **bounds})
    return calls


def _classes(problem: Problem) -> tuple[dict[str, Array], Array] | None:
    """What each kept index adds to the class, and for every class which taps lie inside."""
    count = volume(problem.reduced, problem.extents)
    if count > _MOST_ENTRIES:
        return None
    inside, classes = np.ones((1, count), bool), dict[str, Array]()
    for access in problem.operands[0]:
        low, high = access.reach(problem.extents)
        if low >= 0 and high < access.size:
            continue
        kept = [name for name in access.names if name in problem.kept]
        kinds, which = _kinds(access, problem, kept)
        # Of two indices that meet a boundary together, each would not add a number of its own.
        if len(kept) > 1 or len(kinds) * inside.size > _MOST_ENTRIES:
            return None
        for name in kept:
            classes[name] = classes.get(name, 0) + len(inside) * which
        inside = (kinds[:, None] & inside).reshape(-1, count)
    return classes, inside


def _kinds(access: Access, problem: Problem, kept: Sequence[str]) -> tuple[Array, Array]:
    """The sets of taps that are inside an axis, and which one each value of an index has."""
    steps = dict(access.terms)
    taps = offsets(*((problem.extents[n], steps.get(n, 0)) for n in problem.reduced))
    taps = taps + access.offset
    step, extent = (steps[kept[0]], problem.extents[kept[0]]) if kept else (1, 1)
    # A tap comes inside, or leaves, where these are zero.
    ends = np.concatenate([taps, taps - access.size])
    edges = -(ends // step) if step > 0 else ends // -step + 1
    starts = np.unique([0, *edges[(edges > 0) & (edges < extent)]])
    which = np.repeat(np.arange(len(starts)), np.diff(starts, append=extent))
    places = np.add.outer(step * starts, taps)
    return (places >= 0) & (places < access.size), which


@dataclass(frozen=True, slots=True)
class _Nest:
    """Every kept index in its place in the loop nest.

    Attributes:
        lane: the index along the lanes.
        outer: indices that stand alone on an axis of the operand, so that two of their values
            share none of its elements.
        middle: one of the others.
        inner: what is left.
        form: what the kernel is written for.
        dtype: of the numbers.
    """

    lane: str
    outer: Labels
    middle: Labels
    inner: Labels
    form: kernel.Form
    dtype: str


def _nest(problem: Problem, steps: Steps, dtype: str, wanted: bool, end: End) -> _Nest:
    alone = {access.names[0] for access in problem.operands[0] if len(access.terms) == 1}
    few = alone if volume(problem.reduced, problem.extents) <= _FEW_TAPS else set[str]()
    spread = problem.kept if problem.reduce in ("sum", "mean") else few
    forms = {n: _form(n, problem, steps, dtype, wanted and n in spread) for n in problem.kept}
    lane = min(forms, key=lambda n: (_cost(n, problem, forms[n], dtype, wanted), n))
    order = sorted(problem.kept - {lane}, key=lambda name: (-abs(steps[2][name]), name))
    single = tuple(name for name in order if name in alone)
    windows = tuple(name for name in order if name not in alone)
    # One short loop around a long one: tables of loops stay small.
    inside = 0 if windows else len(single) // 2
    outer = single[: len(single) - inside]
    form = replace(forms[lane], divided=end.divided, rectified=end.rectified)
    return _Nest(lane, outer, windows[:1], (*single[len(outer) :], *windows[1:]), form, dtype)


def _form(lane: str, problem: Problem, steps: Steps, dtype: str, spread: bool) -> kernel.Form:
    """What a kernel is written for that has an index along its lanes."""
    number = native.number(dtype)
    apart, uneven = divmod(steps[0][lane], number.size)
    step = apart if 0 < apart <= _NEAR and not uneven else 0
    wide = -(-problem.extents[lane] // number.lanes)
    most = native.registers()[0] // 8 if step else 1
    beside = spread and steps[2][lane] == number.size
    return kernel.Form(
        "sum" if problem.reduce == "mean" else problem.reduce,
        -(-wide // -(-wide // most)),
        step,
        steps[1][lane] == number.size,
        ("once" if _is_met_once(problem) else "vectors") if beside else "numbers",
    )


def _known(nest: _Nest, problem: Problem, classes: Mapping[str, Array], inside: Array) -> _Nest:
    """Let the kernel know how many lanes and taps there are, where few are always the same."""
    lanes, wide = problem.extents[nest.lane], nest.form.vectors * native.number(nest.dtype).lanes
    taps = int(inside.sum()) if len(inside) == 1 else 0
    form = replace(
        nest.form,
        lanes=lanes if nest.lane not in classes and lanes <= wide else 0,
        taps=taps if taps <= _FEW_TAPS else 0,
    )
    return replace(nest, form=form)


def _is_met_once(problem: Problem) -> bool:
    """Whether every element of the operand is at one tap of one window."""
    operand, extents = problem.operands[0], problem.extents
    if problem.points != prod(shape_of(operand)):
        return False
    met = [a.offset + offsets(*((extents[n], step) for n, step in a.terms)) for a in operand]
    return all(np.array_equal(np.sort(m), range(a.size)) for m, a in zip(met, operand, strict=True))


def _cost(lane: str, problem: Problem, form: kernel.Form, dtype: str, wanted: bool) -> float:
    """Roughly how many instructions a result takes."""
    lanes, extent = native.number(dtype).lanes, problem.extents[lane]
    taps = volume(problem.reduced, problem.extents)
    vector = taps * (form.step or lanes) + (1 if form.contiguous else lanes)
    if wanted:
        adds = taps if form.reduce == "sum" else 1
        vector += 4 * lanes * adds if form.gradient == "numbers" else 2 * taps
    return vector * -(-extent // lanes) / extent


def _records(problem: Problem, labels: Labels, steps: Steps, classes: Mapping[str, Array]) -> Array:
    """For every combination of some indices: bytes in each array, and the number of a class."""
    total = np.zeros((1, kernel.RECORD), np.int64)
    for name in labels:
        record = np.outer(np.arange(problem.extents[name]), [*(s.get(name, 0) for s in steps), 0])
        record[:, -1] += classes.get(name, 0)
        total = (total[:, None] + record).reshape(-1, kernel.RECORD)
    return total


def _loops(
    problem: Problem, nest: _Nest, steps: Steps, classes: Mapping[str, Array]
) -> dict[int, Array]:
    """The tables of the loops."""
    names = {kernel.OUTER: nest.outer, kernel.MIDDLE: nest.middle, kernel.INNER: nest.inner}
    tables = {place: _records(problem, loop, steps, classes) for place, loop in names.items()}
    of_lanes = classes.get(nest.lane, np.zeros(1, np.int64))
    runs = np.array([0, *(np.flatnonzero(np.diff(of_lanes)) + 1)])
    return tables | {
        kernel.RUNS: np.stack([*(runs * s[nest.lane] for s in steps), of_lanes[runs]], axis=1),
        kernel.LANES: np.diff(runs, append=problem.extents[nest.lane]),
        kernel.CLEARED: np.zeros((len(tables[kernel.MIDDLE]), 2), np.int64),
    }


def _taps(problem: Problem, steps: Steps, inside: Array) -> dict[int, Array]:
    """The taps of every class, one class after the other."""
    every = _records(problem, problem.reduced, steps, {})[:, [0, 2]]
    chosen = np.broadcast_to(every, (*inside.shape, 2))[inside]
    return {
        kernel.CLASSES: np.cumsum([0, *inside.sum(axis=1)]),
        kernel.TAPS: np.ascontiguousarray(chosen),
    }


def _arguments(lane: str, steps: Steps, tables: Mapping[int, Array]) -> dict[int, Any]:
    along = {kernel.OPERAND_LANE + n: step[lane] for n, step in enumerate(steps)}
    return {
        **tables,
        **along,
        kernel.INNER_STOP: len(tables[kernel.INNER]),
        kernel.RUNS_STOP: len(tables[kernel.RUNS]),
    }


def _start(accesses: Accesses, strides: Strides) -> int:
    """Bytes from the beginning of an array to where all indices are zero."""
    return sum(a.offset * stride for a, stride in zip(accesses, strides, strict=True))


def _rounds(problem: Problem, nest: _Nest, threads: int, wanted: bool) -> Rounds:
    """Cut the loops for the threads: pieces of one round write no element in common."""
    outer, middle = (volume(loop, problem.extents) for loop in (nest.outer, nest.middle))
    pieces = max(1, min(4 * threads, problem.points // _WORTH))
    across, whole = _ranges(outer, pieces), _ranges(middle, 1)
    along = _ranges(middle, -(-pieces // len(across)))
    if not wanted:
        return (tuple(product(across, along)),)
    if len(along) == 1 or len(across) >= threads or not _are_apart(problem, nest, along):
        return (tuple(product(across, whole)),)
    return tuple(product(across, along[::2])), tuple(product(across, along[1::2]))


def _ranges(count: int, pieces: int) -> tuple[Range, ...]:
    bounds = [count * n // pieces for n in range(pieces + 1)]
    return tuple((start, stop) for start, stop in pairwise(bounds) if stop > start)


def _are_apart(problem: Problem, nest: _Nest, along: Sequence[Range]) -> bool:
    """Whether windows of a range and of the next but one have no element in common."""
    axes = [a for a in problem.operands[0] if problem.kept.intersection(a.names) == {*nest.middle}]
    if not axes:
        return False
    low, high = _swept(axes[0], problem, nest.middle[0])
    reaches = [(low[a:b].min(), high[a:b].max()) for a, b in along]
    return all(
        last < after or beyond < first
        for (first, last), (after, beyond) in zip(reaches, reaches[2:], strict=False)
    )


def _swept(access: Access, problem: Problem, name: str) -> tuple[Array, Array]:
    """The first and the last position of windows, for every value of the index that moves them."""
    low, high = access.fixed({name: 0}).reach(problem.extents)
    moved = dict(access.terms)[name] * np.arange(problem.extents[name])
    return low + moved, high + moved


def _cleared(problem: Problem, nest: _Nest, strides: Strides) -> Array | None:
    """For every round of the middle loop the elements that no earlier one reaches.

    Bytes from the place of its windows, and their number; ``None`` if they do not lie side by side.
    """
    depth = len(nest.outer)
    whole, terms = problem.operands[0][:depth], problem.operands[0][depth:]
    if [(a.plain, a.size) for a in whole] != [(n, problem.extents[n]) for n in nest.outer]:
        return None
    if not nest.middle:
        return np.array([[-_start(terms, strides[depth:]), prod(shape_of(terms))]])
    first, rest = terms[0], terms[1:]
    if problem.kept.intersection(first.names) != {*nest.middle}:
        return None
    low, high = _swept(first, problem, nest.middle[0])
    ends = np.maximum.accumulate(np.clip(high + 1, 0, first.size))
    reached = np.array([0, *ends[:-1], first.size])
    places = first.offset + low - low[0]
    begin = (reached[:-1] - places) * strides[depth] - _start(rest, strides[depth + 1 :])
    return np.stack([begin, np.diff(reached) * prod(shape_of(rest))], axis=1)
