"""In which order the operands of a contraction meet.

opt_einsum orders them. Where an operand is read through a window, opt_einsum is given a path
optimizer that knows about windows: as long as no step needs the indices of ``(i+k)`` apart,
the axis itself, of size H, is cheaper to carry along than the I*K points of the window.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations
from math import prod
from typing import Any

from contractconv.aside import enter
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.cost import labels_of, overlaps

Pair = tuple[int, ...]

# Up to here every order is compared (at most 3^7 splits); beyond, pairs are chosen greedily.
_EXHAUSTIVE = 7
# Terms that a new one is tried with.
_MOST_PARTNERS = 64


def contraction_order(problem: Problem) -> tuple[Pair, ...]:
    """Return positions to contract, step by step, in opt_einsum's convention.

    Each pair is taken out of the list of operands, and its result is appended.
    """
    count = len(problem.operands)
    if count <= 2:
        return (tuple(range(count)),)
    enter("opt_einsum")  # here, because planning two operands does not need it
    import opt_einsum

    windows = any(a.plain is None and a.terms for term in problem.operands for a in term)
    optimizer: Any = _window_path(problem) if windows else "auto"
    equation, shapes = _as_einsum(problem)
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimizer)
    return tuple(tuple(sorted(pair)) for pair in path)


def _as_einsum(problem: Problem) -> tuple[str, list[tuple[int, ...]]]:
    # The plain einsum over the full index space, for opt_einsum's own bookkeeping.
    import opt_einsum

    letters = {name: opt_einsum.get_symbol(n) for n, name in enumerate(problem.indices)}
    terms = [labels_of([term]) for term in problem.operands]
    inputs = ",".join("".join(letters[name] for name in term) for term in terms)
    read = labels_of(problem.operands)  # an index of the output alone is broadcast afterwards
    output = "".join(letters[name] for name in read if name in problem.kept)
    return f"{inputs}->{output}", [tuple(problem.extents[n] for n in term) for term in terms]


def _window_path(problem: Problem) -> Any:
    import opt_einsum

    class WindowPath(opt_einsum.paths.PathOptimizer):  # type: ignore[misc]
        """opt_einsum's interface around :func:`exhaustive` and :func:`greedy`."""

        def __call__(self, inputs: Any, output: Any, size_dict: Any, memory_limit: Any) -> Any:
            search = exhaustive if len(inputs) <= _EXHAUSTIVE else greedy
            return [list(pair) for pair in search(problem)]

    return WindowPath()


@dataclass(frozen=True, slots=True)
class Merge:
    """The product of two terms, reduced to what is needed further on.

    Attributes:
        inputs: both terms; an axis that stays whole is a plain index named like the axis.
        output: the result's axes in the same terms.
        result: the result's axes as later steps see them.
        sizes: the extent of every index of the step, the result's first.
    """

    inputs: tuple[Accesses, ...]
    output: Accesses
    result: Accesses
    sizes: tuple[tuple[str, int], ...]

    @property
    def points(self) -> int:
        """Multiplications of the step."""
        return prod(size for _, size in self.sizes)


def merge(terms: tuple[Accesses, ...], needed: Collection[str], problem: Problem) -> Merge:
    """Contract some terms, keeping the indices that are ``needed`` elsewhere."""
    whole = _whole_axes(terms, needed, problem)
    inputs = tuple(
        tuple(Access.along(str(a), a.size) if a in whole else a for a in term) for term in terms
    )
    hidden = {name for access in whole for name in access.names}
    names = [n for n in labels_of(terms) if n in needed and n not in hidden]
    plain = tuple(Access.along(name, problem.extents[name]) for name in names)
    carried = tuple(Access.along(str(access), access.size) for access in whole)
    sizes = {access.names[0]: access.size for access in plain + carried}
    sizes |= {n: problem.extents[n] for n in labels_of(terms) if n not in hidden}
    return Merge(inputs, plain + carried, plain + tuple(whole), tuple(sizes.items()))


def _whole_axes(
    terms: tuple[Accesses, ...], needed: Collection[str], problem: Problem
) -> list[Access]:
    """The window axes that the step can and should leave alone.

    It can if nothing else in it uses their indices; it should if the axis has fewer elements
    than the window has points.
    """
    accesses = list(dict.fromkeys(access for term in terms for access in term))
    uses: dict[str, int] = {}
    for name in (name for access in accesses for name in access.names):
        uses[name] = uses.get(name, 0) + 1
    repeated = {a for term in terms for a in term if term.count(a) > 1}
    return [
        access
        for access in accesses
        if overlaps(access, problem.extents)
        and access not in repeated
        and all(uses[name] == 1 and name in needed for name in access.names)
    ]


def exhaustive(problem: Problem) -> list[Pair]:
    """Find the cheapest order by dynamic programming over sets of operands."""
    count = len(problem.operands)
    everything = (1 << count) - 1
    best: dict[int, tuple[int, Accesses, tuple[int, int]]] = {
        1 << n: (0, term, (0, 0)) for n, term in enumerate(problem.operands)
    }
    for size in range(2, count + 1):
        for members in combinations(range(count), size):
            subset = sum(1 << n for n in members)
            needed = _needed(problem, [n for n in range(count) if n not in members])
            best[subset] = _cheapest_split(problem, subset, needed, best)
    return _as_positions(best, everything, count)


def _cheapest_split(
    problem: Problem,
    subset: int,
    needed: frozenset[str],
    best: dict[int, tuple[int, Accesses, tuple[int, int]]],
) -> tuple[int, Accesses, tuple[int, int]]:
    candidates = []
    part = (subset - 1) & subset
    while part:
        rest = subset ^ part
        if part > rest:  # each split once
            (cost, left, _), (more, right, _) = best[rest], best[part]
            step = merge((left, right), needed, problem)
            candidates.append((cost + more + step.points, step.result, (rest, part)))
        part = (part - 1) & subset
    return min(candidates, key=lambda candidate: candidate[0])


def _needed(problem: Problem, others: Collection[int]) -> frozenset[str]:
    return problem.kept | frozenset(labels_of(problem.operands[n] for n in others))


def _as_positions(
    best: dict[int, tuple[int, Accesses, tuple[int, int]]], everything: int, count: int
) -> list[Pair]:
    order: list[tuple[int, int]] = []
    pending = [everything]
    while pending:
        subset = pending.pop()
        if subset & (subset - 1):
            order.append(best[subset][2])
            pending += best[subset][2]
    alive = [1 << n for n in range(count)]
    path: list[Pair] = []
    for left, right in reversed(order):
        pair = tuple(sorted((alive.index(left), alive.index(right))))
        path.append(pair)
        alive = [s for s in alive if s not in (left, right)] + [left | right]
    return path


def greedy(problem: Problem) -> list[Pair]:
    """Always contract the pair that shrinks the operands most; cheap for many operands."""
    return _Greedy(problem).path()


class _Greedy:
    """Terms by number, and pairs of them, the one that grows least first.

    A pair is tried when its second term appears, and again when an index is left to it alone.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.alive: dict[int, Accesses] = {}
        self.holders: dict[str, set[int]] = {}
        self.pairs: list[tuple[int, int, int, int]] = []
        for number, term in enumerate(problem.operands):
            self._add(number, term)

    def path(self) -> list[Pair]:
        """The pairs, as positions in the list of terms that are left."""
        found: list[Pair] = []
        while len(self.alive) > 1:
            first, second = self._best()
            order = list(self.alive)
            found.append((order.index(first), order.index(second)))
            step = self._merged(first, second)
            self._remove(first, second)
            self._add(order[-1] + 1, step.result)
        return found

    def _best(self) -> Pair:
        while self.pairs:
            _, _, first, second = heappop(self.pairs)
            if first in self.alive and second in self.alive:
                return first, second
        first, second, *_ = self.alive
        return first, second

    def _add(self, number: int, term: Accesses) -> None:
        for name in labels_of([term]):
            self.holders.setdefault(name, set()).add(number)
        self.alive[number] = term
        for other in self._partners(number, term):
            self._try(other, number)

    def _partners(self, number: int, term: Accesses) -> list[int]:
        """The terms that it may meet: first those that share an index, then the smallest."""
        near = set().union(*(self.holders[name] for name in labels_of([term])))
        others = (n for n in self.alive if n != number)
        by_size = sorted(others, key=lambda n: (n not in near, _size(self.alive[n]), n))
        return by_size[:_MOST_PARTNERS]

    def _remove(self, *numbers: int) -> None:
        gone = labels_of(self.alive.pop(number) for number in numbers)
        for name in gone:
            self.holders[name].difference_update(numbers)
            if len(self.holders[name]) == 2 and name not in self.problem.kept:
                self._try(*sorted(self.holders[name]))

    def _try(self, first: int, second: int) -> None:
        step = self._merged(first, second)
        before = _size(self.alive[first]) + _size(self.alive[second])
        growth = prod(access.size for access in step.output) - before
        heappush(self.pairs, (growth, step.points, first, second))

    def _merged(self, first: int, second: int) -> Merge:
        terms, both = (self.alive[first], self.alive[second]), {first, second}
        needed = {
            name
            for name in labels_of(terms)
            if name in self.problem.kept or not self.holders[name] <= both
        }
        return merge(terms, needed, self.problem)


def _size(term: Accesses) -> int:
    return prod(access.size for access in term)
