"""A memory limit is kept, and changes nothing but the time and the algorithm."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import Algorithm
from contractconv.execution.products import run_within
from contractconv.kernels import native

rng = np.random.default_rng(0)
X = rng.integers(-4, 5, (8, 40, 40, 32)).astype(np.float32)
W = rng.integers(-4, 5, (3, 3, 32, 64)).astype(np.float32)
Y = rng.integers(-4, 5, (8, 40, 40, 64)).astype(np.float32)
IM2COL = 8 * 40 * 40 * 3 * 3 * 32 * 4

# Small integers in float32 are summed exactly in any order, so results must be equal.
CASES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "convolution": ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (X, W), {}),
    "scatter": ("b i j o, k l c o -> b (i+k-1) (j+l-1) c", (Y, W), {}),
    "weight gradient": ("b (i+k-1) (j+l-1) c, b i j o -> k l c o", (X, Y), {"k": 3, "l": 3}),
    "max pooling": ("b (2*i+k) (2*j+l) c -> b i j c", (X,), {"k": 2, "l": 2, "reduce": "max"}),
    "mean of a scatter": ("b i j c -> b (2*i+k) (2*j+l) c", (X,),
                          {"k": 3, "l": 3, "reduce": "mean"}),
    "tropical product": ("b i c, b j c -> b i j", (X[:, 0], X[:, 1]), {"reduce": "max"}),
    "three operands": ("b i c, b j c, b k c -> i j k", (X[:, 0], X[:, 1], X[:, 2]), {}),
    "plain sum": ("b h w c -> b c", (X,), {}),
}  # fmt: skip


def peak_beyond_result(call: Callable[[], Any]) -> int:
    """Bytes allocated at the highest point of a call, less those of the result."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        return tracemalloc.get_traced_memory()[1] - before - int(result.nbytes)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("limit", [4_000_000, 1_000_000])
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
@pytest.mark.usefixtures("engine")
def test_the_limit_is_kept(case: str, limit: int, algorithm: Algorithm) -> None:
    spec, operands, options = CASES[case]
    options = {"algorithm": algorithm, **options}
    free = cc.contract(spec, *operands, **options | {"algorithm": "direct"})
    # Plans are Python objects, which the limit does not count; a warm call has them already.
    cc.contract(spec, *operands, memory_limit=limit, **options)
    results = []

    def call() -> Any:
        results.append(cc.contract(spec, *operands, memory_limit=limit, **options))
        return results[0]

    assert peak_beyond_result(call) <= limit + 100_000
    if algorithm == "direct":
        assert np.array_equal(results[0], free)
    else:
        np.testing.assert_allclose(results[0], free, atol=1e-4 * abs(free).max())


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_a_layer_is_not_cut_where_kernels_fit(
    algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("it was cut")

    spec, operands, _ = CASES["convolution"]
    monkeypatch.setattr("contractconv.execution.run.slices", refuse)
    cc.contract(spec, *operands, algorithm=algorithm, memory_limit=IM2COL // 10)
    with pytest.raises(AssertionError, match=r"^it was cut$"):
        cc.contract(spec, operands[0].astype(int), operands[1], memory_limit=IM2COL // 10)


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
@pytest.mark.parametrize(("batch", "size", "channels"), [(2, 112, 64), (8, 56, 64), (8, 28, 128)])
@pytest.mark.parametrize("direction", [None, 0, 1])
def test_a_layer_takes_less_than_a_tenth_of_its_windows(
    batch: int, size: int, channels: int, direction: int | None
) -> None:
    x = np.ones((batch, size, size, channels), np.float32)
    w = np.ones((3, 3, channels, channels), np.float32)
    run = cc.Contraction(CASES["convolution"][0]).compile(x.shape, w.shape, dtype="float32")
    steps = run.plan if direction is None else run.vjp_plan(direction)
    operands = {None: (x, w), 0: (x, w), 1: (x, x)}[direction]
    assert run_within(steps, operands, limit=0) is None
    assert run_within(steps, operands, limit=9 * x.nbytes // 10) is not None


@pytest.mark.parametrize("case", ["convolution", "scatter"])
@pytest.mark.usefixtures("engine")
def test_large_results_begin_at_a_line_of_the_cache(case: str) -> None:
    """So vectors that are read by the next layer lie on one line each."""
    spec, operands, options = CASES[case]
    result = cc.contract(spec, *operands, **options)
    assert result.ctypes.data % 64 == 0
    assert result.flags.c_contiguous
    assert result.flags.writeable


def test_without_a_limit_there_is_no_im2col() -> None:
    spec, operands, _ = CASES["convolution"]
    padded = 8 * 42 * 42 * 32 * 4
    cc.contract(spec, *operands)
    peak = peak_beyond_result(lambda: cc.contract(spec, *operands))
    assert peak < padded + 3_000_000
    assert peak < IM2COL / 2
    unpadded = peak_beyond_result(lambda: cc.contract(spec.replace("-1", ""), *operands))
    assert unpadded < 3_000_000


def test_an_impossible_limit_is_refused_before_anything_is_done() -> None:
    with pytest.raises(cc.MemoryLimitError, match=r"is too small for") as error:
        cc.contract("i j, j k -> i k", np.ones((2, 3), int), np.ones((3, 4)), memory_limit=8)
    assert re.search(r"8 bytes", str(error.value))
