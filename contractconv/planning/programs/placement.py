"""Places in one piece of memory for arrays that are there at different times."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Block(NamedTuple):
    """So many bytes that are needed from one moment to another, the last one included."""

    size: int
    first: int
    last: int


# Blocks beyond which it takes too long to compare each with every other one.
_MANY = 500
# In which orders fewer get their places: the largest first, or those that are needed longest.
_ORDERS: tuple[Callable[[Block], tuple[int, int]], ...] = (
    lambda block: (-block.size, block.first),
    lambda block: (block.first - block.last, -block.size),
)


def placed(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Find places such that no two blocks share memory at the same time.

    Args:
        blocks: the blocks.

    Returns:
        For each of them where it begins, and the size of the whole.

    Example:
        >>> placed([Block(8, 0, 1), Block(4, 1, 2), Block(8, 2, 3)])
        ([0, 8, 0], 12)
    """
    found = _as_they_come(blocks)
    for order in _ORDERS if len(blocks) <= _MANY else ():
        if found[1] == _most_at_once(blocks):
            break
        found = min(found, _in_order(blocks, order), key=lambda one: one[1])
    return found


def _most_at_once(blocks: Sequence[Block]) -> int:
    """Bytes that are needed at one moment: no places take less."""
    events = sorted(
        event for b in blocks for event in ((b.first, 1, b.size), (b.last + 1, 0, -b.size))
    )
    total = most = 0
    for _, _, size in events:
        total += size
        most = max(most, total)
    return most


def _as_they_come(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Give each block, when it is needed, the smallest gap that it fits into."""
    offsets, size = [0] * len(blocks), 0
    there: list[tuple[int, int, int]] = []
    for n in sorted(range(len(blocks)), key=lambda n: (blocks[n].first, -blocks[n].size)):
        block = blocks[n]
        there = [one for one in there if one[2] >= block.first]
        offsets[n] = _gap([(start, end) for start, end, _ in there], block.size)
        insort(there, (offsets[n], offsets[n] + block.size, block.last))
        size = max(size, offsets[n] + block.size)
    return offsets, size


def _in_order(
    blocks: Sequence[Block], key: Callable[[Block], tuple[int, int]]
) -> tuple[list[int], int]:
    """Give one block after the other the smallest gap between those that meet it in time."""
    offsets, size = [0] * len(blocks), 0
    there: list[tuple[int, int, int, int]] = []
    for n in sorted(range(len(blocks)), key=lambda n: key(blocks[n])):
        block = blocks[n]
        first, last = block.first, block.last
        met = [(s, e) for s, e, begun, over in there if begun <= last and first <= over]
        offsets[n] = _gap(met, block.size)
        insort(there, (offsets[n], offsets[n] + block.size, first, last))
        size = max(size, offsets[n] + block.size)
    return offsets, size


def _gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """Where the smallest gap between ranges, in order, that is large enough begins."""
    place, least, end = -1, 0, 0
    for start, stop in taken:
        gap = start - end
        if size <= gap and (place < 0 or gap < least):
            place, least = end, gap
        end = max(end, stop)
    return end if place < 0 else place
