"""A normalisation folded into the layer before it, against torch after training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import weights
from contractconv.errors import ShapeError
from contractconv.layers import BatchNorm, Conv, ConvTransposed, Dense, Depthwise
from contractconv.weights.folding import folding

KINDS = [
    (Conv(6, 3), "k l c o", "o"),
    (Conv(6, 3, groups=2), "k l g c o", "g o"),
    (Conv(6, 3, bias=False), "k l c o", "o"),
    (Depthwise(3, multiplier=2), "k l c o", "c o"),
    (ConvTransposed(6, 3), "k l c o", "o"),
    (Dense(6), "c o", "o"),
]


def theirs(part: Any, torch: Any) -> Any:
    """The layer of torch with a normalisation behind it."""
    nn = torch.nn
    made = {
        "conv": lambda: nn.Conv2d(4, 6, 3, groups=getattr(part, "groups", 1), bias=part.bias),
        "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
        "transposed": lambda: nn.ConvTranspose2d(4, 6, 3),
        "dense": lambda: nn.Linear(4, 6),
    }[part.kind]()
    channels = 8 if part.kind == "depthwise" else 6
    norm = nn.BatchNorm1d(channels) if part.kind == "dense" else nn.BatchNorm2d(channels)
    net = nn.Sequential(made, norm).double().eval()
    for name, value in norm.named_parameters():
        value.data = torch.rand_like(value) + 0.5 * (name == "weight")
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.01, 3)
    return net


@pytest.mark.parametrize(("part", "axes", "channels"), KINDS)
def test_the_folded_layer_is_both(part: Any, axes: str, channels: str) -> None:
    torch: Any = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = theirs(part, torch)
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64)
    if part.kind == "dense":
        x = x[..., 0, 0]
    ours = np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    both = cc.Network([part, BatchNorm()])
    params = weights.load(both.traced(ours.shape), net, "torch")
    layer, norm = params[f"{part.kind}_1"], params["batch_norm_1"]
    W, bias = weights.fold(layer["W"], layer.get("bias"), **norm, axes=axes, channels=channels)
    folded = {"W": W} | ({"bias": bias} if "bias" in layer else {})
    found = cc.Network([part])({f"{part.kind}_1": folded}, ours)
    if "bias" not in layer:
        found = found + bias
    wanted = np.moveaxis(net(x).detach().numpy(), 1, -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_dtypes_stay() -> None:
    one = np.ones(2, np.float32)
    W, bias = weights.fold(np.ones((3, 2), np.float32), one, one, one, one, one, axes="c o")
    assert (W.dtype, bias.dtype) == (np.float32, np.float32)


def test_axes_that_the_weight_lacks() -> None:
    with pytest.raises(ShapeError, match="the weight has the axes 'c o', and not all of 'n'"):
        folding("c o", "n")


def test_it_is_a_program() -> None:
    program = folding("c o", "o", epsilon=0.5)
    assert cc.read(str(program)) == program
    assert program.verify().summary.startswith("verified: fold")
