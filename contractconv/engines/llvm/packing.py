"""How a block of a contraction reads an operand: where it lies, or from a small tidy copy.

A copy is made of the part that the block reaches, when that part ends outside the array (then
the copy is padded), or when its numbers must be neighbours along one index and are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from contractconv.notation.problem import Accesses, Problem

Strides = tuple[int, ...]
# Numbers from which on a copy is made in parts.
_SHARED = 1 << 13


@dataclass(frozen=True, slots=True)
class Copy:
    """A tidy copy of the part of an array that a block reaches.

    Attributes:
        shape: its shape, axes as in memory.
        order: which axis of the array each of its axes is.
        into: the part of the copy that lies inside the array.
        outof: the same part of the array.
        padded: whether there is another part, which is zero.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    into: tuple[slice, ...]
    outof: tuple[slice, ...]
    padded: bool

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """How many numbers lie from one to the next along each axis."""
        return tuple(prod(self.shape[n + 1 :]) for n in range(len(self.shape)))

    def shares(self, count: int) -> Iterator[Copy]:
        """Parts of the copy that can be made at the same time."""
        sizes = [part.stop - part.start for part in self.into]
        if self.padded or self.elements < _SHARED:
            yield self
            return
        axis = max(range(len(sizes)), key=lambda n: (sizes[n] >= count, -n))
        bounds = [sizes[axis] * n // count for n in range(count + 1)]
        for start, stop in pairwise(bounds):
            if stop > start:
                into, outof = list(self.into), list(self.outof)
                into[axis] = _within(into[axis], start, stop)
                own = self.order[axis]
                outof[own] = _within(outof[own], start, stop)
                yield replace(self, into=tuple(into), outof=tuple(outof))


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the numbers of an operand lie, seen from one block.

    Attributes:
        offset: bytes from the beginning of the array, or of the copy, to the first point.
        steps: for each index, bytes from one of its values to the next.
        copy: what is copied beforehand; ``None`` if the array is read where it lies.
    """

    offset: int
    steps: Mapping[str, int]
    copy: Copy | None


def _within(part: slice, start: int, stop: int) -> slice:
    return slice(part.start + start, part.start + stop)


def reading(
    problem: Problem,
    accesses: Accesses,
    strides: Strides,
    itemsize: int,
    lane: str | None,
    entire: bool = False,
    left_out: int | None = None,
) -> Reading:
    """Say how a block reads an operand.

    Args:
        problem: the block: a leaf.
        accesses: the axes of the operand.
        strides: the strides of its array in bytes.
        itemsize: the bytes of one number.
        lane: an index along which numbers must be neighbours, if there is one.
        entire: whether a copy is of all the operand, so that other blocks can read it, too.
        left_out: an axis outside of which nothing will be read, whatever its accesses say.
    """
    boxes = [access.reach(problem.extents) for access in accesses]
    outside = any(
        n != left_out and (low < 0 or high >= accesses[n].size)
        for n, (low, high) in enumerate(boxes)
    )
    if not outside:
        steps = steps_of(accesses, strides)
        if lane is None or steps.get(lane) == itemsize:
            return Reading(start_of(accesses, strides), steps, None)
    if entire and not outside:
        boxes = [(0, access.size - 1) for access in accesses]
    order = _memory_order(accesses, strides, lane)
    shape = tuple(high - low + 1 for low, high in boxes)
    copied = _strides(shape, order, itemsize)
    first = _dot([a.offset - low for a, (low, _) in zip(accesses, boxes, strict=True)], copied)
    return Reading(first, steps_of(accesses, copied), _copy(accesses, boxes, order, outside))


def writing(
    problem: Problem,
    strides: Strides,
    itemsize: int,
    lane: str,
    labels: Sequence[str],
    *,
    tidy: bool = False,
) -> tuple[Reading, bool]:
    """Say how a block writes the result.

    Args:
        problem: the block: a leaf.
        strides: those of the whole result in bytes.
        itemsize: the bytes of one number.
        lane: the index along which numbers are written side by side.
        labels: the other indices of the result.
        tidy: whether a tidy array is asked for.

    Returns:
        Where its numbers go, and whether that is a tidy array (with the axes ``labels``, then
        ``lane``) that is put into the result afterwards.
    """
    steps = steps_of(problem.output, strides)
    if steps[lane] == itemsize and not tidy:
        return Reading(start_of(problem.output, strides), steps, None), False
    packed: dict[str, int] = {}
    step = itemsize
    for label in (lane, *reversed(labels)):
        packed[label] = step
        step *= problem.extents[label]
    return Reading(0, packed, None), True


def steps_of(accesses: Accesses, strides: Strides) -> dict[str, int]:
    """Bytes from one value of each index to the next."""
    steps: dict[str, int] = {}
    for access, stride in zip(accesses, strides, strict=True):
        for name, coefficient in access.terms:
            steps[name] = steps.get(name, 0) + coefficient * stride
    return steps


def start_of(accesses: Accesses, strides: Strides) -> int:
    """Bytes from the beginning of an array to where all indices are zero."""
    return _dot([access.offset for access in accesses], strides)


def _dot(numbers: Sequence[int], strides: Strides) -> int:
    return sum(number * stride for number, stride in zip(numbers, strides, strict=True))


def _memory_order(accesses: Accesses, strides: Strides, lane: str | None) -> tuple[int, ...]:
    """The axes as they lie in memory, but the one of the lanes last."""

    def place(axis: int) -> tuple[bool, int]:
        return lane in accesses[axis].names, -abs(strides[axis])

    return tuple(sorted(range(len(accesses)), key=place))


def _strides(shape: tuple[int, ...], order: tuple[int, ...], itemsize: int) -> Strides:
    strides = [0] * len(shape)
    step = itemsize
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def _copy(
    accesses: Accesses, boxes: list[tuple[int, int]], order: tuple[int, ...], padded: bool
) -> Copy:
    into, outof, shape = [], [], []
    for access, (low, high) in zip(accesses, boxes, strict=True):
        first = min(max(low, 0), access.size)
        stop = max(first, min(high + 1, access.size))
        into.append(slice(first - low, stop - low))
        outof.append(slice(first, stop))
        shape.append(high - low + 1)
    return Copy(
        tuple(shape[axis] for axis in order),
        order,
        tuple(into[axis] for axis in order),
        tuple(outof),
        padded,
    )
