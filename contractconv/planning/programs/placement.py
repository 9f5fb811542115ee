"""Places in one piece of memory for arrays that are there at different times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Block(NamedTuple):
    """So many bytes that are needed from one moment to another, the last one included."""

    size: int
    first: int
    last: int


Key = Callable[[Block], tuple[int, ...]]
# In which order blocks get their places: the largest first, those that are needed longest, or as
# they come.
_ORDERS: tuple[Key, ...] = (
    lambda block: (-block.size, block.first),
    lambda block: (block.first - block.last, -block.size),
    lambda block: (block.first, -block.size),
)
# Blocks from which on it takes too long to try more than one.
_MANY = 500


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
    least = _most_at_once(blocks)
    found: tuple[list[int], int] | None = None
    for order in _ORDERS if len(blocks) < _MANY else _ORDERS[:1]:
        one = _in_turn(blocks, order)
        if found is None or one[1] < found[1]:
            found = one
        if found[1] == least:
            break
    assert found is not None
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


def _in_turn(blocks: Sequence[Block], key: Key) -> tuple[list[int], int]:
    """Give one block after the other the smallest gap that it fits into."""
    offsets, size = [0] * len(blocks), 0
    there: list[tuple[int, int, int, int]] = []
    for n in sorted(range(len(blocks)), key=lambda n: key(blocks[n])):
        block = blocks[n]
        first, last = block.first, block.last
        taken = sorted(
            (start, end) for start, end, begun, over in there if begun <= last and first <= over
        )
        offsets[n] = _gap(taken, block.size)
        there.append((offsets[n], offsets[n] + block.size, first, last))
        size = max(size, offsets[n] + block.size)
    return offsets, size


def _gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """Where the smallest gap between ranges begins that is large enough; behind them if none is."""
    place, least, end = -1, 0, 0
    for start, stop in taken:
        gap = start - end
        if size <= gap and (place < 0 or gap < least):
            place, least = end, gap
        end = max(end, stop)
    return end if place < 0 else place
