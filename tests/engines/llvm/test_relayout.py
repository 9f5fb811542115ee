"""Arrays that are laid anew have the same numbers, whatever the order of their axes was and is."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.relayout import relay

pytestmark = pytest.mark.skipif(not native.available(), reason="needs compiled kernels")

# Below and above what is worth a kernel; axes of one, of few, and of no whole number of vectors.
SHAPES = (2, 3, 5, 7), (4, 17, 33, 19), (1, 40, 3, 100), (9, 9, 9, 65)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("adding", [False, True])
def test_every_order_of_axes(shape: tuple[int, ...], dtype: str, adding: bool) -> None:
    source = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    for order in permutations(range(4)):
        whole = np.full([shape[n] + 2 for n in order], 7, dtype)
        target = whole.transpose(np.argsort(order))[1:-1, 1:-1, 1:-1, 1:-1]
        relay(source, target, adding)
        assert np.array_equal(target, source + 7 * adding)
        # Nothing around it was written.
        assert whole.sum() == target.sum() + 7 * (whole.size - target.size)


def test_any_number_of_threads_lays_the_same() -> None:
    source = np.random.default_rng(1).standard_normal((3, 50, 60, 8))
    before = cc.get_num_threads()
    try:
        for threads in (1, 2, 3, 8):
            cc.set_num_threads(threads)
            target = np.empty((3, 8, 50, 60)).transpose(0, 2, 3, 1)
            relay(source, target)
            assert np.array_equal(target, source)
    finally:
        cc.set_num_threads(before)
