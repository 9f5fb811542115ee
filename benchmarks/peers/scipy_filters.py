"""scipy's filters, for what they can say: images without channels, and windows that are pooled.

A filter of `scipy.ndimage` makes an image of the same size from one image, so it is a convolution
with stride 1, "same" padding and one channel for each group; a pooling is every second point of a
filtered image.
"""

from __future__ import annotations

import numpy as np
import scipy
from scipy import ndimage, signal

from benchmarks.layers import (
    FORWARD,
    INPUT_GRADIENT,
    WEIGHT_GRADIENT,
    Convolution,
    Pooling,
)
from benchmarks.operands import Array, Operands, operands
from benchmarks.peers import Prepared


def start(threads: int) -> str:
    """Return the version; filters have one thread."""
    return str(scipy.__version__)


def _convolution(case: Convolution, direction: str) -> Prepared | None:
    if not _is_filter(case):
        return None
    given, function = operands(case), FILTER[direction]
    return Prepared(lambda: function(case, given), np.asarray)


def _is_filter(case: Convolution) -> bool:
    reach = case.dilation * (case.kernel - 1) + 1
    same = case.stride == case.dilation == 1 and reach == 2 * case.padding + 1
    return same and case.channels == case.groups


def _forward(case: Convolution, given: Operands) -> Array:
    y = np.empty(case.output_shape, np.float32)
    for c, o in _pairs(case):
        kernel = given.w[None, :, :, 0, o]
        ndimage.correlate(given.x[..., c], kernel, y[..., o], mode="constant")
    return y


def _input_gradient(case: Convolution, given: Operands) -> Array:
    dx = np.zeros(case.input_shape, np.float32)
    for c, o in _pairs(case):
        kernel = given.w[None, :, :, 0, o]
        dx[..., c] += ndimage.convolve(given.g[..., o], kernel, mode="constant")
    return dx


def _weight_gradient(case: Convolution, given: Operands) -> Array:
    margin = (case.padding, case.padding)
    padded = np.pad(given.x, ((0, 0), margin, margin, (0, 0)))
    dw = np.empty(case.weight_shape, np.float32)
    for c, o in _pairs(case):
        dw[:, :, 0, o] = signal.correlate(padded[..., c], given.g[..., o], "valid")[0]
    return dw


FILTER = {
    FORWARD: _forward,
    INPUT_GRADIENT: _input_gradient,
    WEIGHT_GRADIENT: _weight_gradient,
}


def _pairs(case: Convolution) -> list[tuple[int, int]]:
    """Each output with the channel that it is made of."""
    return [(o * case.groups // case.outputs, o) for o in range(case.outputs)]


def _pooling(case: Pooling, direction: str) -> Prepared | None:
    if direction != FORWARD:
        return None
    x, pool = operands(case).x, POOL[case.reduce]
    # A filter's window is centred on its point.
    first, (_, rows, columns, _) = case.kernel // 2, case.output_shape

    def run() -> Array:
        filtered = pool(x, (1, case.kernel, case.kernel, 1))[:, first:, first:]
        return np.ascontiguousarray(filtered[:, :: case.stride, :: case.stride][:, :rows, :columns])

    return Prepared(run, np.asarray)


POOL = {"max": ndimage.maximum_filter, "mean": ndimage.uniform_filter}
KINDS = {Convolution: _convolution, Pooling: _pooling}
