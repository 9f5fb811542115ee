"""A factorised convolution with jax: a chain of convolutions, compiled by XLA as one function."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import lax

from benchmarks.factors import operands, result
from benchmarks.layers import FORWARD, Factorised
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from benchmarks.steps.network import drawn, from_torch, to_torch, together


def factorised(case: Factorised, direction: str) -> Prepared:
    """Compile the chain, or the chain and what comes back to all its operands."""
    given = operands(case)
    x, *factors, g = drawn({**given, "g": result(case)}, 0).values()
    _, *like = given.values()
    # Rows, columns, channels, outputs.
    kernels = (to_torch(o, w).transpose(2, 3, 1, 0) for o, w in zip(like, factors, strict=True))
    of = [jax.numpy.asarray(array) for array in (x, *kernels)]
    cotangent = jax.numpy.asarray(g)

    def with_gradients(cotangent: Any, *of: Any) -> Any:
        y, back = jax.vjp(chain, *of)
        return y, *back(cotangent)

    def array(found: Any) -> Array:
        images, kernels = found[:2], (np.asarray(w).transpose(3, 2, 0, 1) for w in found[2:])
        slopes = (from_torch(o, w) for o, w in zip(like, kernels, strict=False))
        return together([*map(np.asarray, images), *slopes])

    if direction == FORWARD:
        forward = jax.jit(chain)
        return Prepared(lambda: [forward(*of).block_until_ready()], array)
    compiled = jax.jit(with_gradients)
    return Prepared(lambda: jax.block_until_ready(compiled(cotangent, *of)), array)


def chain(x: Any, *kernels: Any) -> Any:
    """One convolution after the other; a kernel of one channel is for each channel alone."""
    for kernel in kernels:
        x = lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[-1] // kernel.shape[2],
        )  # fmt: skip
    return x
