"""The sizes of a program's values, if the shapes of its inputs are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contractconv.notation.problem import Problem, Shape
from contractconv.programs.nodes import Node
from contractconv.programs.pairing import paired
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent
from contractconv.programs.sizing import sized


@dataclass(frozen=True)
class KnownSizes:
    """What is known of sizes; nothing, where no shapes were given.

    Attributes:
        shapes: the shape of every value.
        problems: what every contraction is.
    """

    shapes: Mapping[Node, Shape]
    problems: Mapping[Node, Problem]

    def of(self, extent: Extent) -> int | None:
        """A size, if it is known."""
        if extent.of_index:
            problem = self.problems.get(extent.node)
            return None if problem is None else problem.extents[extent.name]
        shape = self.shapes.get(extent.node)
        return None if shape is None else shape[extent.node.axes.index(extent.name)]


def known_sizes(graph: Graph, shapes: Mapping[str, Shape] | None) -> KnownSizes:
    """Work out all sizes.

    Args:
        graph: the program.
        shapes: the shape of each input; ``None`` if nothing is known.

    Raises:
        ShapeError: shapes do not fit, or one is missing.
    """
    if not shapes:
        return KnownSizes({}, {})
    found = sized(graph, shapes)
    made = paired(graph, found.graph)
    every = {node: found.shapes[with_sizes] for node, with_sizes in made.items()}
    every |= {node: tuple(shapes[node.name]) for node in graph.inputs}
    problems = {n: found.problems[w] for n, w in made.items() if w in found.problems}
    return KnownSizes(every, problems)
