"""The cheapest of all orders, by dynamic programming over sets of operands.

Sets are built from smaller ones, as in Pfeifer, Haegeman and Verstraete, "Faster identification of
optimal contraction sequences for tensor networks" (2014). One that can no longer be part of an
order as cheap as one that is known already is left out: what it has cost, and what later steps must
read at least, is more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from contractconv.planning.orders.network import Network, Term
from contractconv.planning.orders.objectives import least

# Costs are sums in different orders, which round differently.
_ROUNDED = 1 + 1e-12


class Part(NamedTuple):
    """Some of the terms of a network, which meet before they meet others.

    Attributes:
        terms: what meets.
        outside: the indices that are needed afterwards.
        last: whether the last of its steps writes the output.
    """

    terms: Sequence[Term]
    outside: int
    last: bool


class Step(NamedTuple):
    """Two terms meet.

    Attributes:
        halves: their numbers; results are numbered after the operands.
        term: what they make.
        cost: what that costs.
    """

    halves: tuple[int, int]
    term: Term
    cost: float

    def renamed(self, names: Sequence[int]) -> Step:
        """The same of terms with other numbers."""
        one, two = self.halves
        return self._replace(halves=(names[one], names[two]))


@dataclass(slots=True)
class _Set:
    """A set of terms: what the cheapest order of them costs, and the sets of its last step.

    Attributes:
        cost: of the cheapest order that is known.
        limit: what the orders of two halves cost together, if that could be of use.
        read: what reading the terms takes at least.
        floor: what a step takes at least that reads what is left of them, or makes it.
        term: what is left of them.
        indices: those of the result.
        halves: the sets of the last step.
    """

    cost: float
    limit: float
    read: float
    floor: float
    term: Term
    indices: int
    halves: tuple[int, int] = (0, 0)


class TooManyError(Exception):
    """There are more orders than shall be compared."""


def cheapest(
    network: Network, part: Part, most: float, pairs: int, outer: bool = True
) -> list[Step] | None:
    """Find the cheapest order of some terms.

    Args:
        network: the contraction.
        part: the terms.
        most: what an order that is known already costs.
        pairs: of sets that are compared at most.
        outer: whether terms without a common index may meet.

    Returns:
        The order, or ``None`` if none is cheaper than that.

    Raises:
        TooManyError: there are more pairs.
    """
    return _Search(network, part, most, pairs, outer).found()


class _Search:
    def __init__(self, network: Network, part: Part, most: float, pairs: int, outer: bool) -> None:
        self.network, self.part, self.outer = network, part, outer
        self.count = len(part.terms)
        self.left = pairs
        self.most = most
        self.indices = [network.indices(term.labels) for term in part.terms]
        self.sets = {
            1 << n: self._operand(term, names)
            for n, (term, names) in enumerate(zip(part.terms, self.indices, strict=True))
        }
        # What a product of terms that share no index takes, by what they take themselves.
        self.spread = 2 / least(network.minimize, 1)
        # By so much an order may cost more than what reading all terms takes.
        self.room = most - sum(found.read for found in self.sets.values())
        # For each number of terms the sets of so many, by how much their orders cost more.
        self.levels: list[list[tuple[float, int]]] = [[], [(0.0, s) for s in self.sets]]

    def _operand(self, term: Term, indices: int) -> _Set:
        size = min(term.size, self.network.volumes[term.labels])
        floor = least(self.network.minimize, size)
        return _Set(0.0, 0.0, floor, floor, term, indices)

    def found(self) -> list[Step] | None:
        for size in range(2, self.count):
            self.levels.append(self._level(size))
        return self._last()

    def _level(self, size: int) -> list[tuple[float, int]]:
        """The sets of so many terms that can be part of a cheaper order."""
        made: dict[int, _Set] = {}
        for few in range(1, size // 2 + 1):
            self._join(few, size - few, made)
        made = {s: found for s, found in made.items() if found.cost < inf}
        self.sets.update(made)
        ranked = ((found.cost + found.floor - found.read, s) for s, found in made.items())
        return sorted(pair for pair in ranked if pair[0] <= self.room)

    def _join(self, few: int, many: int, made: dict[int, _Set]) -> None:
        """Pairs of sets of so many terms each."""
        sets, others, same, outer = self.sets, self.levels[many], few == many, self.outer
        for excess, one in self.levels[few]:
            first, most = sets[one], self.room - excess
            for more, two in others:
                if more > most:
                    break
                if one & two or (same and one > two):
                    continue
                second, both = sets[two], made.get(one | two)
                apart = not first.indices & second.indices
                if apart and (not outer or self._is_large(first, second)):
                    continue
                if both is None:
                    both = made[one | two] = self._union(one | two, first, second)
                if first.cost + second.cost < both.limit:
                    self._improve(both, first, second, (one, two))

    def _is_large(self, first: _Set, second: _Set) -> bool:
        """Whether the outer product of two sets is too large to be of use."""
        spent = first.cost - first.read + second.cost - second.read
        return spent + first.floor * second.floor * self.spread > self.room

    def _union(self, members: int, first: _Set, second: _Set) -> _Set:
        """What is the same of a set, whatever its order."""
        network, read = self.network, first.read + second.read
        result = network.result(first.term.labels | second.term.labels, self._needed(members))
        term = Term(result, network.volumes[result])
        floor = least(network.minimize, term.size)
        limit = self.room + read - 2 * floor
        return _Set(inf, limit, read, floor, term, network.indices(result))

    def _improve(self, both: _Set, first: _Set, second: _Set, halves: tuple[int, int]) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooManyError
        alone, _ = self.network.step(first.term, second.term, both.term.labels)
        cost = alone + first.cost + second.cost
        if cost < both.cost:
            both.cost, both.halves = cost, halves
            both.limit = min(both.limit, cost - both.floor)

    def _needed(self, members: int) -> int:
        found = self.part.outside
        for n, names in enumerate(self.indices):
            if not members >> n & 1:
                found |= names
        return found

    def _last(self) -> list[Step] | None:
        """The cheapest last step that there is, and all before it."""
        best, last = self.most / _ROUNDED, None
        everything = (1 << self.count) - 1
        for one, first in self.sets.items():
            two = everything ^ one
            second = self.sets.get(two)
            if second is None or one > two or first.cost + second.cost >= best:
                continue
            cost, term = self._last_step(first.term, second.term)
            cost += first.cost + second.cost
            if cost < best:
                best, last = cost, _Set(cost, cost, 0.0, 0.0, term, 0, (one, two))
        return None if last is None else self._steps(everything, last)

    def _last_step(self, first: Term, second: Term) -> tuple[float, Term]:
        network = self.network
        result = network.result(first.labels | second.labels, self.part.outside)
        cost, size = network.step(first, second, result)
        if self.part.last:
            cost = network.last_step(first, second, result)
        return cost, Term(result, size)

    def _steps(self, everything: int, last: _Set) -> list[Step]:
        self.sets[everything] = last
        pending, order = [everything], []
        while pending:
            members = pending.pop()
            order.append(members)
            pending += [s for s in self.sets[members].halves if s & (s - 1)]
        order.reverse()
        listed = [*(1 << n for n in range(self.count)), *order]
        numbers = {s: n for n, s in enumerate(listed)}
        return [self._step(members, numbers) for members in order]

    def _step(self, members: int, numbers: dict[int, int]) -> Step:
        found = self.sets[members]
        one, two = found.halves
        alone = found.cost - self.sets[one].cost - self.sets[two].cost
        return Step((numbers[one], numbers[two]), found.term, alone)
