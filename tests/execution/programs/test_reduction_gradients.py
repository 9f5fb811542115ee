"""What comes back through maxima and minima in a program, call after call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from program_parts import ready

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling import gradient_kernel
from contractconv.planning.programs.steps import ReductionGradient

Array = np.ndarray[Any, Any]
POOL = "b (2*i+k) (2*j+l) c -> b i j c"


def windows(x: Array) -> Array:
    """The elements of each window, in its order, along the last axis."""
    b, h, w, c = x.shape
    apart = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4)
    return apart.reshape(b, h // 2, w // 2, c, 4)


def wanted(x: Array, cotangent: Array, chosen: Callable[..., Array]) -> Array:
    """A cotangent where the first extremum of each window is."""
    picked = np.arange(4) == chosen(windows(x), -1)[..., None]
    back = np.where(picked, cotangent[..., None], 0)
    b, i, j, c, _ = back.shape
    whole = back.reshape(b, i, j, c, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return whole.reshape(x.shape).astype(x.dtype)


def numbers(seed: int, dtype: str, shape: tuple[int, ...]) -> Array:
    """Few different ones, so that some are equal."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


def program(dtype: str, reduce: str) -> dict[str, cc.Tensor]:
    x, g = cc.tensor("x", "b h w c", dtype), cc.tensor("g", "b i j c", dtype)
    pooled = cc.contract(POOL, x, reduce=reduce, k=2, l=2)
    loss = cc.contract("b i j c, b i j c ->", pooled, g)
    return {"dx": cc.grad(loss, [x])[0]}


@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_call_is_right(dtype: str, reduce: str) -> None:
    x, g = numbers(0, dtype, (3, 8, 12, 5)), numbers(1, dtype, (3, 4, 6, 5))
    whole = ready(program(dtype, reduce), x=x, g=g)
    assert any(isinstance(step, ReductionGradient) for step in whole.steps)
    chosen = np.argmax if reduce == "max" else np.argmin
    for seed in range(3):
        x, g = numbers(seed, dtype, x.shape), numbers(seed + 9, dtype, g.shape)
        np.testing.assert_array_equal(whole({"x": x, "g": g})[0], wanted(x, g, chosen), strict=True)


def test_arrays_may_lie_in_other_ways_at_every_call() -> None:
    x, g = numbers(0, "float32", (3, 8, 12, 5)), numbers(1, "float32", (3, 4, 6, 5))
    whole, exact = ready(program("float32", "max"), x=x, g=g), wanted(x, g, np.argmax)
    for one in (
        x,
        np.asfortranarray(x),
        np.flip(np.flip(x, 1).copy(), 1),
        np.repeat(x, 2, 2)[:, :, ::2],
    ):
        for other in (g, np.asfortranarray(g)):
            np.testing.assert_array_equal(whole({"x": one, "g": other})[0], exact)


def test_any_number_of_threads_may_do_it() -> None:
    x, g = numbers(0, "float32", (9, 32, 32, 16)), numbers(1, "float32", (9, 16, 16, 16))
    whole, exact = ready(program("float32", "max"), x=x, g=g), wanted(x, g, np.argmax)
    before = cc.get_num_threads()
    try:
        for threads in (2, 1, 3):
            cc.set_num_threads(threads)
            np.testing.assert_array_equal(whole({"x": x, "g": g})[0], exact)
    finally:
        cc.set_num_threads(before)


def test_empty_arrays() -> None:
    x, g = numbers(0, "float32", (0, 8, 12, 5)), numbers(1, "float32", (0, 4, 6, 5))
    assert ready(program("float32", "max"), x=x, g=g)({"x": x, "g": g})[0].shape == x.shape


def test_where_no_kernel_can_be_made_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = numbers(0, "float32", (3, 8, 12, 5)), numbers(1, "float32", (3, 4, 6, 5))
    whole = ready(program("float32", "max"), x=x, g=g)

    def unfit(*_: Any) -> Any:
        raise native.UnfitError("none")

    monkeypatch.setattr(gradient_kernel, "_prepared", unfit)
    made = whole({"x": x, "g": g})[0]
    np.testing.assert_array_equal(made, wanted(x, g, np.argmax))


def test_without_kernels_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    x, g = numbers(0, "float32", (3, 8, 12, 5)), numbers(1, "float32", (3, 4, 6, 5))
    whole = ready(program("float32", "max"), x=x, g=g)
    np.testing.assert_array_equal(whole({"x": x, "g": g})[0], wanted(x, g, np.argmax))
