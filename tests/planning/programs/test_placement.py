"""No two blocks share memory at the same time, and little is left between them."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from contractconv.planning.programs.placement import Block, placed

BLOCK = st.builds(
    lambda size, first, length: Block(64 * size, first, first + length),
    st.integers(1, 20), st.integers(0, 12), st.integers(0, 6),
)  # fmt: skip


def most_at_once(blocks: list[Block]) -> int:
    """By going through all moments."""
    moments = range(20)
    return max(sum(b.size for b in blocks if b.first <= m <= b.last) for m in moments)


def collide(blocks: list[Block], offsets: list[int]) -> bool:
    pairs = combinations(zip(blocks, offsets, strict=True), 2)
    return any(
        a.first <= b.last and b.first <= a.last and x < y + b.size and y < x + a.size
        for (a, x), (b, y) in pairs
    )


@given(st.lists(BLOCK, max_size=25))
def test_blocks_do_not_collide(blocks: list[Block]) -> None:
    offsets, size = placed(blocks)
    assert not collide(blocks, offsets)
    ends = [at + block.size for at, block in zip(offsets, blocks, strict=True)]
    assert size == max(ends, default=0)
    assert most_at_once(blocks) <= size <= sum(block.size for block in blocks)


def test_a_fault_would_be_seen() -> None:
    assert collide([Block(64, 0, 1), Block(64, 1, 2)], [0, 0])
    assert not collide([Block(64, 0, 1), Block(64, 2, 2)], [0, 0])


def test_many_blocks_are_placed_as_they_come() -> None:
    blocks = [Block(64 * (1 + n % 7), n, n + n % 50) for n in range(2000)]
    offsets, size = placed(blocks)
    assert not collide(blocks[900:1100], offsets[900:1100])
    assert size <= 1.5 * max(
        sum(b.size for b in blocks if b.first <= m <= b.last) for m in range(0, 2000, 10)
    )


def test_like_arrays_leave_no_gaps() -> None:
    """A forward pass, whose arrays a backward pass reads in the opposite order."""
    blocks = [Block(640, n, 19 - n) for n in range(10)]
    blocks += [Block(640, 10 + n, 11 + n) for n in range(9)]
    moments = range(21)
    least = max(sum(b.size for b in blocks if b.first <= m <= b.last) for m in moments)
    assert placed(blocks)[1] == least
