"""Which maps run together, block by block, so that what is between them never leaves the cache.

Maps over the same axes may run together if nothing but such maps lies between them. So every node
has a *level*: how many times, on the longest way to it, something else had to be finished first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contractconv.planning.programs.made_again import is_map, made_again
from contractconv.planning.programs.outer_sums import OuterSum
from contractconv.programs.nodes import Axes, Node, readers

# Elements of a sum that a kernel adds up faster than numpy.
_LONG = 1 << 16


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
        Every map whose array is read, once, in groups of which none waits for itself; and sums of
        what is never there as an array.
    """
    return _Fusion(order, wanted, apart, sums or {}).groups()


class _Fusion:
    """The maps of a program, and which of them may run together."""

    def __init__(
        self,
        order: Sequence[Node],
        wanted: Collection[Node],
        apart: Collection[Node],
        sums: Mapping[Node, OuterSum],
    ) -> None:
        self._order, self._wanted, self._read_by = order, wanted, readers(order)
        self._sums = sums
        maps = {node for node in order if is_map(node) and node not in apart}
        adding = {node for node, one in sums.items() if one.ends(one.factors[0].axes)}
        self._again = made_again(order, maps, wanted, adding, self._read_by)
        self._maps = maps - self._again.keys()
        self._levels = self._late(self._early())

    def groups(self) -> list[Fused]:
        """Every map, in groups, and what is added up on the way."""
        found = [self._summing(self._group(nodes)) for nodes in self._sets()]
        added = {one.node for group in found for one in group.sums}
        left = [one for node, one in self._sums.items() if node not in added]
        return [*found, *self._alone(left)]

    def _read(self, node: Node) -> Iterator[Node]:
        """The arrays that a node is made of, where some of its sources are made again for it."""
        for source in node.sources:
            yield from self._again.get(source, (source,))

    def _early(self) -> dict[Node, int]:
        """The level at which every node can be made."""
        levels: dict[Node, int] = {}
        for node in self._order:
            steps = (levels[s] + (not self._alike(node, s)) for s in self._read(node))
            levels[node] = max(steps, default=0)
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

    def _sets(self) -> list[list[Node]]:
        """The maps that run together."""
        joined = _Joined()
        for node in self._order:
            if node in self._maps:
                joined.add(node)
                for source in node.sources:
                    if self._alike(node, source) and self._levels[source] == self._levels[node]:
                        joined.join(node, source)
        return joined.sets()

    def _group(self, nodes: Sequence[Node]) -> Fused:
        """Maps that run together, with what they read and what is read of them."""
        inside = set(nodes)
        outputs = tuple(node for node in nodes if self._is_read(node, inside))
        axes = max((node.axes for node in outputs), key=len)
        return self._whole(nodes, (), outputs, axes)

    def _whole(
        self, nodes: Sequence[Node], sums: Sequence[OuterSum], outputs: Sequence[Node], axes: Axes
    ) -> Fused:
        """Maps and sums, with all that is made again for them."""
        factors = (factor for one in sums for factor in one.factors)
        needed = self._with_again([*nodes, *(f for f in factors if f in self._again)])
        inside = {*needed, *(one.node for one in sums)}
        read = [s for node in needed for s in node.sources]
        read += [factor for one in sums for factor in one.factors]
        leaves = dict.fromkeys(s for s in read if s not in inside and s not in self._again)
        return Fused(tuple(needed), tuple(leaves), tuple(outputs), axes, tuple(sums))

    def _is_read(self, node: Node, inside: set[Node]) -> bool:
        """Whether others than some nodes read one."""
        return node in self._wanted or not inside.issuperset(self._read_by[node])

    def _summing(self, group: Fused) -> Fused:
        """A group with the sums that can be added up while it runs."""
        read_by = dict.fromkeys(r for node in group.outputs for r in self._read_by[node])
        taken = [self._sums[r] for r in read_by if self._may_add(r, group)]
        if not taken:
            return group
        inside = {*group.nodes, *(one.node for one in taken)}
        outputs = [node for node in group.outputs if self._is_read(node, inside)]
        own = [node for node in group.nodes if node not in self._again]
        return self._whole(own, taken, outputs, group.axes)

    def _may_add(self, reader: Node, group: Fused) -> bool:
        """Whether a reader is a sum that a group can add up: all else that it reads is there."""
        one = self._sums.get(reader)
        if one is None or not one.ends(group.axes):
            return False
        inside, level = set(group.nodes), self._levels[group.outputs[0]]
        others = [f for f in one.factors if f not in inside]
        read = [s for f in others for s in self._again.get(f, (f,))]
        return all(self._levels[other] < level for other in read)

    def _alone(self, sums: Sequence[OuterSum]) -> Iterator[Fused]:
        """Sums that no group adds up: of what is never there, and long ones.

        Those that can be added up at once are, so that what they read is read once.
        """
        together: dict[tuple[Axes, int], list[OuterSum]] = {}
        for one in sums:
            axes, again = one.factors[0].axes, any(f in self._again for f in one.factors)
            if one.ends(axes) and (again or one.elements >= _LONG):
                together.setdefault((axes, self._levels[one.node]), []).append(one)
        for (axes, _), found in together.items():
            yield self._whole((), found, (), axes)

    def _with_again(self, nodes: Sequence[Node]) -> list[Node]:
        """Some nodes, and before each of them what is made again for it."""
        found: dict[Node, None] = {}
        for node in nodes:
            waiting = [(node, False)]
            while waiting:
                one, ready = waiting.pop()
                if ready:
                    found[one] = None
                elif one not in found:
                    waiting.append((one, True))
                    waiting += [(s, False) for s in one.sources if s in self._again and is_map(s)]
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
