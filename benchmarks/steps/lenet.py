"""LeNet-5 with rectifiers, maxima, and a dense layer of 120 where the third convolution was.

Architecture: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86 (1998), section II.B.
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
from benchmarks.steps.strings import convolved, dense, dense_on_image
from contractconv.functions import cross_entropy, max_pool

CLASSES = 10


def lenet(case: NetworkStep) -> Network:
    """For images of ``side``, with a first dense layer of ``width``."""
    side, wide, narrow = (case.side // 2 - 4) // 2, case.width, 84
    p: dict[str, Operand] = {
        "W_1": kernel(5, 1, 6),
        "W_2": kernel(5, 6, 16),
        "W_3": weight("h w c o", (side, side, 16, wide), "o (c h w)", 16 * side**2),
        "W_4": weight("i o", (wide, narrow), "o i", wide),
        "W_5": weight("i o", (narrow, CLASSES), "o i", narrow, gain=1),
    }
    sizes = (("c", 6), ("c", 16), ("i", wide), ("i", narrow), ("i", CLASSES))
    p |= {f"b_{n}": vector(axis, size) for n, (axis, size) in enumerate(sizes, 1)}
    data = {"x": images(case.batch, case.side, 1), "labels": labels((case.batch,), CLASSES)}
    return Network(p, data, ours, in_torch, in_jax)


def ours(p: Values, data: Values) -> Any:
    """The loss as a program."""
    x = data["x"]
    for n, padding in ((1, 2), (2, 0)):
        x = cc.relu(convolved(x, p[f"W_{n}"], padding=padding) + p[f"b_{n}"])
        x = max_pool(x, {"h": 2, "w": 2})
    x = dense_on_image(x, p["W_3"])
    x = cc.relu(x + p["b_3"])
    x = cc.relu(dense(x, p["W_4"]) + p["b_4"])
    return cross_entropy(dense(x, p["W_5"]) + p["b_5"], data["labels"], "i")


def in_torch(torch: Any, p: Values, data: Values) -> Any:
    """The loss in torch."""
    f, x = torch.nn.functional, data["x"]
    for n, padding in ((1, 2), (2, 0)):
        x = f.max_pool2d(f.conv2d(x, p[f"W_{n}"], p[f"b_{n}"], padding=padding).relu(), 2)
    x = f.linear(x.flatten(1), p["W_3"], p["b_3"]).relu()
    x = f.linear(x, p["W_4"], p["b_4"]).relu()
    return f.cross_entropy(f.linear(x, p["W_5"], p["b_5"]), data["labels"])


def in_jax(jax: Any, p: Values, data: Values) -> Any:
    """The loss in jax."""
    relu, x = jax.nn.relu, data["x"]
    for n, padding in ((1, 2), (2, 0)):
        x = jax_layers.convolved(jax, x, p[f"W_{n}"], padding=padding)
        x = jax_layers.max_pooled(jax, relu(x + p[f"b_{n}"]), 2, 2)
    x = relu(jax.numpy.einsum("bhwc,hwco->bo", x, p["W_3"]) + p["b_3"])
    x = relu(x @ p["W_4"] + p["b_4"])
    return jax_layers.cross_entropy(jax, x @ p["W_5"] + p["b_5"], data["labels"])
