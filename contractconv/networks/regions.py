"""Which values of a network belong to which of its parts, and each of these as a program."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from contractconv.layers.records import Call, Path
from contractconv.lazy import remembered
from contractconv.maps.table import MAPS
from contractconv.notation.problem import Shape
from contractconv.programs.kinds import Kinds, is_differentiable
from contractconv.programs.nodes import Contract, Input, Map, Named, Node, in_order, readers
from contractconv.programs.program import Graph
from contractconv.programs.sizing import Sized, sized

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.networks.traced import Traced

BETWEEN = "between parts"
"""What is called so that no part makes."""


@dataclass(frozen=True, eq=False)
class Region:
    """Values that belong together: what a part makes, or what is made between parts.

    Attributes:
        call: the part; ``None`` for what stands outside of all.
        nodes: the values, each behind what it is made of; none, if another part made them.
        output: the last of them.
    """

    call: Call | None
    nodes: tuple[Node, ...]
    output: Node

    @property
    def contractions(self) -> list[Contract]:
        """The contractions among them."""
        return [node for node in self.nodes if isinstance(node, Contract)]

    @property
    def read(self) -> list[Node]:
        """The values that they are made of, parameters among them."""
        inner = set(self.nodes)
        sources = (source for node in self.nodes for source in node.sources)
        return [node for node in dict.fromkeys(sources) if node not in inner]


class Regions:
    """The parts of a network, as the values that they make.

    A part makes what lies between its inputs and its output. What no part makes are regions of
    their own: a contraction with the maps around it, a sum, slices that are put together. Sizes of
    all values are numbers.

    Args:
        network: the network.

    Attributes:
        sized: the network with the output of every part.
        used: the values that the network's output is made of.
    """

    def __init__(self, network: Traced) -> None:
        self.network = network
        outputs = [call.output for call in network.calls]
        self.sized = _sized(network, [network.output, *outputs])
        self.used = frozenset(in_order([self.made(network.output)], references=False))
        self._kinds = Kinds()

    def made(self, tensor: Tensor) -> Node:
        """The value of a tensor."""
        return self.sized.made[tensor._node]

    def shape(self, node: Node) -> Shape:
        """The sizes of a value."""
        return self.sized.shapes[node]

    def numbers(self, node: Node) -> frozenset[str]:
        """Which numbers a value holds."""
        return self._kinds[node]

    @remembered
    def shapes(self) -> dict[str, Shape]:
        """The shapes of the network's inputs, parameters among them, by name."""
        sizes = self.sized.shapes
        return {n.name: sizes[n] for n in self.sized.graph.nodes if isinstance(n, Input)}

    @remembered
    def all(self) -> tuple[Region, ...]:
        """The regions in order; what stands between parts before the part that needs it."""
        return tuple(self._all())

    @remembered
    def given(self) -> frozenset[Node]:
        """The values that depend on what comes in or on parameters; the others are constants."""
        found: set[Node] = set()
        for node in self.sized.graph.nodes:
            if isinstance(node, Input) or found.intersection(node.sources):
                found.add(node)
        return frozenset(found)

    @remembered
    def trained(self) -> frozenset[Node]:
        """The values through which something comes back to what is trained, and that itself."""
        found = {self.made(parameter.tensor) for parameter in self.network.trained}
        for node in self.sized.graph.nodes:
            if found.intersection(node.sources) and is_differentiable(self._kinds[node]):
                found.add(node)
        return frozenset(found)

    def _all(self) -> Iterator[Region]:
        done: set[Node] = set()
        for call in self.network.calls:
            yield from self._between(map(self.made, call.inputs), done)
            output = self.made(call.output)
            yield Region(call, self._new([output], done), output)
        yield from self._between([self.made(self.network.output)], done)

    def _between(self, wanted: Iterable[Node], done: set[Node]) -> Iterator[Region]:
        ends = list(wanted)
        new = self._new(ends, done)
        groups: dict[Node, list[Node]] = {}
        for node, root in self._roots(new, frozenset(ends)).items():
            groups.setdefault(root, []).append(node)
        order = {node: n for n, node in enumerate(new)}
        for root in sorted(groups, key=order.__getitem__):
            nodes = sorted(groups[root], key=order.__getitem__)
            if any(isinstance(node, Map | Contract) for node in nodes):
                yield Region(None, tuple(nodes), root)

    def _roots(self, new: Sequence[Node], ends: Collection[Node]) -> dict[Node, Node]:
        """For each value between parts the one into which it goes, with all that goes there only.

        No two contractions that do something go into one.
        """
        roots: dict[Node, Node] = {}
        busy: set[Node] = set()
        for node in reversed(new):
            readers = self._readers.get(node, [])
            alone = node in ends or len(readers) != 1 or readers[0] not in roots
            root = node if alone else roots[readers[0]]
            if self.does_something(node):
                root = node if root in busy else root
                busy.add(root)
            roots[node] = root
        return roots

    @remembered
    def _readers(self) -> dict[Node, list[Node]]:
        return readers(node for node in self.sized.graph.nodes if node in self.used)

    def does_something(self, node: Node) -> bool:
        """Whether it is a contraction that does not only put numbers elsewhere."""
        if not isinstance(node, Contract):
            return False
        problem = self.sized.problems[node]
        moves = len(node.operands) == 1 and all(problem.extents[n] == 1 for n in problem.reduced)
        return not moves

    def _new(self, wanted: Iterable[Node], done: set[Node]) -> tuple[Node, ...]:
        """The values that were not met before, and that the network needs."""
        found = in_order(wanted, references=False, known=done)
        done.update(found)
        return tuple(n for n in found if n in self.used and not isinstance(n, Input))


def paths_of(regions: Regions) -> list[Path]:
    """What regions are called; between parts, after the blocks that those around are both in."""
    found: list[Path] = []
    before: Path = ()
    for n, region in enumerate(regions.all):
        later = (other.call for other in regions.all[n:])
        after = next((call.path[:-1] for call in later if call), ())
        if region.call is None:
            block = _ended(region, before) or common(before, after)
            found.append((*block, BETWEEN))
        else:
            found.append(region.call.path or (region.call.part.kind,))
            before = after
    return found


def _ended(region: Region, blocks: Path) -> Path | None:
    """The block around the part before that ends in a region, and has given it its name."""
    around = (blocks[:depth] for depth in range(len(blocks), 0, -1))
    return next((block for block in around if "_".join(block) == region.output.label), None)


def string_of(region: Region, whole: Regions) -> str:
    """What it does, in the notation; of what no part makes, its contraction, or its maps."""
    if region.call is not None:
        return str(region.call.part)
    for node in filter(whole.does_something, region.contractions):
        reduce = node.spec.reduce
        return str(node.spec) if reduce == "sum" else f"{node.spec}, reduce {reduce}"
    return ", ".join(signs_of(region, whole))


def signs_of(region: Region, whole: Regions) -> list[str]:
    """The maps of a region by their signs, in order; slices, and what puts them together."""
    signs = [_sign(node, whole) for node in region.nodes if isinstance(node, Map)]
    apart = [sign for sign, _ in groupby(signs)] if "concat" in signs else signs
    return apart or ["slice"]


def _sign(node: Map, whole: Regions) -> str:
    """What a map is called; a sum of what was only moved puts arrays one behind the other."""
    parts = [innermost(argument) for argument in node.arguments]
    moved = all(isinstance(n, Contract) and not whole.does_something(n) for n in parts)
    return "concat" if moved else MAPS[node.function].operator or node.function


def innermost(node: Node) -> Node:
    """A value before its axes were called otherwise."""
    while isinstance(node, Named):
        node = node.source
    return node


def common(one: Path, other: Path) -> Path:
    """The blocks that two paths have in common.

    Example:
        >>> common(("a", "b", "c"), ("a", "b", "d"))
        ('a', 'b')
    """
    pairs = zip(one, other, strict=False)
    return tuple(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _sized(network: Traced, outputs: Sequence[Tensor]) -> Sized:
    nodes = {f"n{n}": tensor._node for n, tensor in enumerate(outputs)}
    inputs = [*network.inputs, *(mask.tensor for mask in network.masks)]
    inputs += [parameter.tensor for parameter in network.parameters]
    given: list[Input] = [t._node for t in inputs if isinstance(t._node, Input)]
    shapes: dict[str, Shape] = {
        node.name: network.trace.shape(t) for node, t in zip(given, inputs, strict=True)
    }
    return sized(Graph.of(nodes, given, "network"), shapes)


def cut(
    region: Region,
    whole: Regions,
    replaced: Sequence[Node],
    names: Sequence[str],
    labels: Mapping[Node, str] | None = None,
) -> tuple[Node, list[Input]]:
    """What a region makes of inputs that stand in the place of other values.

    Args:
        region: the region.
        whole: the network that it is in.
        replaced: the values.
        names: what the inputs are called.
        labels: what values on the way are called; by default nothing.

    Returns:
        Its output, and the inputs.
    """
    inputs = [_stand_in(node, whole, name) for node, name in zip(replaced, names, strict=True)]
    made: dict[Node, Node] = dict(zip(replaced, inputs, strict=True))
    for node in in_order([region.output], references=False, known=made):
        new = node.over(tuple(made[source] for source in node.sources), made)
        made[node] = new.called((labels or {}).get(node))
    return made[region.output], inputs


def _stand_in(node: Node, whole: Regions, name: str) -> Input:
    numbers = [dtype for dtype in whole.numbers(node) if dtype and not dtype.startswith("~")]
    return Input(node.axes, name=name, dtype=numbers[0] if numbers else None, label=name)
