"""Small networks and data to train them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc

L = cc.layers
Array = NDArray[Any]


def classes(rows: int = 22, seed: int = 0) -> tuple[Array, Array]:
    """Small images and their classes; the last batch of eight has six."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 5, 5, 2)), rng.integers(0, 3, rows)


def network() -> cc.Network:
    """A convolution, running statistics, and products."""
    return cc.Network(
        [L.Conv(4, 3), L.BatchNorm(), "relu", L.Dense(5, over="h w c", map="tanh"), L.Dense(3)]
    )


def perceptron(rate: float = 0.0) -> cc.Network:
    """Two products, with numbers lost between them."""
    return cc.Network([L.Dense(6, map="tanh"), L.Dropout(rate), L.Dense(3)])


def flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by one word."""
    return {f"{part}.{n}": a for part, inside in params.items() for n, a in inside.items()}
