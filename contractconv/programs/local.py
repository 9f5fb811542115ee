"""Local derivatives of reductions, written out in contractions and maps where they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from contractconv.errors import ReductionError
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Spec, Term, lone_names
from contractconv.programs.build import apply, contract, named, plain_spec
from contractconv.programs.contraction_rules import extent_of, forward_of, told_by
from contractconv.programs.nodes import Axes, Contract, Node, Number, Position, rebuilt
from contractconv.programs.sizes import Size
from contractconv.reductions.table import REDUCTIONS


def spelled_out(outputs: Sequence[Node]) -> list[Node]:
    """The same nodes, with local derivatives that change written in contractions and maps.

    A selection, and one over a number, do not change; the others are made of the points that are
    reduced, and of the result.
    """
    return rebuilt(outputs, _spelled_out)


def _spelled_out(node: Node) -> Node:
    if not isinstance(node, Contract) or not node.local:
        return node
    record = REDUCTIONS[node.spec.reduce]
    if record.chooses or record.averages:
        return node
    if record.name == "logsumexp":
        return named(_softmax(node), node.axes)
    if record.multiplies:
        return named(_others(node), node.axes)
    raise ReductionError(f"reduce={record.name!r} has no second derivative")


def _points(node: Contract) -> Node:
    """What is reduced, with an axis for each index; the identity where a point does not count."""
    names = node.spec.indices
    spec = Spec(node.spec.inputs, _term(names), node.spec.reduce, node.spec.parameters)
    return contract(spec, node.operands, dict(node.extents) | _open(node, names))


def _open(node: Contract, names: Axes) -> dict[str, Size]:
    """The extents of indices that no operand tells."""
    told = told_by(zip(node.spec.inputs, node.operands, strict=True))
    known = {*told, *(name for name, _ in node.extents)}
    return {name: extent_of(node, name) for name in names if name not in known}


def _softmax(node: Contract) -> Node:
    """The exponentials of points over that of the result; nothing where nothing is reduced."""
    points = _points(node)
    result = forward_of(node)
    spread = contract(Spec((node.spec.output,), _term(points.axes)), [result], like=points)
    never = apply("equal", points, Number((), value=-float("inf")))
    shifted = apply("exp", apply("subtract", points, spread))
    return apply("where", never, Number((), value=0), shifted)


def _others(node: Contract) -> Node:
    """The product of all other points: of a copy of them, of which one is left out."""
    points = _points(node)
    kept = lone_names([node.spec.output])
    if len(kept) != len(node.spec.output) or len(set(kept)) != len(kept):
        raise ReductionError(
            f"the product '{node.spec}' has no second derivative: its result is scattered"
        )
    reduced = tuple(name for name in points.axes if name not in kept)
    copies = {name: _fresh(name, points.axes) for name in reduced}
    copied = named(points, tuple(copies.get(name, name) for name in points.axes))
    if not reduced:
        return apply("power", points, Number((), value=0))
    same: Node | None = None
    for name, copy in copies.items():
        equal = apply("equal", Position((name,)), Position((copy,)))
        same = equal if same is None else apply("logical_and", same, equal)
    assert same is not None
    others = apply("where", same, Number((), value=1), copied)
    spec = plain_spec([others.axes], points.axes)
    return contract(replace(spec, reduce=node.spec.reduce), [others], like=points)


def _fresh(name: str, taken: Axes) -> str:
    copy = f"{name}_"
    while copy in taken:
        copy += "_"
    return copy


def _term(names: Axes) -> Term:
    return tuple(map(Affine.index, names))
