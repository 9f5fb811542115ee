"""A block of a residual network: two convolutions with batch normalisation, and a shortcut.

Architecture: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR (2016),
figure 5, left.
"""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.layers import NetworkStep
from benchmarks.steps import jax_layers
from benchmarks.steps.network import Network, Values, images, kernel, vector
from benchmarks.steps.strings import convolved
from contractconv.functions import batch_norm, mse


def resnet(case: NetworkStep) -> Network:
    """A block for images of ``side`` with ``width`` channels."""
    c = case.width
    parameters = {}
    for n in (1, 2):
        parameters[f"W_{n}"] = kernel(3, c, c)
        parameters[f"scale_{n}"] = vector("c", c, mean=1)
        parameters[f"shift_{n}"] = vector("c", c)
    x = images(case.batch, case.side, c)
    return Network(parameters, {"x": x, "target": x}, ours, in_torch, in_jax)


def ours(p: Values, data: Values) -> Any:
    """The loss as a program."""
    y = cc.relu(_normalized(p, 1, data["x"]))
    y = _normalized(p, 2, y) + data["x"]
    return mse(cc.relu(y), data["target"])


def _normalized(p: Values, n: int, x: Any) -> Any:
    y = convolved(x, p[f"W_{n}"], padding=1)
    return batch_norm(y, "b h w", p[f"scale_{n}"], p[f"shift_{n}"])[0]


def in_torch(torch: Any, p: Values, data: Values) -> Any:
    """The loss in torch."""
    f, x = torch.nn.functional, data["x"]

    def normalized(n: int, x: Any) -> Any:
        y = f.conv2d(x, p[f"W_{n}"], padding=1)
        return f.batch_norm(y, None, None, p[f"scale_{n}"], p[f"shift_{n}"], training=True)

    y = normalized(2, normalized(1, x).relu()) + x
    return f.mse_loss(y.relu(), data["target"])


def in_jax(jax: Any, p: Values, data: Values) -> Any:
    """The loss in jax."""

    def normalized(n: int, x: Any) -> Any:
        y = jax_layers.convolved(jax, x, p[f"W_{n}"], padding=1)
        return jax_layers.batch_normalized(jax, y, p[f"scale_{n}"], p[f"shift_{n}"])

    y = normalized(2, jax.nn.relu(normalized(1, data["x"]))) + data["x"]
    return jax.numpy.mean((jax.nn.relu(y) - data["target"]) ** 2)
