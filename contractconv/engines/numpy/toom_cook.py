"""Windows by few multiplications: transform, multiply, transform back.

A decomposition ``δ[y = i + k] = Σ_p A[y,p] B[i,p] C[k,p]`` of a window ``y = i + k`` that moves by
one element gives each of three tensors a matrix of its own: the *data* (axis ``y``) meet ``A``,
the *results* (axis ``i``) meet ``B``, the *taps* (axis ``k``) meet ``C``. Two of the tensors are
transformed and multiplied point by point; the third one is transformed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.views import Array, Labelled, Labels
from contractconv.engines.numpy.tile_product import (
    LETTERS,
    Letter,
    Scratch,
    TiledProduct,
    UnitWindow,
)
from contractconv.tiles.decomposition import Decomposition


def product(
    data: Labelled,
    other: Labelled,
    labels: Labels,
    windows: Sequence[UnitWindow],
    decompositions: Sequence[Decomposition],
    out: Labelled,
    *,
    accumulate: bool = False,
) -> None:
    """Sum products over windows with few multiplications (Toom-Cook, Winograd).

    Where ``other`` has each window's ``tap``, ``out[i] = Σ_k data[i+k] other[k]``; where it has
    each window's ``result``, ``out[k] = Σ_i data[i+k] other[i]``, the gradient of the taps. Other
    labels mean what they mean in an einsum; none is in one of the three views alone.

    Args:
        data: has each window's ``axis``, of as many elements as its windows reach.
        other: has each window's ``tap``, or each window's ``result``.
        decompositions: one for each window, with as many taps as the window.
        out: where the result is written; any strides, labels in any order.

    Raises:
        ShapeError: an axis is not of the size that its window or decomposition asks for.

    Example:
        >>> from contractconv.tiles.decomposition import toom_cook
        >>> x, w = Labelled(np.arange(6.0), ("y",)), Labelled(np.array([1.0, 2.0, 3.0]), ("k",))
        >>> out = Labelled(np.empty(4), ("i",))
        >>> product(x, w, ("i",), (UnitWindow("y", "i", "k"),), (toom_cook(2, 3),), out)
        >>> out.array.round(12).tolist()
        [8.0, 14.0, 20.0, 26.0]

    References:
        S. Winograd, *Arithmetic Complexity of Computations* (SIAM, 1980), chapters III and V;
        A. Lavin and S. Gray, *Fast Algorithms for Convolutional Neural Networks* (CVPR 2016),
        section 4.
    """
    out = Labelled(out.arranged(labels), labels)
    transform = _Nested(decompositions, out.array.dtype)
    TiledProduct(transform, windows, data, other, out).run(accumulate)


class _Nested:
    """One decomposition for each window, applied axis by axis."""

    def __init__(self, decompositions: Sequence[Decomposition], dtype: np.dtype[Any]) -> None:
        self.outputs = tuple(d.outputs for d in decompositions)
        self.taps = tuple(d.taps for d in decompositions)
        self.points = self.size = prod(d.products for d in decompositions)
        self.dtype = dtype
        self._real = np.empty(0, dtype).real.dtype
        self._matrices = {
            letter: [np.array(d.floats(letter), self._real) for d in decompositions]
            for letter in LETTERS
        }

    def lift(self, letter: Letter, tiles: Array, scratch: Scratch) -> Array:
        """Evaluate tiles at the points."""
        return self._along_each([m.T for m in self._matrices[letter]], tiles, scratch)

    def lower(self, letter: Letter, products: Array, scratch: Scratch) -> Array:
        """Interpolate tiles from products."""
        return self._along_each(self._matrices[letter], products, scratch)

    def _along_each(self, matrices: Sequence[Array], array: Array, scratch: Scratch) -> Array:
        dtype, done = array.dtype, 1
        # To a real matrix, the two parts of a complex number are two numbers.
        array = array.view(self._real)
        for matrix in matrices:
            array = array.reshape(done, matrix.shape[1], -1)
            shape = (done, len(matrix), array.shape[-1])
            array = np.matmul(matrix, array, out=scratch.empty(shape, self._real))
            done *= len(matrix)
        return array.reshape(done, -1).view(dtype)
