"""A gradient by the definition, one point of the index space at a time.

Python's own integers and fractions are exact, and nothing here is shared with what it judges but
the reading of the string: no formula, no plan, no kernel. A reduction's record has its local
derivative for this alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, TypeVar

from contractconv.notation.problem import Accesses, Problem
from contractconv.reductions.table import REDUCTIONS

Place = tuple[int, ...]
Numbers = Mapping[Place, Any]
Key = TypeVar("Key")


class BruteForce:
    """The derivatives of one contraction of small arrays.

    Args:
        problem: the contraction.
        operands: the elements of each operand by position, compositions split.
    """

    def __init__(self, problem: Problem, operands: Sequence[Numbers]) -> None:
        self.problem = problem
        self.operands = operands
        self.points = list(self._contributing())
        self.local = self._local_derivatives()

    def result(self) -> dict[Place, Any]:
        """The elements of the result on which points land; the others hold the identity."""
        record = REDUCTIONS[self.problem.reduce]
        if record.linear:
            return added((out, self.local[p] * self._product(at)) for p, out, at in self.points)
        exact = record.asked(record.definition, "definition to be verified by")
        return {out: exact(list(group.values())) for out, group in self._groups().items()}

    def gradient(self, n: int, cotangent: Numbers) -> dict[Place, Any]:
        """The derivative of ``Σ cotangent * result`` by each element of operand ``n``."""
        return added((at, cotangent[out] * slope) for (out, at), slope in self._slopes(n))

    def directional(self, n: int, tangent: Numbers) -> dict[Place, Any]:
        """How the result changes if operand ``n`` changes by the tangent."""
        return added((out, tangent[at] * slope) for (out, at), slope in self._slopes(n))

    def jacobian(self, n: int) -> dict[tuple[Place, Place], Any]:
        """The derivative of each element of the result by each of operand ``n``, where not zero."""
        return added(self._slopes(n))

    def _slopes(self, n: int) -> Iterator[tuple[tuple[Place, Place], Any]]:
        """For each point the element it lands on, that of operand ``n``, and what ties them."""
        for point, out, places in self.points:
            others = prod(self._value(m, at) for m, at in enumerate(places) if m != n)
            yield (out, places[n]), self.local[point] * others

    def _product(self, places: Sequence[Place]) -> Any:
        return prod(self._value(n, place) for n, place in enumerate(places))

    def _value(self, n: int, place: Place) -> Any:
        return self.operands[n][place]

    def _all_points(self) -> Iterator[Place]:
        return product(*(range(size) for _, size in self.problem.sizes))

    def _contributing(self) -> Iterator[tuple[Place, Place, tuple[Place, ...]]]:
        for point in self._all_points():
            values = dict(zip(self.problem.indices, point, strict=True))
            out = _place(self.problem.output, values)
            places = [_place(accesses, values) for accesses in self.problem.operands]
            found = tuple(place for place in places if place is not None)
            if out is not None and len(found) == len(places):
                yield point, out, found

    def _local_derivatives(self) -> dict[Place, Any]:
        """The derivative of the result by each contribution."""
        record = REDUCTIONS[self.problem.reduce]
        if record.averages:
            return self._shares()
        if record.is_sum:
            return {point: 1 for point, _, _ in self.points}
        weights = record.asked(record.local.exact, "derivative to be verified by")
        return {
            point: weight
            for group in self._groups().values()
            for point, weight in zip(group, weights(list(group.values())), strict=True)
        }

    def _groups(self) -> dict[Place, dict[Place, Any]]:
        """What each element of the result reduces, by point."""
        groups: dict[Place, dict[Place, Any]] = {}
        for point, out, places in self.points:
            groups.setdefault(out, {})[point] = self._product(places)
        return groups

    def _shares(self) -> dict[Place, Any]:
        """A mean counts every point that lands on an element, also those read outside."""
        landed: dict[Place, Place] = {}
        for point in self._all_points():
            values = dict(zip(self.problem.indices, point, strict=True))
            out = _place(self.problem.output, values)
            if out is not None:
                landed[point] = out
        count = Counter(landed.values())
        return {point: Fraction(1, count[out]) for point, out in landed.items()}


def added(pairs: Iterable[tuple[Key, Any]]) -> dict[Key, Any]:
    """Add up the numbers that come with the same key."""
    total: dict[Key, Any] = {}
    for key, number in pairs:
        total[key] = total.get(key, 0) + number
    return total


def _place(accesses: Accesses, values: Mapping[str, int]) -> Place | None:
    """The element that a point meets, or ``None``: the notation's one boundary rule."""
    place = []
    for access in accesses:
        number = access.offset
        for name, step in access.terms:
            number += step * values[name]
        position, remainder = divmod(number, access.divisor)
        if remainder or not 0 <= position < access.size:
            return None
        place.append(position)
    return tuple(place)
