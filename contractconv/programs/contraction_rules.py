"""How contractions are differentiated: by contractions, whose strings are those of the calculus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from contractconv.notation.spec import SUM, Spec, Term, lone_names
from contractconv.programs.build import Given, apply, contract, local_axes, named, result_axes
from contractconv.programs.nodes import Contract, Length, Node, Number
from contractconv.programs.sizes import Extent, Size
from contractconv.reductions.table import REDUCTIONS


def pullback(node: Contract, n: int, cotangent: Node) -> Node | None:
    """What comes back to an operand, as a contraction; ``None`` if nothing does.

    Args:
        node: the contraction.
        n: the position of the operand.
        cotangent: what comes back to the result, with its axes.
    """
    if node.local:
        return None
    others = [(term, o) for m, (term, o) in enumerate(_operands(node)) if m != n]
    taken = [(node.spec.output, _shared(node, cotangent)), *_local(node), *others]
    made = _derived(node, taken, node.spec.inputs[n], node.operands[n])
    return named(made, node.operands[n].axes)


def change(node: Contract, n: int, tangent: Node) -> Node | None:
    """How a result changes, if one operand does; ``None`` if it does not.

    Args:
        node: the contraction.
        n: the position of the operand.
        tangent: how it changes, with its axes.
    """
    if node.local:
        return None
    operands = list(_operands(node))
    operands[n] = (operands[n][0], _shared(node, tangent))
    return named(_derived(node, [*_local(node), *operands], node.spec.output, node), node.axes)


def _operands(node: Contract) -> Iterable[tuple[Term, Node]]:
    return zip(node.spec.inputs, node.operands, strict=True)


def _local(node: Contract) -> list[tuple[Term, Node]]:
    """The local derivative, as an operand; none for a sum, and for a mean that can be divided."""
    if REDUCTIONS[node.spec.reduce].is_sum or _counted(node.spec) is not None:
        return []
    term = local_axes(node.spec)
    return [
        (term, replace(node, axes=result_axes(term), local=True, label=None, cotangent_of=None))
    ]


def _shared(node: Contract, given: Node) -> Node:
    """What meets a mean of as many points for each element, divided by their number."""
    over = _counted(node.spec)
    for name in over or ():
        given = apply("divide", given, Length((), size=extent_of(node, name)))
    return given


def _counted(spec: Spec) -> tuple[str, ...] | None:
    if not REDUCTIONS[spec.reduce].averages:
        return None
    from contractconv.calculus.local_derivative import counted  # sympy is slow to import

    return counted(spec)


def _derived(node: Contract, taken: Sequence[tuple[Term, Node]], output: Term, like: Node) -> Node:
    """A sum of products of what is taken, with the axes and the sizes of a node."""
    taken = _without_ones(taken)
    terms = tuple(term for term, _ in taken)
    spec = Spec(terms, output, SUM)
    used = frozenset(name for axis in spec.axes for name in axis.parameters)
    spec = replace(spec, parameters=tuple(used))
    operands = [operand for _, operand in taken]
    if _is_identity(spec):
        return operands[0]
    free = not _follows(spec) or result_axes(output) != like.axes
    return contract(spec, operands, _extents(node, spec, free), like=like if free else None)


def _without_ones(taken: Sequence[tuple[Term, Node]]) -> Sequence[tuple[Term, Node]]:
    """Factors, without those that are one."""
    kept = [pair for pair in taken if not _is_one(pair[1])]
    return kept or taken[:1]


def _is_one(node: Node) -> bool:
    return isinstance(node, Number) and node.value == 1


def _is_identity(spec: Spec) -> bool:
    plain = lone_names([spec.output])
    return spec.inputs == (spec.output,) and len(plain) == len(spec.output)


def _follows(spec: Spec) -> bool:
    """Whether the sizes of the result follow from the operands: each axis is an index of one."""
    known = set(lone_names(spec.inputs))
    return all(axis.plain in known for axis in spec.output)


def _extents(node: Contract, spec: Spec, sized: bool) -> Given:
    """The extents that a derived string has to be told."""
    names = {*spec.indices, *spec.parameters}
    given: dict[str, int | Size] = {name: size for name, size in node.extents if name in names}
    told = set(lone_names(spec.terms if sized else spec.inputs))
    return given | {
        name: extent_of(node, name)
        for name in spec.indices
        if name not in told and name not in given
    }


def extent_of(node: Contract, name: str) -> Size:
    """The extent of an index: the size of an axis on which it stands alone, if there is one."""
    given = dict(node.extents)
    if name in given:
        return given[name]
    for term, operand in _operands(node):
        for axis, called in zip(term, operand.axes, strict=True):
            if axis.plain == name:
                return Size.of(Extent(operand, called))
    axes = result_axes(node.spec.output) if node.local else node.axes
    return Size.of(Extent(replace(node, local=False, axes=axes), name, of_index=True))
