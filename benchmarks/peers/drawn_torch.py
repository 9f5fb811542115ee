"""Layers that were drawn, and products of two operands, with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.layers import FORWARD, INPUT_GRADIENT, Drawn, Product
from benchmarks.operands import Array, factors, operands
from benchmarks.peers import Prepared

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
# Sequences with channels last have no format of their own.
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def drawn(case: Drawn, direction: str, layout: str) -> Prepared | None:
    """A layer, or one of its gradients from the operator itself."""
    rank = len(case.sizes)
    if layout == "channels_last" and rank not in CHANNELS_LAST:
        return None
    memory: Any = CHANNELS_LAST[rank] if layout == "channels_last" else torch.contiguous_format
    x, w, g = _tensors(case, memory)
    if direction == FORWARD:
        return Prepared(lambda: _forward(case, x, w), channels_last)
    window: Any = (
        case.stride,
        case.padding,
        case.dilation,
        case.transposed,
        [0] * rank,
        case.groups,
    )
    backward = torch.ops.aten.convolution_backward
    if direction == INPUT_GRADIENT:
        wanted = [True, False, False]
        return Prepared(lambda: backward(g, x, w, None, *window, wanted)[0], channels_last)
    wanted = [False, True, False]

    def taps_first(slope: Any) -> Array:
        return _taps_first(slope, case)

    return Prepared(lambda: backward(g, x, w, None, *window, wanted)[1], taps_first)


def _forward(case: Drawn, x: Any, w: Any) -> Any:
    rank = len(case.sizes)
    if case.transposed:
        return TRANSPOSED[rank](
            x, w, None, case.stride, case.padding, 0, case.groups, case.dilation
        )
    return CONVOLUTIONS[rank](x, w, None, case.stride, case.padding, case.dilation, case.groups)


def _tensors(case: Drawn, memory: Any) -> tuple[Any, Any, Any]:
    x, w, g = map(torch.from_numpy, operands(case))
    rank = len(case.sizes)
    axes = (rank, rank + 1) if case.transposed else (rank + 1, rank)
    first = (0, rank + 1, *range(1, rank + 1))
    return (
        x.permute(first).contiguous(memory_format=memory),
        w.permute(*axes, *range(rank)).contiguous(memory_format=memory),
        g.permute(first).contiguous(memory_format=memory),
    )


def channels_last(image: Any) -> Array:
    """Back to numpy's order."""
    return np.moveaxis(image.numpy(), 1, -1)


def _taps_first(slope: Any, case: Drawn) -> Array:
    outputs, channels = (1, 0) if case.transposed else (0, 1)
    return np.asarray(slope).transpose(*range(2, slope.ndim), channels, outputs)


def product(case: Product, direction: str, layout: str) -> Prepared | None:
    """A product, or what comes back to one of its operands."""
    if layout == "channels_last":
        return None
    x, w, g = map(torch.from_numpy, factors(case))
    read, written = case.string.split(" -> ")
    left, right = read.split(", ")
    of = {FORWARD: (left, right, written), INPUT_GRADIENT: (written, right, left)}
    first, second, result = of.get(direction, (left, written, right))
    given = {left: x, right: w, written: g}
    equation = f"{first}, {second} -> {result}".replace(" ", "")
    arrays = (given[first], given[second])
    return Prepared(lambda: torch.einsum(equation, *arrays), lambda y: y.numpy())
