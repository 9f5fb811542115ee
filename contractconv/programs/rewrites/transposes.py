"""Contractions that move or repeat elements, and add none: whoever reads them reads their operand.

A contraction reads the operand by another term, a map aligns by name anyway.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from contractconv.errors import ContractionError
from contractconv.notation.spec import Spec, Term, lone_names
from contractconv.programs.kinds import kind
from contractconv.programs.nodes import Axes, Cast, Contract, Map, Named, Node, Number
from contractconv.programs.rewrites.workshop import Workshop
from contractconv.reductions.table import REDUCTIONS


class Moved(NamedTuple):
    """A contraction of one operand that adds nothing.

    Attributes:
        source: the operand.
        held: the indices of its axes.
        made: those of the result, these and others along which the operand is repeated.
    """

    source: Node
    held: Axes
    made: Axes


def moved(node: Node, workshop: Workshop) -> Moved | None:
    """What a node moves, or repeats; ``None`` if it does anything else."""
    if not isinstance(node, Contract) or len(node.operands) != 1 or not is_sum(node):
        return None
    held, made = plain(node.spec.inputs[0]), plain(node.spec.output)
    if held is None or made is None or not set(held) <= set(made):
        return None
    extents = workshop.problems[node].extents
    if tuple(extents[name] for name in made) != workshop.shapes[node]:
        return None  # it stands in a larger array
    return Moved(node.operands[0], held, made)


def is_sum(node: Contract) -> bool:
    """Whether a contraction adds, and that is all."""
    return REDUCTIONS[node.spec.reduce].is_sum and not node.local


def plain(term: Term) -> Axes | None:
    """The indices of a term, if each stands alone, and once."""
    names = lone_names([term])
    return names if len(names) == len(term) else None


def stays(node: Node, workshop: Workshop) -> Node | None:
    """A contraction that leaves everything where it is."""
    found = moved(node, workshop)
    if found is None or found.held != found.made or isinstance(found.source, Number):
        return None
    return workshop.named(found.source, node.axes)


def converted_before(node: Node, workshop: Workshop) -> Node | None:
    """A conversion of what is moved, before that: so whoever reads it can read its operand."""
    if not isinstance(node, Cast):
        return None
    inner, dtype = node.source, workshop.dtypes[node]
    found = moved(inner, workshop)
    if found is None or not isinstance(inner, Contract) or isinstance(found.source, Number):
        return None
    extents = {name: size.offset for name, size in inner.extents}
    told = None if inner.shape is None else tuple(size.offset for size in inner.shape)
    source = workshop.cast(found.source, dtype)
    return workshop.contract(inner.spec, [source], node.axes, dtype, extents, told)


def read_by_contraction(node: Node, workshop: Workshop) -> Node | None:
    """A contraction, one of whose operands is read as it is before it is moved or renamed."""
    if not isinstance(node, Contract):
        return None
    for n, operand in enumerate(node.operands):
        if isinstance(operand, Named):
            operands = (*node.operands[:n], operand.source, *node.operands[n + 1 :])
            return workshop.over_same(node, operands)
        found = moved(operand, workshop)
        # Local derivatives are recognised beside what they are contracted with.
        if found is None or not is_sum(node) or any(map(_is_local, node.operands)):
            continue
        made = _read_before(node, n, found, workshop)
        if made is not None:
            return made
    return None


def _is_local(node: Node) -> bool:
    return isinstance(node, Contract) and node.local


def _read_before(node: Contract, n: int, found: Moved, workshop: Workshop) -> Node | None:
    spec, term = node.spec, node.spec.inputs[n]
    at = dict(zip(found.made, term, strict=True))
    inputs = (*spec.inputs[:n], tuple(at[name] for name in found.held), *spec.inputs[n + 1 :])
    new = replace(spec, inputs=inputs)
    if set(new.indices) != set(spec.indices):
        return None  # an index of which there would be none: it counts how often something is added
    dropped = [axis for name, axis in at.items() if name not in found.held]
    if any(axis.plain is None for axis in dropped):
        return None
    problem = workshop.problems[node]
    extents = {name: size.offset for name, size in node.extents}
    extents |= {axis.plain: problem.extents[axis.plain] for axis in dropped if axis.plain}
    operands = (*node.operands[:n], found.source, *node.operands[n + 1 :])
    return contracted_like(node, new, operands, extents, workshop)


def contracted_like(
    node: Contract,
    spec: Spec,
    operands: tuple[Node, ...],
    extents: dict[str, int],
    workshop: Workshop,
) -> Node | None:
    """A contraction in the place of another one; ``None`` if it has no such sizes."""
    told = None if node.shape is None else tuple(size.offset for size in node.shape)
    try:
        return workshop.contract(spec, operands, node.axes, workshop.dtypes[node], extents, told)
    except ContractionError:
        return None


def read_by_map(node: Node, workshop: Workshop) -> Node | None:
    """A map, one of whose arguments is read as it is before it is moved or repeated."""
    if not isinstance(node, Map):
        return None
    for n, argument in enumerate(node.arguments):
        others = (*node.arguments[:n], *node.arguments[n + 1 :])
        new = _aligned(argument, others, workshop)
        if new is not None:
            arguments = (*node.arguments[:n], new, *node.arguments[n + 1 :])
            return workshop.map(node.function, arguments, node)
    return None


def _aligned(argument: Node, others: tuple[Node, ...], workshop: Workshop) -> Node | None:
    inner = argument.source if isinstance(argument, Named) else argument
    found = moved(inner, workshop)
    if found is None:
        return None
    names = dict(zip(found.made, argument.axes, strict=True))
    kept = tuple(names[name] for name in found.held)
    left = {name for other in others for name in other.axes}
    if not left.issuperset(set(argument.axes) - set(kept)):
        return None
    if isinstance(found.source, Number):
        # Integers that stand in a program may be too large for the numbers they meet.
        return found.source if kind(workshop.dtypes[inner]) >= kind("float32") else None
    return workshop.named(found.source, kept)
