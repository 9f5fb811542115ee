"""Local derivatives of reductions, written out in contractions and maps where they change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from contractconv.errors import ReductionError
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import Spec, Term, lone_names
from contractconv.programs.build import apply, contract, joined, named, plain_spec
from contractconv.programs.contraction_rules import extent_of, forward_of, told_by
from contractconv.programs.landing import Equation, Landing, landing
from contractconv.programs.nodes import Axes, Contract, Length, Node, Number, Position, rebuilt
from contractconv.programs.sizes import Size
from contractconv.reductions.table import REDUCTIONS


def spelled_out(outputs: Sequence[Node]) -> list[Node]:
    """The same nodes, with local derivatives that change written in contractions and maps.

    A selection, and one over a number, do not change; the others are made of the points that are
    reduced, and of the result.
    """
    return rebuilt(outputs, _spelled_out)


def shares_spelled_out(outputs: Sequence[Node]) -> list[Node]:
    """The same nodes, in which what each point has of a logarithm of a sum is a map.

    That takes the sum's own logarithm, which is there. Points of windows are read where they lie,
    and not written out for it.
    """
    return rebuilt(outputs, lambda node: _spelled_out(node) if _are_shares(node) else node)


def _are_shares(node: Node) -> bool:
    if not isinstance(node, Contract) or not node.local or node.spec.reduce != "logsumexp":
        return False
    return all(axis.plain is not None for axis in node.spec.axes)


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


def points_of(node: Contract) -> Node:
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
    points = points_of(node)
    result = forward_of(node)
    spread = contract(Spec((node.spec.output,), _term(points.axes)), [result], like=points)
    never = apply("equal", points, Number((), value=-float("inf")))
    shifted = apply("exp", apply("subtract", points, spread))
    return apply("where", never, Number((), value=0), shifted)


def _others(node: Contract) -> Node:
    """The product of all other points that land where one does."""
    points = points_of(node)
    met = landing(node.spec.output, points.axes)
    if not met.copies:
        return apply("power", points, Number((), value=0))
    chosen = apply("logical_not", _all(_same(node, *pair) for pair in met.copies.items()))
    if met.conditions:
        chosen = apply("logical_and", chosen, _all(_meets(node, met, e) for e in met.conditions))
    others = apply("where", chosen, _read(node, points, met), Number((), value=1))
    spec = plain_spec([others.axes], points.axes)
    return contract(replace(spec, reduce=node.spec.reduce), [others], like=points)


def _read(node: Contract, points: Node, met: Landing) -> Node:
    """What the points hold that land where one does; the identity where there is none."""
    if met.is_plain:
        return named(points, tuple(str(met.places[name]) for name in points.axes))
    term = tuple(met.places[name] for name in points.axes)
    names = tuple(dict.fromkeys(name for axis in term for name in axis.names))
    used = frozenset(name for axis in term for name in axis.parameters)
    spec = Spec((term,), _term(names), node.spec.reduce, tuple(used))
    alone = lone_names([term])
    given = {name: extent_of(node, name) for name in names if name not in alone}
    return contract(spec, [points], given | {n: s for n, s in node.extents if n in used})


def _same(node: Contract, name: str, copy: str) -> Node:
    """Whether an index is its copy."""
    return apply("equal", _index(node, name), _index(node, name, copy))


def _index(node: Contract, name: str, called: str | None = None) -> Node:
    """The values of an index, of which its copy has as many."""
    return Position((called or name,), size=extent_of(node, name))


def _meets(node: Contract, met: Landing, equation: Equation) -> Node:
    """Whether two points that are not told apart otherwise land at the same place of an axis."""
    first = joined("add", [_multiple(node, c, _index(node, name)) for name, c in equation])
    copied = [(c, _index(node, name, met.copies[name])) for name, c in equation]
    return apply("equal", first, joined("add", [_multiple(node, *pair) for pair in copied]))


def _multiple(node: Contract, factor: Polynomial, index: Node) -> Node:
    """An index times a number that is made of parameters."""
    known = dict(node.extents)
    terms = [
        joined("multiply", [Number((), value=c), *(Length((), size=known[p]) for p in parameters)])
        for parameters, c in factor.terms
    ]
    return apply("multiply", joined("add", terms), index)


def _all(conditions: Iterable[Node]) -> Node:
    return joined("logical_and", list(conditions))


def _term(names: Axes) -> Term:
    return tuple(map(Affine.index, names))
