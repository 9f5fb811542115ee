"""The values that a text gives lines of their own, and which of them come back to which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contractconv.programs.nodes import Node, in_order
from contractconv.programs.program import Graph
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write

BACK = "d_"
"""What a name starts with, of what comes back to the value whose name follows."""


@dataclass(frozen=True)
class NamedLines:
    """The values that the text of a program names.

    Attributes:
        graph: the program as its text says it; the nodes are called as there.
        names: the name of each value, inputs first, each behind what it reads.
        targets: for each value that comes back to another one, that one.
    """

    graph: Graph
    names: Mapping[Node, str]
    targets: Mapping[Node, Node]

    def target_of(self, name: str, node: Node) -> Node | None:
        """The value to which another one comes back, as its name says."""
        return _target(name, node, {called: known for known, called in self.names.items()})


def named_lines(graph: Graph) -> NamedLines:
    """Find the values that the text of a program names.

    Args:
        graph: the program; where it was derived, its nodes know what they come back to. Of the
            others, what is called ``d_W`` and has no other axes than ``W`` comes back to it.
    """
    # Its own text says what has a line, and a name: nobody else decides about that.
    told = read(write(graph))
    order = in_order([*told.inputs, *told.wanted])
    names = {node: node.label for node in order if node.label is not None}
    return NamedLines(told, names, _targets(graph, names))


def _targets(graph: Graph, names: Mapping[Node, str]) -> dict[Node, Node]:
    by_name = {name: node for node, name in names.items()}
    found: dict[Node, Node] = {}
    for node in in_order(graph.wanted):
        if node in names and node.cotangent_of is not None:
            found[node] = node.cotangent_of
    # One value may come back to several; its name says to which it was asked for.
    for node, name in names.items():
        if (target := _target(name, node, by_name)) is not None:
            found[node] = target
    return found


def _target(name: str, node: Node, by_name: Mapping[str, Node]) -> Node | None:
    target = by_name.get(name.removeprefix(BACK)) if name.startswith(BACK) else None
    return target if target is not None and set(target.axes) >= set(node.axes) else None
