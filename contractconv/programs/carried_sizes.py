"""Sizes that a program carries from its inputs to its results as they are, whatever they are.

An axis whose index always stands alone has the size that it has elsewhere; nothing is worked out of
it. Of the others, in windows and compositions, sizes are numbers before anything can be said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from contractconv.notation.spec import Axis
from contractconv.programs.build import local_axes
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Input,
    Map,
    Named,
    Node,
    Position,
    in_order,
)
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent, Size

Carried = tuple[tuple[int | None, ...], ...]


class CarriedSizes(NamedTuple):
    """Which axes of inputs and results have one size, by a number; ``None`` where it is no other's.

    Attributes:
        inputs: for each input, and each of its axes.
        results: likewise.
    """

    inputs: Carried
    results: Carried


def carried_sizes(graph: Graph) -> CarriedSizes:
    """Find the sizes that are carried from inputs to results.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.programs.build import contract
        >>> x, w = Input(("b", "h"), name="x"), Input(("k",), name="w")
        >>> conv = contract(parse("b (i+k), k -> b i"), [x, w])
        >>> carried_sizes(Graph.of({"y": conv}))
        CarriedSizes(inputs=((0, None), (None,)), results=((0, None),))
    """
    sizes = _Sizes()
    for node in in_order([*graph.wanted, *graph.inputs]):
        for pair in _alike(node):
            sizes.join(*pair)
    numbers: dict[_Key, int] = {}
    inputs = tuple(sizes.numbered(node, numbers) for node in graph.inputs)
    known = set(numbers.values())
    results = (sizes.numbered(node, numbers) for node in graph.wanted)
    return CarriedSizes(
        inputs, tuple(tuple(n if n in known else None for n in found) for found in results)
    )


class _Key(NamedTuple):
    """An axis of a node; or an index of a contraction's string."""

    node: Node | None
    name: str
    of_index: bool = False


# What is joined with it is worked out of numbers.
_NUMBER = _Key(None, "")


class _Sizes:
    """Axes and indices that have one size, put together."""

    def __init__(self) -> None:
        self._up: dict[_Key, _Key] = {}

    def join(self, first: _Key, second: _Key) -> None:
        """Put two together; what is a number stays one."""
        low, high = self._root(first), self._root(second)
        if low != high:
            self._up[high if low == _NUMBER else low] = low if low == _NUMBER else high

    def numbered(self, node: Node, numbers: dict[_Key, int]) -> tuple[int | None, ...]:
        """The sizes of a node by their numbers."""
        roots = [self._root(_Key(node, name)) for name in node.axes]
        return tuple(
            None if root == _NUMBER else numbers.setdefault(root, len(numbers)) for root in roots
        )

    def _root(self, key: _Key) -> _Key:
        while key in self._up:
            key = self._up[key]
        return key


def _alike(node: Node) -> Iterator[tuple[_Key, _Key]]:
    """What of a node has the size of what else."""
    match node:
        case Map() | Cast():
            for source in node.sources:
                yield from ((_Key(node, n), _Key(source, n)) for n in source.axes)
        case Named():
            pairs = zip(node.axes, node.source.axes, strict=True)
            yield from ((_Key(node, n), _Key(node.source, inner)) for n, inner in pairs)
        case Position() if node.size is not None:
            yield _Key(node, node.axes[0]), _told(node.size)
        case Contract():
            yield from _of_contraction(node)
        case Input():
            return


def _of_contraction(node: Contract) -> Iterator[tuple[_Key, _Key]]:
    for term, operand in zip(node.spec.inputs, node.operands, strict=True):
        yield from _of_term(node, term, [_Key(operand, name) for name in operand.axes])
    if node.local:
        made = [_Key(node, name) for name in node.axes]
        yield from _of_term(node, local_axes(node.spec), made)
        yield from _of_term(node, node.spec.output, None)
    else:
        yield from _of_term(node, node.spec.output, [_Key(node, name) for name in node.axes])
    for name, size in node.extents:
        yield _Key(node, name, of_index=True), _told(size)
    for axis, size in zip(node.spec.output, node.shape or (), strict=False):
        if axis.plain is not None:
            yield _Key(node, axis.plain, of_index=True), _told(size)


def _of_term(
    node: Contract, term: Sequence[Axis], keys: Sequence[_Key] | None
) -> Iterator[tuple[_Key, _Key]]:
    """Indices that stand alone have the sizes of axes; others, and their axes, are numbers."""
    for place, axis in enumerate(term):
        if axis.plain is None:
            yield from ((_Key(node, name, of_index=True), _NUMBER) for name in axis.names)
        if keys is not None:
            alone = axis.plain is not None
            yield keys[place], (_Key(node, str(axis.plain), of_index=True) if alone else _NUMBER)


def _told(size: Size) -> _Key:
    extent: Extent | None = size.alone
    return _NUMBER if extent is None else _Key(extent.node, extent.name, extent.of_index)
