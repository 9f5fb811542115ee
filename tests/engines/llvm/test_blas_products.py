"""Products that threads share: right however matrices lie, and BLAS is as it was afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays import matrix_products
from contractconv.arrays.matrix_products import matrix_product, multiplied_by
from contractconv.engines.llvm.blas_products import multiply
from contractconv.engines.llvm.kernels import native
from contractconv.machine import blas

pytestmark = pytest.mark.skipif(
    not native.available() or blas.product("float32") is None,
    reason="there are no kernels, or no BLAS that is known",
)
# (..., rows, depth) and (..., depth, columns)
SHAPES = [
    ((64, 64), (64, 64)), ((300, 40), (40, 70)), ((40, 300), (300, 700)), ((97, 33), (33, 1009)),
    ((2, 3), (3, 2)), ((100, 1), (1, 90)), ((2, 3000), (3000, 2)), ((1000, 0), (0, 30)),
    ((5, 64, 40), (5, 40, 96)), ((5, 64, 40), (40, 96)), ((1, 64, 40), (7, 40, 96)),
    ((2, 3, 30, 20), (2, 3, 20, 40)), ((2, 1, 30, 20), (3, 20, 40)), ((300, 8, 9), (300, 9, 8)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    yield
    cc.set_num_threads(None)


def integers(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def plain(array: Any) -> Any:
    return array


def turned(array: Any) -> Any:
    return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)


def within_more(array: Any) -> Any:
    room = np.full((*array.shape[:-2], array.shape[-2] + 3, array.shape[-1] + 5), 9, array.dtype)
    part = room[..., 1:-2, 2:-3]
    part[...] = array
    return part


def every_other(array: Any) -> Any:
    room = np.full((*array.shape[:-1], 2 * array.shape[-1]), 9, array.dtype)
    room[..., ::2] = array
    return room[..., ::2]


def backwards(array: Any) -> Any:
    return array[..., ::-1, :].copy()[..., ::-1, :]


LIES = [plain, turned, within_more, every_other, backwards]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", SHAPES)
def test_equal_to_exact_sums(shapes: Any, dtype: str, threads: int) -> None:
    cc.set_num_threads(threads)
    one, two = (integers(shape, dtype, n) for n, shape in enumerate(shapes))
    right = one.astype(np.int64) @ two.astype(np.int64)
    for first in LIES:
        for second in LIES:
            for result in (plain, turned, within_more):
                left, other, out = first(one), second(two), result(np.full(right.shape, 7, dtype))
                if not multiply(left, other, out):
                    assert (
                        every_other in (first, second)
                        or backwards in (first, second)
                        or (min(right.shape[-2:]) < 2 or 0 in left.shape)
                    )
                    continue
                assert np.array_equal(out, right)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "complex128", "int64", "bool"])
def test_other_numbers_are_for_numpy(dtype: str) -> None:
    one = integers((80, 80), dtype, 0)
    with multiplied_by(multiply):
        assert np.array_equal(matrix_product(one, one), one @ one)


def test_matrices_where_no_number_begins_are_for_numpy() -> None:
    raw = np.zeros(80 * 80 * 4 + 2, np.uint8)[2:].view(np.float32).reshape(80, 80)
    raw[...] = integers((80, 80), "float32", 0)
    out = np.empty((80, 80), np.float32)
    assert not multiply(raw, raw, out)
    with multiplied_by(multiply):
        assert np.array_equal(matrix_product(raw, raw), raw @ raw)


def test_what_surrounds_the_result_is_left_alone() -> None:
    one = integers((90, 60), "float32", 0)
    room = np.full((95, 100), 3, np.float32)
    assert multiply(one, one.T, room[2:92, 5:95])
    room[2:92, 5:95] = 3
    assert (room == 3).all()


def test_nobody_is_asked_of_another_thread_or_of_small_matrices() -> None:
    asked: list[Any] = []
    big, small = np.ones((100, 100)), np.ones((9, 9))

    def refuse(*given: Any) -> bool:
        asked.append(given)
        return False

    with multiplied_by(refuse):
        matrix_product(small, small)
        other = threading.Thread(target=matrix_product, args=(big, big))
        other.start()
        other.join()
        assert not asked
        assert (matrix_product(big, big) == 100).all()
        assert len(asked) == 1
    matrix_product(big, big)
    assert len(asked) == 1
    assert matrix_products._here.multiply is None


def number_of_threads() -> int:
    pool = blas._pool()
    assert pool is not None
    return pool.get()


def test_blas_is_as_it_was_whoever_multiplies_meanwhile() -> None:
    pool = blas._pool()
    assert pool is not None
    before = pool.get()
    one = integers((200, 200), "float32", 0)
    right = one.astype(np.int64) @ one.astype(np.int64)
    wrong: list[int] = []

    def many() -> None:
        for n in range(200):
            out = np.empty((200, 200), np.float32)
            if n % 10:
                multiply(one, one, out)
            else:
                with blas.single():
                    np.matmul(one, one, out=out)
            if not np.array_equal(out, right):
                wrong.append(n)

    for number in (before, 1, 2, 2, 2):
        pool.set(number)
        workers = [threading.Thread(target=many) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert number_of_threads() == number
    pool.set(before)
    assert not wrong


def test_who_finds_one_thread_leaves_it_to_whoever_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python and machine code count their callers apart: neither puts back the other's one."""
    pool = blas._pool()
    assert pool is not None
    before = pool.get()

    def read() -> int:
        found = pool.get()
        if found == 1:  # as soon as one is found, machine code puts back what it has found
            pool.set(3)
        return found

    monkeypatch.setattr(blas, "_pool", lambda: pool._replace(get=read))
    try:
        pool.set(1)
        with blas.single():
            pass
        assert pool.get() == 3
    finally:
        pool.set(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_begins_within_a_product_has_its_own_blas() -> None:
    table, pool = blas.gate(), blas._pool()
    assert table is not None
    assert pool is not None
    before = pool.get()
    # As another thread would leave it that is in the midst of a product.
    table.numbers[[blas.TURN, blas.CALLERS, blas.FOUND]] = 1, 1, 2
    pool.set(1)
    child = os.fork()
    if not child:
        one = np.ones((100, 100), np.float32)
        done = multiply(one, one, np.empty_like(one)) and number_of_threads() == 2
        os._exit(0 if done else 1)
    _, status = os.waitpid(child, 0)
    table.numbers[[blas.TURN, blas.CALLERS, blas.FOUND]] = 0
    pool.set(before)
    assert status == 0


def test_a_program_multiplies_like_that() -> None:
    x, w = cc.tensor("x", "b i"), cc.tensor("w", "i o")
    run = cc.compile([cc.contract("b i, i o -> b o", x, w)], [x, w])
    one = integers((128, 96), "float32", 0), integers((96, 100), "float32", 1)
    before = number_of_threads()
    (made,) = run(*one)
    assert np.array_equal(made, one[0].astype(int) @ one[1].astype(int))
    assert number_of_threads() == before
