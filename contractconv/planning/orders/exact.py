"""The cheapest of all orders, by dynamic programming over sets of operands.

Sets are built from smaller ones, as in Pfeifer, Haegeman and Verstraete, "Faster identification of
optimal contraction sequences for tensor networks" (2014). One that can no longer be part of an
order as cheap as one that is known already is left out: what it has cost, and what later steps must
read at least, is more than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from contractconv.planning.orders.network import Network, Term
from contractconv.planning.orders.objectives import least
from contractconv.planning.orders.outer_products import OuterProducts

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
        labels: what is left of them.
        size: the elements of that.
        indices: the indices of that, which bind it to others.
        halves: the sets of the last step.
        island: all terms of the islands that it is of.
        factors: the indices of each half, if that step is an outer product.
    """

    cost: float
    limit: float
    read: float
    floor: float
    labels: int
    size: int
    indices: int
    island: int
    halves: tuple[int, int] = (0, 0)
    factors: tuple[int, int] | None = None

    @property
    def term(self) -> Term:
        """What is left of them."""
        return Term(self.labels, self.size)


class TooManyError(Exception):
    """There are more orders than shall be compared."""


def cheapest(network: Network, part: Part, most: float, pairs: int) -> list[Step] | None:
    """The cheapest of all orders of some terms, as :meth:`Orders.cheapest` finds it."""
    return Orders(network, part).cheapest(most, pairs)


_Level = list[tuple[float, int, _Set]]


class Orders:
    """All orders of some terms of a network.

    Args:
        network: the contraction.
        part: the terms, not more than two dozen.
    """

    def __init__(self, network: Network, part: Part) -> None:
        self.network, self.part = network, part
        self.count = len(part.terms)
        self.everything = (1 << self.count) - 1
        # What a step takes at least for an element that it reads.
        self.least = least(network.minimize)
        self.indices = [network.indices(term.labels) for term in part.terms]
        half = self.count // 2
        self.unions = _unions(self.indices[:half]), _unions(self.indices[half:])
        self.products = OuterProducts(network, self.indices, part.outside)
        islands = self.products.islands
        self.operands = {
            1 << n: self._operand(term, names, next(i for i in islands if i >> n & 1))
            for n, (term, names) in enumerate(zip(part.terms, self.indices, strict=True))
        }
        self.read = sum(found.read for found in self.operands.values())
        # What has been found out about sets of terms, and is of use for the next search.
        self.known: dict[int, _Set] = {}

    @property
    def has_islands(self) -> bool:
        """Whether parts that share no index meet at the end, without any outer product before."""
        return len(self.products.islands) > 1

    def cheapest(self, most: float, pairs: int, outer: bool = True) -> list[Step] | None:
        """Find the cheapest order.

        Args:
            most: what an order that is known already costs.
            pairs: of sets that are compared at most.
            outer: whether terms without a common index may meet.

        Returns:
            The order, or ``None`` if none is cheaper than that.

        Raises:
            TooManyError: there are more pairs.
        """
        self.most, self.left, self.outer = most, pairs, outer
        self.sets = {**self.operands}
        # By so much an order may cost more than what reading all terms takes.
        self.room = most - self.read
        # For each number of terms the sets of so many, by how much their orders cost more.
        self.levels: list[_Level] = [[], [(0.0, s, found) for s, found in self.sets.items()]]
        for size in range(2, self.count):
            self.levels.append(self._level(size))
        return self._last()

    def _operand(self, term: Term, indices: int, island: int) -> _Set:
        floor = min(term.size, self.network.volumes[term.labels]) * self.least
        return _Set(0.0, 0.0, floor, floor, *term, indices & self.products.binding, island)

    def _level(self, size: int) -> _Level:
        """The sets of so many terms that can be part of a cheaper order."""
        made: dict[int, _Set] = {}
        for few in range(1, size // 2 + 1):
            self._join(few, size - few, made)
        made = {s: found for s, found in made.items() if found.cost < inf}
        self.sets.update(made)
        ranked = ((found.cost + found.floor - found.read, s, found) for s, found in made.items())
        return sorted(entry for entry in ranked if entry[0] <= self.room)

    def _join(self, few: int, many: int, made: dict[int, _Set]) -> None:
        """Sets of so many terms each meet."""
        step = self.network.step
        for one, first, two, second in self._pairs(few, many):
            both = made.get(one | two)
            if both is None:
                both = made[one | two] = self._union(one | two, first, second)
            before = first.cost + second.cost
            if before < both.limit:
                self.left -= 1
                moved = first.size + second.size + both.size
                cost = before + step(first.labels, second.labels, both.labels, moved)
                if cost < both.cost:
                    both.cost, both.halves = cost, (one, two)
                    both.limit = min(both.limit, cost - both.floor)
                    apart = not first.indices & second.indices
                    both.factors = (first.indices, second.indices) if apart else None
                if self.left < 0:
                    raise TooManyError

    def _pairs(self, few: int, many: int) -> Iterator[tuple[int, _Set, int, _Set]]:
        """Sets of so many terms each that may meet: all but those of which no good can come."""
        products, summed = self.products, self.products.summed
        others = self.levels[many]
        for place, (excess, one, first) in enumerate(self.levels[few]):
            most, floor, indices = self.room - excess, first.floor, first.indices
            # An outer product has to be read: that is left for it, by the floor of the other set.
            apart, spare = 2 * floor / self.least - 1, most + floor
            for more, two, second in others[place + 1 :] if few == many else others:
                if more > most:
                    break
                if one & two:
                    continue
                shared = indices & second.indices
                if not shared:
                    if more + second.floor * apart > spare or not self._apart(
                        one, first, two, second
                    ):
                        continue
                elif shared & summed and (
                    products.is_early(first.factors, second.indices)
                    or products.is_early(second.factors, indices)
                ):
                    continue
                yield one, first, two, second

    def _apart(self, one: int, first: _Set, two: int, second: _Set) -> bool:
        """Whether two sets that share no index may meet."""
        if self.products.is_number(first.indices) or self.products.is_number(second.indices):
            return True
        if first.island == second.island:
            return self.outer and not (first.indices | second.indices) & self.products.open
        return not (first.island & ~one or second.island & ~two)

    def _union(self, members: int, first: _Set, second: _Set) -> _Set:
        """A set, of whose orders none is known but those of an earlier search."""
        read = first.read + second.read
        found = self.known.get(members)
        if found is not None:
            found.limit = min(self.room + read - 2 * found.floor, found.cost - found.floor)
            return found
        network = self.network
        result = network.result(first.labels | second.labels, self._needed(members))
        size = network.volumes[result]
        floor = size * self.least
        limit = self.room + read - 2 * floor
        island = first.island | second.island
        for number, other in ((first, second), (second, first)):
            island = other.island if self.products.is_number(number.indices) else island
        indices = network.indices(result) & self.products.binding
        made = self.known[members] = _Set(inf, limit, read, floor, result, size, indices, island)
        return made

    def _needed(self, members: int) -> int:
        """The indices of all other terms, and those that are needed afterwards."""
        rest = self.everything & ~members
        low, high = self.unions
        return self.part.outside | low[rest & len(low) - 1] | high[rest >> self.count // 2]

    def _last(self) -> list[Step] | None:
        """The cheapest last step that there is, and all before it."""
        best, last = self.most / _ROUNDED, None
        everything, part = self.everything, self.part
        for one, first in self.sets.items():
            two = everything ^ one
            second = self.sets.get(two)
            if second is None or one > two or first.cost + second.cost >= best:
                continue
            cost, term = self.network.meeting(first.term, second.term, part.outside, part.last)
            cost += first.cost + second.cost
            if cost < best:
                best, last = cost, _Set(cost, cost, 0.0, 0.0, *term, 0, everything, (one, two))
        return None if last is None else self._steps(everything, last)

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


def _unions(indices: Sequence[int]) -> list[int]:
    """The indices of all terms in each set of terms, by the set as a number.

    >>> _unions([0b001, 0b110])
    [0, 1, 6, 7]
    """
    found = [0]
    for names in indices:
        found += [names | others for others in found]
    return found
