"""Local derivatives of reductions written in contractions and maps, all of which devices share."""

from __future__ import annotations

from collections.abc import Sequence

from contractconv.notation.affine import Affine
from contractconv.notation.spec import SUM, Spec
from contractconv.programs.build import apply, contract, joined, local_axes, named
from contractconv.programs.contraction_rules import extent_of, forward_of
from contractconv.programs.local import points_of, spelled_out
from contractconv.programs.nodes import Contract, Length, Node, Number, Position, rebuilt
from contractconv.reductions.table import REDUCTIONS

_ZERO, _ONE = Number((), value=0), Number((), value=1)


def without_locals(outputs: Sequence[Node]) -> list[Node]:
    """The same nodes, with every local derivative written out."""
    return rebuilt(spelled_out(outputs), _written)


def _written(node: Node) -> Node:
    if not isinstance(node, Contract) or not node.local:
        return node
    if REDUCTIONS[node.spec.reduce].averages:
        return _share(node)
    return named(_selection(node), node.axes)


def _share(node: Contract) -> Node:
    """One over the number of points that land on each element."""
    spec = node.spec
    kept = {name for axis in spec.output for name in axis.names}
    gone = [Length((), size=extent_of(node, n)) for n in spec.indices if n not in kept]
    if local_axes(spec) != spec.output:  # it is the same for all elements
        return joined("divide", [_ONE, *gone])
    used = frozenset(name for axis in spec.output for name in axis.parameters)
    told = {name: size for name, size in node.extents if name in used}
    told |= {name: extent_of(node, name) for name in spec.indices if name in kept}
    counted = Spec(((),), spec.output, SUM, tuple(used))
    count = contract(counted, [_ONE], told, like=forward_of(node))
    share = apply("divide", _ONE, apply("max", count, _ONE))
    return named(joined("divide", [share, *gone]), node.axes)


def _selection(node: Contract) -> Node:
    """One at the first point that is the result, in row-major order."""
    points = points_of(node)
    best = _spread(node, forward_of(node), points)
    nothing = apply("logical_not", apply("equal", points, points))
    hit = apply("logical_or", apply("equal", points, best), nothing)
    rank, count = _ranks(node)
    candidates = apply("where", hit, rank, count)
    landing = Spec((_term(candidates.axes),), node.spec.output, "min", node.spec.parameters)
    first = contract(landing, [candidates], dict(node.extents), like=forward_of(node))
    return apply("where", apply("equal", candidates, _spread(node, first, points)),
                 apply("where", hit, _ONE, _ZERO), _ZERO)  # fmt: skip


def _spread(node: Contract, result: Node, points: Node) -> Node:
    """The result that each point is a part of."""
    spec = Spec((node.spec.output,), _term(points.axes), SUM, node.spec.parameters)
    return contract(spec, [result], dict(node.extents), like=points)


def _ranks(node: Contract) -> tuple[Node, Node]:
    """The number of each point in row-major order, and how many points there are."""
    rank: Node = _ZERO
    count: Node = _ONE
    for name in node.spec.indices:
        size = extent_of(node, name)
        length = Length((), size=size)
        rank = apply("add", apply("multiply", rank, length), Position((name,), size=size))
        count = apply("multiply", count, length)
    return rank, count


def _term(names: Sequence[str]) -> tuple[Affine, ...]:
    return tuple(map(Affine.index, names))
