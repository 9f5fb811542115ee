"""What devices send to each other, counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from contractconv.notation.problem import Shape
from contractconv.reductions.record import Record
from contractconv.sharding.windows import Passage

Collective = Literal["ppermute", "all_gather", "psum", "pmax", "pmin", "psum_scatter"]
# Reductions of which there is a collective, by what combines two contributions.
COLLECTIVES: dict[str, Collective] = {"add": "psum", "maximum": "pmax", "minimum": "pmin"}


@dataclass(frozen=True, slots=True)
class Move:
    """A collective of devices along an axis of a mesh.

    Attributes:
        collective: which one.
        along: the axis of the mesh.
        elements: how many elements each device sends, at most.
        calls: how many of these there are.
    """

    collective: Collective
    along: str
    elements: int
    calls: int = 1


def exchanges(passages: tuple[Passage, ...], shape: Shape) -> Iterator[Move]:
    """What is moved to read the windows of an array.

    Args:
        passages: for each axis.
        shape: of the blocks that a device has.
    """
    sizes = list(shape)
    for axis, passage in enumerate(passages):
        rest = prod(sizes[:axis]) * prod(sizes[axis + 1 :])
        if passage.gathered:
            split, sizes[axis] = passage.moved, passage.window.size
            yield Move("all_gather", split.along, (split.count - 1) * split.block * rest)
        elif passage.way == "halo":
            yield from _halo(passage, rest)
            sizes[axis] = passage.window.width


def returns(passages: tuple[Passage, ...], shape: Shape) -> Iterator[Move]:
    """What is moved to add up the windows of a result.

    Args:
        passages: for each axis.
        shape: of the windows that a device has made.
    """
    sizes = [p.window.size if p.way == "cut" else n for p, n in zip(passages, shape, strict=True)]
    for axis, passage in enumerate(passages):
        if passage.way == "halo":
            yield from _halo(passage, prod(sizes[:axis]) * prod(sizes[axis + 1 :]))
            sizes[axis] = passage.moved.block


def _halo(passage: Passage, rest: int) -> Iterator[Move]:
    calls = len(list(hops(passage)))
    if calls:
        yield Move("ppermute", passage.moved.along, passage.exchanged * rest, calls)


def hops(passage: Passage) -> Iterator[tuple[int, int]]:
    """From which neighbours a device needs how many elements.

    Yields:
        How many devices further on the neighbour is than the owner, from left to right, and the
        number of elements. A block that every device has itself is left out.
    """
    block = passage.moved.block
    for far in range(-(-passage.left // block), 0, -1):
        yield -far, min(block, passage.left - (far - 1) * block)
    if passage.mirrored:
        yield 0, block
    for far in range(1, -(-passage.right // block) + 1):
        yield far, min(block, passage.right - (far - 1) * block)


def combination(record: Record, along: str, count: int, elements: int) -> Move:
    """What is moved to combine what devices have made.

    Args:
        record: the reduction.
        along: the axis of the mesh.
        count: how many devices it has.
        elements: of the result of one device.
    """
    collective = COLLECTIVES.get(record.combine)
    if collective is None:
        return Move("all_gather", along, (count - 1) * elements)
    return Move(collective, along, -(-2 * (count - 1) * elements // count))
