"""How contractions are differentiated: by contractions, whose strings are those of the calculus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from contractconv.notation.spec import SUM, Spec, Term, lone_names
from contractconv.programs.build import (
    Given,
    apply,
    contract,
    is_one,
    joined,
    local_axes,
    named,
    repeated,
    result_axes,
)
from contractconv.programs.nodes import Axes, Contract, Length, Node
from contractconv.programs.origins import origin
from contractconv.programs.sizes import Extent, Size
from contractconv.reductions.table import REDUCTIONS

# Operands from which on all gradients of a contraction share one tree of pairs.
MANY = 3


def pullback(node: Contract, n: int, cotangent: Node) -> Node | None:
    """What comes back to an operand, as a contraction; ``None`` if nothing does.

    Args:
        node: the contraction.
        n: the position of the operand.
        cotangent: what comes back to the result; what is the same along an axis may lack it.
    """
    if node.local:
        return None
    term, cotangent = _met(node, n, cotangent)
    others = [(term, o) for m, (term, o) in enumerate(_operands(node)) if m != n]
    taken = [(term, _shared(node, cotangent)), *_local(node), *others]
    target = node.operands[n]
    if len(node.operands) >= MANY:
        return named(_derived(node, taken, node.spec.inputs[n], target), target.axes)
    differing = _not_repeated(node.spec.inputs[n], [term for term, _ in taken])
    # What is made of an open axis has no other size than the one that comes back.
    kept = [
        place
        for place, name in enumerate(target.axes)
        if name in target.open_axes or place in differing
    ]
    if len(kept) == len(target.axes):
        return named(_derived(node, taken, node.spec.inputs[n], target), target.axes)
    names = tuple(target.axes[place] for place in kept)
    output = tuple(node.spec.inputs[n][place] for place in kept)
    return named(_derived(node, taken, output, target, names), names)


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
    operands[n] = (operands[n][0], tangent)
    if _counted(node.spec) is not None:
        sources = tuple(operand for _, operand in operands)
        return replace(node.over(sources, {}), label=None, cotangent_of=None)
    return named(_derived(node, [*_local(node), *operands], node.spec.output, node), node.axes)


def _not_repeated(target: Term, terms: Iterable[Term]) -> list[int]:
    """The axes of a gradient along which it is not everywhere the same."""
    met = {name for term in terms for axis in term for name in axis.names}
    uses = Counter(name for axis in target for name in axis.names)
    return [
        n for n, a in enumerate(target) if a.plain is None or a.plain in met or uses[a.plain] > 1
    ]


def _met(node: Contract, n: int, cotangent: Node) -> tuple[Term, Node]:
    """The term with which a cotangent meets the operands, and the cotangent for it.

    An axis that a cotangent lacks is left out of its term, if its index is met elsewhere.
    """
    if cotangent.axes == node.axes or not _may_lack(node, n, cotangent):
        return node.spec.output, repeated(cotangent, node)
    axes = dict(zip(node.axes, node.spec.output, strict=True))
    return tuple(axes[name] for name in cotangent.axes), cotangent


def _may_lack(node: Contract, n: int, cotangent: Node) -> bool:
    spec = node.spec
    # Of many operands all gradients are made together, from one cotangent; those of windows, too.
    together = not REDUCTIONS[spec.reduce].linear and None in (axis.plain for axis in spec.axes)
    if together or len(node.operands) >= MANY:
        return False
    terms = [term for m, term in enumerate(spec.inputs) if m != n]
    met = {name for term in (*terms, spec.inputs[n]) for axis in term for name in axis.names}
    lacked = [
        a for name, a in zip(node.axes, spec.output, strict=True) if name not in cotangent.axes
    ]
    names = [axis.plain for axis in lacked]
    twice = [axis.plain for axis in spec.output if axis.plain in names]
    return None not in names and len(twice) == len(names) and met.issuperset(names)


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


def _derived(
    node: Contract,
    taken: Sequence[tuple[Term, Node]],
    output: Term,
    like: Node,
    axes: Axes | None = None,
) -> Node:
    """A sum of products of what is taken, with the axes and sizes of a node, or some of them."""
    taken = _without_ones(taken)
    terms = tuple(term for term, _ in taken)
    spec = Spec(terms, output, SUM)
    used = frozenset(name for axis in spec.axes for name in axis.parameters)
    spec = replace(spec, parameters=tuple(used))
    operands = [operand for _, operand in taken]
    if _is_identity(spec):
        return operands[0]
    if _is_map(spec, operands, axes or like.axes):
        product = joined("multiply", operands)
        if product.axes == (axes or like.axes) and not product.open_axes & like.open_axes:
            return product
    alone = told_by(taken)
    told = not all(axis.plain in alone for axis in output)
    extents = _extents(node, spec, alone.union(lone_names([output]) if told else ()))
    if axes is None and not like.open_axes:
        told = told or result_axes(output) != like.axes
        return contract(spec, operands, extents, like=like if told else None)
    # The axes of what it is the gradient of: all of them, or those along which it differs.
    names = like.axes if axes is None else axes
    shape = [_size(node, like, name) for name in names]
    made = contract(spec, operands, extents, shape if told else None)
    return named(made, names)


def _without_ones(taken: Sequence[tuple[Term, Node]]) -> Sequence[tuple[Term, Node]]:
    """Factors, without those that are one."""
    kept = [pair for pair in taken if not is_one(pair[1])]
    return kept or taken[:1]


def _is_identity(spec: Spec) -> bool:
    plain = lone_names([spec.output])
    return spec.inputs == (spec.output,) and len(plain) == len(spec.output)


def _is_map(spec: Spec, operands: Sequence[Node], axes: Axes) -> bool:
    """Whether nothing is summed, and axes have the names of their indices: then it is a product."""
    met = {name for operand in operands for name in operand.axes}
    terms = zip((*operands, None), spec.terms, strict=True)
    return met == set(axes) and all(
        tuple(axis.plain for axis in term) == (axes if operand is None else operand.axes)
        for operand, term in terms
    )


def told_by(taken: Iterable[tuple[Term, Node]]) -> set[str]:
    """The indices whose extents some operands tell: those that stand alone on an axis."""
    return {
        axis.plain
        for term, operand in taken
        for name, axis in zip(operand.axes, term, strict=True)
        if axis.plain and name not in operand.open_axes
    }


def _size(node: Contract, like: Node, name: str) -> Size:
    """The size of an axis of an operand; of an open one the extent of its index."""
    if name not in like.open_axes:
        return Size.of(Extent(like, name))
    for term, operand in _operands(node):
        for called, axis in zip(operand.axes, term, strict=True):
            if operand == like and called == name and axis.plain:
                return extent_of(node, axis.plain)
    return Size.of(Extent(like, name))


def _extents(node: Contract, spec: Spec, told: Collection[str]) -> Given:
    """The extents that a derived string has to be told, beside those that its operands tell."""
    names = {*spec.indices, *spec.parameters}
    given: dict[str, int | Size] = {name: size for name, size in node.extents if name in names}
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
            if axis.plain == name and called not in operand.open_axes:
                return Size.of(origin(operand, called))
    return Size.of(Extent(forward_of(node), name, of_index=True))


def forward_of(node: Contract) -> Contract:
    """The contraction itself, of one or of its local derivative."""
    if not node.local:
        return node
    axes = result_axes(node.spec.output)
    return replace(node, axes=axes, local=False, label=None, cotangent_of=None)
