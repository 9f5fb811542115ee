"""Groups of few channels: several of them share the lanes of a vector, and sums stay exact."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

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


class Layer(NamedTuple):
    """A grouped convolution of square images and windows; channels and outputs are of a group."""

    batch: int
    side: int
    groups: int
    channels: int
    outputs: int
    window: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def string(self) -> str:
        """How it is written."""
        i, j = (f"({self.stride}*{n}+{self.dilation}*{t}-{self.padding})" for n, t in ("ik", "jl"))
        return f"b {i} {j} g c, k l g c o -> b i j g o"

    def operands(self, seed: int, order: tuple[int, ...]) -> tuple[Array, Array]:
        """Small integers, the image with its axes in some order in memory."""
        rng = np.random.default_rng(seed)
        image = (self.batch, self.side, self.side, self.groups, self.channels)
        x = rng.integers(-4, 5, [image[n] for n in order]).transpose(np.argsort(order))
        taps = (self.window, self.window)
        return x, rng.integers(-4, 5, (*taps, self.groups, self.channels, self.outputs))


LAYERS = (
    # batch, side, groups, channels, outputs; window, stride, padding, dilation
    Layer(2, 9, 32, 8, 8, 3, padding=1),
    Layer(2, 13, 4, 4, 8, 5, padding=2),
    Layer(3, 11, 4, 24, 24, 3, stride=2, padding=1),
    Layer(2, 9, 16, 6, 12, 3, padding=1, dilation=2),
    Layer(3, 8, 32, 1, 2, 3, padding=1),
    Layer(2, 10, 16, 2, 4, 3, stride=2),
    Layer(1, 17, 8, 16, 8, 1),
    Layer(2, 15, 2, 4, 4, 3, padding=1),
    Layer(5, 6, 3, 5, 7, 3, padding=1),
    Layer(1, 12, 16, 16, 16, 3, stride=2, padding=1),
    Layer(2, 30, 8, 8, 8, 5, padding=2),
    # Half a vector, channels read together.
    Layer(2, 12, 2, 4, 4, 3, padding=1),
    Layer(2, 12, 2, 2, 2, 3, padding=1),
    Layer(2, 12, 4, 2, 2, 3, padding=1),
)
CHANNELS_LAST, CHANNELS_FIRST = (0, 1, 2, 3, 4), (0, 3, 4, 1, 2)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", [CHANNELS_LAST, CHANNELS_FIRST])
def test_grouped_layers_are_exact(layer: Layer, dtype: str, order: tuple[int, ...]) -> None:
    x, w = layer.operands(1, order)
    run = cc.Contraction(layer.string).compile(x.shape, w.shape, dtype=dtype, algorithm="direct")
    y, (dx, dw), g = by_groups(layer, x, w)
    of = x.astype(dtype), w.astype(dtype)
    assert np.array_equal(run(*of), y)
    assert np.array_equal(run.vjp(0, g.astype(dtype), *of), dx)
    assert np.array_equal(run.vjp(1, g.astype(dtype), *of), dw)


def by_groups(layer: Layer, x: Array, w: Array) -> tuple[Array, tuple[Array, Array], Array]:
    """The result, both gradients and the cotangent, tap by tap in exact integers."""
    edge = (layer.padding, layer.padding)
    padded = np.pad(x, ((0, 0), edge, edge, (0, 0), (0, 0)))
    places = (padded.shape[1] - layer.dilation * (layer.window - 1) - 1) // layer.stride + 1

    def seen(image: Array, *taps: int) -> Array:
        along = (slice(t * layer.dilation, None, layer.stride) for t in taps)
        return image[(slice(None), *along)][:, :places, :places]

    y = np.zeros((layer.batch, places, places, layer.groups, layer.outputs), int)
    g = np.asarray(np.random.default_rng(2).integers(-4, 5, y.shape))
    back, dw = np.zeros_like(padded), np.zeros_like(w)
    for at in np.ndindex(layer.window, layer.window):
        here = seen(padded, *at)
        y += np.einsum("bijgc,gco->bijgo", here, w[at])
        dw[at] = np.einsum("bijgc,bijgo->gco", here, g)
        seen(back, *at)[...] += np.einsum("bijgo,gco->bijgc", g, w[at])
    inside = slice(layer.padding, layer.padding + layer.side)
    return y, (back[:, inside, inside], dw), g


def nest(layer: Layer, dtype: str = "float32") -> Nest:
    """The loop nest of a layer whose channels come last."""
    x, w = layer.operands(1, CHANNELS_LAST)
    problem = resolve(parse(layer.string), [x.shape, w.shape], {})
    found = nest_of(problem, contiguous(problem, np.dtype(dtype).itemsize), dtype)
    assert found is not None
    return found


def test_small_groups_share_vectors() -> None:
    found = nest(LAYERS[0])
    assert found.lanes == ("g", "o")
    assert found.tile.spread == Spread(each=8, step=8)


def test_groups_that_fill_vectors_have_their_own() -> None:
    assert nest(Layer(2, 9, 4, 64, 64, 3)).lanes == ("o",)


def test_groups_that_leave_a_vector_half_full_have_their_own() -> None:
    # Three groups of seven are no whole number of vectors.
    assert nest(LAYERS[8]).group is None
