"""Of how many elements blocks are multiples, so that windows of any stride stay near their blocks.

Where a stride of two halves an axis, and then another one, blocks of multiples of four elements
become blocks of two, and of one, of the same device. Other blocks would be as right, but halos
would grow from device to device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd, lcm, prod

from contractconv.notation.spec import Axis, Composition
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Named, Node
from contractconv.sharding.layouts import Split
from contractconv.sharding.spreading import Spread, terms_of

# How much larger than necessary blocks may become.
_SLACK = 1.25


@dataclass
class Granules:
    """Multiples that fit what reads a value.

    Attributes:
        axes: for each value, by its axes' names.
        indices: for each contraction, by its indices that are split.
    """

    axes: dict[Node, dict[str, int]] = field(default_factory=dict)
    indices: dict[Node, dict[str, int]] = field(default_factory=dict)


def granules(program: Typed, nodes: Sequence[Node], found: Spread) -> Granules:
    """Find the multiples, from the results back to the inputs.

    Args:
        program: the program.
        nodes: its nodes in order.
        found: along which axes of a mesh everything lies.
    """
    made = Granules({node: {} for node in nodes})
    for node in reversed(nodes):
        for source, name, wish in _wishes(program, node, found, made):
            held = made.axes[source]
            held[name] = lcm(held.get(name, 1), wish)
    return made


def fitting(size: int, along: str, count: int, wish: int, must: int = 1) -> Split:
    """Blocks of as many elements as are wished for, if they do not become much larger by that.

    Args:
        size: of the axis.
        along: the axis of the mesh.
        count: how many devices it has.
        wish: of how many elements they should be multiples.
        must: of how many they have to be.
    """
    least = Split.of(size, along, count, must)
    wished = Split.of(size, along, count, lcm(wish, must))
    return wished if wished.block <= _SLACK * least.block else least


def _wishes(
    program: Typed, node: Node, found: Spread, made: Granules
) -> Iterator[tuple[Node, str, int]]:
    """What a node wishes of the axes that it reads."""
    mine = made.axes[node]
    if isinstance(node, Contract):
        extents = program.problems[node].extents
        made.indices[node] = wishes = _of_indices(node, mine, found.indices[node])
        for operand, term in zip(node.operands, node.spec.inputs, strict=True):
            for name, axis in zip(operand.axes, term, strict=True):
                for index, wish in wishes.items():
                    if index in axis.names:
                        yield operand, name, wish * _step(axis, index, extents)
        return
    for source in node.sources:
        names = zip(source.axes, node.axes if isinstance(node, Named) else source.axes, strict=True)
        yield from ((source, inner, mine[name]) for inner, name in names if name in mine)


def _of_indices(
    node: Contract, mine: Mapping[str, int], split: Mapping[str, str]
) -> dict[str, int]:
    wishes = dict.fromkeys(split, 1)
    for value, term in terms_of(node):
        if value is not node:
            continue
        for name, axis in zip(node.axes, term, strict=True):
            for index in (n for n in axis.names if n in wishes):
                wish, step = mine.get(name, 1), _step(axis, index, {})
                wishes[index] = lcm(wishes[index], wish // gcd(wish, step))
    return wishes


def _step(axis: Axis, index: str, extents: Mapping[str, int]) -> int:
    """How far it is along an axis from one value of an index to the next one."""
    if isinstance(axis, Composition):
        return prod(extents.get(n, 1) for n in axis.names[axis.names.index(index) + 1 :]) or 1
    coefficients: Mapping[str, object] = dict(getattr(axis, "terms", ()))
    number = getattr(coefficients.get(index), "constant", None)
    return abs(number) if number else 1
