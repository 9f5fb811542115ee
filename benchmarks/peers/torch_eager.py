"""PyTorch without autograd's overhead: each gradient alone, from the operator itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.layers import (
    FORWARD,
    INPUT_GRADIENT,
    Convolution,
    Drawn,
    Factorised,
    Matmul,
    NetworkStep,
    Pooling,
    Product,
    Training,
)
from benchmarks.operands import Array, matrices, operands
from benchmarks.peers import Prepared
from benchmarks.peers.drawn_torch import drawn, product
from benchmarks.peers.factorised_torch import factorised
from benchmarks.peers.lenet_torch import lenet
from benchmarks.peers.step_torch import step


def start(threads: int) -> str:
    """Set the number of threads and return the version."""
    torch.set_num_threads(threads)
    return str(torch.__version__)


def channels_second(image: Array, layout: str) -> Any:
    """A tensor with the axes in torch's order, and the memory in the order asked for."""
    memory_format = getattr(torch, layout)
    return torch.from_numpy(image).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)


def outputs_first(weight: Array, layout: str) -> Any:
    """The same for a weight."""
    memory_format = getattr(torch, layout)
    return torch.from_numpy(weight).permute(3, 2, 0, 1).contiguous(memory_format=memory_format)


def channels_last(image: Any) -> Array:
    """Back to numpy's order."""
    return np.asarray(image.permute(0, 2, 3, 1))


def outputs_last(weight: Any) -> Array:
    """The same for a weight."""
    return np.asarray(weight.permute(2, 3, 1, 0))


def laid_out(case: Convolution | Pooling, layout: str) -> tuple[Any, Any, Any]:
    """Image, weight and cotangent of a layer as tensors."""
    x, w, g = operands(case)
    weight = outputs_first(w, layout) if isinstance(case, Convolution) else None
    return channels_second(x, layout), weight, channels_second(g, layout)


def _convolution(case: Convolution, direction: str, layout: str) -> Prepared:
    x, w, g = laid_out(case, layout)
    stride, padding, dilation = ([n, n] for n in (case.stride, case.padding, case.dilation))
    if direction == FORWARD:
        return Prepared(
            lambda: functional.conv2d(x, w, None, stride, padding, dilation, case.groups),
            channels_last,
        )
    backward = torch.ops.aten.convolution_backward
    window = (stride, padding, dilation, False, [0, 0], case.groups)
    if direction == INPUT_GRADIENT:
        wanted = [True, False, False]
        return Prepared(lambda: backward(g, x, w, None, *window, wanted)[0], channels_last)
    wanted = [False, True, False]
    return Prepared(lambda: backward(g, x, w, None, *window, wanted)[1], outputs_last)


def _pooling(case: Pooling, direction: str, layout: str) -> Prepared:
    x, _, g = laid_out(case, layout)
    pool = _maximum if case.reduce == "max" else _mean
    return Prepared(pool(x, g, [case.kernel] * 2, [case.stride] * 2, direction), channels_last)


def _maximum(x: Any, g: Any, kernel: list[int], stride: list[int], direction: str) -> Any:
    if direction == FORWARD:
        return lambda: functional.max_pool2d(x, kernel, stride)
    # Where the maxima are, torch remembers from the forward pass: that is not timed.
    _, places = functional.max_pool2d(x, kernel, stride, return_indices=True)
    backward = torch.ops.aten.max_pool2d_with_indices_backward
    return lambda: backward(g, x, kernel, stride, [0, 0], [1, 1], False, places)


def _mean(x: Any, g: Any, kernel: list[int], stride: list[int], direction: str) -> Any:
    if direction == FORWARD:
        return lambda: functional.avg_pool2d(x, kernel, stride)
    backward = torch.ops.aten.avg_pool2d_backward
    return lambda: backward(g, x, kernel, stride, [0, 0], False, True, None)


def _matmul(case: Matmul, direction: str, layout: str) -> Prepared:
    left, right = map(torch.from_numpy, matrices(case))
    return Prepared(lambda: left @ right, lambda y: y.numpy())


KINDS = {
    Convolution: _convolution,
    Drawn: drawn,
    Product: product,
    Factorised: factorised,
    Pooling: _pooling,
    Training: lenet,
    NetworkStep: step,
    Matmul: _matmul,
}
