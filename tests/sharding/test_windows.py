"""Windows and halos, against what every point of every device meets."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contractconv.notation.problem import Access
from contractconv.sharding.layouts import Split
from contractconv.sharding.moves import exchanges, hops
from contractconv.sharding.windows import Passage, Window


@st.composite
def passages(draw: Any) -> tuple[Access, int, Split, Split]:
    """An axis of one index that is split, and a tap; how both lie."""
    extent, taps = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    step, dilation = draw(st.sampled_from([1, 2, 3, -1, -2])), draw(st.sampled_from([1, 2, -1]))
    offset, size = draw(st.integers(-4, 12)), draw(st.integers(1, 14))
    count = draw(st.integers(1, 5))
    access = Access((("i", step), ("k", dilation)), offset, 1, size)
    granule = draw(st.sampled_from([1, 1, 2]))
    return (
        access, taps, Split.of(extent, "m", count, granule), Split.of(size, "m", count, granule)
    )  # fmt: skip


def met(access: Access, taps: int, index: Split, device: int) -> set[int]:
    """The elements that the points of a device meet, one by one."""
    terms = dict(access.terms)
    found = {
        terms["i"] * i + terms["k"] * k + access.offset
        for i in range(device * index.block, (device + 1) * index.block)
        for k in range(taps)
    }
    return {place for place in found if 0 <= place < access.size}


@settings(max_examples=settings().max_examples)
@given(case=passages())
def test_a_device_reads_all_that_its_points_meet(
    case: tuple[Access, int, Split, Split],
) -> None:
    access, taps, index, split = case
    window = Window.of(access, {"i": index.block, "k": taps}, {"i": index})
    passage = Passage.between(window, split)
    for device, start in enumerate(window.starts):
        wanted = met(access, taps, index, device)
        assert wanted <= set(range(start, start + window.width))
        if passage.way == "halo":
            begin = passage.owner(device) * split.block
            held = range(begin - passage.left, begin + split.block + passage.right)
            assert wanted <= set(held)
            if wanted:
                low, _ = passage.room
                assert passage.places[device] + low >= 0
                assert held[0] + passage.places[device] == start


@given(case=passages())
def test_halos_come_from_neighbours_once(case: tuple[Access, int, Split, Split]) -> None:
    access, taps, index, split = case
    window = Window.of(access, {"i": index.block, "k": taps}, {"i": index})
    passage = Passage.between(window, split)
    move = next(exchanges((passage,), (split.block,)), None)
    if passage.gathered:
        assert move is not None
        assert (move.collective, move.elements) == ("all_gather", (split.count - 1) * split.block)
    elif passage.way == "halo":
        found = [*hops(passage)]
        assert sum(count for _, count in found) == passage.exchanged
        assert len({far for far, _ in found}) == len(found)
        assert passage.exchanged < (split.count - 1) * split.block
    else:
        assert move is None


def test_a_stride_of_two_needs_halos_on_one_side() -> None:
    access = Access((("i", 2), ("k", 1)), -1, 1, 16)
    index, split = Split.of(8, "m", 4), Split.of(16, "m", 4)
    passage = Passage.between(Window.of(access, {"i": 2, "k": 3}, {"i": index}), split)
    assert (passage.left, passage.right, passage.gathered) == (1, 0, False)


def test_blocks_are_equal_and_cover_the_axis() -> None:
    assert Split.of(10, "m", 4).padded == 12
    assert Split.of(10, "m", 4, 2).block == 4
    assert not Split.of(8, "m", 4).pads(8)
    assert Split.of(0, "m", 4).block == 1  # an axis without elements is nothing but padding
