"""The same numbers from Keras' layers and from our networks with their weights; and back."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from weight_arrays import same_bits

import contractconv as cc
from contractconv import weights
from contractconv.layers import (
    GRU,
    LSTM,
    Attention,
    BatchNorm,
    Conv,
    ConvTransposed,
    Dense,
    Depthwise,
    Embedding,
    Layer,
    LayerNorm,
    Separable,
)

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
# How Keras asks torch for numpy's arrays is between the two.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@cache
def keras() -> Any:
    """Keras, in double precision."""
    found: Any = pytest.importorskip("keras")
    found.config.set_floatx("float64")
    return found


def numbers(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def model(shape: tuple[int, ...], *layers: Any, dtype: str = "float64") -> Any:
    """Layers one behind the other, with random weights."""
    k = keras()
    made = k.Sequential([k.Input(shape[1:], dtype=dtype), *layers])
    made.set_weights([np.abs(numbers(*w.shape)) + 0.1 for w in made.weights])
    return made


# Keras normalises and attends in single precision, whatever comes in.
SINGLE = 1e-5


def check(net: cc.Network, theirs: Any, x: NDArray[Any], tolerance: float = 1e-10) -> Any:
    """Compare results, and what comes back bit by bit; return the parameters."""
    traced = net.traced(x.shape)
    params = weights.load(traced, theirs, "keras")
    wanted = keras().ops.convert_to_numpy(theirs(x))
    np.testing.assert_allclose(net(params, x), wanted, rtol=tolerance, atol=tolerance)
    back = weights.export(traced, params, "keras", like=theirs)
    assert same_bits(back, {w.path: w.numpy() for w in theirs.weights})
    return params


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(rank: int, groups: int) -> None:
    layer = getattr(keras().layers, f"Conv{rank}D")
    net = cc.Network([Conv(6, (3, 2, 3)[:rank], stride=2, groups=groups)])
    x = numbers(2, *(7, 6, 5)[:rank], 4)
    check(net, model(x.shape, layer(6, (3, 2, 3)[:rank], 2, groups=groups)), x)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolutions(rank: int) -> None:
    layer = getattr(keras().layers, f"Conv{rank}DTranspose")
    net = cc.Network([ConvTransposed(6, (3, 2, 3)[:rank], stride=2)])
    x = numbers(2, *(5, 4, 3)[:rank], 4)
    check(net, model(x.shape, layer(6, (3, 2, 3)[:rank], 2)), x)


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("grouped", [False, True])
def test_depthwise_convolutions(multiplier: int, grouped: bool) -> None:
    k, x = keras(), numbers(2, 5, 6, 4)
    net = cc.Network([Depthwise(3, multiplier=multiplier)])
    depthwise = k.layers.DepthwiseConv2D(3, depth_multiplier=multiplier)
    layer = k.layers.Conv2D(4 * multiplier, 3, groups=4) if grouped else depthwise
    check(net, model(x.shape, layer), x)


def test_separable_convolutions() -> None:
    x = numbers(2, 5, 6, 4)
    string = "b (i+k) (j+l) c, k l c m, c m o -> b i j o"
    net = cc.Network([Layer(string, k=3, l=3, m=2, o=5, bias="o")])
    check(net, model(x.shape, keras().layers.SeparableConv2D(5, 3, depth_multiplier=2)), x)


def image(shape: tuple[int, ...]) -> Any:
    """A convolution, a normalisation and dense layers behind an image."""
    k = keras().layers
    conv = k.Conv2D(5, 3, activation="relu")
    return model(shape, conv, k.BatchNormalization(), k.Flatten(), k.Dense(7), k.Dense(7))


def image_network() -> cc.Network:
    norm = BatchNorm(epsilon=1e-3)
    return cc.Network([Conv(5, 3, map="relu"), norm, Dense(7, over="h w c"), Dense(7)])


def test_dense_layers_behind_images() -> None:
    x = numbers(2, 5, 6, 3)
    check(image_network(), image(x.shape), x, SINGLE)


@pytest.mark.parametrize("end", ["keras", "h5", "weights.h5"])
@pytest.mark.filterwarnings("ignore")
def test_files_of_keras(tmp_path: Path, end: str) -> None:
    pytest.importorskip("h5py")
    x = numbers(2, 5, 6, 3)
    theirs, path = image(x.shape), tmp_path / f"net.{end}"
    (theirs.save_weights if end == "weights.h5" else theirs.save)(path)
    net = image_network()
    traced = net.traced(x.shape)
    entries = weights.read(path)
    assert entries.ordered == (end != "weights.h5")
    params = weights.load(traced, path, "keras")
    assert same_bits(params, weights.load(traced, theirs, "keras"))
    back = weights.export(traced, params, "keras", like=path)
    assert same_bits(back, dict(entries))


def test_keras_loads_what_is_written(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    x = numbers(2, 5, 6, 3)
    theirs, net = image(x.shape), image_network()
    theirs.save_weights(tmp_path / "net.weights.h5")
    traced = net.traced(x.shape)
    params = weights.load(traced, tmp_path / "net.weights.h5", "keras")
    params["dense_2"]["bias"] += 1
    found = weights.export(traced, params, "keras", like=tmp_path / "net.weights.h5")
    weights.write(tmp_path / "new.weights.h5", found)
    theirs.load_weights(tmp_path / "new.weights.h5")
    wanted = keras().ops.convert_to_numpy(theirs(x))
    np.testing.assert_allclose(net(params, x), wanted, rtol=SINGLE)


def test_layer_normalisations() -> None:
    x = numbers(2, 6)
    theirs = model(x.shape, keras().layers.LayerNormalization())
    check(cc.Network([LayerNorm(epsilon=1e-3)]), theirs, x, SINGLE)


def test_embeddings() -> None:
    x = np.arange(8).reshape(2, 4)
    check(cc.Network([Embedding(9, 5)]), model(x.shape, keras().layers.Embedding(9, 5)), x)


def test_lstm() -> None:
    x = numbers(2, 5, 3)
    check(cc.Network([LSTM(4, sequence=False)]), model(x.shape, keras().layers.LSTM(4)), x)


def test_gru() -> None:
    x = numbers(2, 5, 3)
    check(cc.Network([GRU(4, sequence=False)]), model(x.shape, keras().layers.GRU(4)), x)


@pytest.mark.parametrize("saved", [False, True])
def test_multi_head_attention(tmp_path: Path, saved: bool) -> None:
    k, x = keras(), numbers(2, 5, 6)
    given = k.Input((5, 6))
    theirs = k.Model(given, k.layers.MultiHeadAttention(2, 3)(given, given))
    theirs.set_weights([numbers(*w.shape) for w in theirs.weights])
    net = cc.Network([Attention(2)])
    params = check(net, theirs, x, SINGLE)
    if saved:
        pytest.importorskip("h5py")
        theirs.save_weights(tmp_path / "net.weights.h5")
        read = weights.load(net.traced(x.shape), tmp_path / "net.weights.h5", "keras")
        assert same_bits(read, params)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_the_separable_layer(multiplier: int) -> None:
    x = numbers(2, 5, 6, 4)
    net = cc.Network([Separable(5, 3, multiplier=multiplier)])
    layer = keras().layers.SeparableConv2D(5, 3, depth_multiplier=multiplier)
    check(net, model(x.shape, layer), x)
