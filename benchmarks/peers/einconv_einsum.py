"""einconv: a convolution as an einsum with index patterns, contracted by torch.

The expression is made, and simplified, beforehand: only the contraction is timed.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from einconv.expressions import convNd_forward, convNd_input_vjp, convNd_weight_vjp

from benchmarks.layers import FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, Convolution
from benchmarks.peers import Prepared
from benchmarks.peers.torch_eager import channels_last, laid_out, outputs_last


def start(threads: int) -> str:
    """Set the number of threads and return the version."""
    torch.set_num_threads(threads)
    return version("einconv")


def _convolution(case: Convolution, direction: str) -> Prepared:
    equation, arrays, shape = _expression(case, direction)
    array = outputs_last if direction == WEIGHT_GRADIENT else channels_last
    return Prepared(lambda: torch.einsum(equation, *arrays).reshape(shape), array)


def _expression(case: Convolution, direction: str) -> Any:
    x, w, g = laid_out(case, "contiguous_format")
    window: dict[str, Any] = {
        "stride": case.stride,
        "padding": case.padding,
        "dilation": case.dilation,
        "groups": case.groups,
    }
    if direction == FORWARD:
        return convNd_forward.einsum_expression(x, w, **window)
    if direction == INPUT_GRADIENT:
        return convNd_input_vjp.einsum_expression(w, g, (case.height, case.width), **window)
    return convNd_weight_vjp.einsum_expression(x, g, case.kernel, **window)


KINDS = {Convolution: _convolution}
