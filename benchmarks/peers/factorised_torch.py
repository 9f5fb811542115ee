"""A factorised convolution with torch: a chain of convolutions, and autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.factors import operands, result
from benchmarks.layers import FORWARD, Factorised
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from benchmarks.peers.step_torch import laid_out
from benchmarks.steps.network import drawn, from_torch, together


def factorised(case: Factorised, direction: str, layout: str, compiled: bool = False) -> Prepared:
    """Bring image and kernels into torch's layout; autograd goes back through the chain."""
    given = {**operands(case), "g": result(case)}
    arrays = drawn(given, 0)
    *of, cotangent = (laid_out(given[name], array, layout) for name, array in arrays.items())
    forward = _compiled(chain) if compiled else chain

    def with_gradients() -> list[Any]:
        y = forward(*of)
        return [y, *torch.autograd.grad(y, of, cotangent)]

    def array(found: list[Any]) -> Array:
        like = (given["g"], *given.values())
        return together(
            from_torch(o, np.asarray(t.detach())) for o, t in zip(like, found, strict=False)
        )

    if direction == FORWARD:
        return Prepared(lambda: [forward(*of)], array)
    for operand in of:
        operand.requires_grad_()
    return Prepared(with_gradients, array)


def chain(x: Any, *kernels: Any) -> Any:
    """One convolution after the other; a kernel of one channel is for each channel alone."""
    for kernel in kernels:
        _, channels, rows, columns = kernel.shape
        padding, groups = (rows // 2, columns // 2), x.shape[1] // channels
        x = functional.conv2d(x, kernel, padding=padding, groups=groups)
    return x


def _compiled(function: Any) -> Any:
    """Compile it for these shapes, not for those of other measurements, too."""
    torch.compiler.reset()
    return torch.compile(function)
