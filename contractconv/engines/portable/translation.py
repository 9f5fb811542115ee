"""From a problem to nodes.

Operands are read so that every axis has an index of its own, their products are reduced to the
indices that the output has, and the axes of the output are made of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from contractconv.engines.portable.nodes import (
    Divide,
    Einsum,
    Full,
    Labels,
    Node,
    Operand,
    Reduce,
    Reshape,
    Take,
    Where,
)
from contractconv.engines.portable.tables import Arrivals, Positions, Rows, together
from contractconv.notation.problem import Accesses, Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True)
class Factor:
    """A node with an index on each axis."""

    node: Node
    labels: Labels


def lowered(problem: Problem) -> Node:
    """Describe what is done for a problem.

    Args:
        problem: any contraction.

    Returns:
        The node of the result, of shape ``problem.result_shape``.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> lowered(resolve(parse("i j, j -> i"), [(2, 3), (3,)])).inputs
        (('i', 'j'), ('j',))
    """
    if problem.points == 0 or any(0 in shape_of(a) for a in (*problem.operands, problem.output)):
        return Full(problem.result_shape, problem.reduce)  # no point contributes
    combine = SUM if REDUCTIONS[problem.reduce].linear else problem.reduce
    groups = together(problem.output)
    parts = [Positions.of(_chosen(problem.output, group), problem.extents) for group in groups]
    kept = tuple(name for part in parts for name in part.names)
    node = _placed(_reduced(problem, combine, kept).node, problem, parts, combine)
    order = [axis for group in groups for axis in group]
    node = _transposed(node, [order.index(axis) for axis in range(len(order))])
    return _reshaped(node, problem.output_sizes, problem.result_shape)


# --- operands --------------------------------------------------------------------------------


def _read(problem: Problem, number: int, fill: str) -> tuple[Factor, list[Positions]]:
    """An operand with an index on each axis, and where it may be read outside."""
    accesses = problem.operands[number]
    groups = together(accesses)
    node = Operand(number, shape_of(accesses))
    labels: Labels = ()
    outside = []
    made = _transposed(node, [axis for group in groups for axis in group])
    for group in groups:
        part = Positions.of(_chosen(accesses, group), problem.extents)
        if all(_whole(part.accesses, problem)):
            labels += tuple(name for access in part.accesses for name in access.names)
            continue
        made = Take(made, len(labels), len(group), part, fill)
        labels += part.names
        outside += [part] * (not part.inside.all())
    return Factor(made, labels), outside


def _whole(accesses: Accesses, problem: Problem) -> list[bool]:
    """Whether each axis is that of an index alone, which runs all along it."""
    return [a.plain is not None and problem.extents[a.plain] == a.size for a in accesses]


def _chosen(accesses: Accesses, axes: Sequence[int]) -> Accesses:
    return tuple(accesses[axis] for axis in axes)


# --- products and their reduction ------------------------------------------------------------


def _reduced(problem: Problem, reduce: str, kept: Labels) -> Factor:
    """The products of all points, reduced to some indices in order."""
    # One operand can hold the identity itself; in a product it would be multiplied.
    alone = len(problem.operands) == 1
    read = [_read(problem, n, reduce if alone else SUM) for n in range(len(problem.operands))]
    factors = [factor for factor, _ in read]
    factors += _ones(problem, [name for name in problem.reduced if not _has(factors, name)])
    if reduce == SUM and len(factors) > 1:
        return _contracted(problem, factors, kept)
    values = _contracted(problem, factors, _labels(factors))
    outside = tuple(part for _, parts in read for part in parts)
    if outside and not alone:
        values = Factor(Where(values.node, values.labels, outside, reduce), values.labels)
    return _contracted(problem, [_without(values, problem.reduced, reduce)], kept)


def _without(values: Factor, gone: Labels, reduce: str) -> Factor:
    axes = tuple(n for n, name in enumerate(values.labels) if name in gone)
    if not axes and REDUCTIONS[reduce].keeps_one:
        return values
    rest = tuple(name for name in values.labels if name not in gone)
    return Factor(Reduce(values.node, reduce, axes), rest)


def _contracted(problem: Problem, factors: list[Factor], labels: Labels) -> Factor:
    """The sum of products; what no factor has is repeated along the result."""
    factors = factors + _ones(problem, [name for name in labels if not _has(factors, name)])
    if [factor.labels for factor in factors] == [labels]:
        return factors[0]
    nodes = tuple(factor.node for factor in factors)
    return Factor(Einsum(nodes, tuple(factor.labels for factor in factors), labels), labels)


def _ones(problem: Problem, names: Sequence[str]) -> list[Factor]:
    return [Factor(Full((problem.extents[name],), "prod"), (name,)) for name in names]


def _has(factors: Sequence[Factor], name: str) -> bool:
    return any(name in factor.labels for factor in factors)


def _labels(factors: Sequence[Factor]) -> Labels:
    return tuple(dict.fromkeys(name for factor in factors for name in factor.labels))


# --- the output ------------------------------------------------------------------------------


def _placed(node: Node, problem: Problem, parts: list[Positions], reduce: str) -> Node:
    """The axes of the output, made of their indices one part after the other."""
    axis, landings = 0, []
    for part in parts:
        if _whole(part.accesses, problem) != [True]:
            node = _scattered(node, axis, part, reduce)
            landings.append((axis, part))
        axis += len(part.accesses)
    if not REDUCTIONS[problem.reduce].averages:
        return node
    repeats = prod(problem.extents[name] for name in problem.reduced)
    return Divide(node, tuple(landings), repeats)


def _scattered(node: Node, axis: int, part: Positions, reduce: str) -> Node:
    """Gather what arrives at each element, reduce it, and put it where the element is."""
    arrivals = Arrivals(part)
    node = Take(node, axis, len(part.names), arrivals, reduce)
    if arrivals.most > 1:
        node = Reduce(node, reduce, (axis + len(arrivals.shape),))
    return node if arrivals.everywhere else Take(node, axis, 1, Rows(arrivals), reduce)


def _transposed(node: Node, order: Sequence[int]) -> Node:
    """The axes in another order."""
    if list(order) == sorted(order):
        return node
    names = tuple(f"x{axis}" for axis in range(len(order)))
    return Einsum((node,), (names,), tuple(names[axis] for axis in order))


def _reshaped(node: Node, sizes: Sequence[int], wanted: Sequence[int]) -> Node:
    return node if tuple(sizes) == tuple(wanted) else Reshape(node, tuple(wanted))
