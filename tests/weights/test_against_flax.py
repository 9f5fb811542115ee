"""The same numbers from Flax' modules and from our networks with their weights; and back."""

from __future__ import annotations

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
    LayerNorm,
)
from contractconv.layers.nesting import flattened

nn: Any = pytest.importorskip("flax.linen")
jax: Any = pytest.importorskip("jax")


def numbers(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def variables(module: Any, x: Any) -> Any:
    """Random variables of a module, variances positive."""
    with jax.enable_x64(True):
        shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    leaves, tree = jax.tree.flatten(shapes)
    return jax.tree.unflatten(tree, [np.abs(numbers(*leaf.shape)) + 0.1 for leaf in leaves])


def check(net: cc.Network, module: Any, x: NDArray[Any], last: bool = False, **options: Any) -> Any:
    """Compare results to 1e-10, and what comes back bit by bit; return the parameters."""
    theirs, traced = variables(module, x), net.traced(x.shape)
    params = weights.load(traced, theirs, "flax", **options)
    with jax.enable_x64(True):
        wanted = np.asarray(jax.jit(module.apply)(theirs, x))
    np.testing.assert_allclose(
        net(params, x), wanted[:, -1] if last else wanted, rtol=1e-10, atol=1e-10
    )
    back = weights.export(traced, params, "flax", like=theirs, **options)
    assert same_bits(back, {"/".join(path): array for path, array in flattened(theirs)})
    return params


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(rank: int, groups: int) -> None:
    kernel, stride = (3, 2, 3)[:rank], (2, 1, 2)[:rank]
    net = cc.Network([Conv(6, kernel, stride=stride, groups=groups)])
    module = nn.Conv(6, kernel, stride, padding="VALID", feature_group_count=groups)
    check(net, nn.Sequential([module]), numbers(2, *(7, 6, 5)[:rank], 4))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolutions(rank: int) -> None:
    kernel, stride = (3, 2, 3)[:rank], (2, 2, 1)[:rank]
    net = cc.Network([ConvTransposed(6, kernel, stride=stride)])
    module = nn.Sequential([nn.ConvTranspose(6, kernel, stride, padding="VALID")])
    check(net, module, numbers(2, *(5, 4, 3)[:rank], 4))


def test_transposed_convolutions_with_a_layout_of_their_own() -> None:
    net = cc.Network([ConvTransposed(6, 3, stride=2)])
    module = nn.ConvTranspose(6, (3, 3), (2, 2), padding="VALID", transpose_kernel=True)
    layouts = {"transposed_1": {"W": "k l o c"}}
    check(net, nn.Sequential([module]), numbers(2, 5, 4, 6), layouts=layouts)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_convolutions(multiplier: int) -> None:
    net = cc.Network([Depthwise(3, multiplier=multiplier)])
    module = nn.Conv(4 * multiplier, (3, 3), padding="VALID", feature_group_count=4)
    check(net, nn.Sequential([module]), numbers(2, 5, 6, 4))


class Image(nn.Module):  # type: ignore[misc]  # flax has no types here
    """A convolution, a normalisation and a dense layer behind an image."""

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        """Apply it."""
        x = nn.relu(nn.Conv(5, (3, 3), padding="VALID")(x))
        x = nn.BatchNorm(use_running_average=True)(x)
        return nn.Dense(7)(x.reshape(x.shape[0], -1))


def test_dense_layers_behind_images() -> None:
    net = cc.Network([Conv(5, 3, map="relu"), BatchNorm(epsilon=1e-5), Dense(7, over="h w c")])
    x = numbers(2, 5, 6, 3)
    params = check(net, Image(), x)
    made = weights.nested(weights.export(net.traced(x.shape), params, "flax"))
    assert {*made["params"]} == {"conv_1", "batch_norm_1", "dense_1"}
    assert {*made["batch_stats"]["batch_norm_1"]} == {"mean", "var"}


def test_general_dense_layers() -> None:
    net = cc.Network([Dense(7, over="h w c")])
    check(net, nn.Sequential([nn.DenseGeneral(7, axis=(1, 2, 3))]), numbers(2, 5, 6, 3))


def test_layer_normalisations() -> None:
    check(cc.Network([LayerNorm(epsilon=1e-6)]), nn.Sequential([nn.LayerNorm()]), numbers(2, 6))


def test_embeddings() -> None:
    net = cc.Network([Embedding(9, 5)])
    check(net, nn.Sequential([nn.Embed(9, 5)]), np.arange(8).reshape(2, 4))


@pytest.mark.parametrize("cell", ["LSTMCell", "OptimizedLSTMCell"])
def test_lstm(cell: str) -> None:
    module = nn.Sequential([nn.RNN(getattr(nn, cell)(4, param_dtype=np.float64))])
    check(cc.Network([LSTM(4, sequence=False)]), module, numbers(2, 5, 3), last=True)


def test_gru() -> None:
    net, x = cc.Network([GRU(4, sequence=False)]), numbers(2, 5, 3)
    params = check(
        net, nn.Sequential([nn.RNN(nn.GRUCell(4, param_dtype=np.float64))]), x, last=True
    )
    assert not params["gru_1"]["bias_h"][:2].any()
    # What has a bias for each product there gets their sum.
    params["gru_1"]["bias_h"][:2] = 1
    changed = weights.export(net.traced(x.shape), params, "flax", names={"gru_1": "layers_0"})
    there = weights.load(net.traced(x.shape), changed, "flax")
    assert np.array_equal(there["gru_1"]["bias_x"][:2], params["gru_1"]["bias_x"][:2] + 1)
    np.testing.assert_allclose(net(there, x), net(params, x), atol=1e-12)


def test_multi_head_attention() -> None:
    module = nn.Sequential([nn.MultiHeadDotProductAttention(2)])
    check(cc.Network([Attention(2)]), module, numbers(2, 5, 6))


def test_modules_of_nnx() -> None:
    nnx: Any = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):  # type: ignore[misc]  # flax has no types here
        """A convolution and a dense layer."""

        def __init__(self, rngs: Any) -> None:
            self.conv = nnx.Conv(3, 5, (3, 3), padding="VALID", rngs=rngs)
            self.dense = nnx.Linear(60, 7, rngs=rngs)

    theirs, x = Net(nnx.Rngs(0)), numbers(2, 5, 6, 3).astype(np.float32)
    net = cc.Network([Conv(5, 3), Dense(7, over="h w c")])
    params = weights.load(net.traced(x.shape), nnx.state(theirs), "flax")
    wanted = theirs.dense(theirs.conv(x).reshape(2, 60))
    np.testing.assert_allclose(net(params, x), np.asarray(wanted), rtol=1e-4, atol=1e-4)


def test_bfloat16_of_jax_becomes_float32() -> None:
    kernel = jax.numpy.asarray(numbers(3, 2), jax.numpy.bfloat16)
    tree = {"params": {"Dense_0": {"kernel": kernel}}}
    net = cc.Network([Dense(2, bias=False)])
    found = weights.load(net.traced((1, 3)), tree, "flax")["dense_1"]["W"]
    assert same_bits(found, np.asarray(kernel.astype(np.float32)))
