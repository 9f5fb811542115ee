"""Which maps run together, block by block, so that what is between them never leaves the cache.

Maps over the same axes may run together if nothing but such maps lies between them. So every node
has a *level*: how many times, on the longest way to it, something else had to be finished first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from contractconv.planning.programs.outer_sums import OuterSum
from contractconv.programs.nodes import Axes, Cast, Map, Node, Number, Position, readers


@dataclass(frozen=True)
class Fused:
    """Maps that run together.

    Attributes:
        nodes: the maps, each behind those that it reads.
        leaves: the arrays that they read.
        outputs: those of the maps that others read.
        axes: their axes, in the order in which results lie in memory.
        sums: what is added up on the way.
    """

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]
    outputs: tuple[Node, ...]
    axes: Axes
    sums: tuple[OuterSum, ...] = ()

    @property
    def makes(self) -> tuple[Node, ...]:
        """The nodes whose arrays are made."""
        return (*self.outputs, *(one.node for one in self.sums))

    @property
    def apart(self) -> Fused:
        """The maps alone, with all outputs that the sums read then."""
        inside, summed = set(self.nodes), (f for one in self.sums for f in one.factors)
        read = (factor for factor in summed if factor in inside)
        outputs = tuple(dict.fromkeys((*self.outputs, *read)))
        return Fused(self.nodes, self.leaves, outputs, self.axes)


def is_map(node: Node) -> bool:
    """Whether a node is made element by element."""
    return isinstance(node, (Map, Cast))


def fused(
    order: Sequence[Node],
    wanted: Collection[Node],
    apart: Collection[Node] = (),
    sums: Mapping[Node, OuterSum] | None = None,
) -> list[Fused]:
    """Put maps together.

    Args:
        order: every node, each behind what it reads.
        wanted: the nodes that are results.
        apart: maps that are done elsewhere.
        sums: what could be added up while maps run.

    Returns:
        Every map once, in groups of which none waits for itself.
    """
    fusion = _Fusion(order, wanted, apart)
    groups = [fusion.group(nodes) for nodes in fusion.sets()]
    return [fusion.summing(group, sums or {}) for group in groups]


class _Fusion:
    """The maps of a program, and which of them may run together."""

    def __init__(
        self, order: Sequence[Node], wanted: Collection[Node], apart: Collection[Node]
    ) -> None:
        self._order, self._wanted, self._read_by = order, wanted, readers(order)
        self._maps = {node for node in order if is_map(node) and node not in apart}
        self._free = self._found_free()
        self._maps -= self._free
        self._levels = self._late(self._early())

    def _found_free(self) -> set[Node]:
        """What is made of indices and numbers alone, and read by maps alone.

        Every group makes it for itself, block by block: a mask is never there as a whole.
        """
        found: set[Node] = set()
        for node in self._order:
            alone = node in self._maps and node not in self._wanted
            alone = alone and self._maps.issuperset(self._read_by[node])
            alone = alone and found.issuperset(node.sources)
            if alone or isinstance(node, (Number, Position)):
                found.add(node)
        return found

    def _early(self) -> dict[Node, int]:
        """The level at which every node can be made."""
        levels: dict[Node, int] = {}
        for node in self._order:
            read = (source for source in node.sources if source not in self._free)
            levels[node] = max((levels[s] + (not self._alike(node, s)) for s in read), default=0)
        return levels

    def _late(self, early: Mapping[Node, int]) -> dict[Node, int]:
        """The same, but a map waits for those that alone read it."""
        levels = dict(early)
        for node in reversed(self._order):
            taken = self._read_by[node]
            if node in self._wanted or not taken or node not in self._maps:
                continue
            if all(self._alike(reader, node) for reader in taken):
                levels[node] = min(levels[reader] for reader in taken)
        return levels

    def _alike(self, node: Node, source: Node) -> bool:
        """Whether a node and one of its sources are maps over the same axes."""
        if node not in self._maps or source not in self._maps:
            return False
        return set(node.axes) == set(source.axes)

    def sets(self) -> list[list[Node]]:
        """The maps that run together."""
        joined = _Joined()
        for node in self._order:
            if node in self._maps:
                joined.add(node)
                for source in node.sources:
                    if self._alike(node, source) and self._levels[source] == self._levels[node]:
                        joined.join(node, source)
        return joined.sets()

    def group(self, nodes: Sequence[Node]) -> Fused:
        """Maps that run together, with what they read and what is read of them."""
        inside = set(nodes)
        needed = self._with_free(nodes)
        known = inside | self._free
        leaves = dict.fromkeys(s for node in needed for s in node.sources if s not in known)
        outputs = [
            node
            for node in nodes
            if node in self._wanted or not inside.issuperset(self._read_by[node])
        ]
        axes = max((node.axes for node in outputs), key=len)
        return Fused(tuple(needed), tuple(leaves), tuple(outputs), axes)

    def summing(self, group: Fused, sums: Mapping[Node, OuterSum]) -> Fused:
        """A group with the sums that can be added up while it runs."""
        read_by = dict.fromkeys(r for node in group.outputs for r in self._read_by[node])
        taken = [sums[r] for r in read_by if r in sums and self._within(sums[r], group)]
        if not taken:
            return group
        inside = {*group.nodes, *(one.node for one in taken)}
        leaves = dict.fromkeys(f for one in taken for f in one.factors if f not in inside)
        outputs = [
            node
            for node in group.outputs
            if node in self._wanted or not inside.issuperset(self._read_by[node])
        ]
        leaves = dict.fromkeys((*group.leaves, *leaves))
        return Fused(group.nodes, tuple(leaves), tuple(outputs), group.axes, tuple(taken))

    def _within(self, one: OuterSum, group: Fused) -> bool:
        """Whether a sum can be added up in a group: all else that it reads is there by then."""
        inside, level = set(group.nodes), self._levels[group.outputs[0]]
        others = (factor for factor in one.factors if factor not in inside)
        return one.ends(group.axes) and all(self._levels[other] < level for other in others)

    def _with_free(self, nodes: Sequence[Node]) -> list[Node]:
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
                    waiting += [(s, False) for s in one.sources if s in self._free and is_map(s)]
        return list(found)


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
