"""Putting dtypes into a sized program: conversions stand where numbers of several kinds meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from contractconv.maps.table import MAPS
from contractconv.notation.problem import Problem, Shape
from contractconv.programs.kinds import Kinds, Numbers, dtype_of, is_weak, itemsize, meet
from contractconv.programs.nodes import Cast, Contract, Input, Map, Node
from contractconv.programs.program import Graph
from contractconv.programs.sizing import Sized


@dataclass(frozen=True)
class Typed:
    """A program of which everything is known but the numbers in its arrays.

    Attributes:
        graph: the program: sizes are numbers, and all that a node reads has the dtype in which it
            meets; numbers that stand in the program have none.
        shapes: the shape of every node.
        dtypes: the dtype of every node.
        problems: what every contraction is.
    """

    graph: Graph
    shapes: Mapping[Node, Shape]
    dtypes: Mapping[Node, str]
    problems: Mapping[Node, Problem]

    def nbytes(self, node: Node) -> int:
        """The bytes of the array of a node."""
        return prod(self.shapes[node]) * itemsize(self.dtypes[node])


def typed(program: Sized, default: str) -> Typed:
    """Decide the dtype of every node.

    Args:
        program: the program.
        default: the dtype of inputs that do not say theirs.
    """
    typing = _Typing(program, default)
    for node in program.graph.nodes:
        typing.add(node)
    outputs = tuple((name, typing.made[node]) for name, node in program.graph.outputs)
    graph = Graph(outputs, program.graph.inputs, program.graph.name)
    return Typed(graph, typing.shapes, typing.dtypes, typing.problems)


class _Typing:
    """Nodes with conversions before them, made one after the other."""

    def __init__(self, program: Sized, default: str) -> None:
        self._program, self._default, self._kinds = program, default, Kinds()
        self.made: dict[Node, Node] = {}
        self.shapes: dict[Node, Shape] = {}
        self.dtypes: dict[Node, str] = {}
        self.problems: dict[Node, Problem] = {}

    def add(self, node: Node) -> None:
        """Convert what a node reads, where that has to be."""
        dtype = self._dtype(self._kinds[node])
        if isinstance(node, Cast):
            made = self._cast(node.source, dtype)
        elif isinstance(node, Input):
            made = Input(node.axes, name=node.name, dtype=dtype, label=node.label)
        else:
            made = node.over(self._sources(node, dtype), {})
        self.made[node] = made
        self.shapes[made], self.dtypes[made] = self._program.shapes[node], dtype
        if node in self._program.problems:
            self.problems[made] = self._program.problems[node]

    def _dtype(self, numbers: Numbers) -> str:
        return dtype_of(numbers, self._default)

    def _sources(self, node: Node, dtype: str) -> tuple[Node, ...]:
        if isinstance(node, Contract):
            return tuple(self._converted(source, dtype) for source in node.sources)
        if not isinstance(node, Map):
            return tuple(self.made[source] for source in node.sources)
        first, *others = node.arguments
        if node.function == "where":
            return (self.made[first], *(self._converted(source, dtype) for source in others))
        if MAPS[node.function].kind in ("bool", "real"):
            dtype = self._dtype(meet(self._kinds[source] for source in node.arguments))
        return tuple(self._converted(source, dtype) for source in node.arguments)

    def _converted(self, source: Node, dtype: str) -> Node:
        """What was made of a source, in a dtype; weak numbers are as they are."""
        return self.made[source] if self._is_bare(source) else self._cast(source, dtype)

    def _is_bare(self, source: Node) -> bool:
        """Whether a node is a number that becomes one of those that it meets."""
        return is_weak(self._kinds[source]) and not source.axes

    def _cast(self, source: Node, dtype: str) -> Node:
        made = self.made[source]
        if self.dtypes[made] == dtype and not self._is_bare(source):
            return made
        cast = Cast(made.axes, source=made, dtype=dtype)
        self.shapes[cast], self.dtypes[cast] = self.shapes[made], dtype
        return cast
