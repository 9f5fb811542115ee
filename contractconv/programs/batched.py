"""A program for many at once: the same program with one more axis, which nothing sums over."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from contractconv.notation.affine import Affine
from contractconv.notation.spec import Term
from contractconv.programs.build import apply, local_axes, transposed, unused
from contractconv.programs.nodes import Axes, Contract, Input, Map, Named, Node, in_order
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent, Size


def batched(graph: Graph, inputs: Container[str]) -> tuple[Graph, list[bool]]:
    """Give some inputs of a program one axis more, along which nothing is summed.

    Args:
        graph: the program.
        inputs: the names of those that have it; it is their first axis.

    Returns:
        The program, and for each output whether it has the axis, which is its first then.

    Example:
        >>> from contractconv.programs.build import apply
        >>> x, bias = Input(("i",), name="x"), Input(("i",), name="bias")
        >>> many, found = batched(Graph.of({"y": apply("add", x, bias)}), {"x"})
        >>> many.outputs[0][1].axes, found
        (('many', 'i'), [True])
    """
    order = in_order([*graph.wanted, *graph.inputs])
    batch = _Batch(unused("many", _names(order)), inputs)
    for node in order:
        batch.made[node] = batch.of(node)
    outputs = {name: batch.first(batch.made[node]) for name, node in graph.outputs}
    given = [made for made in map(batch.made.__getitem__, graph.inputs) if isinstance(made, Input)]
    found = [batch.name in node.axes for node in outputs.values()]
    return Graph.of(outputs, given, graph.name), found


def _names(order: Sequence[Node]) -> set[str]:
    found = {name for node in order for name in node.axes}
    for node in order:
        if isinstance(node, Contract):
            found |= {*node.spec.indices, *node.spec.parameters}
    return found


class _Batch:
    """Nodes with one more axis, made one after the other.

    Attributes:
        name: what the axis is called.
        made: what every node of the program became.
    """

    def __init__(self, name: str, inputs: Container[str]) -> None:
        self.name, self._inputs = name, inputs
        self.made: dict[Node, Node] = {}

    def of(self, node: Node) -> Node:
        """A node with the axis, if something that it reads has it."""
        if isinstance(node, Input):
            whole = (self.name, *node.axes)
            return replace(node, axes=whole) if node.name in self._inputs else node
        sources = tuple(self.made[source] for source in node.sources)
        if not any(self.name in source.axes for source in sources):
            return node.over(sources, self.made)
        if isinstance(node, Contract):
            return self._contraction(node, sources)
        if isinstance(node, Named):
            return replace(node, axes=self._put(node.axes, sources[0]), source=sources[0])
        made = node.over(sources, self.made)
        if isinstance(made, Map):
            return self._map(made)
        return replace(made, axes=sources[0].axes)

    def first(self, node: Node) -> Node:
        """An output, with the axis in front."""
        if self.name not in node.axes or node.axes[0] == self.name:
            return node
        return transposed(node, (self.name, *(name for name in node.axes if name != self.name)))

    def _map(self, node: Map) -> Node:
        """The function; other axes are in the order in which those who read it expect them."""
        made = replace(node, axes=apply(node.function, *node.arguments).axes)
        held = tuple(name for name in made.axes if name != self.name)
        return made if held == node.axes else transposed(made, (self.name, *node.axes))

    def _contraction(self, node: Contract, operands: tuple[Node, ...]) -> Contract:
        """The string with an index more, in the terms of all operands that have the axis."""
        inputs = map(self._term, node.spec.inputs, operands)
        spec = replace(node.spec, inputs=tuple(inputs), output=(self._index, *node.spec.output))
        extents = tuple((name, size.mapped(self.made)) for name, size in node.extents)
        sizes = None if node.shape is None else [size.mapped(self.made) for size in node.shape]
        shape = None if sizes is None else (self._size(operands), *sizes)
        axes = self._local(node, local_axes(spec)) if node.local else (self.name, *node.axes)
        return replace(node, axes=axes, spec=spec, operands=operands, extents=extents, shape=shape)

    def _local(self, node: Contract, term: Term) -> Axes:
        """The names of the axes of a local derivative, whose order is that of its term."""
        names = iter(node.axes)
        return tuple(self.name if axis == self._index else next(names) for axis in term)

    def _term(self, term: Term, operand: Node) -> Term:
        if self.name not in operand.axes:
            return term
        place = operand.axes.index(self.name)
        return (*term[:place], self._index, *term[place:])

    def _put(self, axes: Axes, source: Node) -> Axes:
        place = source.axes.index(self.name)
        return (*axes[:place], self.name, *axes[place:])

    def _size(self, operands: Sequence[Node]) -> Size:
        source = next(operand for operand in operands if self.name in operand.axes)
        return Size.of(Extent(source, self.name))

    @property
    def _index(self) -> Affine:
        return Affine.index(self.name)
