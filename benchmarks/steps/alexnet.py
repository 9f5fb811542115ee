"""AlexNet in one tower, without dropout and without the normalisation of neighbouring channels.

Architecture: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
neural networks", NeurIPS (2012), section 3.5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
from benchmarks.steps.strings import convolved, dense, dense_on_image
from contractconv.functions import cross_entropy, max_pool

CLASSES = 1000


class Layer(NamedTuple):
    """A convolution, a rectifier, and perhaps the maxima of windows of three by three."""

    size: int
    outputs: int
    stride: int
    padding: int
    pooled: bool


LAYERS = (
    Layer(11, 96, 4, 0, pooled=True),
    Layer(5, 256, 1, 2, pooled=True),
    Layer(3, 384, 1, 1, pooled=False),
    Layer(3, 384, 1, 1, pooled=False),
    Layer(3, 256, 1, 1, pooled=True),
)
DENSE = len(LAYERS)


def alexnet(case: NetworkStep) -> Network:
    """For images of ``side``, with dense layers of ``width``."""
    parameters: dict[str, Operand] = {}
    side, channels = case.side, 3
    for n, layer in enumerate(LAYERS):
        parameters[f"W_{n}"] = kernel(layer.size, channels, layer.outputs)
        parameters[f"b_{n}"] = vector("c", layer.outputs)
        side = (side + 2 * layer.padding - layer.size) // layer.stride + 1
        side = (side - 3) // 2 + 1 if layer.pooled else side
        channels = layer.outputs
    wide = case.width
    flat = side**2 * channels
    parameters["W_5"] = weight("h w c o", (side, side, channels, wide), "o (c h w)", flat)
    parameters["W_6"] = weight("i o", (wide, wide), "o i", wide)
    parameters["W_7"] = weight("i o", (wide, CLASSES), "o i", wide, gain=1)
    for n, size in enumerate((wide, wide, CLASSES), DENSE):
        parameters[f"b_{n}"] = vector("i", size)
    data = {"x": images(case.batch, case.side, 3), "labels": labels((case.batch,), CLASSES)}
    return Network(parameters, data, ours, in_torch, in_jax, rate=1e-3)


def ours(p: Values, data: Values) -> Any:
    """The loss as a program."""
    x = data["x"]
    for n, layer in enumerate(LAYERS):
        x = convolved(x, p[f"W_{n}"], layer.stride, layer.padding) + p[f"b_{n}"]
        x = cc.relu(x)
        x = max_pool(x, {"h": 3, "w": 3}, stride=2) if layer.pooled else x
    x = dense_on_image(x, p["W_5"])
    x = cc.relu(x + p["b_5"])
    x = cc.relu(dense(x, p["W_6"]) + p["b_6"])
    return cross_entropy(dense(x, p["W_7"]) + p["b_7"], data["labels"], "i")


def in_torch(torch: Any, p: Values, data: Values) -> Any:
    """The loss in torch."""
    f, x = torch.nn.functional, data["x"]
    for n, layer in enumerate(LAYERS):
        x = f.conv2d(x, p[f"W_{n}"], p[f"b_{n}"], layer.stride, layer.padding).relu()
        x = f.max_pool2d(x, 3, 2) if layer.pooled else x
    x = f.linear(x.flatten(1), p["W_5"], p["b_5"]).relu()
    x = f.linear(x, p["W_6"], p["b_6"]).relu()
    return f.cross_entropy(f.linear(x, p["W_7"], p["b_7"]), data["labels"])


def in_jax(jax: Any, p: Values, data: Values) -> Any:
    """The loss in jax."""
    relu, x = jax.nn.relu, data["x"]
    for n, layer in enumerate(LAYERS):
        x = jax_layers.convolved(jax, x, p[f"W_{n}"], layer.stride, layer.padding)
        x = relu(x + p[f"b_{n}"])
        x = jax_layers.max_pooled(jax, x, 3, 2) if layer.pooled else x
    x = x.reshape(len(x), -1)
    x = relu(x @ p["W_5"].reshape(x.shape[1], -1) + p["b_5"])
    x = relu(x @ p["W_6"] + p["b_6"])
    return jax_layers.cross_entropy(jax, x @ p["W_7"] + p["b_7"], data["labels"])
