"""Planned places are lent once, and not again before nobody is there any more."""

from __future__ import annotations

from typing import Any

import numpy as np

from contractconv.machine import memory
from contractconv.machine.arena import Arena
from contractconv.machine.placement import Place, Placement

SHAPE, DTYPE = (32, 64), np.dtype(np.float32)
SIZE = memory.asked(32 * 64 * 4)


def placement(*places: tuple[int, int, int], scratch: bool = False) -> Placement:
    """Places of one size: offset, first and last step of each."""
    made = tuple(Place(SIZE, at, first, last, scratch) for at, first, last in places)
    return Placement(max(at for at, *_ in places) + SIZE, 4, made)


def where(array: Any) -> int:
    return memory.address(array)


def test_an_array_lies_at_its_place() -> None:
    pool = memory.Pool()
    with pool.lending(placement((0, 0, 1), (8320, 1, 2))) as lender:
        lender.begin(0)
        first = memory.empty(SHAPE, DTYPE)
        lender.begin(1)
        second = memory.empty(SHAPE, DTYPE)
        assert where(second) - where(first) == 8320
        assert where(first) % 64 == where(second) % 64 == 0
        first[...], second[...] = 1, 2
        assert (first == 1).all()
        del first, second


def test_a_place_is_lent_once() -> None:
    pool = memory.Pool()
    with pool.lending(placement((0, 0, 0))) as lender:
        lender.begin(0)
        arrays = [memory.empty(SHAPE, DTYPE) for _ in range(3)]
        for n, array in enumerate(arrays):
            array[...] = n
        assert [array[0, 0] for array in arrays] == [0, 1, 2]
        del arrays, array


def test_a_place_is_for_arrays_or_for_scratch() -> None:
    arena = Arena(placement((0, 0, 0), scratch=True))
    arena.begin(0)
    assert arena.lent(SIZE, scratch=False) is None
    assert arena.lent(SIZE + 1, scratch=True) is None
    assert arena.lent(SIZE, scratch=True) is not None


def test_scratch_is_kept_by_nobody_else() -> None:
    pool = memory.Pool()
    with pool.lending(placement((0, 0, 0), scratch=True)) as lender:
        lender.begin(0)
        raw = memory.take(SIZE)
        memory.give(raw)
        assert all(raw is not free for arrays in memory._free.values() for free in arrays)


def test_what_is_read_behind_its_end_is_left_alone() -> None:
    """A view that somebody keeps would be written over; from then on nothing is lent."""
    pool = memory.Pool()
    with pool.lending(placement((0, 0, 0), (0, 1, 1))) as lender:
        lender.begin(0)
        kept = memory.empty(SHAPE, DTYPE).reshape(-1)[10:20]
        kept[...] = 7
        lender.end(0)
        lender.begin(1)
        memory.empty(SHAPE, DTYPE).fill(1)
    assert (kept == 7).all()
    with pool.lending(placement((0, 0, 0))) as lender:
        lender.begin(0)
        memory.empty(SHAPE, DTYPE).fill(2)
    assert (kept == 7).all()


def test_stages_of_a_step_share_memory_one_after_the_other() -> None:
    arena = Arena(placement((0, 0, 0), (0, 0, 0)))
    arena.begin(0)
    first = arena.lent(SIZE, scratch=False)
    assert first is not None
    assert arena.lent(SIZE, scratch=False) is None
    del first
    assert arena.lent(SIZE, scratch=False) is not None


def test_the_same_memory_is_used_in_the_next_run() -> None:
    pool, planned, places = memory.Pool(), placement((0, 0, 0)), set()
    for _ in range(3):
        with pool.lending(planned) as lender:
            lender.begin(0)
            places.add(where(memory.empty(SHAPE, DTYPE)))
            lender.end(0)
    assert len(places) == 1


def test_runs_at_the_same_time_have_memory_of_their_own() -> None:
    pool, planned = memory.Pool(), placement((0, 0, 0))
    with pool.lending(planned) as outer:
        outer.begin(0)
        one = memory.empty(SHAPE, DTYPE)
        with pool.lending(planned) as inner:
            inner.begin(0)
            two = memory.empty(SHAPE, DTYPE)
            assert not np.shares_memory(one, two)
            del two
        del one
    assert len(pool._arenas) == 2


def test_cleared_memory_is_zero() -> None:
    pool, planned = memory.Pool(), placement((0, 0, 0))
    for _ in range(2):
        with pool.lending(planned) as lender:
            lender.begin(0)
            made = memory.zeros(SHAPE, DTYPE)
            assert not made.any()
            made.fill(3)
            del made
            lender.end(0)


def test_nothing_is_kept_where_nothing_shall_be() -> None:
    pool = memory.Pool()
    with pool.lending(keeps=False):
        array, raw = memory.empty(SHAPE, DTYPE), memory.take(SIZE)
        memory.give(raw)
        assert array.shape == SHAPE
    assert pool._kept() == 0
    assert all(raw is not free for arrays in memory._free.values() for free in arrays)
