"""LeNet-5 as data: its layers as strings, its first weights, and a batch of images.

Architecture: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86 (1998), section II.B, with rectifiers and max pooling.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.operands import Array

RATE = 0.01
CLASSES = 10


class Layer(NamedTuple):
    """A contraction with a weight and a bias.

    Attributes:
        string: the contraction.
        weight: the weight's shape.
        pooled: whether a maximum over 2x2 windows follows the rectifier.
    """

    string: str
    weight: tuple[int, ...]
    pooled: bool = False


LAYERS = (
    Layer("b (i+k-2) (j+l-2) c, k l c o -> b i j o", (5, 5, 1, 6), pooled=True),
    Layer("b (i+k) (j+l) c, k l c o -> b i j o", (5, 5, 6, 16), pooled=True),
    Layer("b h w c, h w c o -> b o", (5, 5, 16, 120)),
    Layer("b i, i o -> b o", (120, 84)),
    Layer("b i, i o -> b o", (84, CLASSES)),
)
POOL = "b (2*i+k) (2*j+l) c -> b i j c"


def parameters() -> list[Array]:
    """Draw weight, bias, weight, bias, ...: always the same ones.

    >>> [p.shape for p in parameters()][:4]
    [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,)]
    """
    rng = np.random.default_rng(0)
    drawn = []
    for layer in LAYERS:
        scale = np.float32(np.sqrt(2 / np.prod(layer.weight[:-1])))
        drawn.append(scale * rng.standard_normal(layer.weight, np.float32))
        drawn.append(np.zeros(layer.weight[-1], np.float32))
    return drawn


def batch(size: int) -> tuple[Array, Array]:
    """Draw images and the numbers of their classes: always the same ones."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((size, 28, 28, 1), np.float32), rng.integers(CLASSES, size=size)


def movement(before: list[Array], after: list[Array]) -> Array:
    """What one step has subtracted from all parameters: the gradient, as one vector."""
    moved = [(b - a).ravel() / RATE for b, a in zip(before, after, strict=True)]
    return np.concatenate(moved)
