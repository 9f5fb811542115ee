"""In which order the operands of a contraction meet.

opt_einsum proposes orders. Several of them are scored by operations *and* by elements that are read
and written: operations alone choose orders that are many times slower. Where an operand is read
through a window, which opt_einsum cannot know, orders are searched for here: as long as no step
needs the indices of ``(i+k)`` apart, the axis itself, of size H, is cheaper to carry along than the
I*K points of the window.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, nsmallest
from itertools import combinations
from math import prod
from operator import index as as_integer
from typing import Any, NamedTuple

from contractconv.errors import AlgorithmError
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.cost import labels_of, overlaps, volume
from contractconv.planning.setting import COMMON
from contractconv.uninterrupted import enter

Pair = tuple[int, ...]
Term = frozenset[str]

# Up to here every order is compared (at most 3^7 splits); beyond, pairs are chosen greedily.
_EXHAUSTIVE = 7
# Up to here opt_einsum's dynamic programming, and its random search, do not take long.
_MOST_DYNAMIC, _MOST_RANDOM = 12, 64
# Terms that a new one is tried with.
_MOST_PARTNERS = 64
# Multiplications that take as long as one element that is read or written.
MOVED = round(COMMON.multiply / COMMON.move)


class Order(NamedTuple):
    """In which order operands meet, and who says so.

    Attributes:
        pairs: positions to contract, step by step, in opt_einsum's convention: what is contracted
            is taken out of the list of operands, and its result is appended.
        source: where the order comes from, in words; empty if there was nothing to choose.
    """

    pairs: tuple[Pair, ...]
    source: str


def contraction_order(problem: Problem, optimize: Any = "auto") -> Order:
    """Choose an order.

    Args:
        problem: the contraction.
        optimize: a name of opt_einsum's, or what is called as its path optimizers are. Of windows
            opt_einsum's own searches know nothing: there names mean the searches made here.
    """
    count = len(problem.operands)
    if count <= 2:
        return Order((tuple(range(count)),), "")
    enter("opt_einsum")  # here, because planning two operands does not need it
    network = _network(problem)
    if not isinstance(optimize, str):
        source = f"{type(optimize).__name__}, as given"
        return Order(_searched(optimize, network), source)
    if any(a.plain is None and a.terms for term in problem.operands for a in term):
        every = count <= _EXHAUSTIVE and optimize != "greedy"
        found = exhaustive(problem) if every else greedy(problem)
        return Order(tuple(found), "every order compared" if every else "greedy, with windows")
    return _of_names(network, _candidates(optimize, count))


def _candidates(optimize: str, count: int) -> tuple[str, ...]:
    """The searches whose orders are compared."""
    if optimize not in ("auto", "auto-hq"):
        return (optimize,)
    dynamic = ("dp",) * (count <= _MOST_DYNAMIC)
    thorough = ("auto-hq",) * (optimize == "auto-hq" and count <= _MOST_RANDOM)
    return ("auto", "greedy", *dynamic, *thorough)


class Network(NamedTuple):
    """A plain einsum over the full index space, as opt_einsum's path optimizers take it."""

    inputs: list[Term]
    output: Term
    sizes: dict[str, int]


def _network(problem: Problem) -> Network:
    from opt_einsum import get_symbol

    letters = {name: get_symbol(n) for n, name in enumerate(problem.indices)}
    inputs = [frozenset(letters[name] for name in labels_of([t])) for t in problem.operands]
    read = frozenset().union(*inputs)  # an index of the output alone is broadcast afterwards
    output = frozenset(letters[name] for name in problem.kept) & read
    # Where nothing costs anything, dynamic programming finds nothing.
    sizes = {letters[name]: max(1, size) for name, size in problem.sizes}
    return Network(inputs, output, sizes)


def _of_names(network: Network, names: Sequence[str]) -> Order:
    """The best of the orders that opt_einsum's searches find."""
    found = {name: _search(network, name) for name in names}
    best = min(names, key=lambda name: score(network, found[name]))
    source = f"{best!r} of opt_einsum"
    if len(names) > 1:
        source += f", the best of {', '.join(names)}"
    return Order(found[best], source)


def _search(network: Network, name: str) -> tuple[Pair, ...]:
    from opt_einsum.paths import get_path_fn

    return _searched(get_path_fn(name), network)


def _searched(search: Callable[..., Any], network: Network) -> tuple[Pair, ...]:
    """The path that a search finds."""
    # Random searches seed the generator that the caller may be using.
    state = random.getstate()
    try:
        path = search(*network, None)
    finally:
        random.setstate(state)
    return checked_path(path, len(network.inputs))


def score(network: Network, path: Sequence[Pair]) -> int:
    """What an order costs: multiplications, and elements moved in their measure."""
    uses = Counter(label for term in (*network.inputs, network.output) for label in term)
    alive, total = list(network.inputs), 0
    for pair in path:
        taken = [alive.pop(n) for n in reversed(pair)]
        joined = frozenset().union(*taken)
        uses.subtract(label for term in taken for label in term)
        made = frozenset(label for label in joined if uses[label])
        uses.update(made)
        alive.append(made)
        moved = sum(volume(term, network.sizes) for term in (*taken, made))
        total += volume(joined, network.sizes) + MOVED * moved
    return total


def checked_path(path: Any, count: int, places: Sequence[int] | None = None) -> tuple[Pair, ...]:
    """Take a path that was given, or found by others; steps of many operands become pairs.

    Args:
        path: positions to contract, step by step.
        count: how many operands there are.
        places: the position of each operand in the list that the result is for, if that differs.

    Raises:
        AlgorithmError: it is no path of so many operands.

    Example:
        >>> checked_path([(0, 1, 2)], 3)
        ((0, 1), (0, 1))
        >>> checked_path([(0, 3), (0, 1)], 3)
        Traceback (most recent call last):
        contractconv.errors.AlgorithmError: step 1 of the path takes (0, 3), but 3 operands are left
    """
    alive = list(range(count))
    names = sorted(alive, key=(places or alive).__getitem__)
    pairs: list[Pair] = []
    for number, step in enumerate(as_path(path), 1):
        if len(set(step)) < len(step) or not all(0 <= n < len(alive) for n in step) or not step:
            raise AlgorithmError(
                f"step {number} of the path takes {tuple(step)}, but {len(alive)} operands are left"
            )
        taken = [alive[n] for n in step]
        alive = [name for name in alive if name not in taken]
        made = taken[0]
        for other in taken[1:]:
            pairs.append(tuple(sorted((names.index(made), names.index(other)))))
            names = [name for name in names if name not in (made, other)]
            made = count + len(pairs)
            names.append(made)
        alive.append(made)
    if len(alive) > 1:
        raise AlgorithmError(f"after {len(pairs)} steps of the path {len(alive)} operands are left")
    return tuple(pairs) or ((0,),)


def as_path(path: Any) -> tuple[tuple[int, ...], ...]:
    """The steps of a path, also of one that :func:`numpy.einsum_path` returned.

    Raises:
        AlgorithmError: it has no steps.
    """
    try:
        steps = path[1:] if list(path[:1]) == ["einsum_path"] else path
        return tuple(tuple(map(as_integer, step)) for step in steps)
    except TypeError:
        raise AlgorithmError(
            f"a path is a list of tuples of positions, as in [(0, 1), (0, 1)], not {path!r}"
        ) from None


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

    @property
    def cost(self) -> int:
        """Multiplications, and elements moved in their measure."""
        return self.points + MOVED * sum(map(_size, (*self.inputs, self.output)))


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
            candidates.append((cost + more + step.cost, step.result, (rest, part)))
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
        # No two share an index any more.
        first, second = sorted(nsmallest(2, self.alive, key=self._by_size))
        return first, second

    def _by_size(self, number: int) -> tuple[int, int]:
        return _size(self.alive[number]), number

    def _add(self, number: int, term: Accesses) -> None:
        for name in labels_of([term]):
            self.holders.setdefault(name, set()).add(number)
        self.alive[number] = term
        for other in self._partners(number, term):
            self._try(other, number)

    def _partners(self, number: int, term: Accesses) -> list[int]:
        """The terms that share an index with it, the smallest of them."""
        near = set().union(*(self.holders[name] for name in labels_of([term]))) - {number}
        return nsmallest(_MOST_PARTNERS, near, key=self._by_size)

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
