"""Which maps run together, block by block, so that what is between them never leaves the cache.

Maps over the same axes may run together if nothing but such maps lies between them. So every node
has a *level*: how many times, on the longest way to it, something else had to be finished first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from contractconv.programs.nodes import Cast, Map, Node, Number, Position, readers


@dataclass(frozen=True)
class Fused:
    """Maps that run together.

    Attributes:
        nodes: the maps, each behind those that it reads.
        leaves: the arrays that they read.
        outputs: those of the maps that others read.
    """

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]
    outputs: tuple[Node, ...]


def is_map(node: Node) -> bool:
    """Whether a node is made element by element."""
    return isinstance(node, (Map, Cast))


def fused(order: Sequence[Node], wanted: Collection[Node]) -> list[Fused]:
    """Put maps together.

    Args:
        order: every node, each behind what it reads.
        wanted: the nodes that are results.

    Returns:
        Every map once, in groups of which none waits for itself.
    """
    read_by = readers(order)
    free = _free(order, read_by, wanted)
    levels = _late(order, _early(order, free), read_by, wanted, free)
    groups = _Joined()
    for node in order:
        if is_map(node) and node not in free:
            groups.add(node)
            for source in _fused_sources(node, levels, free):
                groups.join(node, source)
    return [_group(nodes, read_by, wanted, free) for nodes in groups.sets()]


def _free(
    order: Sequence[Node], read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> set[Node]:
    """What is made of indices and numbers alone, and read by maps alone.

    Every group makes it for itself, block by block: a mask is never there as a whole.
    """
    found: set[Node] = set()
    for node in order:
        alone = is_map(node) and node not in wanted and all(map(is_map, read_by[node]))
        alone = alone and all(source in found for source in node.sources)
        if alone or isinstance(node, (Number, Position)):
            found.add(node)
    return found


def _early(order: Sequence[Node], free: Collection[Node]) -> dict[Node, int]:
    """The level at which every node can be made."""
    levels: dict[Node, int] = {}
    for node in order:
        levels[node] = max(
            (levels[s] + (not _together(node, s, free)) for s in node.sources if s not in free),
            default=0,
        )
    return levels


def _late(
    order: Sequence[Node],
    early: Mapping[Node, int],
    read_by: Mapping[Node, Sequence[Node]],
    wanted: Collection[Node],
    free: Collection[Node],
) -> dict[Node, int]:
    """The same, but a map waits for those that alone read it."""
    levels = dict(early)
    for node in reversed(order):
        taken = read_by[node]
        if node in wanted or not taken or not is_map(node) or node in free:
            continue
        if all(_together(reader, node, free) for reader in taken):
            levels[node] = min(levels[reader] for reader in taken)
    return levels


def _together(node: Node, source: Node, free: Collection[Node]) -> bool:
    """Whether a node and one of its sources are maps over the same axes."""
    if not is_map(node) or not is_map(source) or node in free or source in free:
        return False
    return set(node.axes) == set(source.axes)


def _fused_sources(node: Node, levels: Mapping[Node, int], free: Collection[Node]) -> list[Node]:
    return [
        source
        for source in node.sources
        if _together(node, source, free) and levels[source] == levels[node]
    ]


class _Joined:
    """Sets of nodes that are joined one by one."""

    def __init__(self) -> None:
        self._leader: dict[Node, Node] = {}

    def add(self, node: Node) -> None:
        self._leader.setdefault(node, node)

    def join(self, first: Node, second: Node) -> None:
        self._leader[self._found(first)] = self._found(second)

    def sets(self) -> list[list[Node]]:
        found: dict[Node, list[Node]] = {}
        for node in self._leader:
            found.setdefault(self._found(node), []).append(node)
        return list(found.values())

    def _found(self, node: Node) -> Node:
        while self._leader[node] is not node:
            self._leader[node] = self._leader[self._leader[node]]
            node = self._leader[node]
        return node


def _group(
    nodes: Sequence[Node],
    read_by: Mapping[Node, Sequence[Node]],
    wanted: Collection[Node],
    free: Collection[Node],
) -> Fused:
    inside = set(nodes)
    needed = _with_free(nodes, free)
    leaves = dict.fromkeys(
        s for n in needed for s in n.sources if s not in inside and s not in free
    )
    outputs = [n for n in nodes if n in wanted or any(r not in inside for r in read_by[n])]
    return Fused(tuple(needed), tuple(leaves), tuple(outputs))


def _with_free(nodes: Sequence[Node], free: Collection[Node]) -> list[Node]:
    """The nodes of a group, and before them what each of them makes of indices and numbers."""
    found: dict[Node, None] = {}
    for node in nodes:
        waiting = [(node, False)]
        while waiting:
            one, ready = waiting.pop()
            if ready:
                found[one] = None
            elif one not in found:
                waiting.append((one, True))
                waiting += [(s, False) for s in one.sources if s in free and is_map(s)]
    return list(found)
