"""Rows that labels choose, and sums over rows of equal labels, over devices.

Of a table that is divided along the axis of its rows each device takes those that it has, and zeros
for all others; of labels that are divided each device adds up its own. Both are added then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from contractconv.notation.problem import Shape
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Node
from contractconv.reductions.table import REDUCTIONS
from contractconv.sharding.layouts import Split
from contractconv.sharding.moves import Move, combination

Rows = TakenRows | AddedRows


def summed(node: Rows, split: Mapping[str, Split]) -> list[Split]:
    """The blocks of axes of which every device has a part of the sum.

    Args:
        node: the rows.
        split: how the axes lie of what it reads and makes, where they are divided.
    """
    return [split[name] for name in split if name not in node.axes]


def added(node: Node, split: Mapping[str, Split], shape: Shape) -> Iterator[Move]:
    """What is moved to add rows up.

    Args:
        node: any node.
        split: how the axes lie of what it reads and makes, where they are divided.
        shape: of the blocks of one device of what it makes.
    """
    if isinstance(node, Rows):
        for found in summed(node, split):
            yield combination(REDUCTIONS["sum"], found.along, found.count, prod(shape))
