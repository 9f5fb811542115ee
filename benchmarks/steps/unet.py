"""A small U-Net: two levels down and up again, and what was on the way down beside what comes up.

Architecture: Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image
segmentation", MICCAI (2015), figure 1, with padded convolutions.
"""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.layers import NetworkStep
from benchmarks.steps import jax_layers
from benchmarks.steps.network import (
    Network,
    Operand,
    Values,
    images,
    kernel,
    labels,
    vector,
    weight,
)
from benchmarks.steps.strings import IMAGE, contracted, convolved
from contractconv.api.tensor import Tensor
from contractconv.functions import cross_entropy, max_pool

CHANNELS, CLASSES = 3, 2


def unet(case: NetworkStep) -> Network:
    """For images of ``side``; ``width`` channels at the top, and twice as many a level below."""
    c = case.width
    p: dict[str, Operand] = {}
    _add_pair(p, "down_0", CHANNELS, c)
    _add_pair(p, "down_1", c, 2 * c)
    _add_pair(p, "down_2", 2 * c, 4 * c)
    for level, wide in ((1, 2 * c), (0, c)):
        shape = (2, 2, 2 * wide, wide)
        p[f"W_up_{level}"] = weight("k l c o", shape, "c o k l", 2 * wide)
        p[f"b_up_{level}"] = vector("c", wide)
        _add_pair(p, f"up_{level}", 2 * wide, wide)
    p["W_last"] = weight("c o", (c, CLASSES), "o c 1 1", c, gain=1)
    p["b_last"] = vector("c", CLASSES)
    points = (case.batch, case.side, case.side)
    data = {
        "x": images(case.batch, case.side, CHANNELS),
        "labels": labels(points, CLASSES, "b h w"),
    }
    return Network(p, data, ours, in_torch, in_jax)


def _add_pair(p: dict[str, Operand], name: str, channels: int, outputs: int) -> None:
    """The parameters of two convolutions."""
    for n, read in ((1, channels), (2, outputs)):
        p[f"W_{name}_{n}"] = kernel(3, read, outputs)
        p[f"b_{name}_{n}"] = vector("c", outputs)


def ours(p: Values, data: Values) -> Any:
    """The loss as a program."""

    def pair(name: str, x: Any) -> Any:
        for n in (1, 2):
            x = convolved(x, p[f"W_{name}_{n}"], padding=1) + p[f"b_{name}_{n}"]
            x = cc.relu(x)
        return x

    def up(level: int, x: Tensor, beside: Tensor) -> Any:
        string = "b h w c, k l c o -> b (2*h+k) (2*w+l) o"
        y = contracted(string, x, p[f"W_up_{level}"], IMAGE) + p[f"b_up_{level}"]
        return pair(f"up_{level}", cc.concat([beside, y], "c"))

    top = pair("down_0", data["x"])
    middle = pair("down_1", _half(top))
    x = up(0, up(1, pair("down_2", _half(middle)), middle), top)
    return cross_entropy(convolved(x, p["W_last"]) + p["b_last"], data["labels"], "c")


def _half(x: Any) -> Any:
    return max_pool(x, {"h": 2, "w": 2})


def in_torch(torch: Any, p: Values, data: Values) -> Any:
    """The loss in torch."""
    f = torch.nn.functional

    def pair(name: str, x: Any) -> Any:
        for n in (1, 2):
            x = f.conv2d(x, p[f"W_{name}_{n}"], p[f"b_{name}_{n}"], padding=1).relu()
        return x

    def up(level: int, x: Any, beside: Any) -> Any:
        y = f.conv_transpose2d(x, p[f"W_up_{level}"], p[f"b_up_{level}"], stride=2)
        return pair(f"up_{level}", torch.cat([beside, y], 1))

    top = pair("down_0", data["x"])
    middle = pair("down_1", f.max_pool2d(top, 2))
    x = up(0, up(1, pair("down_2", f.max_pool2d(middle, 2)), middle), top)
    return f.cross_entropy(f.conv2d(x, p["W_last"], p["b_last"]), data["labels"])


def in_jax(jax: Any, p: Values, data: Values) -> Any:
    """The loss in jax."""
    np = jax.numpy

    def pair(name: str, x: Any) -> Any:
        for n in (1, 2):
            x = jax_layers.convolved(jax, x, p[f"W_{name}_{n}"], padding=1)
            x = jax.nn.relu(x + p[f"b_{name}_{n}"])
        return x

    def up(level: int, x: Any, beside: Any) -> Any:
        b, h, w, _ = x.shape
        y = np.einsum("bhwc,klco->bhkwlo", x, p[f"W_up_{level}"]).reshape(b, 2 * h, 2 * w, -1)
        return pair(f"up_{level}", np.concatenate([beside, y + p[f"b_up_{level}"]], -1))

    top = pair("down_0", data["x"])
    middle = pair("down_1", jax_layers.max_pooled(jax, top, 2, 2))
    x = pair("down_2", jax_layers.max_pooled(jax, middle, 2, 2))
    x = up(0, up(1, x, middle), top)
    return jax_layers.cross_entropy(jax, x @ p["W_last"] + p["b_last"], data["labels"])
