"""Gradients of programs are programs: one cotangent a node, one rule a kind of node.

What comes back to an operand of a contraction is a contraction again: the cotangent in the place of
the result, the result in the place of the operand. What comes back to an argument of a map is the
map's derivative, summed over the axes that the argument lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contractconv.errors import OperandError
from contractconv.programs.build import joined, named, repeated, with_sizes
from contractconv.programs.contraction_rules import change, pullback
from contractconv.programs.kinds import Kinds, is_differentiable, is_weak
from contractconv.programs.local import spelled_out
from contractconv.programs.map_rules import map_change, map_pullback
from contractconv.programs.nodes import Cast, Contract, Map, Named, Node, Number, in_order
from contractconv.programs.origins import origin
from contractconv.programs.sizes import Extent


def gradients(
    outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]
) -> list[Node]:
    """What comes back to some nodes, if something comes back to others.

    Args:
        outputs: the nodes that were made.
        cotangents: what comes back to each of them, with the same axes.
        wrt: the nodes whose cotangents are wanted.

    Returns:
        A node for each of ``wrt``, with its axes and its numbers; zeros where nothing comes back.

    Raises:
        OperandError: one of ``wrt`` holds integers or truth values, which cannot change a little.
        ReductionError: a reduction on the way has no derivative.
    """
    graph = _Graph(outputs, wrt)
    found: dict[Node, list[Node]] = {}
    for output, cotangent in zip(graph.outputs, cotangents, strict=True):
        found.setdefault(output, []).append(cotangent)
    settled: dict[Node, Node] = {}
    for node in reversed(graph.order):
        for parts in _alike(node, found.pop(node, []), graph):
            settled[node] = graph.settled(node, parts)
            for source, part in _pulled_back(node, settled[node], graph):
                found.setdefault(source, []).append(part)
    return [graph.whole(settled.get(node), node) for node in graph.wrt]


def tangents(
    outputs: Sequence[Node], wrt: Sequence[Node], directions: Sequence[Node]
) -> list[Node]:
    """How some nodes change, if others change in some directions.

    Args:
        outputs: the nodes that were made.
        wrt: the nodes that change.
        directions: how each of them does, with the same axes.

    Returns:
        A node for each output, with its axes and its numbers; zeros where nothing changes.

    Raises:
        OperandError: one of ``wrt`` holds integers or truth values.
        ReductionError: a reduction on the way has no derivative.
    """
    graph = _Graph(outputs, wrt)
    changes = dict(zip(graph.wrt, directions, strict=True))
    for node in graph.order:
        if node not in changes:
            parts = list(_pushed_forward(node, changes))
            if parts:
                changes[node] = graph.cast(repeated(added(parts), node), node)
    return [changes.get(node) or zeros_like(node) for node in graph.outputs]


def zeros_like(node: Node) -> Node:
    """Zeros with the axes and the numbers of a node."""
    return Cast(node.axes, source=repeated(Number((), value=0), node), like=node)


def added(parts: Sequence[Node]) -> Node:
    """The sum of nodes."""
    return joined("add", parts)


class _Graph:
    """What lies between some outputs and what they are differentiated by.

    Attributes:
        outputs: the outputs, with local derivatives spelled out.
        wrt: what they are differentiated by, likewise.
        order: the nodes that change with it, each behind what it reads.
    """

    def __init__(self, outputs: Sequence[Node], wrt: Sequence[Node]) -> None:
        nodes = spelled_out([*outputs, *wrt])
        self.outputs, self.wrt = nodes[: len(outputs)], nodes[len(outputs) :]
        self._kinds = Kinds()
        for node in self.wrt:
            self._check(node)
        self._active = set(self.wrt)
        self.order = [node for node in in_order(self.outputs, references=False) if self._is(node)]

    def __contains__(self, node: Node) -> bool:
        return node in self._active

    def settled(self, node: Node, parts: Sequence[Node]) -> Node:
        """Everything that came back to a node, in its numbers, and called after it.

        It may lack axes along which it is the same: rules of contractions and of maps know that. A
        mask that met it there does not say their sizes, and the node does.
        """
        made = added(parts)
        unsized = made.open_axes - node.open_axes
        sized = with_sizes(made, node, (name for name in node.axes if name in unsized))
        return self.cast(sized, node).as_cotangent_of(node)

    def whole(self, cotangent: Node | None, node: Node) -> Node:
        """What came back to a node, with all its axes; zeros if nothing did."""
        if cotangent is None:
            return zeros_like(node)
        made = repeated(cotangent, node)
        if is_weak(self._kinds[made]):
            made = Cast(made.axes, source=made, like=node)
        return made.as_cotangent_of(node)

    def cast(self, made: Node, node: Node) -> Node:
        """What was made for a node, in the numbers that it has."""
        numbers = self._kinds[made]
        if numbers == self._kinds[node] or is_weak(numbers):
            return made
        return Cast(made.axes, source=made, like=node)

    def _is(self, node: Node) -> bool:
        """Whether a node changes; its sources have been asked before."""
        if node in self._active:
            return True
        moved = any(source in self._active for source in node.sources)
        if moved and is_differentiable(self._kinds[node]):
            self._active.add(node)
        return node in self._active

    def _check(self, node: Node) -> None:
        numbers = self._kinds[node]
        if not is_differentiable(numbers):
            called = node.label or "what is differentiated by"
            raise OperandError(
                f"{called} holds {', '.join(sorted(numbers))}: only floating-point and complex "
                "numbers can change a little"
            )


def _alike(node: Node, parts: Sequence[Node], graph: _Graph) -> Iterator[Sequence[Node]]:
    """What came back to a node, by the sizes that its open axes have there.

    A value with open axes may have met others of several sizes: what comes back is not added then.
    """
    if node in graph.wrt or not node.open_axes:
        yield from [parts] if parts else []
        return
    by_sizes: dict[tuple[Extent | None, ...], list[Node]] = {}
    for part in parts:
        by_sizes.setdefault(tuple(_size(part, n) for n in sorted(node.open_axes)), []).append(part)
    yield from by_sizes.values()


def _size(part: Node, name: str) -> Extent | None:
    return origin(part, name) if name in part.axes and name not in part.open_axes else None


def _pulled_back(node: Node, cotangent: Node, graph: _Graph) -> Iterator[tuple[Node, Node]]:
    """What comes back to each source of a node."""
    for n, source in enumerate(node.sources):
        if source in graph:
            part = _part(node, n, cotangent)
            if part is not None:
                yield source, part


def _part(node: Node, n: int, cotangent: Node) -> Node | None:
    """What comes back to a source; ``None`` if nothing does."""
    match node:
        case Contract():
            return pullback(node, n, cotangent)
        case Map():
            return map_pullback(node, n, cotangent)
        case Named():
            inner = dict(zip(node.axes, node.source.axes, strict=True))
            return named(cotangent, tuple(inner[name] for name in cotangent.axes))
    return cotangent


def _pushed_forward(node: Node, changes: Mapping[Node, Node]) -> Iterator[Node]:
    """How a node changes with each of its sources."""
    for n, source in enumerate(node.sources):
        tangent = changes.get(source)
        if tangent is not None:
            part = _change(node, n, tangent)
            if part is not None:
                yield part


def _change(node: Node, n: int, tangent: Node) -> Node | None:
    match node:
        case Contract():
            return change(node, n, tangent)
        case Map():
            return map_change(node, n, tangent)
        case Named():
            return named(tangent, node.axes)
    return tangent
