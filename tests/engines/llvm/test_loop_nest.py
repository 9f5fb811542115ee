"""Layers of few channels: what lies along the lanes, and sums that are exact wherever it is."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from square_layers import SquareLayer

import contractconv as cc
from contractconv.arrays.views import contiguous
from contractconv.engines.llvm.direct_kernels import nest_of
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

Array = NDArray[Any]


LAYERS = (
    # batch, side, channels, outputs; window, stride, padding, dilation
    SquareLayer(17, 16, 1, 6, 5, 1, 2, 1),
    SquareLayer(3, 21, 3, 4, 3, 1, 1, 1),
    SquareLayer(17, 9, 6, 2, 5, 1, 0, 1),
    SquareLayer(3, 16, 8, 1, 3, 1, 1, 2),
    SquareLayer(3, 21, 3, 8, 4, 2, 2, 1),
    SquareLayer(1, 35, 2, 3, 2, 2, 1, 2),
    SquareLayer(33, 8, 4, 5, 1, 1, 0, 1),
)
# In which order axes lie in memory.
ORDERS = (0, 1, 2, 3), (3, 0, 1, 2), (1, 3, 0, 2)


def numbers(shape: tuple[int, ...], seed: int, order: tuple[int, ...]) -> Array:
    """Small integers, with axes that lie in memory in some order."""
    rng = np.random.default_rng(seed)
    laid = rng.integers(-4, 5, [shape[n] for n in order])
    return laid.transpose(np.argsort(order))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("biased", "activation"), [(False, None), (True, "relu")])
def test_few_channels_are_exact(
    layer: SquareLayer, dtype: str, order: tuple[int, ...], biased: bool, activation: Any
) -> None:
    places, taps, images = range(layer.places), range(layer.window), f"b {layer.axes} c"
    x = numbers((layer.batch, layer.side, layer.side, layer.channels), 1, order)
    w = numbers((layer.window, layer.window, layer.channels, layer.outputs), 2, order[::-1])
    g = numbers((layer.batch, len(places), len(places), layer.outputs), 3, order)
    padded = layer.padded(x)
    made, back, dw = np.zeros(g.shape, int), np.zeros(padded.shape, int), np.zeros(w.shape, int)
    for at in product(taps, taps):
        here = layer.seen(padded, *at)
        made += here @ w[at]
        layer.seen(back, *at)[...] += g @ w[at].T
        dw[at] = np.einsum("bijc,bijo->co", here, g)
    bias = np.arange(layer.outputs) - 2
    ended = made + bias * biased
    ended = np.maximum(ended, 0) if activation else ended
    x, w, g, bias = (array.astype(dtype) for array in (x, w, g, bias))
    found = cc.contract(
        f"{images}, k l c o -> b i j o", x, w, i=len(places), j=len(places),
        bias=bias if biased else None, activation=activation, algorithm="direct",
    )  # fmt: skip
    assert np.array_equal(found, ended)
    found = cc.contract(
        f"b i j o, k l c o -> {images}", g, w, output_shape=x.shape, algorithm="direct"
    )
    assert np.array_equal(found, layer.inside(back))
    found = cc.contract(
        f"b i j o, {images} -> k l c o", g, x, k=len(taps), l=len(taps), algorithm="direct"
    )
    assert np.array_equal(found, dw)


@pytest.mark.parametrize(
    ("shapes", "lane"),
    [
        # Squares are filled where all of a row lies side by side, and not where channels alone do.
        (((16, 64, 64, 3), (3, 3, 3, 4)), "i"),
        # Rows that are pages apart are kept in the same few lines of the cache.
        (((4, 64, 64, 16), (3, 3, 16, 2)), "j"),
        # A few channels waste lanes, many do not, and nothing has to be copied.
        (((64, 28, 28, 1), (5, 5, 1, 6)), "b"),
        (((16, 28, 28, 32), (3, 3, 32, 64)), "o"),
    ],
)
def test_the_lanes_of_images(shapes: tuple[tuple[int, ...], ...], lane: str) -> None:
    problem = resolve(parse("b (i+k-1) (j+l-1) c, k l c o -> b i j o"), list(shapes), {})
    nest = nest_of(problem, contiguous(problem, 4), "float32")
    assert nest is not None
    assert nest.lane == lane
