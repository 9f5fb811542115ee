"""How many multiply-adds a contraction takes, exactly, what boundaries leave out left out.

A point of the index space counts if every axis that it meets is met at an integer inside its array.
Nothing here goes through the points: an index that no boundary touches multiplies, and those that
``(2*i+k-1)`` couples are counted by themselves. Of the indices that axes couple all are gone
through but those which come last on their axes: these have as many values as an arithmetic
progression has in an interval, for every value that the sums of the others have, which are fewer
than the points that make them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod

from contractconv.cache_register import kept
from contractconv.calculus.lattice import Congruence, solve
from contractconv.notation.contributing import inside
from contractconv.notation.problem import Access, Problem
from contractconv.planning.plan import order_of, steps_of
from contractconv.planning.trimming import reaches_outside, trimmed
from contractconv.programs.dtypes import Typed
from contractconv.programs.kinds import Kinds, dtype_of
from contractconv.programs.nodes import Contract, Node, in_order
from contractconv.programs.rewrites.one_hots import without_code
from contractconv.programs.rewrites.workshop import Workshop
from contractconv.programs.sizing import Sized
from contractconv.reductions.table import REDUCTIONS

Sums = dict[tuple[int, ...], int]
"""What axes come to so far, each with the number of points that make it."""


@kept(most=1024)
def points(problem: Problem) -> int:
    """Count the points of the index space that contribute.

    Args:
        problem: any contraction, empty ones included.

    Returns:
        How many points meet every axis of every operand and of the result inside.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> padded = parse("b (i+k-1) c, k c o -> b i o")
        >>> points(resolve(padded, [(1, 1000, 8), (3, 8, 16)]))  # 3*1000 - 2 places
        383744
    """
    left = trimmed(problem)
    if left is None:
        return 0
    extents = left.extents
    accesses = dict.fromkeys(a for term in (*left.operands, left.output) for a in term)
    bounds = [access for access in accesses if _leaves_out(access, extents)]
    bounded = _names(bounds)
    free = prod(extent for name, extent in extents.items() if name not in bounded)
    return free * prod(_inside_all(part, extents) for part in _coupled(bounds))


def multiply_adds(problem: Problem) -> int:
    """Count the multiply-adds of a contraction.

    Args:
        problem: the contraction.

    Returns:
        For a sum (or a mean) of products of two operands the points that contribute; of more, those
        of each pair in the order in which they meet. Nothing for what multiplies no numbers with
        each other and adds them: one operand, and all other reductions.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> multiply_adds(resolve(parse("i j, j k, k -> i"), [(64, 64), (64, 64), (64,)]))
        8192
    """
    if len(problem.operands) < 2 or not REDUCTIONS[problem.reduce].linear:
        return 0
    if len(problem.operands) == 2:
        return points(problem)
    steps = steps_of(problem, order_of(problem))
    return sum(points(step) for _, step in steps if len(step.operands) > 1)


def multiply_adds_of(program: Sized) -> dict[Node, int]:
    """Count the multiply-adds of every contraction of a program; gradients are contractions, too.

    Maps count nothing. Where a one-hot code meets something, rows are taken or added up: of such a
    contraction that is counted which is left to contract without the code. What comes back from a
    maximum is chosen, too. Of many operands every gradient counts by itself, unless the program
    has been put in the pairs that gradients share, by
    :func:`~contractconv.planning.programs.shared_products.shared`.

    Args:
        program: a program whose sizes are numbers.

    Returns:
        The number for each contraction of ``program.graph``. A node of a program without sizes
        became ``program.made[node]`` there.

    Example:
        >>> import contractconv as cc
        >>> from contractconv.programs.program import Graph
        >>> from contractconv.programs.sizing import sized
        >>> x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
        >>> y = cc.contract("b i, i o -> b o", x, W)
        >>> layer = sized(Graph.of({"y": y._node}), {"x": (32, 100), "W": (100, 10)})
        >>> multiply_adds_of(layer)[layer.made[y._node]]
        32000
    """
    workshop = Workshop(_with_dtypes(program))
    nodes = frozenset(program.graph.nodes)
    contractions = [node for node in program.graph.nodes if isinstance(node, Contract)]
    return {node: _of_node(node, workshop, nodes) for node in contractions}


# -- nodes -------------------------------------------------------------------------------------


def _with_dtypes(program: Sized) -> Typed:
    """A program with the numbers of its nodes, without conversions; labels are told by them."""
    kinds = Kinds()
    dtypes = {node: dtype_of(kinds[node], "float64") for node in program.graph.nodes}
    return Typed(program.graph, program.shapes, dtypes, program.problems)


def _of_node(node: Contract, workshop: Workshop, known: Collection[Node]) -> int:
    rest = without_code(node, workshop)
    if rest is not None:
        new = in_order([rest], references=False, known=known)
        return sum(_of_node(one, workshop, known) for one in new if isinstance(one, Contract))
    chosen = any(map(_chooses, node.operands))
    return 0 if chosen or node.local else multiply_adds(workshop.problems[node])


def _chooses(node: Node) -> bool:
    """Whether it says which point was the greatest: nothing is multiplied with that."""
    return isinstance(node, Contract) and node.local and REDUCTIONS[node.spec.reduce].chooses


# -- points ------------------------------------------------------------------------------------


def _leaves_out(access: Access, extents: Mapping[str, int]) -> bool:
    """Whether an axis is missed by some values of its indices; constants were asked before."""
    return bool(access.terms) and (access.divisor > 1 or reaches_outside(access, extents))


def _names(accesses: Iterable[Access]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for access in accesses for name in access.names))


def _coupled(accesses: Iterable[Access]) -> list[list[Access]]:
    """The axes in parts that have no index in common."""
    parts: list[list[Access]] = []
    for access in accesses:
        met = [part for part in parts if set(_names(part)).intersection(access.names)]
        joined = [one for part in met for one in part]
        parts = [*(part for part in parts if part not in met), [*joined, access]]
    return parts


def _inside_all(accesses: Sequence[Access], extents: Mapping[str, int]) -> int:
    """Count the values of the indices of some axes with which all of them are inside."""
    order = _order(accesses, extents)
    sums: Sums = {tuple(access.offset for access in accesses): 1}
    for number, name in enumerate(order):
        later = order[number + 1 :]
        sums = _added(name, extents[name], accesses, later, sums)
        accesses = [access for access in accesses if _is_open(access, later)]
    return sum(sums.values())


def _is_open(access: Access, later: Collection[str]) -> bool:
    return any(name in later for name in access.names)


def _added(
    name: str, extent: int, accesses: Sequence[Access], later: Collection[str], sums: Sums
) -> Sums:
    """Add one more index to what axes come to; those that no ``later`` one changes are judged."""
    steps = [dict(access.terms).get(name, 0) for access in accesses]
    stay = [n for n, access in enumerate(accesses) if _is_open(access, later)]
    judged = [n for n in range(len(accesses)) if n not in stay]
    found: Sums = {}
    for values, count in sums.items():
        allowed = _allowed([(accesses[n], steps[n], values[n]) for n in judged], extent)
        if not any(steps[n] for n in stay):
            rest = tuple(values[n] for n in stay)
            found[rest] = found.get(rest, 0) + count * len(allowed)
            continue
        for value in allowed:
            rest = tuple(values[n] + steps[n] * value for n in stay)
            found[rest] = found.get(rest, 0) + count
    return found


def _allowed(judged: Sequence[tuple[Access, int, int]], extent: int) -> range:
    """The values of an index with which axes are inside.

    Args:
        judged: the axes, each with the index's coefficient, and with what the rest comes to.
        extent: of the index.
    """
    low, high = 0, extent - 1
    for access, step, value in judged:
        first, last = inside(step, value, value - access.divisor * (access.size - 1))
        low, high = max(low, first), min(high, last)
    conditions = tuple((s, v % a.divisor, a.divisor) for a, s, v in judged if a.divisor > 1)
    found = _progression(conditions) if conditions else (0, 1)
    if found is None:
        return range(0)
    start, every = found
    return range(low + (start - low) % every, high + 1, every)


@kept(most=4096)
def _progression(conditions: tuple[tuple[int, int, int], ...]) -> tuple[int, int] | None:
    """Where ``step*n + value`` are multiples of divisors: one place, and how far apart they are."""
    congruences = [Congruence((step,), value, divisor) for step, value, divisor in conditions]
    found = solve(congruences, 1)
    return None if found is None else (found.origin[0], found.lattice.diagonal[0])


# -- the order in which indices are added ------------------------------------------------------


def _order(accesses: Sequence[Access], extents: Mapping[str, int]) -> list[str]:
    """The indices in an order with few sums on the way."""
    orders = [_beginning_with(name, accesses, extents) for name in _names(accesses)]
    return min(orders, key=lambda order: _work(order, accesses, extents))


def _beginning_with(
    first: str, accesses: Sequence[Access], extents: Mapping[str, int]
) -> list[str]:
    """After one index those that are the last on all of their axes, then small ones."""
    order, rest = [first], set(_names(accesses)) - {first}
    while rest:
        waits = {name for access in accesses for name in _not_last(access, rest)}
        order.append(min(rest, key=lambda name: (name in waits, extents[name], name)))
        rest.remove(order[-1])
    return order


def _not_last(access: Access, rest: Collection[str]) -> list[str]:
    """The indices of an axis that another one has to come after."""
    left = [name for name in access.names if name in rest]
    return left if len(left) > 1 else []


def _work(order: Sequence[str], accesses: Sequence[Access], extents: Mapping[str, int]) -> int:
    """How many sums are made, at most."""
    work, before = 0, 1
    for number, name in enumerate(order):
        later = order[number + 1 :]
        held = _names(access for access in accesses if _is_open(access, later))
        work += before * (extents[name] if name in held else 1)
        before = prod(extents[n] for n in order[: number + 1] if n in held)
    return work
