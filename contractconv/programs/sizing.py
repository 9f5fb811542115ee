"""Putting sizes into a program: the same graph, in which every size is a number.

Shapes of the inputs determine everything else, node by node, as the notation says. An index as a
value has an *open* axis until it meets something of known size: by name in a map, by its index in a
contraction; it is then rewritten with that size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from contractconv.errors import ContractionError, ShapeError
from contractconv.notation.extents import resolved
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.programs.build import local_axes
from contractconv.programs.nodes import (
    Contract,
    Input,
    Length,
    Map,
    Named,
    Node,
    Number,
    Position,
    in_order,
)
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent, Size

OpenShape = tuple[int | None, ...]


@dataclass(frozen=True)
class Sized:
    """A program whose sizes are numbers.

    Attributes:
        graph: the program; its nodes say sizes as numbers.
        shapes: the shape of every node.
        problems: what every contraction is.
        made: what every node of the program became.
    """

    graph: Graph
    shapes: Mapping[Node, Shape]
    problems: Mapping[Node, Problem]
    made: Mapping[Node, Node]


def sized(graph: Graph, shapes: Mapping[str, Shape]) -> Sized:
    """Put the shapes of the inputs into a program.

    Args:
        graph: the program.
        shapes: the shape of each of its inputs, by name.

    Raises:
        ShapeError: shapes do not fit, or the size of an axis follows from nothing.
    """
    sizing = Sizing(shapes)
    for node in in_order([*graph.wanted, *graph.inputs]):
        sizing.add(node)
    outputs = tuple((name, sizing.closed(node, name)) for name, node in graph.outputs)
    whole = Graph(outputs, graph.inputs, graph.name)
    # What is read of a node may be its size alone; that is known now.
    known: dict[Node, Shape] = {}
    for node in whole.nodes:
        known[node] = tuple(size for size in sizing.shapes[node] if size is not None)
    return Sized(whole, known, sizing.problems, sizing.made)


class Sizing:
    """Nodes with numbers for sizes, made one after the other."""

    def __init__(self, given: Mapping[str, Shape]) -> None:
        self._given = given
        self.made: dict[Node, Node] = {}
        self.shapes: dict[Node, OpenShape] = {}
        self.problems: dict[Node, Problem] = {}

    def add(self, node: Node) -> None:
        """Put numbers into a node, behind those that it reads."""
        match node:
            case Input():
                made, shape = self._input(node)
            case Length():
                made, shape = Number((), value=self._value(node.size)), ()
            case Position():
                made, shape = self._position(node)
            case Map():
                made, shape = self._map(node)
            case Contract():
                made, shape = self._contraction(node)
            case _:
                made = node.over(tuple(self.made[s] for s in node.sources), self.made)
                shape = self.shapes[made.sources[0]] if made.sources else ()
        self.made[node] = made
        self.shapes[made] = shape

    def closed(self, node: Node, name: str) -> Node:
        """What was made of an output, if all its sizes are known."""
        made = self.made[node]
        for axis, size in zip(made.axes, self.shapes[made], strict=True):
            if size is None:
                raise ShapeError(f"{name}: {_open(axis)}")
        return made

    def _input(self, node: Input) -> tuple[Node, OpenShape]:
        if node.name not in self._given:
            raise ShapeError(f"the shape of {node.name} is missing")
        shape = tuple(self._given[node.name])
        if len(shape) != len(node.axes):
            raise ShapeError(
                f"{node.name} has the {len(node.axes)} axes '{' '.join(node.axes)}', but shape "
                f"{shape}"
            )
        return node, shape

    def _position(self, node: Position) -> tuple[Node, OpenShape]:
        if node.size is None:
            return node, (None,)
        number = self._value(node.size)
        return replace(node, size=Size.of(number)), (number,)

    def _map(self, node: Map) -> tuple[Node, OpenShape]:
        sources = [self.made[source] for source in node.arguments]
        if node.function == "divide" and isinstance(node.arguments[1], Length):
            sources[1] = _divisor(sources[1])
            self.shapes[sources[1]] = ()
        sizes: dict[str, int] = {}
        for source in sources:
            for axis, size in zip(source.axes, self.shapes[source], strict=True):
                if size is not None and sizes.setdefault(axis, size) != size:
                    raise self._disagree(node, axis, sources)
        taken = tuple(self._with_sizes(source, sizes) for source in sources)
        return replace(node, arguments=taken), tuple(sizes.get(axis) for axis in node.axes)

    def _disagree(self, node: Map, axis: str, sources: Sequence[Node]) -> ShapeError:
        told = "; ".join(
            f"{source.label or 'a value'}: "
            + ", ".join(f"{a}={s}" for a, s in zip(source.axes, self.shapes[source], strict=True))
            for source in sources
            if source.axes
        )
        return ShapeError(f"the axis {axis!r} has two sizes in {_called(node)}: {told}")

    def _contraction(self, node: Contract) -> tuple[Node, OpenShape]:
        extents = {name: self._value(size) for name, size in node.extents}
        told = None if node.shape is None else tuple(self._value(size) for size in node.shape)
        operands = self._closed_operands(node, extents, told)
        shapes = tuple(_known(self.shapes[operand]) for operand in operands)
        try:
            problem = resolved(_named(node), shapes, extents, told, None)
        except ContractionError as error:
            raise type(error)(f"{error}\n{self._operands(node, operands)}") from None
        given = tuple((name, Size.of(value)) for name, value in extents.items())
        shape = None if told is None else tuple(map(Size.of, told))
        made = replace(node, operands=operands, extents=given, shape=shape)
        self.problems[made] = problem
        return made, _local_shape(node, problem) if node.local else problem.result_shape

    def _closed_operands(
        self, node: Contract, extents: Mapping[str, int], told: Shape | None
    ) -> tuple[Node, ...]:
        """The operands, with sizes for open axes from what else has their indices."""
        operands = [self.made[operand] for operand in node.operands]
        if all(None not in self.shapes[operand] for operand in operands):
            return tuple(operands)
        sizes: dict[str, int] = dict(extents)
        terms = [*zip(node.spec.inputs, map(self.shapes.__getitem__, operands), strict=True)]
        terms += [] if told is None else [(node.spec.output, told)]
        for term, shape in terms:
            for axis, size in zip(term, shape, strict=True):
                if axis.plain is not None and size is not None:
                    sizes.setdefault(axis.plain, size)
        return tuple(
            self._with_sizes(
                operand,
                {
                    name: sizes[axis.plain]
                    for name, axis in zip(operand.axes, term, strict=True)
                    if axis.plain in sizes
                },
                must=True,
            )
            for operand, term in zip(operands, node.spec.inputs, strict=True)
        )

    def _with_sizes(self, node: Node, sizes: Mapping[str, int], must: bool = False) -> Node:
        """A node, with sizes for its open axes where they are known."""
        open_axes = [a for a, s in zip(node.axes, self.shapes[node], strict=True) if s is None]
        if must and (missing := [axis for axis in open_axes if axis not in sizes]):
            raise ShapeError(_open(missing[0]))
        given = {axis: sizes[axis] for axis in open_axes if axis in sizes}
        if not given:
            return node
        made = self._opened(node, given)
        self.shapes[made] = tuple(
            given.get(axis, size) for axis, size in zip(node.axes, self.shapes[node], strict=True)
        )
        return made

    def _opened(self, node: Node, sizes: Mapping[str, int]) -> Node:
        if isinstance(node, Position):
            return replace(node, size=Size.of(sizes[node.axes[0]]))
        renamed = node.sources[0].axes if isinstance(node, Named) else node.axes
        names = dict(zip(node.axes, renamed, strict=True))
        inner = {names[axis]: size for axis, size in sizes.items()}
        return node.over(tuple(self._with_sizes(s, inner) for s in node.sources), {})

    def _value(self, size: Size) -> int:
        return size.value(self._extent)

    def _extent(self, extent: Extent) -> int:
        made = self.made[extent.node]
        if extent.of_index:
            return self.problems[made].extents[extent.name]
        size = self.shapes[made][extent.node.axes.index(extent.name)]
        if size is None:
            raise ShapeError(_open(extent.name))
        return size

    def _operands(self, node: Contract, operands: Sequence[Node]) -> str:
        told = ", ".join(
            f"{operand.label or 'a value'}: {' '.join(operand.axes)} {self.shapes[operand]}"
            for operand in operands
        )
        return f"in {_called(node)} of {told}"


def _divisor(size: Node) -> Node:
    """A size by which something is divided: a mean over nothing is nothing, not no number."""
    empty = isinstance(size, Number) and size.value == 0
    return Number((), value=1) if empty else size


def _local_shape(node: Contract, problem: Problem) -> Shape:
    term = local_axes(node.spec)
    if term == node.spec.output:
        return problem.result_shape
    return tuple(problem.extents[axis.plain] for axis in term if axis.plain is not None)


def _known(shape: OpenShape) -> Shape:
    return tuple(size for size in shape if size is not None)


def _named(node: Contract) -> Spec:
    """The string of a contraction; messages call its operands as the program does."""
    labels = (source.label or f"operand {n}" for n, source in enumerate(node.operands))
    return replace(node.spec, names=tuple(labels))


def _called(node: Node) -> str:
    what = node.function if isinstance(node, Map) else "a contraction"
    return f"{node.label} = {what}" if node.label else what


def _open(axis: str) -> str:
    return (
        f"the size of the axis {axis!r} follows from nothing: say it, as in cc.index({axis!r}, 10)"
    )
