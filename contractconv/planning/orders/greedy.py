"""Orders that are found pair by pair: what grows least, or little, meets first."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush, nsmallest
from math import copysign, log
from random import Random

from contractconv.planning.orders.network import Network, Term, bits
from contractconv.planning.orders.tree import Pairs

# Terms that a new one is tried with.
_MOST_PARTNERS = 64

Rank = Callable[[int, int, int], float]
"""How late two terms meet, by the elements of their product and of each of them."""


def growth(made: int, one: int, two: int) -> float:
    """By how many elements there are more after a step."""
    return made - one - two


def disturbed(draw: Random) -> Rank:
    """A rank that favours small products, or large terms, more or less, and errs now and then.

    As in Gray and Kourtis, "Hyper-optimized tensor network contraction" (2021).
    """
    weight = draw.uniform(0.1, 4)
    heat = 10 ** draw.uniform(-3, 0)

    def rank(made: int, one: int, two: int) -> float:
        grown = made / weight - (one + two) * weight
        erring = heat * log(-log(draw.random() or 0.5))
        return copysign(log(1 + abs(grown)), grown) + erring

    return rank


def greedy(network: Network, rank: Rank = growth) -> Pairs:
    """Always contract the pair that a rank puts first; cheap for many operands.

    A pair is tried when its second term appears, and again when an index is left to it alone.
    """
    return _Greedy(network, rank).found()


class _Greedy:
    def __init__(self, network: Network, rank: Rank) -> None:
        self.network, self.rank = network, rank
        self.alive: dict[int, Term] = {}
        self.indices: dict[int, int] = {}
        self.holders: dict[int, set[int]] = {}
        # Indices that two terms have, and the output has not.
        self.paired = 0
        self.pairs: list[tuple[float, int, int]] = []
        for number, term in enumerate(network.terms):
            self._hold(number, term)
        for number in self.alive:
            self._pair(number, later=True)

    def found(self) -> Pairs:
        """The steps."""
        steps: Pairs = []
        count = len(self.alive)
        while len(self.alive) > 1:
            first, second = self._best()
            steps.append((first, second))
            term = self._product(first, second)
            lonely = self._drop(first, second)
            number = count + len(steps) - 1
            self._hold(number, term)
            for name in bits(lonely & ~self.indices[number]):
                self._try(*sorted(self.holders[name]))
            self._pair(number)
        return steps

    def _best(self) -> tuple[int, int]:
        while self.pairs:
            _, newest, first = heappop(self.pairs)
            second = -newest
            if first in self.alive and second in self.alive:
                return first, second
        # No two share an index any more.
        first, second = sorted(nsmallest(2, self.alive, key=self._by_size))
        return first, second

    def _by_size(self, number: int) -> tuple[int, int]:
        return self.alive[number].size, number

    def _hold(self, number: int, term: Term) -> None:
        self.alive[number] = term
        self.indices[number] = self.network.indices(term.labels)
        for name in bits(self.indices[number]):
            self.holders.setdefault(name, set()).add(number)
            self._count(name)

    def _count(self, name: int) -> None:
        alone = len(self.holders[name]) == 2 and not name & self.network.kept
        self.paired = self.paired | name if alone else self.paired & ~name

    def _drop(self, *numbers: int) -> int:
        """Forget two terms; which of their indices is left to two others?"""
        names = 0
        for number in numbers:
            del self.alive[number]
            for name in bits(self.indices[number]):
                self.holders[name].discard(number)
                self._count(name)
            names |= self.indices[number]
        return names & self.paired

    def _pair(self, number: int, later: bool = False) -> None:
        """Try a term with those that share an index with it, the smallest of them."""
        near = set().union(*(self.holders[name] for name in bits(self.indices[number])))
        others = [n for n in near if n != number and not (later and n > number)]
        if len(others) > _MOST_PARTNERS:
            others = nsmallest(_MOST_PARTNERS, others, key=self._by_size)
        for other in others:
            self._try(min(other, number), max(other, number))

    def _try(self, first: int, second: int) -> None:
        made = self._product(first, second).size
        rank = self.rank(made, self.alive[first].size, self.alive[second].size)
        # Of equals the newest: what was just made need not be kept for long.
        heappush(self.pairs, (rank, -second, first))

    def _product(self, first: int, second: int) -> Term:
        network, names = self.network, (self.indices[first], self.indices[second])
        needed = ~(names[0] & names[1] & self.paired)
        result = network.result(self.alive[first].labels | self.alive[second].labels, needed)
        return Term(result, network.volumes[result])
