"""The cheapest of all orders, by dynamic programming over sets of operands.

Sets are built from smaller ones, as in Pfeifer, Haegeman and Verstraete, "Faster identification of
optimal contraction sequences for tensor networks" (2014). One that can no longer be part of an
order as cheap as one that is known already is left out: what it has cost, and what later steps must
read at least, is more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class _State(NamedTuple):
    """A set of terms: what the cheapest order of them costs, and the sets of its last step."""

    cost: float
    term: Term
    indices: int
    halves: tuple[int, int]


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
        self.indices = [network.indices(term.labels) for term in part.terms]
        self.floors = [self._floor(term) for term in part.terms]
        self.states = {
            1 << n: _State(0, term, names, (0, 0))
            for n, (term, names) in enumerate(zip(part.terms, self.indices, strict=True))
        }
        self.most = most
        # For each number of terms the sets of so many, by what is known of their whole orders.
        self.levels: list[list[tuple[float, int]]] = [[], [(0.0, s) for s in self.states]]

    def _floor(self, term: Term) -> float:
        """What the step takes at least that reads a term."""
        size = min(term.size, self.network.volumes[term.labels])
        return least(self.network.minimize, size)

    def found(self) -> list[Step] | None:
        for size in range(2, self.count):
            self.levels.append(self._level(size))
        return self._last()

    def _level(self, size: int) -> list[tuple[float, int]]:
        """The sets of so many terms that can be part of a cheaper order."""
        room = self.most - sum(self.floors)
        made: dict[int, _State] = {}
        for few in range(1, size // 2 + 1):
            self._join(few, size - few, room, made)
        self.states.update(made)
        ranked = ((self._excess(s, state), s) for s, state in made.items())
        return sorted(pair for pair in ranked if pair[0] <= room)

    def _excess(self, members: int, state: _State) -> float:
        """By how much a whole order costs more, at least, than what reading all terms takes."""
        read = sum(floor for n, floor in enumerate(self.floors) if members >> n & 1)
        return state.cost + self._floor(state.term) - read

    def _join(self, few: int, many: int, room: float, made: dict[int, _State]) -> None:
        """Pairs of sets of so many terms each."""
        states, others, same, outer = self.states, self.levels[many], few == many, self.outer
        for excess, one in self.levels[few]:
            first, most = states[one], room - excess
            for more, two in others:
                if more > most:
                    break
                if one & two or (same and one > two):
                    continue
                second, known = states[two], made.get(one | two)
                if known is not None and first.cost + second.cost >= known.cost:
                    continue
                if outer or first.indices & second.indices:
                    self._pair(one, two, known, made)

    def _pair(self, one: int, two: int, known: _State | None, made: dict[int, _State]) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooManyError
        first, second, network = self.states[one], self.states[two], self.network
        if known is None:
            union = first.term.labels | second.term.labels
            result = network.result(union, self._needed(one | two))
        else:
            result = known.term.labels
        cost, size = network.step(first.term, second.term, result)
        cost += first.cost + second.cost
        if known is None:
            made[one | two] = _State(cost, Term(result, size), network.indices(result), (one, two))
        elif cost < known.cost:
            made[one | two] = known._replace(cost=cost, halves=(one, two))

    def _needed(self, members: int) -> int:
        found = self.part.outside
        for n, names in enumerate(self.indices):
            if not members >> n & 1:
                found |= names
        return found

    def _last(self) -> list[Step] | None:
        """The cheapest last step that there is, and all before it."""
        best, found = self.most / _ROUNDED, None
        everything = (1 << self.count) - 1
        for one, first in self.states.items():
            two = everything ^ one
            second = self.states.get(two)
            if second is None or one > two or first.cost + second.cost >= best:
                continue
            cost, term = self._last_step(first.term, second.term)
            cost += first.cost + second.cost
            if cost < best:
                best, found = cost, _State(cost, term, 0, (one, two))
        return None if found is None else self._steps(everything, found)

    def _last_step(self, first: Term, second: Term) -> tuple[float, Term]:
        network = self.network
        result = network.result(first.labels | second.labels, self.part.outside)
        cost, size = network.step(first, second, result)
        if self.part.last:
            cost = network.last_step(first, second, result)
        return cost, Term(result, size)

    def _steps(self, everything: int, last: _State) -> list[Step]:
        self.states[everything] = last
        pending, order = [everything], []
        while pending:
            members = pending.pop()
            order.append(members)
            pending += [s for s in self.states[members].halves if s & (s - 1)]
        order.reverse()
        sets = [*(1 << n for n in range(self.count)), *order]
        numbers = {members: n for n, members in enumerate(sets)}
        return [self._step(members, numbers) for members in order]

    def _step(self, members: int, numbers: dict[int, int]) -> Step:
        cost, term, _, (one, two) = self.states[members]
        alone = cost - self.states[one].cost - self.states[two].cost
        return Step((numbers[one], numbers[two]), term, alone)
