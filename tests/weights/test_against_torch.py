"""The same numbers from torch's modules and from our networks with their weights; and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from weight_arrays import channels_last, same_bits

import contractconv as cc
from contractconv import weights
from contractconv.layers import (
    GRU,
    LSTM,
    Attention,
    BatchNorm,
    Concat,
    Conv,
    ConvTransposed,
    Dense,
    Depthwise,
    Embedding,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Residual,
)

torch: Any = pytest.importorskip("torch")
nn = torch.nn


def module(*parts: Any, dtype: Any = None) -> Any:
    """Modules one behind the other, with numbers for running statistics as well."""
    torch.manual_seed(len(parts))
    made = nn.Sequential(*parts).to(dtype or torch.float64).eval()
    for name, value in made.named_buffers():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_()
    return made


def check(net: cc.Network, theirs: Any, x: Any, ours: Any = None, wanted: Any = None) -> Any:
    """Compare results to 1e-10, and what comes back bit by bit; return the parameters."""
    given = channels_last(x) if ours is None else ours
    traced = net.traced(given.shape)
    params = weights.load(traced, theirs, "torch")
    expected = theirs(x).detach().numpy() if wanted is None else wanted
    found = net(params, given)
    last = channels_last(expected) if expected.ndim > 2 and wanted is None else expected
    np.testing.assert_allclose(found, last, rtol=1e-10, atol=1e-10)
    back = weights.export(traced, params, "torch", like=theirs)
    assert same_bits(back, {k: v.numpy() for k, v in theirs.state_dict().items()})
    return params


def numbers(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(len(shape)).standard_normal(shape))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(rank: int, groups: int) -> None:
    conv = [nn.Conv1d, nn.Conv2d, nn.Conv3d][rank - 1]
    kernel, stride = (3, 2, 3)[:rank], (2, 1, 2)[:rank]
    net = cc.Network([Conv(6, kernel, stride=stride, padding=1, groups=groups)])
    x = numbers(2, 4, *(7, 6, 5)[:rank])
    check(net, module(conv(4, 6, kernel, stride, 1, groups=groups)), x)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions(rank: int, groups: int) -> None:
    conv = [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d][rank - 1]
    kernel, stride = (3, 2, 3)[:rank], (2, 1, 2)[:rank]
    net = cc.Network([ConvTransposed(6, kernel, stride=stride, groups=groups)])
    check(net, module(conv(4, 6, kernel, stride, groups=groups)), numbers(2, 4, *(5, 4, 3)[:rank]))


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_convolutions(multiplier: int) -> None:
    net = cc.Network([Depthwise(3, multiplier=multiplier, dilation=2)])
    theirs = module(nn.Conv2d(4, 4 * multiplier, 3, groups=4, dilation=2))
    check(net, theirs, numbers(2, 4, 8, 9))


def test_dense_layers_behind_images() -> None:
    net = cc.Network([Conv(5, 3, map="relu"), MaxPool(2), Dense(7, over="h w c")])
    conv, x = nn.Conv2d(3, 5, 3), numbers(2, 3, 10, 8)
    theirs = module(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(60, 7))
    check(net, theirs, x)


def test_dense_layers_behind_images_that_were_turned_before() -> None:
    net = cc.Network([Dense(7, over="h w c")])
    theirs = module(nn.Flatten(), nn.Linear(60, 7))
    x = numbers(2, 4, 3, 5)
    params = weights.load(net.traced(tuple(x.shape)), theirs, "torch", flatten="NHWC")
    np.testing.assert_allclose(net(params, x.numpy()), theirs(x).detach().numpy(), atol=1e-12)


def test_dense_layers_with_one_axis_in_the_order_of_torch() -> None:
    net = cc.Network([Dense(7, over="h w c", order="c h w")])
    params = check(net, module(nn.Flatten(), nn.Linear(60, 7)), numbers(2, 3, 5, 4))
    assert params["dense_1"]["W"].shape == (60, 7)


@pytest.mark.parametrize("string", [
    "b (y-p) (x-q) m, p q m n -> b y x n",                 # a kernel that is turned
    "n (h+k) (w+l) a, a l k z -> n h w z",                 # axes in another order
])  # fmt: skip
def test_layers_with_strings_of_their_own(string: str) -> None:
    full = "y-p" in string
    sizes: Any = {"k": 3, "l": 2, "z": 5}
    if full:
        sizes = {"p": 3, "q": 2, "n": 5, "y": 8, "x": 7}
    net = cc.Network([Layer(string, **sizes)])
    x = numbers(2, 4, 6, 6)
    conv = nn.Conv2d(4, 5, (3, 2), padding=(2, 1) if full else 0, bias=False)
    check(net, module(conv), x)


def test_gathered_transposed_convolutions() -> None:
    string = "b ((h-k)/2) c, k c o -> b h o"
    net = cc.Network([Layer(string, k=3, o=5, h=11)])
    check(net, module(nn.ConvTranspose1d(4, 5, 3, 2, bias=False)), numbers(2, 4, 5))


def test_batch_normalisations() -> None:
    net = cc.Network([Conv(5, 3), BatchNorm(epsilon=1e-5), GlobalPool()])
    theirs = module(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    check(net, theirs, numbers(2, 3, 6, 7))


def test_layer_normalisations() -> None:
    x = numbers(2, 6)
    check(cc.Network([LayerNorm(epsilon=1e-5)]), module(nn.LayerNorm(6)), x, x.numpy())


def test_embeddings() -> None:
    x = torch.arange(8).reshape(2, 4)
    theirs = module(nn.Embedding(9, 5))
    net = cc.Network([Embedding(9, 5)])
    check(net, theirs, x, x.numpy(), theirs(x).detach().numpy())


def test_lstm() -> None:
    theirs, x = module(nn.LSTM(3, 4, batch_first=True)), numbers(2, 5, 3)
    wanted = theirs[0](x)[0][:, -1].detach().numpy()
    net = cc.Network([LSTM(4, sequence=False)])
    params = weights.load(net.traced(x.shape), theirs, "torch")
    np.testing.assert_allclose(net(params, x.numpy()), wanted, atol=1e-10)
    back = weights.export(net.traced(x.shape), params, "torch", names={"lstm_1": "0"})
    assert not back["0.bias_hh_l0"].any()
    assert same_bits(weights.load(net.traced(x.shape), back, "torch"), params)


def test_layers_of_a_recurrence() -> None:
    x = numbers(2, 5, 4)
    first, second = GRU(4, sequence=False), GRU(4, sequence=False)
    net = cc.Network(lambda x: first(x) + second(x))
    theirs = module(nn.GRU(4, 4, 2, batch_first=True))
    params = weights.load(net.traced(x.shape), theirs, "torch")
    state = theirs.state_dict()
    for n, name in enumerate(("gru_1", "gru_2")):
        wanted = state[f"0.weight_hh_l{n}"].reshape(3, 4, 4).permute(2, 0, 1).numpy()
        assert same_bits(params[name]["W_h"], np.ascontiguousarray(wanted))


def test_gru() -> None:
    theirs, x = module(nn.GRU(3, 4, batch_first=True)), numbers(2, 5, 3)
    wanted = theirs[0](x)[0][:, -1].detach().numpy()
    check(cc.Network([GRU(4, sequence=False)]), theirs, x, x.numpy(), wanted)


def test_multi_head_attention() -> None:
    theirs, x = module(nn.MultiheadAttention(6, 2, batch_first=True)), numbers(2, 5, 6)
    wanted = theirs[0](x, x, x)[0].detach().numpy()
    check(cc.Network([Attention(2)]), theirs, x, x.numpy(), wanted)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_stay(dtype: str) -> None:
    net = cc.Network([Conv(5, 3), Dense(2, over="h w c")])
    kind = getattr(torch, dtype)
    theirs = module(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(45, 2), dtype=kind)
    traced = net.traced((1, 5, 5, 3))
    params = weights.load(traced, theirs, "torch")
    assert params["conv_1"]["W"].dtype == dtype
    back = weights.export(traced, params, "torch", like=theirs)
    assert same_bits(back, {k: v.numpy() for k, v in theirs.state_dict().items()})


def test_bfloat16_becomes_float32(capfd: pytest.CaptureFixture[str]) -> None:
    from contractconv import notices

    notices._topics.discard("bfloat16")
    theirs = module(nn.Linear(3, 2), dtype=torch.bfloat16)
    params = weights.load(cc.Network([Dense(2)]).traced((1, 3)), theirs, "torch")
    wanted = np.ascontiguousarray(theirs[0].weight.detach().float().numpy().T)
    assert same_bits(params["dense_1"]["W"], wanted)
    assert "weights in bfloat16 are read as float32" in capfd.readouterr().err


def test_both_directions_of_a_recurrence() -> None:
    theirs, x = module(nn.LSTM(3, 4, batch_first=True, bidirectional=True)), numbers(2, 5, 3)
    net = cc.Network([Concat(LSTM(4), LSTM(4, reverse=True))])
    params = weights.load(net.traced(x.shape), theirs, "torch")
    wanted = theirs[0](x)[0].detach().numpy()
    np.testing.assert_allclose(net(params, x.numpy()), wanted, atol=1e-10)


def test_a_layer_of_a_transformer() -> None:
    theirs = nn.TransformerEncoderLayer(6, 2, 11, batch_first=True).double().eval()
    x = numbers(2, 5, 6)
    net = cc.Network([
        Residual(Attention(2)), LayerNorm(),
        Residual([Dense(11, map="relu"), Dense(6)]), LayerNorm(),
    ])  # fmt: skip
    traced = net.traced(x.shape)
    called = [".".join(call.path) for call in traced.calls if call.parameters]
    there = ["self_attn", "norm1", "linear1", "linear2", "norm2"]
    names = dict(zip(called, there, strict=True))
    params = weights.load(traced, theirs, "torch", names=names)
    wanted = theirs(x).detach().numpy()
    np.testing.assert_allclose(net(params, x.numpy()), wanted, rtol=1e-10, atol=1e-10)
    back = weights.export(traced, params, "torch", names=names)
    assert same_bits(back, {k: v.numpy() for k, v in theirs.state_dict().items()})


def test_files_of_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    net = cc.Network([Conv(5, 3), BatchNorm(), Dense(7, over="h w c"), Dense(7), Dense(2)])
    theirs = module(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(45, 7), nn.Linear(7, 7),
        nn.Linear(7, 2),
    )  # fmt: skip
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    traced = net.traced((1, 5, 5, 3))
    params = weights.load(traced, tmp_path / "net.safetensors", "torch")
    assert same_bits(params, weights.load(traced, theirs, "torch"))
