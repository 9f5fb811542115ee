"""An order as a tree, some of whose branches are ordered anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contractconv.planning.orders.exact import Part, Step, TooManyError, cheapest
from contractconv.planning.orders.network import Network, Term, bits

Pairs = list[tuple[int, int]]
"""The terms of each step: the operands by their numbers, then the results by those that follow."""

# What is less than a hundredth is not worth another round.
_HELPS = 0.99


class Tree:
    """The steps of an order, and what each of them costs.

    Args:
        network: the contraction.
        steps: in an order in which they can be carried out.

    Attributes:
        steps: by the numbers of what they make.
        root: the number of the last result.
    """

    def __init__(self, network: Network, steps: list[Step]) -> None:
        self.network = network
        self.count = len(network.terms)
        self.steps = dict(enumerate(steps, self.count))
        self.root = self._next = self.count + len(steps) - 1

    @staticmethod
    def of(network: Network, pairs: Pairs) -> Tree:
        """The tree of some pairs."""
        return Tree(network, list(_costed(network, pairs)))

    @property
    def cost(self) -> float:
        """What all steps cost."""
        return sum(step.cost for step in self.steps.values())

    def pairs(self) -> Pairs:
        """The steps as pairs of numbers, again."""
        found, pending = [], [self.root]
        while pending:
            number = pending.pop()
            found.append(number)
            pending += [n for n in self.steps[number].halves if n in self.steps]
        found.reverse()
        names = dict(zip(found, range(self.count, self.count + len(found)), strict=True))
        pairs = (self.steps[number].halves for number in found)
        return [(names.get(one, one), names.get(two, two)) for one, two in pairs]

    def settle(self, width: int, pairs: int) -> None:
        """Order branches anew until that helps no more.

        Args:
            width: into how many terms a branch is divided; what they are made of stays as it is.
            pairs: of sets that are compared for each branch, at most.
        """
        before = self.cost
        self._improve_all(width, pairs)
        while self.cost < before * _HELPS:
            before = self.cost
            self._improve_all(width, pairs)

    def _improve_all(self, width: int, pairs: int) -> None:
        pending = [self.root]
        while pending:
            number = pending.pop()
            self._improve(number, width, pairs)
            pending += [n for n in self.steps[number].halves if n in self.steps]

    def _improve(self, top: int, width: int, pairs: int) -> None:
        inner, border = self._branch(top, width)
        if len(border) < 3:
            return
        last = top == self.root
        outside = self.network.kept if last else self.network.indices(self._term(top).labels)
        cost = sum(self.steps[n].cost for n in inner)
        part = Part([self._term(n) for n in border], outside, last)
        try:
            found = cheapest(self.network, part, cost, pairs)
        except TooManyError:
            return
        if found is not None:
            self._replace(inner, border, found)

    def _term(self, number: int) -> Term:
        step = self.steps.get(number)
        return self.network.terms[number] if step is None else step.term

    def _branch(self, top: int, width: int) -> tuple[list[int], list[int]]:
        """The steps that are next to the top of a branch, the dearest first, and their terms."""
        inner, border = [top], list(self.steps[top].halves)
        while len(border) < width and any(n in self.steps for n in border):
            results = (n for n in border if n in self.steps)
            dearest = max(results, key=lambda n: self.steps[n].cost)
            border.remove(dearest)
            border += self.steps[dearest].halves
            inner.append(dearest)
        return inner, border

    def _replace(self, inner: list[int], border: list[int], found: list[Step]) -> None:
        """The same results by other steps; the topmost keeps its number."""
        for number in inner:
            del self.steps[number]
        names = list(border)
        for step in found[:-1]:
            self._next += 1
            self.steps[self._next] = step.renamed(names)
            names.append(self._next)
        self.steps[inner[0]] = found[-1].renamed(names)


def _costed(network: Network, pairs: Pairs) -> Iterator[Step]:
    terms = list(network.terms)
    uses = Counter(name for term in terms for name in bits(network.indices(term.labels)))
    for one, two in pairs:
        first, second = terms[one], terms[two]
        names = [network.indices(term.labels) for term in (first, second)]
        uses.subtract(name for part in names for name in bits(part))
        needed = network.kept | sum(n for n in bits(names[0] | names[1]) if uses[n])
        last = len(terms) == 2 * len(network.terms) - 2
        cost, term = network.meeting(first, second, needed, last)
        terms.append(term)
        uses.update(bits(network.indices(term.labels)))
        yield Step((one, two), term, cost)
