"""A contraction as a network of sets of labels, which are bits of whole numbers.

A label is an index, or an axis with a window that can be carried along whole. Searches compare a
hundred thousand steps: what :func:`contractconv.planning.merges.merge` says of a step at length,
with names and axes, is said here by a few operations on bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod
from typing import NamedTuple

from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.planning.cost import is_direct, labels_of, overlaps
from contractconv.planning.orders.objectives import OBJECTIVES, Volumes, Work
from contractconv.planning.path import Minimize


class Term(NamedTuple):
    """An operand or an intermediate result.

    Attributes:
        labels: its indices, and its axes that are carried along whole.
        size: its elements.
    """

    labels: int
    size: int


class Network:
    """The operands of a contraction, and what their products are.

    Args:
        problem: the contraction, in which each operand is summed over what it alone has.
        minimize: what its orders are judged by.

    Attributes:
        terms: the operands.
        kept: the indices of the output.
        wide: the indices of more than one value.
        counts_operations: whether orders are judged by operations alone, and nothing else than
            points is counted, as there are no windows.
        step: what the product of two terms costs, by the labels of both and of the result, and
            the elements that are read and written.
    """

    step: Callable[[int, int, int, int], float]

    def __init__(self, problem: Problem, minimize: Minimize) -> None:
        self.minimize: Minimize = minimize
        self.pair, self.cost = OBJECTIVES[minimize]
        self._sizes = [max(1, size) for _, size in problem.sizes]
        self._bits = {name: 1 << n for n, (name, _) in enumerate(problem.sizes)}
        self.plain = (1 << len(self._sizes)) - 1
        # For each axis that is carried along whole the indices that stand on it.
        self._opened: dict[int, int] = {}
        whole: dict[Access, int] = {}
        self.terms = [self._term(term, problem, whole) for term in problem.operands]
        self.kept = sum(self._bits[name] for name in problem.kept)
        self.volumes = Volumes(self._sizes)
        read = sum(self._bits[name] for name in labels_of(problem.operands))
        self.wide = self._of([name for name, size in problem.sizes if size > 1])
        self.counts_operations = minimize == "operations" and not self._opened
        self.step = self._opening if self._opened else partial(self.pair, self.volumes)
        self._broadcast = self.kept & ~read
        self._output = max(1, prod(shape_of(problem.output)))
        self._scatters = not is_direct(problem)

    def _term(self, term: Accesses, problem: Problem, whole: dict[Access, int]) -> Term:
        """An operand; axes that its first step would open anyhow are open from the beginning."""
        labels = 0
        for place, access in enumerate(term):
            if (alone := access.plain) is not None:
                labels |= self._bits[alone]
                continue
            others = (name for a in (*term[:place], *term[place + 1 :]) for name in a.names)
            if overlaps(access, problem.extents) and not set(access.names) & set(others):
                labels |= self._whole(access, whole)
            else:
                labels |= self._of(access.names)
        return Term(labels, max(1, prod(shape_of(term))))

    def _whole(self, access: Access, whole: dict[Access, int]) -> int:
        if access not in whole:
            whole[access] = 1 << len(self._sizes)
            self._opened[whole[access]] = self._of(access.names)
            self._sizes.append(access.size)
        return whole[access]

    def _of(self, names: Sequence[str]) -> int:
        return sum(self._bits[name] for name in names)

    def indices(self, labels: int) -> int:
        """The indices among some labels, those on axes that are carried along included."""
        axes = labels & ~self.plain
        if not axes:
            return labels
        found = labels & self.plain
        for axis in bits(axes):
            found |= self._opened[axis]
        return found

    def result(self, union: int, needed: int) -> int:
        """What a product of terms with these labels has, if these indices are needed later on."""
        axes = union & ~self.plain
        if not axes:
            return union & needed
        taken = union & self.plain
        found = self.indices(union) & needed
        for axis in bits(axes):
            names = self._opened[axis]
            shared = taken | self.indices(axes ^ axis)
            if names & needed == names and not names & shared:
                found = found & ~names | axis
        return found

    def opened(self, labels: int, result: int) -> int:
        """The labels of a term in a step with such a result: other windows are open in it."""
        axes = labels & ~(self.plain | result)
        return labels & ~axes | self.indices(axes) if axes else labels

    def is_connected(self) -> bool:
        """Whether no part of the operands shares no index with the others."""
        return len(islands([self.indices(term.labels) for term in self.terms])) == 1

    def _opening(self, one: int, two: int, result: int, moved: int) -> float:
        """What a step costs that may open windows."""
        return self.pair(self.volumes, *self._labels(one, two, result), result, moved)

    def meeting(self, first: Term, second: Term, needed: int, last: bool) -> tuple[float, Term]:
        """What two terms make if some indices are needed later on, and what that costs.

        Args:
            last: whether the step writes the output.
        """
        result = self.result(first.labels | second.labels, needed)
        size = self.volumes[result]
        if last:
            return self._last_step(first, second, result), Term(result, size)
        moved = first.size + second.size + size
        return self.step(first.labels, second.labels, result, moved), Term(result, size)

    def _last_step(self, first: Term, second: Term, result: int) -> float:
        """What the product costs that writes the output; windows are opened in it, or after it."""
        whole = Work(
            self.volumes, self.indices(first.labels), self.indices(second.labels),
            self.kept & ~self._broadcast, first.size + second.size + self._output,
            self.volumes[self._broadcast], self._scatters,
        )  # fmt: skip
        size = self.volumes[result]
        one, two = self._labels(first.labels, second.labels, result)
        work = Work(self.volumes, one, two, result, first.size + second.size + size)
        if not (whole.one | whole.two) & ~self.kept or work.points >= whole.points:
            return self.cost(whole)
        moved = size + self._output
        opening = whole._replace(one=whole.result, two=whole.result, moved=moved, operands=1)
        return self.cost(work) + self.cost(opening)

    def _labels(self, one: int, two: int, result: int) -> tuple[int, int]:
        """Those of two terms in a step with such a result."""
        if (one | two) & ~(self.plain | result):
            return self.opened(one, result), self.opened(two, result)
        return one, two


def bits(labels: int) -> Iterator[int]:
    """The labels one by one.

    >>> list(bits(0b1101))
    [1, 4, 8]
    """
    while labels:
        low = labels & -labels
        yield low
        labels ^= low


def islands(indices: Sequence[int]) -> list[int]:
    """Terms that share indices, directly or by others, as sets.

    >>> list(map(bin, islands([0b001, 0b100, 0b011, 0b010])))
    ['0b10', '0b1101']
    """
    found: list[tuple[int, int]] = []
    for n, names in enumerate(indices):
        whole = 1 << n, names
        for island in [one for one in found if one[1] & names]:
            found.remove(island)
            whole = whole[0] | island[0], whole[1] | island[1]
        found.append(whole)
    return [members for members, _ in found]
