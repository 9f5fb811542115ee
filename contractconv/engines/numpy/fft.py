"""Windows by the discrete Fourier transform, for windows of many taps.

Over the roots of unity a window of a tile becomes one product for each frequency. Tiles overlap
by one element less than there are taps; what wraps around is thrown away (overlap-save).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from itertools import product as combinations
from math import log2, prod, sqrt
from typing import Any

import numpy as np

from contractconv.arrays.views import Array, Labelled, Labels
from contractconv.cache_register import kept
from contractconv.engines.numpy.tile_product import (
    MOST_TAPS,
    Letter,
    Scratch,
    TiledProduct,
    UnitWindow,
)
from contractconv.planning.cost import volume

# One product of complex numbers inside a matrix product, measured in what a transform takes for
# one element and one halving of its length.
PRODUCT_COST = 1 / 8
# Choices of lengths that are compared; of more axes, the shortest transforms are left out.
_MOST_LENGTHS = 512

Sizes = tuple[int, ...]


def product(
    data: Labelled,
    other: Labelled,
    labels: Labels,
    windows: Sequence[UnitWindow],
    out: Labelled,
    *,
    accumulate: bool = False,
) -> None:
    """Sum products over windows by the discrete Fourier transform.

    Arguments and errors are those of :func:`contractconv.engines.numpy.toom_cook.product`.

    Example:
        >>> x, w = Labelled(np.arange(6.0), ("y",)), Labelled(np.array([1.0, 2.0, 3.0]), ("k",))
        >>> out = Labelled(np.empty(4), ("i",))
        >>> product(x, w, ("i",), (UnitWindow("y", "i", "k"),), out)
        >>> out.array.round(12).tolist()
        [8.0, 14.0, 20.0, 26.0]

    References:
        J. W. Cooley and J. W. Tukey, *An Algorithm for the Machine Calculation of Complex Fourier
        Series*, Mathematics of Computation 19 (1965); T. G. Stockham, *High-speed Convolution and
        Correlation*, Spring Joint Computer Conference (1966).
    """
    out = Labelled(out.arranged(labels), labels)
    results, taps = (out, other) if windows[0].tap in other.labels else (other, out)
    extents = data.sizes | results.sizes | taps.sizes
    inner = {label for window in windows for label in window}
    volumes = tuple(
        volume((label for label in names if label not in inner), extents)
        for names in (data.labels, results.labels, taps.labels, extents)
    )
    outputs = tuple(extents[window.result] for window in windows)
    counts = tuple(extents[window.tap] for window in windows)
    transform = _Fourier(_lengths(outputs, counts, volumes), outputs, counts, out.array.dtype)
    TiledProduct(transform, windows, data, other, out).run(accumulate)


@kept(most=128)
def _lengths(outputs: Sizes, taps: Sizes, volumes: Sizes) -> Sizes:
    """The lengths of the transforms that cost least.

    Args:
        outputs: how many results there are along each window.
        taps: how many taps each window has.
        volumes: points of the other indices of data, results, taps, and of all of these.
    """
    choices = [_choices(m, r) for m, r in zip(outputs, taps, strict=True)]
    while prod(map(len, choices)) > _MOST_LENGTHS:
        max(choices, key=len).pop()
    return min(combinations(*choices), key=lambda lengths: _cost(lengths, outputs, taps, volumes))


def _choices(outputs: int, taps: int) -> list[int]:
    """Lengths that make one tile of an axis, two, four, and so on."""
    halvings = range((outputs - 1).bit_length() + 1)
    return [good_length(-(-outputs >> h) + taps - 1) for h in halvings]


def _cost(lengths: Sizes, outputs: Sizes, taps: Sizes, volumes: Sizes) -> float:
    data, results, kernel, products = volumes
    points = prod(lengths)
    tiles = prod(-(-m // (n - r + 1)) for n, m, r in zip(lengths, outputs, taps, strict=True))
    # Taps that do not fit are cut into blocks, and the data pass by each of them.
    passes = max(1, points * kernel / MOST_TAPS)
    transformed = kernel + tiles * (passes * data + results)
    return points * (log2(2 * points) * transformed + PRODUCT_COST * tiles * products)


def good_length(least: int) -> int:
    """The first length from ``least`` with no prime factor above five: its transform is fast.

    Example:
        >>> good_length(97)
        100
    """
    return next(n for n in count(least) if pow(30, n.bit_length(), n) == 0)


class _Fourier:
    """The transform of tiles, axis by axis; that of the last axis is real where numbers are.

    Every transform is scaled to be unitary, the result at the end: a scale of one would be an
    integer to numpy, which then computes in double precision, several times slower.
    """

    def __init__(self, lengths: Sizes, outputs: Sizes, taps: Sizes, dtype: np.dtype[Any]) -> None:
        self.outputs = tuple(
            min(m, n - r + 1) for m, n, r in zip(outputs, lengths, taps, strict=True)
        )
        self.taps, self.dtype = taps, dtype
        self._lengths = lengths
        self._complex = np.result_type(dtype, np.complex64)
        self._real = dtype != self._complex
        last = lengths[-1] // 2 + 1 if self._real else lengths[-1]
        self._frequencies = (*lengths[:-1], last)
        self.points = prod(self._frequencies)
        self.size = self.points * (1 + self._real)

    def lift(self, letter: Letter, tiles: Array, scratch: Scratch) -> Array:
        """Transform tiles to their frequencies."""
        tiles = tiles.reshape(*self._elements(letter), -1)
        if letter == "A":
            return self._forward(tiles, scratch)
        # A window is a correlation: the frequencies of results and taps are negative.
        mirrored = self._forward(np.conjugate(tiles, out=tiles), scratch)
        return np.conjugate(mirrored, out=mirrored)

    def lower(self, letter: Letter, products: Array, scratch: Scratch) -> Array:
        """Transform back, without what wraps around."""
        array = products.reshape(*self._frequencies, -1)
        for axis, size in enumerate(self._elements(letter)):
            last = self._real and axis == len(self._lengths) - 1
            transform = np.fft.irfft if last else np.fft.ifft
            shape = _with(array.shape, axis, self._lengths[axis])
            out = scratch.empty(shape, self.dtype if last else self._complex)
            array = transform(array, self._lengths[axis], axis, norm="ortho", out=out)
            array = array[(slice(None),) * axis + (slice(size),)]
        tiles = scratch.empty(array.shape, self.dtype)
        np.multiply(array, sqrt(prod(self._lengths)), out=tiles)
        return tiles.reshape(-1, tiles.shape[-1])

    def _forward(self, array: Array, scratch: Scratch) -> Array:
        for axis in reversed(range(len(self._lengths))):
            last = self._real and axis == len(self._lengths) - 1
            transform = np.fft.rfft if last else np.fft.fft
            shape = _with(array.shape, axis, self._frequencies[axis])
            out = scratch.empty(shape, self._complex)
            array = transform(array, self._lengths[axis], axis, norm="ortho", out=out)
        return array.reshape(self.points, -1)

    def _elements(self, letter: Letter) -> Sizes:
        reach = tuple(m + r - 1 for m, r in zip(self.outputs, self.taps, strict=True))
        return {"A": reach, "B": self.outputs, "C": self.taps}[letter]


def _with(shape: Sizes, axis: int, size: int) -> Sizes:
    return (*shape[:axis], size, *shape[axis + 1 :])
