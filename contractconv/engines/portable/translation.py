"""From a contraction, of numbers or of symbols, to nodes.

Operands are read so that every axis has an index of its own, their products are reduced to the
indices that the output has, and the axes of the output are made of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.engines.portable import nodes
from contractconv.engines.portable.nodes import Axes, Labels, Node, names_of
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True)
class Factor:
    """A node with an index on each axis."""

    node: Node
    labels: Labels


@dataclass(frozen=True)
class Contraction:
    """What is translated.

    Attributes:
        operands: the axes of each operand, and its number.
        output: the axes of the result.
        reduced: the indices that the output lacks.
        reduce: how contributions combine.
        extent: of an index.
        whole: whether an axis certainly is that of an index alone, which runs all along it.
        leaves: whether a point may lie outside an axis.
    """

    operands: tuple[tuple[int, Axes], ...]
    output: Axes
    reduced: Labels
    reduce: str
    extent: Callable[[str], Any]
    whole: Callable[[Any], bool]
    leaves: Callable[[Any], bool]


def lowered(problem: Problem) -> Node:
    """Describe what is done for a problem.

    Args:
        problem: any contraction.

    Returns:
        The node of the result, compositions not joined.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> lowered(resolve(parse("i j, j -> i"), [(2, 3), (3,)])).inputs
        (('i', 'j'), ('j',))
    """
    if problem.points == 0 or any(0 in shape_of(a) for a in (*problem.operands, problem.output)):
        return nodes.Full(problem.result_shape, problem.reduce)  # no point contributes
    return translated(_of(problem))


def products(problem: Problem) -> Node:
    """Describe the product of the operands at every point; zero where one is read outside.

    Args:
        problem: any contraction that has points, of operands that have elements.

    Returns:
        The node, with an axis for each of ``problem.indices``.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> products(resolve(parse("i j, j -> i"), [(2, 3), (3,)])).output
        ('i', 'j')
    """
    made = _of(problem)
    return _contracted(made, points(made, SUM)[0], problem.indices).node


def leaving(problem: Problem) -> Axes:
    """The axes outside of which a point may lie, the output's among them."""
    terms = (*problem.operands, problem.output)
    return tuple(filter(_of(problem).leaves, (axis for term in terms for axis in term)))


def _of(problem: Problem) -> Contraction:
    """What is translated of a problem."""
    extents = problem.extents

    def whole(axis: Access) -> bool:
        return axis.plain is not None and extents[axis.plain] == axis.size

    def leaves(axis: Access) -> bool:
        low, high = axis.reach(extents)
        return axis.divisor > 1 or low < 0 or high >= axis.size

    operands = tuple(enumerate(problem.operands))
    return Contraction(
        operands, problem.output, problem.reduced, problem.reduce,
        extents.__getitem__, whole, leaves,
    )  # fmt: skip


def translated(contraction: Contraction) -> Node:
    """Describe what is done for a contraction, of numbers or of symbols."""
    record, axes = REDUCTIONS[contraction.reduce], contraction.output
    combine = SUM if record.linear else contraction.reduce
    kept = names_of(axes)
    node = _reduced(contraction, combine, kept).node
    if len(kept) < len(axes) or not all(map(contraction.whole, axes)):
        node = nodes.Land(node, axes, combine)
    if not record.averages:
        return node
    return nodes.Divide(node, axes, tuple(map(contraction.extent, contraction.reduced)))


# --- products and their reduction ------------------------------------------------------------


def points(contraction: Contraction, reduce: str) -> tuple[list[Factor], Axes]:
    """The factors of all points, and the axes that may be read outside.

    Args:
        contraction: what is translated.
        reduce: whose identity is read there.
    """
    factors = [_read(contraction, number, axes, reduce) for number, axes in contraction.operands]
    missing = [name for name in contraction.reduced if not _has(factors, name)]
    outside = filter(contraction.leaves, (a for _, axes in contraction.operands for a in axes))
    return factors + _ones(contraction, missing), tuple(outside)


def _read(contraction: Contraction, number: int, axes: Axes, reduce: str) -> Factor:
    """An operand with an index on each axis."""
    node = nodes.Operand(number, axes)
    if all(map(contraction.whole, axes)):
        return Factor(node, tuple(name for axis in axes for name in axis.names))
    return Factor(nodes.Read(node, axes, reduce), names_of(axes))


def _reduced(contraction: Contraction, reduce: str, kept: Labels) -> Factor:
    """The products of all points, reduced to some indices in order."""
    # One operand can hold the identity itself; in a product it would be multiplied.
    single = len(contraction.operands) == 1
    factors, outside = points(contraction, reduce if single else SUM)
    if reduce == SUM and len(factors) > 1:
        return _contracted(contraction, factors, kept)
    labels = tuple(dict.fromkeys(name for factor in factors for name in factor.labels))
    values = _contracted(contraction, factors, labels)
    if outside and not single:
        values = Factor(nodes.Where(values.node, labels, outside, reduce), labels)
    return _contracted(contraction, [_without(values, contraction.reduced, reduce)], kept)


def _without(values: Factor, reduced: Labels, reduce: str) -> Factor:
    gone = tuple(name for name in values.labels if name in reduced)
    if not gone and REDUCTIONS[reduce].keeps_one:
        return values
    rest = tuple(name for name in values.labels if name not in reduced)
    return Factor(nodes.Reduce(values.node, values.labels, gone, reduce), rest)


def _contracted(contraction: Contraction, factors: list[Factor], labels: Labels) -> Factor:
    """The sum of products; what no factor has is repeated along the result."""
    missing = [name for name in labels if not _has(factors, name)]
    factors = factors + _ones(contraction, missing)
    if [factor.labels for factor in factors] == [labels]:
        return factors[0]
    sources = tuple(factor.node for factor in factors)
    return Factor(nodes.Einsum(sources, tuple(factor.labels for factor in factors), labels), labels)


def _ones(contraction: Contraction, names: Sequence[str]) -> list[Factor]:
    sizes = tuple(map(contraction.extent, names))
    return [Factor(nodes.Full(sizes, "prod"), tuple(names))] if names else []


def _has(factors: Sequence[Factor], name: str) -> bool:
    return any(name in factor.labels for factor in factors)
