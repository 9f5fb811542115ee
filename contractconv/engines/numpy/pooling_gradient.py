"""The gradient of pooling by numpy: tap by tap, as slices of the operand, without its windows.

At each tap of a window all cotangents are added at once to the elements that the windows read
there: those of an extremum only where it stands, and stands for the first time. Slices end where
an axis does, so that nothing is padded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.index_boxes import Range, boxes
from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array, put
from contractconv.cache_register import kept
from contractconv.engines.numpy.reducing import reduced_windows
from contractconv.machine import memory
from contractconv.machine.work_sharing import carried_out, portions
from contractconv.notation.contributing import inside
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import is_direct, volume
from contractconv.planning.one_axis_each import stages
from contractconv.planning.strided_leaves import MOST_TAPS
from contractconv.planning.workspace import Workspace
from contractconv.reductions.numbers import identity, ufunc
from contractconv.reductions.table import REDUCTIONS

# What it is called in plans.
NAME = "pooling gradient by taps"
# How many multiplications of matrices take as long as all that is done to one number of a window.
_SLOWNESS = 64
# So many times fewer points are worth gradients along one axis after the other.
_WORTH = 1.3
# Results that are worked on at once.
_PART = 1 << 16

Key = tuple[Any, ...]


class _Tap(NamedTuple):
    """What windows read at one tap: of which results, and which elements of the operand."""

    results: Key
    elements: Key


def is_pooling(problem: Problem) -> bool:
    """Whether a contraction chooses from windows of one operand, or averages them."""
    record = REDUCTIONS[problem.reduce]
    if len(problem.operands) != 1 or not (record.chooses or record.averages):
        return False
    (accesses,) = problem.operands
    names = [name for access in accesses for name in access.names]
    alone = all(sum(n in problem.kept for n in access.names) <= 1 for access in accesses)
    once = sorted(names) == sorted(problem.indices)
    whole = all(access.divisor == 1 for access in accesses) and is_direct(problem)
    return alone and once and whole and volume(problem.reduced, problem.extents) <= MOST_TAPS


def workspace(problem: Problem, array: Array) -> Workspace:
    """The extrema, and where they stand; the cotangents of a tap, and which they are."""
    every = stages(problem, _WORTH)
    between = sum(prod(stage.output_sizes) for stage in every[:-1])
    largest = max((prod(stage.output_sizes) for stage in every), default=prod(problem.output_sizes))
    return Workspace(beside=largest * (3 * array.itemsize + 4) + 2 * between * array.itemsize)


def pool_gradient(problem: Problem, array: Array, cotangent: Array) -> Array:
    """The gradient of pooling.

    The cotangent of an extremum is added to the first point at which it stands, in row-major order
    of the reduced indices; NaN counts as the extremum. That of a mean is shared by all points.

    Args:
        problem: a contraction that :func:`is_pooling`.
        array: the operand.
        cotangent: the gradient with respect to the result, of shape ``problem.output_sizes``.

    Returns:
        A new array of the operand's shape.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i+k) -> i", reduce="max"), [(4,)], {"k": 2})
        >>> pool_gradient(problem, np.array([1.0, 3.0, 3.0, 2.0]), np.ones(3))
        array([0., 2., 1., 0.])
    """
    if not problem.points:
        return memory.zeros(array.shape, array.dtype)
    return trace.run(NAME, problem, lambda: _pool_gradient(problem, array, cotangent))


def _pool_gradient(problem: Problem, array: Array, cotangent: Array) -> Array:
    """The same, along one axis after the other where that pays, the last one first."""
    every, arrays = stages(problem, _WORTH) or (problem,), [array]
    for stage in every[:-1] if REDUCTIONS[problem.reduce].chooses else ():
        arrays.append(reduced_windows(stage, arrays[-1]))
    for n, stage in reversed([*enumerate(every)]):
        make = memory.empty if _meets_once(stage) else memory.zeros
        made = make(shape_of(stage.operands[0]), array.dtype)
        _Gradient(stage, arrays[min(n, len(arrays) - 1)], cotangent, made).run()
        cotangent = made
    return cotangent


@kept(most=512)
def _meets_once(problem: Problem) -> bool:
    """Whether windows meet every element of the operand, and each of them once."""
    return all(_is_met_once(access, problem.extents) for access in problem.operands[0])


def _is_met_once(access: Access, extents: Mapping[str, int]) -> bool:
    if volume(access.names, extents) != access.size:
        return False
    steps = (step * np.arange(extents[name]) for name, step in access.terms)
    places = reduce(np.add.outer, steps, np.asarray(access.offset))
    return bool((np.sort(places, axis=None) == np.arange(access.size)).all())


class _Gradient:
    """The gradient of one pooling, some of what no window moves along at a time."""

    def __init__(self, problem: Problem, array: Array, cotangent: Array, made: Array) -> None:
        self.problem, self.record = problem, REDUCTIONS[problem.reduce]
        (self.accesses,) = problem.operands
        # The indices of the result in the order in which they stand in the operand.
        self.kept = [n for access in self.accesses for n in access.names if n in problem.kept]
        order = [access.names[0] for access in problem.output]
        self.array, self.made = array, made
        self.cotangent = cotangent.transpose([order.index(name) for name in self.kept])
        self.taps = list(self._taps())
        self.adding = not _meets_once(problem)

    def run(self) -> None:
        """Add all cotangents."""
        extents, alone = self.problem.extents, [a.plain for a in self.accesses]
        free = [name for name in alone if name in self.kept]
        results = volume(self.kept, extents)
        points = _SLOWNESS * self.problem.points
        most = max(_PART, -(-results // portions(points)))
        count = volume(free, extents)
        sizes = [extents[n] for n in free]
        parts = list(boxes(sizes, free, max(1, most * count // max(results, 1))))
        carried_out(self._add, parts, points)

    def _add(self, parts: Sequence[Sequence[Range]]) -> None:
        for box in parts:
            ranges = {name: slice(start, stop) for name, start, stop in box}
            here: Key = (*(ranges.get(name, slice(None)) for name in self.kept), ...)
            there: Key = (*(ranges.get(a.plain or "", slice(None)) for a in self.accesses), ...)
            part, cotangent, made = self.array[there], self.cotangent[here], self.made[there]
            if self.record.chooses:
                self._choose(part, cotangent, made)
            else:
                self._share(cotangent, made)

    def _share(self, cotangent: Array, made: Array) -> None:
        share = cotangent / made.dtype.type(volume(self.problem.reduced, self.problem.extents))
        for tap in self.taps:
            put(share[tap.results], made[tap.elements], self.adding)

    def _choose(self, part: Array, cotangent: Array, made: Array) -> None:
        chosen, bits = self._chosen(part, cotangent.shape), _bits(cotangent.dtype)
        hits, masks = np.empty(chosen.shape, np.int8), np.empty(chosen.shape, bits)
        kept = np.empty_like(masks)
        for number, tap in enumerate(self.taps, 1):
            hit, mask, some = (array[tap.results] for array in (hits, masks, kept))
            np.equal(chosen[tap.results], number, out=hit.view(bool))
            # What is not chosen has no bits: so nothing is multiplied, not even an infinity.
            np.negative(hit, out=hit)
            np.copyto(mask, hit)
            np.bitwise_and(cotangent[tap.results].view(bits), mask, out=some)
            put(some.view(made.dtype), made[tap.elements], self.adding)

    def _chosen(self, part: Array, shape: tuple[int, ...]) -> Array:
        """The number of the tap that each result is from, counted from one; zero for none."""
        nothing, combine = identity(self.record, part.dtype), ufunc(self.record)
        best, chosen = np.full(shape, nothing, part.dtype), np.zeros(shape, np.uint8)
        better, numbers = np.empty(shape, bool), np.empty(shape, np.uint8)
        exceeds = np.greater if self.record.identity < 0 else np.less
        for number, tap in enumerate(self.taps, 1):
            values, place = part[tap.elements], best[tap.results]
            flag, label, found = (a[tap.results] for a in (better, numbers, chosen))
            exceeds(values, place, out=flag)
            np.multiply(flag.view(np.uint8), np.uint8(number), out=label)
            np.maximum(found, label, out=found)
            combine(place, values, out=place)
        # A NaN exceeds nothing, nor does what an extremum begins with.
        if np.isnan(best).any() or (best == nothing).any():
            self._find_first(part, best, chosen)
        return chosen

    def _find_first(self, part: Array, best: Array, chosen: Array) -> None:
        """The same in general: the first that is the extremum, or NaN."""
        chosen[...] = 0
        for number, tap in enumerate(self.taps, 1):
            values, found = part[tap.elements], chosen[tap.results]
            hit = (values == best[tap.results]) | np.isnan(values)
            np.copyto(found, np.uint8(number), where=hit & (found == 0))

    def _taps(self) -> Iterator[_Tap]:
        """In row-major order of the reduced indices."""
        names = self.problem.reduced
        extents = self.problem.extents
        for values in product(*(range(extents[name]) for name in names)):
            found = self._tap(dict(zip(names, values, strict=True)))
            if found is not None:
                yield found

    def _tap(self, values: Mapping[str, int]) -> _Tap | None:
        results: list[slice] = []
        elements: list[slice | int] = []
        for access in self.accesses:
            found = _slices(access.fixed(values), self.problem.extents)
            if found is None:
                return None
            elements.append(found[1])
            if found[0] is not None:
                results.append(found[0])
        # The dots keep what has no axes an array.
        return _Tap((*results, ...), (*elements, ...))


def _bits(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Integers of the same size."""
    return np.dtype(f"i{dtype.itemsize}")


def _slices(access: Access, extents: Mapping[str, int]) -> tuple[slice | None, slice | int] | None:
    """Which values of an axis's only index are inside it, and which elements these are.

    An axis without an index is one element. If nothing is inside, ``None``.
    """
    at = access.offset
    if not access.terms:
        return (None, at) if 0 <= at < access.size else None
    ((name, step),) = access.terms
    low, high = inside(step, at, at - access.size + 1)
    low, high = max(low, 0), min(high, extents[name] - 1)
    if low > high:
        return None
    first, last = at + step * low, at + step * high
    end = last + (1 if step > 0 else -1)
    return slice(low, high + 1), slice(first, end if end >= 0 else None, step)
