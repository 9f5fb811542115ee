"""The library itself on PyTorch's tensors, which lie as torch's own operators take them."""

from __future__ import annotations

from typing import Any

from benchmarks.layers import FORWARD, INPUT_GRADIENT, Convolution
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from benchmarks.peers.strings_of_layouts import of_direction
from benchmarks.peers.torch_eager import channels_last, laid_out, outputs_last, start

__all__ = ["KINDS", "start"]


def _convolution(case: Convolution, direction: str, layout: str) -> Prepared:
    last = layout == "channels_last"
    x, w, g = (_as_it_lies(tensor, last) for tensor in laid_out(case, layout))
    call, extents = of_direction(case, layout, direction)

    def image(made: Any) -> Array:
        return channels_last(made.permute(0, 3, 1, 2) if last else made)

    def weight(made: Any) -> Array:
        return outputs_last(made.permute(0, 3, 1, 2) if last else made)

    if direction == FORWARD:
        return Prepared(lambda: call(x, w, **extents), image)
    array = image if direction == INPUT_GRADIENT else weight
    return Prepared(lambda: call(g, x, w, **extents), array)


def _as_it_lies(tensor: Any, last: bool) -> Any:
    """A tensor whose axes are in the order of memory."""
    return tensor.permute(0, 2, 3, 1) if last else tensor


KINDS = {Convolution: _convolution}
