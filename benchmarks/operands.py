"""What the peers compute with: every process draws the same numbers."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers import Convolution, Matmul, Pooling, Shape

Array = NDArray[Any]


class Operands(NamedTuple):
    """An image, a weight (empty for a pooling) and a cotangent, channels last."""

    x: Array
    w: Array
    g: Array


def operands(case: Convolution | Pooling) -> Operands:
    """Draw the operands of a layer, always the same ones.

    >>> from benchmarks.layers import CONVOLUTIONS
    >>> [array.shape for array in operands(CONVOLUTIONS[1])]
    [(64, 28, 28, 1), (5, 5, 1, 6), (64, 28, 28, 6)]
    """
    weight = case.weight_shape if isinstance(case, Convolution) else (0,)
    return Operands(*_normal(case.input_shape, weight, case.output_shape))


def matrices(case: Matmul) -> tuple[Array, Array]:
    """Draw two square matrices, always the same ones."""
    left, right = _normal((case.size, case.size), (case.size, case.size))
    return left, right


def _normal(*shapes: Shape) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(out=_at_a_line(shape), dtype=np.float32) for shape in shapes]


def _at_a_line(shape: Shape) -> Array:
    """An array that begins at a line of the cache, as those that the peers make themselves do.

    >>> _at_a_line((5, 3)).ctypes.data % 64
    0
    """
    raw = np.empty(4 * prod(shape) + 64, np.uint8)
    return np.ndarray(shape, np.float32, raw, -raw.ctypes.data % 64)
