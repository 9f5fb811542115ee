"""What the peers compute with: every process draws the same numbers."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers import Convolution, Drawn, Matmul, Pooling, Product, Shape

Array = NDArray[Any]


class Operands(NamedTuple):
    """An image, a weight (empty for a pooling) and a cotangent, channels last."""

    x: Array
    w: Array
    g: Array


def operands(case: Convolution | Drawn | Pooling) -> Operands:
    """Draw the operands of a layer, always the same ones.

    >>> from benchmarks.layers import CONVOLUTIONS
    >>> [array.shape for array in operands(CONVOLUTIONS[1])]
    [(64, 28, 28, 1), (5, 5, 1, 6), (64, 28, 28, 6)]
    """
    weight = (0,) if isinstance(case, Pooling) else case.weight_shape
    dtype = case.dtype if isinstance(case, Drawn) else "float32"
    return Operands(*_normal(case.input_shape, weight, case.output_shape, dtype=dtype))


def factors(case: Product) -> Operands:
    """Draw both operands of a product, and a cotangent."""
    return Operands(*_normal(*case.shapes, case.output_shape, dtype=case.dtype))


def matrices(case: Matmul) -> tuple[Array, Array]:
    """Draw two square matrices, always the same ones."""
    left, right = _normal((case.size, case.size), (case.size, case.size))
    return left, right


def _normal(*shapes: Shape, dtype: str = "float32") -> list[Array]:
    rng = np.random.default_rng(0)
    kind: Any = dtype
    return [rng.standard_normal(out=at_a_line(shape, dtype), dtype=kind) for shape in shapes]


def at_a_line(shape: Shape, dtype: str = "float32") -> Array:
    """An array that begins at a line of the cache, as those that the peers make themselves do.

    >>> at_a_line((5, 3)).ctypes.data % 64
    0
    """
    raw = np.empty(np.dtype(dtype).itemsize * prod(shape) + 64, np.uint8)
    return np.ndarray(shape, dtype, raw, -raw.ctypes.data % 64)
