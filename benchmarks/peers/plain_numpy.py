"""What one writes in numpy: windows as a strided view, tensordot, and a loop over the groups."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.layers import (
    FORWARD,
    INPUT_GRADIENT,
    WEIGHT_GRADIENT,
    Convolution,
    Matmul,
    Pooling,
)
from benchmarks.operands import Array, Operands, matrices, operands
from benchmarks.peers import Prepared


def start(threads: int) -> str:
    """Return the version; BLAS has its number of threads from the environment."""
    return np.__version__


def _convolution(case: Convolution, direction: str) -> Prepared:
    function, given = GROUP[direction], operands(case)

    def run() -> Array:
        groups = zip(*(np.split(array, case.groups, axis=3) for array in given), strict=True)
        return np.concatenate([function(case, Operands(*group)) for group in groups], axis=3)

    return Prepared(run, np.asarray)


def _forward(case: Convolution, group: Operands) -> Array:
    return np.tensordot(_windows(case, group.x), group.w, ((4, 5, 3), (0, 1, 2)))


def _input_gradient(case: Convolution, group: Operands) -> Array:
    taps = np.tensordot(group.g, group.w, (3, 3))  # b i j k l c
    batch, height, width, channels = group.x.shape
    margin = case.padding
    padded = np.zeros((batch, height + 2 * margin, width + 2 * margin, channels), np.float32)
    for k, m in np.ndindex(case.kernel, case.kernel):
        _read_by(case, padded, case.dilation * k, case.dilation * m)[...] += taps[:, :, :, k, m]
    return padded[:, margin : margin + height, margin : margin + width]


def _weight_gradient(case: Convolution, group: Operands) -> Array:
    product = np.tensordot(_windows(case, group.x), group.g, ((0, 1, 2), (0, 1, 2)))
    return product.transpose(1, 2, 0, 3)


GROUP = {
    FORWARD: _forward,
    INPUT_GRADIENT: _input_gradient,
    WEIGHT_GRADIENT: _weight_gradient,
}


def _windows(case: Convolution, x: Array) -> Array:
    """A view of the padded image: b i j c k l."""
    margin = (case.padding, case.padding)
    padded = np.pad(x, ((0, 0), margin, margin, (0, 0)))
    reach = case.dilation * (case.kernel - 1) + 1
    windows = sliding_window_view(padded, (reach, reach), (1, 2))
    return windows[:, :: case.stride, :: case.stride, :, :: case.dilation, :: case.dilation]


def _read_by(case: Convolution | Pooling, image: Array, row: int, column: int) -> Array:
    """A view of the points that one tap reads, the tap that starts at this row and column."""
    _, rows, columns, _ = case.output_shape
    step = case.stride
    return image[
        :,
        row : row + step * (rows - 1) + 1 : step,
        column : column + step * (columns - 1) + 1 : step,
    ]


def _pooling(case: Pooling, direction: str) -> Prepared:
    x, _, g = operands(case)
    windows = sliding_window_view(x, (case.kernel, case.kernel), (1, 2))
    windows = windows[:, :: case.stride, :: case.stride]
    if direction == FORWARD:
        reduce = np.max if case.reduce == "max" else np.mean
        return Prepared(lambda: reduce(windows, axis=(4, 5)), np.asarray)
    backward = _maximum_backward if case.reduce == "max" else _mean_backward
    return Prepared(lambda: backward(case, windows, g), np.asarray)


def _maximum_backward(case: Pooling, windows: Array, g: Array) -> Array:
    first = windows.reshape(*g.shape, -1).argmax(-1)
    dx = np.zeros(case.input_shape, np.float32)
    for tap, (row, column) in enumerate(np.ndindex(case.kernel, case.kernel)):
        _read_by(case, dx, row, column)[...] += g * (first == tap)
    return dx


def _mean_backward(case: Pooling, windows: Array, g: Array) -> Array:
    share = g / windows[0, 0, 0, 0].size
    dx = np.zeros(case.input_shape, np.float32)
    for row, column in np.ndindex(case.kernel, case.kernel):
        _read_by(case, dx, row, column)[...] += share
    return dx


def _matmul(case: Matmul, direction: str) -> Prepared:
    left, right = matrices(case)
    return Prepared(lambda: left @ right, np.asarray)


KINDS = {Convolution: _convolution, Pooling: _pooling, Matmul: _matmul}
