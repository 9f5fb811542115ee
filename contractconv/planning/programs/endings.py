"""Maps that end a contraction: a bias that is added, and negative numbers that become zero.

They are done to the result while it is in cache, so that it is written once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Map, Node
from contractconv.reductions.table import REDUCTIONS

_RELU = "relu"


@dataclass(frozen=True)
class Ended:
    """A contraction, and what is done to its result.

    Attributes:
        node: the contraction.
        result: what it has become at the end.
        bias: what is added along the last axis.
        activation: the map of the sum.
    """

    node: Contract
    result: Node
    bias: Node | None = None
    activation: str | None = None


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
            ended = _rectified(_biased(Ended(node, node), read_by, wanted), read_by, wanted)
            # Of two contractions that are added the first is ended, with the second as a bias.
            if ended.result != node and ended.result not in results:
                found[node] = ended
                results.add(ended.result)
    return found


def _may_end(node: Contract, program: Typed) -> bool:
    dtype = program.dtypes[node]
    summed = REDUCTIONS[node.spec.reduce].is_sum and not node.local
    return summed and dtype in ("float32", "float64")


def _biased(
    ended: Ended, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> Ended:
    node = ended.node
    reader = _only_reader(node, read_by, wanted)
    if reader is None or reader.function != "add" or reader.axes != node.axes:
        return ended
    first, second = reader.arguments
    bias = second if first == node else first
    if not node.axes or bias.axes != node.axes[-1:] or bias == node:
        return ended
    return Ended(node, reader, bias)


def _rectified(
    ended: Ended, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> Ended:
    reader = _only_reader(ended.result, read_by, wanted)
    if reader is None or reader.function != _RELU:
        return ended
    return Ended(ended.node, reader, ended.bias, _RELU)


def _only_reader(
    node: Node, read_by: Mapping[Node, Sequence[Node]], wanted: Collection[Node]
) -> Map | None:
    """The map that alone reads a node, once, if there is one."""
    taken = read_by[node]
    if node in wanted or len(taken) != 1:
        return None
    (reader,) = taken
    once = isinstance(reader, Map) and reader.arguments.count(node) == 1
    return reader if once and isinstance(reader, Map) else None
