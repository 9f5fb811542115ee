"""From a contraction, of numbers or of symbols, to nodes.

Operands are read so that every axis has an index of its own, their products are reduced to the
indices that the output has, and the axes of the output are made of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.engines.portable.nodes import (
    Axes,
    Divide,
    Einsum,
    Full,
    Labels,
    Land,
    Node,
    Operand,
    Part,
    Read,
    Reduce,
    Reshape,
    Terms,
    Where,
)
from contractconv.engines.portable.tables import Positions
from contractconv.notation.problem import Problem, shape_of
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
        part: what is known of axes that are met together.
        extent: the extent of an index.
    """

    operands: tuple[tuple[int, Axes], ...]
    output: Axes
    reduced: Labels
    reduce: str
    part: Callable[[Any], Part]
    extent: Callable[[str], Any]


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
    operands = tuple(enumerate(problem.operands))
    extents = problem.extents
    node = translated(
        Contraction(
            operands, problem.output, problem.reduced, problem.reduce,
            lambda axes: Positions.of(axes, extents), extents.__getitem__,
        )
    )  # fmt: skip
    whole = problem.output_sizes == problem.result_shape
    return node if whole else Reshape(node, problem.result_shape)


def translated(contraction: Contraction) -> Node:
    """Describe what is done for a contraction; compositions of the result are not joined."""
    record = REDUCTIONS[contraction.reduce]
    combine = SUM if record.linear else contraction.reduce
    term = _met(contraction, contraction.output)
    kept = tuple(name for part in term.parts for name in part.names)
    node = _reduced(contraction, combine, kept).node
    if not term.alone:
        node = Land(node, term, combine)
    if not record.averages:
        return node
    return Divide(node, term, tuple(map(contraction.extent, contraction.reduced)))


def _met(contraction: Contraction, axes: Axes) -> Terms:
    groups = together(axes)
    parts = tuple(contraction.part(tuple(axes[n] for n in group)) for group in groups)
    return Terms(parts, tuple(n for group in groups for n in group))


def together(axes: Axes) -> list[tuple[int, ...]]:
    """The numbers of the axes, those together that share an index.

    Example:
        >>> from contractconv.notation.problem import Access
        >>> a, b = Access.along("i", 2), Access.along("j", 3)
        >>> together((a, b, Access((("i", 1), ("k", 1)), 0, 1, 4)))
        [(0, 2), (1,)]
    """
    groups: list[tuple[int, ...]] = []
    for number, axis in enumerate(axes):
        shares = [g for g in groups if any({*axis.names} & {*axes[n].names} for n in g)]
        groups = [g for g in groups if g not in shares]
        groups.append((*(n for g in shares for n in g), number))
    return sorted(tuple(sorted(group)) for group in groups)


# --- products and their reduction ------------------------------------------------------------


def points(contraction: Contraction, reduce: str) -> tuple[list[Factor], tuple[Part, ...]]:
    """The factors of all points, and where they may be read outside.

    Args:
        contraction: what is translated.
        reduce: whose identity is read there.
    """
    read = [_read(contraction, number, axes, reduce) for number, axes in contraction.operands]
    factors = [factor for factor, _ in read]
    missing = [name for name in contraction.reduced if not _has(factors, name)]
    return factors + _ones(contraction, missing), tuple(part for _, parts in read for part in parts)


def _read(
    contraction: Contraction, number: int, axes: Axes, reduce: str
) -> tuple[Factor, list[Part]]:
    """An operand with an index on each axis, and where it may be read outside."""
    node, term = Operand(number, axes), _met(contraction, axes)
    if all(part.whole for part in term.parts):
        return Factor(node, tuple(name for axis in axes for name in axis.names)), []
    return Factor(Read(node, term, reduce), term.labels), [p for p in term.parts if p.leaves]


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
        values = Factor(Where(values.node, labels, outside, reduce), labels)
    return _contracted(contraction, [_without(values, contraction.reduced, reduce)], kept)


def _without(values: Factor, reduced: Labels, reduce: str) -> Factor:
    gone = tuple(name for name in values.labels if name in reduced)
    if not gone and REDUCTIONS[reduce].keeps_one:
        return values
    rest = tuple(name for name in values.labels if name not in reduced)
    return Factor(Reduce(values.node, values.labels, gone, reduce), rest)


def _contracted(contraction: Contraction, factors: list[Factor], labels: Labels) -> Factor:
    """The sum of products; what no factor has is repeated along the result."""
    missing = [name for name in labels if not _has(factors, name)]
    factors = factors + _ones(contraction, missing)
    if [factor.labels for factor in factors] == [labels]:
        return factors[0]
    nodes = tuple(factor.node for factor in factors)
    return Factor(Einsum(nodes, tuple(factor.labels for factor in factors), labels), labels)


def _ones(contraction: Contraction, names: Sequence[str]) -> list[Factor]:
    sizes = tuple(map(contraction.extent, names))
    return [Factor(Full(sizes, "prod"), tuple(names))] if names else []


def _has(factors: Sequence[Factor], name: str) -> bool:
    return any(name in factor.labels for factor in factors)
