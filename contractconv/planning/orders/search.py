"""Looking for the order in which the operands of a contraction meet.

Of few operands every order is compared. Of more, pairs are joined greedily, many times by ranks
that differ, and branches of the best trees are ordered anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from random import Random

from contractconv.lazy import remembered
from contractconv.notation.problem import Problem
from contractconv.planning.orders.exact import Orders, Part, TooManyError, cheapest
from contractconv.planning.orders.foreign import as_plain, cotengra_path, named, searched
from contractconv.planning.orders.greedy import disturbed, greedy
from contractconv.planning.orders.network import Network
from contractconv.planning.orders.tree import Pairs, Tree
from contractconv.planning.path import AUTO, Order, Search
from contractconv.planning.setting import COMMON

# Of so few operands every order is compared without ruling any out before.
_SMALL = 6
# Up to here every order is compared, those included in which terms meet that share no index; up to
# there only orders without them.
_ALL, _CONNECTED = 12, 16
# Of so many operands those are compared as well where few terms meet few others: so many pairs.
_SPARSE, _MOST_PAIRS = 24, 12_000
# Of more operands fewer trees are compared.
_FEW = 40
_WORDS = {
    "seconds": "least predicted time",
    "operations": "fewest operations",
    "bytes": "fewest bytes moved",
}


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard one looks.

    Attributes:
        pairs: of sets of operands that are compared, before it is left to luck.
        starts: trees of up to 40 operands that are found greedily; of more operands fewer.
        improved: how many of them are improved, the best ones.
        width: into how many terms a branch is divided that is ordered anew.
        wide: into how many in the end.
        worth: seconds of arithmetic, for each step, that are worth more than a greedy tree.
        thorough: whether others are asked as well.
    """

    pairs: int
    starts: int
    improved: int
    width: int
    wide: int
    worth: float
    thorough: bool


# Of seven operands there are 966 pairs, of twelve 261,625.
EFFORTS = {
    "auto": Effort(4_000, 4, 2, 6, 6, COMMON.call, False),
    "auto-hq": Effort(300_000, 32, 18, 6, 8, COMMON.call / 20, True),
}


def contraction_order(problem: Problem, search: Search = AUTO) -> Order:
    """Choose an order.

    Args:
        problem: the contraction, in which each operand is summed over what it alone has.
        search: who chooses. Of windows opt_einsum's own searches know nothing: there their names
            mean the searches made here.
    """
    count, optimize = len(problem.operands), search.optimize
    if count <= 2:
        return Order((tuple(range(count)),), "")
    if not isinstance(optimize, str):
        path = searched(optimize, as_plain(problem))
        return Order(path, f"{type(optimize).__name__}, as given")
    if optimize not in EFFORTS and not _has_windows(problem):
        return Order(named(optimize, as_plain(problem)), f"{optimize!r} of opt_einsum")
    network = Network(problem, search.minimize)
    if optimize == "greedy":
        return Order(as_positions(greedy(network), count), "greedy", search.minimize)
    if count <= _SMALL:
        return _of_few(network)
    return _Looking(problem, network, EFFORTS.get(optimize, EFFORTS["auto-hq"])).order()


def _has_windows(problem: Problem) -> bool:
    return any(a.plain is None and a.terms for term in problem.operands for a in term)


def _of_few(network: Network) -> Order:
    steps = cheapest(network, _everything(network), inf, 3 ** len(network.terms))
    assert steps is not None, "there is always an order"
    pairs = as_positions([step.halves for step in steps], len(network.terms))
    return Order(pairs, f"{_WORDS[network.minimize]} of all orders", network.minimize, proved=True)


def _everything(network: Network) -> Part:
    return Part(network.terms, network.kept, last=True)


class _Looking:
    """The best tree so far, and what is known of it."""

    def __init__(self, problem: Problem, network: Network, effort: Effort) -> None:
        self.problem, self.network, self.effort = problem, network, effort
        self.count = len(network.terms)
        self.tree = Tree.of(network, greedy(network))

    @remembered
    def orders(self) -> Orders:
        """All there are; asked for where they are few enough to be compared."""
        return Orders(self.network, _everything(self.network))

    def order(self) -> Order:
        """What is found."""
        minimize, count = self.network.minimize, self.count
        # The best order without outer products is a bound for those that have some.
        connected = count <= _SPARSE and self._exact(outer=False)
        proved = connected and count <= _ALL and self._exact(outer=True)
        if proved:
            said = f"{_WORDS[minimize]} of all orders"
        elif connected and (self.network.is_connected() or self.orders.has_islands):
            said = f"{_WORDS[minimize]} of all orders without outer products"
        elif self._is_cheap():
            said = "greedy: starting the steps takes longer than what they compute"
        else:
            said = f"{_WORDS[minimize]} of {self._improved()}"
        return Order(as_positions(self.tree.pairs(), count), said, minimize, proved)

    def _exact(self, outer: bool) -> bool:
        try:
            found = self.orders.cheapest(self.tree.cost, self._pairs(), outer)
        except TooManyError:
            return False
        if found is not None:
            self.tree = Tree(self.network, found)
        return True

    def _pairs(self) -> int:
        pairs = self.effort.pairs
        return pairs if self.count <= _CONNECTED else min(pairs, _MOST_PAIRS)

    def _improved(self) -> str:
        """Take the best of trees that differ, once their branches are ordered anew; say of what."""
        effort = self.effort
        starts = [self.tree, *self._starts()]
        best = sorted(starts, key=lambda tree: tree.cost)[: self._many(effort.improved) or 1]
        for tree in best:
            tree.settle(effort.width, effort.pairs)
        self.tree = min(best, key=lambda tree: tree.cost)
        self.tree.settle(effort.wide, effort.pairs)
        found = "greedy order" if len(starts) == 1 else f"{len(starts)} greedy orders"
        return f"{found}, with the best order of any {effort.wide} terms that meet"

    def _is_cheap(self) -> bool:
        """Whether starting the steps takes longer than what they compute."""
        timed = self.network.minimize == "seconds"
        return timed and self.tree.cost < self.count * self.effort.worth

    def _starts(self) -> Iterator[Tree]:
        draw = Random(0)
        for _ in range(self._many(self.effort.starts)):
            yield Tree.of(self.network, greedy(self.network, disturbed(draw)))
        if self.effort.thorough:
            path = cotengra_path(self.problem)
            if path is not None:
                yield Tree.of(self.network, as_numbers(path, self.count))

    def _many(self, count: int) -> int:
        """So many of few operands; of many operands each takes longer."""
        return min(count, count * _FEW // self.count)


def as_positions(pairs: Pairs, count: int) -> tuple[tuple[int, int], ...]:
    """Numbers of terms as positions in the list of those that are left."""
    alive = list(range(count))
    path = []
    for number, (one, two) in enumerate(pairs, count):
        first, second = sorted((alive.index(one), alive.index(two)))
        path.append((first, second))
        del alive[second], alive[first]
        alive.append(number)
    return tuple(path)


def as_numbers(path: Sequence[Sequence[int]], count: int) -> Pairs:
    """Positions in the list of those that are left as numbers of terms."""
    alive = list(range(count))
    pairs = []
    for number, positions in enumerate(path, count):
        second, first = (alive.pop(n) for n in sorted(positions, reverse=True))
        pairs.append((first, second))
        alive.append(number)
    return pairs
