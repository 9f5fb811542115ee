"""Memory that is used again belongs to nobody else meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np

from contractconv.machine import memory

SHAPE, DTYPE = (64, 64), np.dtype(np.float64)


def made(pool: memory.Pool) -> Any:
    with pool.lending():
        return memory.empty(SHAPE, DTYPE)


def given_back(pool: memory.Pool, held: dict[str, Any]) -> int:
    """How many pieces of memory a pool has, after an array is given to it."""
    pool.give(held.pop("array"))
    return sum(map(len, pool._free.values()))


def test_what_nobody_reads_is_lent_again() -> None:
    pool = memory.Pool()
    first = {"array": made(pool)}
    place = memory.address(first["array"])
    assert given_back(pool, first) == 1
    assert memory.address(made(pool)) == place


def test_what_somebody_else_holds_is_not_lent_again() -> None:
    pool = memory.Pool()
    held = {"array": made(pool)}
    other = held["array"]
    assert given_back(pool, held) == 0
    assert other.shape == SHAPE


def test_what_a_view_leads_into_is_not_lent_again() -> None:
    views: list[Callable[[Any], Any]] = [
        lambda a: a.T, lambda a: a[3:], lambda a: a.reshape(-1), lambda a: a.view("i8"),
    ]  # fmt: skip
    for view in views:
        pool = memory.Pool()
        held = {"array": made(pool)}
        part = view(held["array"])
        assert given_back(pool, held) == 0
        assert part.size


def test_a_view_is_given_back_with_what_it_leads_into() -> None:
    pool = memory.Pool()
    held = {"array": made(pool).T}
    assert given_back(pool, held) == 1


def test_arrays_of_others_are_left_alone() -> None:
    pool = memory.Pool()
    whole = np.zeros(10_000, np.uint8)
    for array in (np.zeros(SHAPE), whole, whole[:100], np.zeros(()), 3.0, None):
        held = {"array": array}
        del array
        assert given_back(pool, held) == 0


def test_a_result_comes_back_when_it_goes() -> None:
    pool = memory.Pool()
    result = made(pool)
    place = memory.address(result)
    pool.watch(result)
    del result
    gc.collect()
    assert memory.address(made(pool)) == place


def test_a_result_that_a_view_leads_into_does_not() -> None:
    pool = memory.Pool()
    result = made(pool)
    place = memory.address(result)
    pool.watch(result)
    part = result[1:]
    del result
    gc.collect()
    assert memory.address(made(pool)) != place
    assert part.shape == (63, 64)


def test_cleared_memory_is_zero() -> None:
    pool = memory.Pool()
    held = {"array": made(pool)}
    held["array"].fill(7)
    assert given_back(pool, held) == 1
    with pool.lending():
        assert not memory.zeros(SHAPE, DTYPE).any()


def test_a_pool_does_not_keep_what_is_no_longer_asked_for() -> None:
    pool = memory.Pool()
    for size in range(1000, 1400):
        held = {}
        with pool.lending():
            held["array"] = memory.empty((size, size), DTYPE)
        pool.give(held.pop("array"))
    free = sum(n * len(arrays) for n, arrays in pool._free.items())
    assert free <= 3 * 1400 * 1400 * 8 + memory._MOST


def test_small_arrays_are_numpys_own() -> None:
    pool = memory.Pool()
    with pool.lending():
        assert memory.empty((2, 2), DTYPE).base is None
    assert memory.empty(SHAPE, DTYPE).base is not None
