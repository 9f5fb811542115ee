"""How the elements of an operand meet windows: which ones, and as which tap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from contractconv.execution.sequence import offsets
from contractconv.execution.views import Array
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import volume

# Bytes in cotangent and choice, and the number of a tap.
Pair = tuple[int, int, int]
# Points of an axis from which on a table of them is not worth its while.
_MOST_POINTS = 1 << 22


class Met(NamedTuple):
    """How the elements of an axis meet windows.

    Attributes:
        first: for each element the first window that it is a tap of.
        which: for each element its class.
        classes: for each class its pairs: how many windows after the first one, and the number of
            the tap.
    """

    first: Array
    which: Array
    classes: tuple[tuple[tuple[int, int], ...], ...]

    def records(self, given: int, gradient: int, chosen: int, classes: int) -> Array:
        """For each element bytes in cotangent, gradient and choice, and what the class adds."""
        every = np.arange(len(self.first)) * gradient
        return np.stack(
            [self.first * given, every, self.first * chosen, self.which * classes], axis=1
        )

    def pairs(self, given: int, chosen: int) -> list[list[Pair]]:
        """For each class the windows, as bytes in cotangent and choice, and the taps."""
        return [[(i * given, i * chosen, tap) for i, tap in some] for some in self.classes]


def met(access: Access, problem: Problem) -> Met | None:
    """How the elements of an axis meet windows; ``None`` if two indices move them.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k) -> i", reduce="max"), [(5,)], {"k": 3})
        >>> found = met(problem.operands[0][0], problem)
        >>> found.first.tolist(), found.which.tolist()
        ([0, 0, 0, 1, 1], [0, 1, 2, 1, 3])
        >>> found.classes[2]  # tap 2 of a window, and tap 0 of the next one
        ((0, 2), (1, 0))
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
    first, which = np.zeros(size, np.int64), np.zeros(size, np.int64)
    classes: dict[tuple[tuple[int, int], ...], int] = {}
    for n, pairs in enumerate(_pairs(bounds, window, numbers[tap])):
        if pairs:
            first[n] = pairs[0][0]
        moved = tuple((i - int(first[n]), number) for i, number in pairs)
        which[n] = classes.setdefault(moved, len(classes))
    return Met(first, which, tuple(classes))


def _pairs(bounds: Array, window: Array, number: Array) -> Iterator[list[tuple[int, int]]]:
    both = list(zip(window.tolist(), number.tolist(), strict=True))
    for begin, end in pairwise(bounds.tolist()):
        yield both[begin:end]


def combined(
    here: Sequence[Sequence[Pair]], pairs: Sequence[Pair], ends: Sequence[int]
) -> tuple[list[Pair], list[int]]:
    """The pairs of all classes of one more axis, each with those of the axes before."""
    before = [pairs[a:b] for a, b in pairwise(ends)]
    made: list[Pair] = []
    bounds = [0]
    for some, others in product(here, before):
        made += [(a + d, b + e, c + f) for (a, b, c), (d, e, f) in product(others, some)]
        bounds.append(len(made))
    return made, bounds
