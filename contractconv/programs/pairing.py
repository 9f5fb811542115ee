"""Which node became which, where a program was rewritten node by node."""

from __future__ import annotations

from contractconv.programs.nodes import Node
from contractconv.programs.program import Graph


def paired(before: Graph, after: Graph) -> dict[Node, Node]:
    """For each node that is carried out, what stands in its place in another program.

    Args:
        before: the program.
        after: the same one, every node with the same sources, in the same order.
    """
    found: dict[Node, Node] = {}
    waiting = list(zip(before.wanted, after.wanted, strict=True))
    while waiting:
        node, other = waiting.pop()
        if node not in found:
            found[node] = other
            waiting += zip(node.sources, other.sources, strict=True)
    return found
