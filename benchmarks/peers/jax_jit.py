"""JAX, each direction compiled by XLA as a function of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax

from benchmarks.layers import (
    FORWARD,
    INPUT_GRADIENT,
    Convolution,
    Factorised,
    Matmul,
    NetworkStep,
    Pooling,
)
from benchmarks.operands import matrices, operands
from benchmarks.peers import Prepared
from benchmarks.peers.factorised_jax import factorised
from benchmarks.peers.step_jax import step


def start(threads: int) -> str:
    """Return the version; XLA has as many threads as the process has cores."""
    return str(jax.__version__)


def _convolution(case: Convolution, direction: str) -> Prepared:
    x, w, g = map(jax.numpy.asarray, operands(case))

    def convolve(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            w,
            window_strides=(case.stride, case.stride),
            padding=[(case.padding, case.padding)] * 2,
            rhs_dilation=(case.dilation, case.dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=case.groups,
        )

    if direction == FORWARD:
        return compiled(convolve, x, w)
    if direction == INPUT_GRADIENT:
        return compiled(lambda g, x, w: _vjp(lambda x: convolve(x, w), x, g), g, x, w)
    return compiled(lambda g, x, w: _vjp(lambda w: convolve(x, w), w, g), g, x, w)


def _pooling(case: Pooling, direction: str) -> Prepared:
    x, _, g = map(jax.numpy.asarray, operands(case))
    pool = _maximum if case.reduce == "max" else _mean
    if direction == FORWARD:
        return compiled(lambda x: pool(case, x), x)
    return compiled(lambda g, x: _vjp(lambda x: pool(case, x), x, g), g, x)


def _maximum(case: Pooling, x: Any) -> Any:
    return lax.reduce_window(x, -np.inf, lax.max, *_window(case))


def _mean(case: Pooling, x: Any) -> Any:
    return lax.reduce_window(x, 0.0, lax.add, *_window(case)) / case.kernel**2


def _window(case: Pooling) -> tuple[Any, ...]:
    return (1, case.kernel, case.kernel, 1), (1, case.stride, case.stride, 1), "VALID"


def _matmul(case: Matmul, direction: str) -> Prepared:
    return compiled(jax.numpy.matmul, *map(jax.numpy.asarray, matrices(case)))


def compiled(function: Callable[..., Any], *arrays: Any) -> Prepared:
    """What is timed of a function: XLA's code for it, until the result is there."""
    compiled = jax.jit(function)
    return Prepared(lambda: compiled(*arrays).block_until_ready(), np.asarray)


def _vjp(function: Callable[[Any], Any], at: Any, cotangent: Any) -> Any:
    return jax.vjp(function, at)[1](cotangent)[0]


KINDS = {
    Convolution: _convolution,
    Factorised: factorised,
    Pooling: _pooling,
    NetworkStep: step,
    Matmul: _matmul,
}
