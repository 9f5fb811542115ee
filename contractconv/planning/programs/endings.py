"""Maps that end a contraction: a bias that is added, and negative numbers that become zero.

They are done to the result while it is in cache, so that it is written once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Map, Named, Node
from contractconv.reductions.table import REDUCTIONS

_RELU = "relu"


@dataclass(frozen=True)
class Ended:
    """A contraction, and what is done to its result.

    Attributes:
        node: the contraction.
        passed: what it becomes in turn: under other names, with the bias, and at the end.
        bias: what is added along the last axis.
        activation: the map of the sum.
    """

    node: Contract
    passed: tuple[Node, ...] = ()
    bias: Node | None = None
    activation: str | None = None

    @property
    def result(self) -> Node:
        """What it has become at the end."""
        return self.passed[-1] if self.passed else self.node

    def then(self, node: Node, **changes: Any) -> Ended:
        """The same, but that it becomes one more node."""
        return replace(self, passed=(*self.passed, node), **changes)


def endings(
    program: Typed, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> dict[Node, Ended]:
    """Find the contractions that are ended by maps.

    Returns:
        What ends each of them, by the contraction.
    """
    found: dict[Node, Ended] = {}
    results: set[Node] = set()
    for node in program.graph.nodes:
        if isinstance(node, Contract) and _may_end(node, program):
            ended = _ended(node, read_by, wanted)
            # Of two contractions that are added the first is ended, with the second as a bias.
            pays = ended.activation or (ended.bias and not _by_maps(ended.result, read_by, wanted))
            if pays and ended.result not in results:
                found[node] = ended
                results.add(ended.result)
    return found


def _ended(
    node: Contract, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> Ended:
    ended = Ended(node)
    for step in (_biased, _rectified):
        reader = _only_reader(ended.result, read_by, wanted)
        while isinstance(reader, Named):
            ended = ended.then(reader)
            reader = _only_reader(reader, read_by, wanted)
        if isinstance(reader, Map):
            ended = step(ended, reader)
    return ended


def _by_maps(node: Node, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]) -> bool:
    """Whether nothing but maps reads a node: they add a bias on the way, to whatever made it."""
    return node not in wanted and all(isinstance(reader, Map) for reader in read_by[node])


def _may_end(node: Contract, program: Typed) -> bool:
    dtype = program.dtypes[node]
    summed = REDUCTIONS[node.spec.reduce].is_sum and not node.local
    return summed and dtype in ("float32", "float64")


def _biased(ended: Ended, reader: Map) -> Ended:
    node = ended.result
    if reader.function != "add" or reader.axes != node.axes:
        return ended
    first, second = reader.arguments
    bias = second if first == node else first
    if not node.axes or bias.axes != node.axes[-1:]:
        return ended
    return ended.then(reader, bias=bias)


def _rectified(ended: Ended, reader: Map) -> Ended:
    return ended.then(reader, activation=_RELU) if reader.function == _RELU else ended


def _only_reader(
    node: Node, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> Node | None:
    """What alone reads a node, once, if there is such a thing."""
    taken = read_by[node]
    if node in wanted or len(taken) != 1:
        return None
    (reader,) = taken
    return reader if reader.sources.count(node) == 1 else None
