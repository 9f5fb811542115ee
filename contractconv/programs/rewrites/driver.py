"""A program, rewritten by a table of passes, each of which is judged wherever it applies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from contractconv.programs.dtypes import Typed
from contractconv.programs.exact import Known
from contractconv.programs.nodes import Input, Named, Node, Number
from contractconv.programs.program import Graph
from contractconv.programs.rewrites.gate import holds
from contractconv.programs.rewrites.workshop import Workshop

Rule = Callable[[Node, Workshop], Node | None]

# Times that one node is rewritten, and that the whole program is gone through.
_MOST_TIMES, _SWEEPS = 8, 3


@dataclass(frozen=True)
class Pass:
    """One kind of rewrite.

    Attributes:
        name: what it does, in a word.
        rule: makes of a node another one that shall stand in its place, or nothing.
    """

    name: str
    rule: Rule


def rewritten(program: Typed, passes: Sequence[Pass]) -> Typed:
    """Rewrite a program until nothing changes.

    Args:
        program: the program.
        passes: what is tried on every node, in order.

    Returns:
        A program with the same outputs. A rewrite that changes a value is not done.
    """
    for _ in range(_SWEEPS):
        new = _swept(program, passes)
        if new.graph.wanted == program.graph.wanted:
            return program
        program = new
    return program


def _swept(program: Typed, passes: Sequence[Pass]) -> Typed:
    workshop = Workshop(program)
    made: dict[Node, Node] = {}
    wanted = set(program.graph.wanted)
    for node in program.graph.nodes:
        sources = tuple(made[source] for source in node.sources)
        same = all(new is old for new, old in zip(sources, node.sources, strict=True))
        moved = node if same else workshop.over(node, sources)
        made[node] = _improved(moved, passes, workshop, node in wanted)
    outputs = tuple((name, made[node]) for name, node in program.graph.outputs)
    graph = Graph(outputs, program.graph.inputs, program.graph.name)
    return Typed(graph, workshop.shapes, workshop.dtypes, workshop.problems)


def _improved(node: Node, passes: Sequence[Pass], workshop: Workshop, wanted: bool) -> Node:
    for _ in range(_MOST_TIMES):
        new = _once(node, passes, workshop, wanted)
        if new is None:
            return node
        workshop.replaced(node, new)
        node = _called_after(new, node) if new in workshop.fresh else new
    return node


def _once(node: Node, passes: Sequence[Pass], workshop: Workshop, wanted: bool) -> Node | None:
    known = Known(workshop.shapes, workshop.dtypes, workshop.problems)
    for one in passes:
        workshop.begin()
        new = one.rule(node, workshop)
        if new is None or new == node or (wanted and _is_given(new)):
            continue
        if holds(node, new, known, workshop.fresh):
            return new
    return None


def _called_after(new: Node, node: Node) -> Node:
    """What stands in the place of a node is called as that is."""
    return replace(new, label=node.label, cotangent_of=node.cotangent_of)


def _is_given(node: Node) -> bool:
    """Whether a node is an array of the caller's, which is not to be returned."""
    while isinstance(node, Named):
        node = node.source
    return isinstance(node, (Input, Number))
