"""A block of MobileNetV2: channels are multiplied, filtered one by one, and brought together again.

Architecture: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: inverted residuals and linear
bottlenecks", CVPR (2018), table 1 and figure 4(d).
"""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.layers import NetworkStep
from benchmarks.steps import jax_layers
from benchmarks.steps.network import Network, Values, images, vector, weight
from benchmarks.steps.strings import convolved
from contractconv.functions import batch_norm, mse

EXPANSION = 6


def mobilenet(case: NetworkStep) -> Network:
    """A block for images of ``side`` with ``width`` channels."""
    c, wide = case.width, EXPANSION * case.width
    parameters = {
        "W_1": weight("c o", (c, wide), "o c 1 1", c),
        "W_2": weight("k l c", (3, 3, wide), "c 1 k l", 9),
        "W_3": weight("c o", (wide, c), "o c 1 1", wide),
    }
    for n, size in enumerate((wide, wide, c), 1):
        parameters[f"scale_{n}"] = vector("c", size, mean=1)
        parameters[f"shift_{n}"] = vector("c", size)
    x = images(case.batch, case.side, c)
    return Network(parameters, {"x": x, "target": x}, ours, in_torch, in_jax)


def ours(p: Values, data: Values) -> Any:
    """The loss as a program."""
    y = cc.relu6(_normalized(p, 1, convolved(data["x"], p["W_1"])))
    y = cc.relu6(_normalized(p, 2, convolved(y, p["W_2"], padding=1)))
    y = _normalized(p, 3, convolved(y, p["W_3"]))
    return mse(y + data["x"], data["target"])


def _normalized(p: Values, n: int, x: Any) -> Any:
    return batch_norm(x, "b h w", p[f"scale_{n}"], p[f"shift_{n}"])[0]


def in_torch(torch: Any, p: Values, data: Values) -> Any:
    """The loss in torch."""
    f, x = torch.nn.functional, data["x"]

    def normalized(n: int, x: Any) -> Any:
        return f.batch_norm(x, None, None, p[f"scale_{n}"], p[f"shift_{n}"], training=True)

    y = f.relu6(normalized(1, f.conv2d(x, p["W_1"])))
    y = f.relu6(normalized(2, f.conv2d(y, p["W_2"], padding=1, groups=y.shape[1])))
    return f.mse_loss(normalized(3, f.conv2d(y, p["W_3"])) + x, data["target"])


def in_jax(jax: Any, p: Values, data: Values) -> Any:
    """The loss in jax."""

    def normalized(n: int, x: Any) -> Any:
        return jax_layers.batch_normalized(jax, x, p[f"scale_{n}"], p[f"shift_{n}"])

    y = jax.nn.relu6(normalized(1, data["x"] @ p["W_1"]))
    kernel = p["W_2"][:, :, None]
    y = jax_layers.convolved(jax, y, kernel, padding=1, groups=y.shape[-1])
    y = normalized(3, jax.nn.relu6(normalized(2, y)) @ p["W_3"])
    return jax.numpy.mean((y + data["x"] - data["target"]) ** 2)
