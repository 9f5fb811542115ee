"""Operands as labelled views: a window is a matter of strides, not of copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from contractconv.machine.work_sharing import carried_out, evenly
from contractconv.notation.problem import Accesses, Problem, shape_of

Array = NDArray[Any]
Labels = tuple[str, ...]

# Numbers of a padded copy that are written at once, and how many multiplications each is worth.
_SLAB, _MOVE = 1 << 18, 16


class Labelled(NamedTuple):
    """An array with an index name for each axis."""

    array: Array
    labels: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """The extent of each index."""
        return dict(zip(self.labels, self.array.shape, strict=True))

    @property
    def steps(self) -> dict[str, int]:
        """For each index the bytes from one element to the next."""
        return dict(zip(self.labels, self.array.strides, strict=True))

    @property
    def by_stride(self) -> tuple[str, ...]:
        """The indices in the order of memory, the innermost one last."""
        order = sorted(range(self.array.ndim), key=lambda n: -abs(self.array.strides[n]))
        return tuple(self.labels[n] for n in order)

    def merges(self, *groups: tuple[str, ...]) -> bool:
        """Whether each group of axes is one axis in memory already."""
        strides, sizes = self.steps, self.sizes
        for group in groups:
            long = [label for label in group if sizes[label] != 1]
            for outer, inner in pairwise(long):
                if strides[outer] != strides[inner] * sizes[inner]:
                    return False
        return True

    def runs_along(self, rows: tuple[str, ...], columns: tuple[str, ...]) -> bool:
        """Whether consecutive rows, rather than columns, are neighbours in memory."""
        strides, sizes = self.steps, self.sizes

        def run(group: tuple[str, ...]) -> tuple[int, int]:
            long = [label for label in group if sizes[label] != 1]
            return min(((abs(strides[n]), -sizes[n]) for n in long), default=(1 << 62, 0))

        return run(rows) < run(columns)

    def at(self, values: Mapping[str, int]) -> Labelled:
        """Hold some indices at one value each."""
        key = tuple(values.get(label, slice(None)) for label in self.labels)
        return Labelled(self.array[(*key, ...)], tuple(n for n in self.labels if n not in values))

    def flipped(self, label: str) -> Labelled:
        """Let one index run backwards; a view that has no such index is returned as it is."""
        if label not in self.labels:
            return self
        return Labelled(np.flip(self.array, self.labels.index(label)), self.labels)

    def part(self, label: str, start: int, stop: int) -> Labelled:
        """Restrict one index to a range; a view that has no such index is returned whole."""
        if label not in self.labels:
            return self
        key = [slice(None)] * self.array.ndim
        key[self.labels.index(label)] = slice(start, stop)
        return Labelled(self.array[tuple(key)], self.labels)

    def joined(self, outer: str, inner: str) -> Labelled:
        """See two indices, one after the other in memory, as the inner one of them."""
        if outer not in self.labels:
            return self
        n, m = self.labels.index(outer), self.labels.index(inner)
        shape, strides = list(self.array.shape), list(self.array.strides)
        shape[m] *= shape[n]
        del shape[n], strides[n]
        labels = tuple(label for label in self.labels if label != outer)
        return Labelled(as_strided(self.array, shape, strides), labels)

    def opened(self, label: str, size: int) -> Labelled:
        """See one index as two, the inner one of some size, by which it can be divided."""
        if label not in self.labels:
            return self
        n = self.labels.index(label)
        shape, strides = list(self.array.shape), list(self.array.strides)
        shape[n : n + 1] = [shape[n] // size, size]
        strides[n : n + 1] = [strides[n] * size, strides[n]]
        labels = (*self.labels[:n], f"blocks of {label}", *self.labels[n:])
        return Labelled(as_strided(self.array, shape, strides), labels)

    def arranged(self, labels: tuple[str, ...]) -> Array:
        """Return the axes in the order of ``labels``; missing ones have size one."""
        present = [label for label in labels if label in self.labels]
        moved = self.array.transpose([self.labels.index(label) for label in present])
        key = tuple(slice(None) if label in self.labels else None for label in labels)
        return moved[(*key, ...)]  # the dots keep an array of no axes from becoming a number

    def matrix(self, batch: Labels, rows: Labels, columns: Labels) -> Array:
        """Bring a view to the shape (batch..., rows, columns)."""
        lead = self.arranged((*batch, *rows, *columns))
        shape = lead.shape[len(batch) :]
        sides = prod(shape[: len(rows)]), prod(shape[len(rows) :])
        return lead.reshape((*lead.shape[: len(batch)], *sides))


def unread(shape: Sequence[int], strides: Sequence[int] | None, dtype: np.dtype[Any]) -> Array:
    """An array that nobody reads, of some shape and strides; without gaps if there are none."""
    if strides is None:
        strides = gapless(shape, dtype.itemsize)
    return as_strided(np.empty(1, dtype), shape, strides)


def stand_ins(problem: Problem, dtype: np.dtype[Any]) -> list[Labelled]:
    """Views of operands without gaps, as :func:`operand_view` makes them, that nobody reads."""
    return [
        operand_view(problem, number, unread(shape_of(term), None, dtype), None)
        for number, term in enumerate(problem.operands)
    ]


def gapless(shape: Sequence[int], itemsize: int = 1) -> tuple[int, ...]:
    """The strides of an array without gaps, in row-major order."""
    return tuple(itemsize * prod(shape[n + 1 :]) for n in range(len(shape)))


def contiguous(problem: Problem, itemsize: int) -> tuple[tuple[int, ...], ...]:
    """The strides of operands and result without gaps, in bytes."""
    return tuple(gapless(shape_of(t), itemsize) for t in (*problem.operands, problem.output))


def steps_of(accesses: Accesses, strides: Sequence[int]) -> dict[str, int]:
    """Bytes from one value of each index to the next."""
    steps: dict[str, int] = {}
    for access, stride in zip(accesses, strides, strict=True):
        for name, coefficient in access.terms:
            steps[name] = steps.get(name, 0) + coefficient * stride
    return steps


def put(values: Array, target: Array, adding: bool) -> None:
    """Write numbers, or add them to what is there."""
    np.add(target, values, out=target) if adding else np.copyto(target, values)


def overlap(low: int, high: int, size: int) -> tuple[slice, slice]:
    """The part of a range, the last one included, that lies on an axis: within both of them."""
    first = min(max(low, 0), size)
    stop = max(first, min(high + 1, size))
    return slice(first - low, stop - low), slice(first, stop)


def operand_view(problem: Problem, number: int, array: Array, fill: Any = 0) -> Labelled:
    """Read an operand through its axes, one axis of the view for each index.

    Args:
        array: the operand, its compositions already split.
        fill: what a read outside the array yields; ``None`` if nobody reads at all.

    Returns:
        A view of ``array``, or of a padded copy where the accesses reach outside.
    """
    whole = problem.whole[number]
    if whole is not None:
        return Labelled(array, whole)
    accesses, extents = problem.operands[number], problem.extents
    reaches = [access.reach(extents) for access in accesses]
    starts = [access.offset for access in accesses]
    if any(low < 0 or high >= a.size for (low, high), a in zip(reaches, accesses, strict=True)):
        array = _padded(array, reaches, fill)
        starts = [start - low for start, (low, _) in zip(starts, reaches, strict=True)]
    return _strided(array, accesses, extents, starts)


def output_view(out: Array, problem: Problem) -> Labelled:
    """The elements of ``out`` that a leaf writes, one axis of the view for each index."""
    starts = [access.offset for access in problem.output]
    return _strided(out, problem.output, problem.extents, starts)


def _padded(array: Array, reaches: list[tuple[int, int]], fill: Any) -> Array:
    shape = [high - low + 1 for low, high in reaches]
    if fill is None:
        return unread(shape, None, array.dtype)
    buffer = np.empty(shape, array.dtype)
    (first, _), *others = reaches

    def fill_in(slabs: Sequence[range]) -> None:
        for slab in slabs:
            part = buffer[slab.start : slab.stop]
            part[...] = fill
            ends = (first + slab.start, first + slab.stop - 1)
            there = [overlap(*r, n) for r, n in zip((ends, *others), array.shape, strict=True)]
            part[tuple(into for into, _ in there)] = array[tuple(outof for _, outof in there)]

    # Slab by slab, so that what is filled is still in cache when it is written over.
    carried_out(fill_in, evenly(len(buffer), -(-buffer.size // _SLAB)), _MOVE * buffer.size)
    return buffer


def _strided(
    array: Array, accesses: Accesses, extents: Mapping[str, int], starts: list[int]
) -> Labelled:
    steps = steps_of(accesses, array.strides)
    # Of one value no step is taken, which may be wider than an address.
    strides = [step if extents[name] > 1 else 0 for name, step in steps.items()]
    key: tuple[Any, ...] = tuple(slice(start, start + 1) for start in starts)
    corner = array[(*key, ...)]
    shape = [extents[name] for name in steps]
    return Labelled(as_strided(corner, shape, strides), tuple(steps))
