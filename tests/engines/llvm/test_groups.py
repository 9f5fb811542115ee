"""Groups of few channels: several of them share the lanes of a vector, and sums stay exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from square_layers import SquareLayer

import contractconv as cc
from contractconv.arrays.views import contiguous
from contractconv.engines.llvm.direct_kernels import nest_of
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.product_loops import Spread
from contractconv.engines.llvm.loop_nest import Nest
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

Array = NDArray[Any]

pytestmark = pytest.mark.skipif(not native.available(), reason="needs compiled kernels")


def string(layer: SquareLayer) -> str:
    """How it is written."""
    return f"b {layer.axes} g c, k l g c o -> b i j g o"


def operands(layer: SquareLayer, order: tuple[int, ...]) -> tuple[Array, Array]:
    """Small integers, the image with its axes in some order in memory."""
    rng = np.random.default_rng(1)
    image = (layer.batch, layer.side, layer.side, layer.groups, layer.channels)
    x = rng.integers(-4, 5, [image[n] for n in order]).transpose(np.argsort(order))
    kernel = (layer.window, layer.window, layer.groups, layer.channels, layer.outputs)
    return x, rng.integers(-4, 5, kernel)


LAYERS = (
    # batch, side, channels, outputs; window, ...
    SquareLayer(2, 9, 8, 8, 3, padding=1, groups=32),
    SquareLayer(2, 13, 4, 8, 5, padding=2, groups=4),
    SquareLayer(3, 11, 24, 24, 3, stride=2, padding=1, groups=4),
    SquareLayer(2, 9, 6, 12, 3, padding=1, dilation=2, groups=16),
    SquareLayer(3, 8, 1, 2, 3, padding=1, groups=32),
    SquareLayer(2, 10, 2, 4, 3, stride=2, groups=16),
    SquareLayer(1, 17, 16, 8, 1, groups=8),
    SquareLayer(2, 15, 4, 4, 3, padding=1, groups=2),
    SquareLayer(5, 6, 5, 7, 3, padding=1, groups=3),
    SquareLayer(1, 12, 16, 16, 3, stride=2, padding=1, groups=16),
    SquareLayer(2, 30, 8, 8, 5, padding=2, groups=8),
    # Half a vector, channels read together.
    SquareLayer(2, 12, 4, 4, 3, padding=1, groups=2),
    SquareLayer(2, 12, 2, 2, 3, padding=1, groups=2),
    SquareLayer(2, 12, 2, 2, 3, padding=1, groups=4),
)
CHANNELS_LAST, CHANNELS_FIRST = (0, 1, 2, 3, 4), (0, 3, 4, 1, 2)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", [CHANNELS_LAST, CHANNELS_FIRST])
def test_grouped_layers_are_exact(layer: SquareLayer, dtype: str, order: tuple[int, ...]) -> None:
    x, w = operands(layer, order)
    run = cc.Contraction(string(layer)).compile(x.shape, w.shape, dtype=dtype, algorithm="direct")
    y, (dx, dw), g = by_groups(layer, x, w)
    of = x.astype(dtype), w.astype(dtype)
    assert np.array_equal(run(*of), y)
    assert np.array_equal(run.vjp(0, g.astype(dtype), *of), dx)
    assert np.array_equal(run.vjp(1, g.astype(dtype), *of), dw)


def by_groups(layer: SquareLayer, x: Array, w: Array) -> tuple[Array, tuple[Array, Array], Array]:
    """The result, both gradients and the cotangent, tap by tap in exact integers."""
    padded = layer.padded(x)
    y = np.zeros((layer.batch, layer.places, layer.places, layer.groups, layer.outputs), int)
    g = np.asarray(np.random.default_rng(2).integers(-4, 5, y.shape))
    back, dw = np.zeros_like(padded), np.zeros_like(w)
    for at in np.ndindex(layer.window, layer.window):
        here = layer.seen(padded, *at)
        y += np.einsum("bijgc,gco->bijgo", here, w[at])
        dw[at] = np.einsum("bijgc,bijgo->gco", here, g)
        layer.seen(back, *at)[...] += np.einsum("bijgo,gco->bijgc", g, w[at])
    return y, (layer.inside(back), dw), g


def nest(layer: SquareLayer, dtype: str = "float32") -> Nest:
    """The loop nest of a layer whose channels come last."""
    x, w = operands(layer, CHANNELS_LAST)
    problem = resolve(parse(string(layer)), [x.shape, w.shape], {})
    found = nest_of(problem, contiguous(problem, np.dtype(dtype).itemsize), dtype)
    assert found is not None
    return found


def test_small_groups_share_vectors() -> None:
    half = native.number("float32").lanes // 2
    found = nest(SquareLayer(2, 9, half, half, 3, padding=1, groups=32))
    assert found.lanes == ("g", "o")
    assert found.tile.spread == Spread(each=half, step=half)


def test_groups_that_fill_vectors_have_their_own() -> None:
    assert nest(SquareLayer(2, 9, 64, 64, 3, groups=4)).lanes == ("o",)


def test_groups_that_leave_a_vector_half_full_have_their_own() -> None:
    # Three groups of seven are no whole number of vectors.
    assert nest(LAYERS[8]).group is None
