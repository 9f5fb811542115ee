"""How the elements of an operand meet windows: which ones, and as which tap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.program import offsets
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import volume

# Points of an axis from which on a table of them is not worth its while.
_MOST_POINTS = 1 << 22


class Met(NamedTuple):
    """How the elements of an axis meet windows.

    Attributes:
        first: for each element the first window that it is a tap of.
        which: for each element its class.
        pairs: class by class, how many windows after the first one, and the number of the tap.
        ends: where the pairs of each class begin, and where the last ones end.
    """

    first: Array
    which: Array
    pairs: Array
    ends: Array

    def records(self, given: int, gradient: int, chosen: int, classes: int) -> Array:
        """For each element bytes in cotangent, gradient and choice, and what the class adds."""
        every = np.arange(len(self.first)) * gradient
        return np.stack(
            [self.first * given, every, self.first * chosen, self.which * classes], axis=1
        )

    def moved(self, given: int, chosen: int) -> Array:
        """For each pair the window, as bytes in cotangent and choice, and the tap."""
        return np.asarray(self.pairs @ np.array([[given, chosen, 0], [0, 0, 1]]))


def met(access: Access, problem: Problem) -> Met | None:
    """How the elements of an axis meet windows; ``None`` if two indices move them.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k) -> i", reduce="max"), [(5,)], {"k": 3})
        >>> found = met(problem.operands[0][0], problem)
        >>> found.first.tolist(), found.which.tolist()
        ([0, 0, 0, 1, 1], [0, 1, 2, 1, 3])
        >>> found.pairs[found.ends[2] : found.ends[3]].tolist()  # tap 2, and tap 0 of the next one
        [[0, 2], [1, 0]]
    """
    kept = [name for name in access.names if name in problem.kept]
    if len(kept) > 1:
        return None
    steps, extents = dict(access.terms), problem.extents
    reduced = [name for name in problem.reduced if name in steps]
    moved = offsets(*((extents[n], steps[n]) for n in kept))
    taps = offsets(*((extents[n], steps[n]) for n in reduced))
    numbers = offsets(*((extents[n], _weight(n, problem)) for n in reduced))
    if moved.size * taps.size > _MOST_POINTS:
        return None
    places = access.offset + np.add.outer(moved, taps)
    return _grouped(places, numbers, access.size)


def _weight(name: str, problem: Problem) -> int:
    """What an index adds to the number of a tap."""
    after = problem.reduced[problem.reduced.index(name) + 1 :]
    return volume(after, problem.extents)


def _grouped(places: Array, numbers: Array, size: int) -> Met:
    """The windows and taps that meet each of so many elements."""
    window, tap = np.nonzero((places >= 0) & (places < size))
    where = places[window, tap]
    order = np.lexsort((window, where))
    window, tap, where = window[order], tap[order], where[order]
    bounds = np.searchsorted(where, np.arange(size + 1))
    counts = np.diff(bounds)
    first = np.zeros(size, np.int64)
    first[counts > 0] = window[bounds[:-1][counts > 0]]
    pairs = np.stack([window - first[where], numbers[tap]], axis=1)
    # A row for each element, of one length, so that equal rows are a class.
    rows = np.full((size, counts.max(initial=0), 2), -1, np.int64)
    rows[where, np.arange(len(where)) - bounds[where]] = pairs
    begins, which = _classes(rows.reshape(size, -1))
    ends = np.cumsum([0, *counts[begins]])
    return Met(first, which, pairs[joined(bounds[begins], counts[begins])], ends)


def _classes(rows: Array) -> tuple[Array, Array]:
    """The first row of each class of equal rows, and the class of each row."""
    if not rows.shape[1]:
        return np.zeros(1, np.int64), np.zeros(len(rows), np.int64)
    _, begins, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(begins)
    return begins[order], np.argsort(order)[which.reshape(-1)]


def joined(starts: Array, counts: Array) -> Array:
    """Ranges one after the other: so many numbers from each start on.

    Example:
        >>> joined(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def combined(here: Array, here_ends: Array, pairs: Array, ends: Array) -> tuple[Array, Array]:
    """The pairs of all classes of one more axis, each with those of the axes before."""
    few, many = np.diff(ends), np.diff(here_ends)
    counts = np.multiply.outer(many, few)
    # For every pair of classes: each pair of the axes before with each one of this axis.
    own, other = np.indices(counts.shape).reshape(2, -1)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts.ravel(), counts.ravel())
    own, other = np.repeat(own, counts.ravel()), np.repeat(other, counts.ravel())
    before, added = np.divmod(place, many[own])
    made = pairs[ends[other] + before] + here[here_ends[own] + added]
    return made, np.cumsum([0, *counts.ravel()])
