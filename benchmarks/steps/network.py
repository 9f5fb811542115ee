"""What a network is here: operands with named axes, and one loss in each library's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from benchmarks.layers import Shape
from benchmarks.operands import Array

# How many elements of a parameter are compared.
COMPARED = 1 << 16

Values = Mapping[str, Any]
"""Arrays, or symbolic tensors, by name."""


class Operand(NamedTuple):
    """A parameter, or something that a network is given.

    Attributes:
        axes: their names, in our order, which is jax's too: ``"k l c o"``.
        shape: their sizes.
        torch: the same axes in torch's order, ``"o c k l"``; some are written as one,
            ``"o (c h w)"``, and an axis of size one is ``1``.
        mean: of the normally distributed numbers that it holds.
        deviation: of these.
        classes: if it holds the numbers of classes, how many there are.
    """

    axes: str
    shape: Shape
    torch: str
    mean: float = 0.0
    deviation: float = 1.0
    classes: int = 0

    def drawn(self, rng: np.random.Generator) -> Array:
        """Draw an array."""
        if self.classes:
            return rng.integers(self.classes, size=self.shape)
        numbers = rng.standard_normal(self.shape, np.float32)
        return np.float32(self.mean) + np.float32(self.deviation) * numbers


@dataclass(frozen=True)
class Network:
    """A network with a loss.

    Attributes:
        parameters: what is learned.
        data: what it learns from.
        ours: the loss as a symbolic tensor, from symbolic tensors: parameters, data.
        in_torch: the loss from torch, parameters, data.
        in_jax: the loss from jax, parameters, data.
        rate: by how much of the gradient a step moves; so little that steps do not diverge, and
            so much that float32 can tell from it what the gradient was.
    """

    parameters: Mapping[str, Operand]
    data: Mapping[str, Operand]
    ours: Callable[[Values, Values], Any]
    in_torch: Callable[[Any, Values, Values], Any]
    in_jax: Callable[[Any, Values, Values], Any]
    rate: float = 0.01


def weight(axes: str, shape: Shape, torch: str, fan: int, gain: float = 2.0) -> Operand:
    """A weight of which each output is a sum over so many inputs (He et al., ICCV 2015)."""
    return Operand(axes, shape, torch, deviation=(gain / fan) ** 0.5)


def kernel(size: int, channels: int, outputs: int) -> Operand:
    """The weight of a convolution.

    >>> kernel(3, 4, 5).shape
    (3, 3, 4, 5)
    """
    return weight("k l c o", (size, size, channels, outputs), "o c k l", size**2 * channels)


def vector(axis: str, size: int, mean: float = 0.0) -> Operand:
    """A bias; with mean one, the scale of a normalisation."""
    return Operand(axis, (size,), axis, mean, deviation=0.1)


def images(batch: int, side: int, channels: int) -> Operand:
    """Square images."""
    return Operand("b h w c", (batch, side, side, channels), "b c h w")


def labels(shape: Shape, classes: int, axes: str = "b") -> Operand:
    """The numbers of classes."""
    return Operand(axes, shape, axes, classes=classes)


def drawn(operands: Mapping[str, Operand], seed: int) -> dict[str, Array]:
    """Draw all of them: always the same ones.

    >>> drawn({"W": kernel(3, 1, 2)}, 0)["W"].dtype
    dtype('float32')
    """
    rng = np.random.default_rng(seed)
    return {name: operand.drawn(rng) for name, operand in operands.items()}


def to_torch(operand: Operand, array: Array) -> Array:
    """An array in the order of torch's axes.

    >>> to_torch(Operand("h w c o", (2, 3, 4, 5), "o (c h w)"), np.ones((2, 3, 4, 5))).shape
    (5, 24)
    """
    order = [operand.axes.split().index(name) for name in _names(operand)]
    sizes = dict(zip(operand.axes.split(), operand.shape, strict=True))
    groups = re.findall(r"\([^)]*\)|\w+", operand.torch)
    shape = [prod(sizes.get(name, 1) for name in re.findall(r"\w+", group)) for group in groups]
    return array.transpose(order).reshape(shape)


def from_torch(operand: Operand, array: Array) -> Array:
    """An array in the order of our axes.

    >>> given = Operand("h w c o", (2, 3, 4, 5), "o (c h w)")
    >>> a = np.arange(120).reshape(given.shape)
    >>> bool((from_torch(given, to_torch(given, a)) == a).all())
    True
    """
    names = _names(operand)
    sizes = dict(zip(operand.axes.split(), operand.shape, strict=True))
    whole = array.reshape([sizes[name] for name in names])
    return whole.transpose([names.index(name) for name in operand.axes.split()])


def movements(
    loss: float, before: Mapping[str, Array], after: Mapping[str, Array], rate: float
) -> Array:
    """The loss and what one step has subtracted from each parameter, as one vector.

    >>> before, after = {"w": np.array([1.0, 2.0])}, {"w": np.array([0.99, 2.02])}
    >>> movements(3.0, before, after, 0.01).round(6).tolist()
    [3.0, 0.693147, 0.5, -1.0]
    """
    moved = ((start - after[name]) / rate for name, start in before.items())
    return np.concatenate([[loss], together(moved)])


def together(arrays: Iterable[Array]) -> Array:
    """Arrays as one vector in which an error of any of them is seen.

    Each is divided by its largest element, whose logarithm stands beside it: else an error in a
    small gradient would be lost beside a large one. Of a large array some elements stand for all.

    >>> together([np.array([[1.0, -4.0]]), np.array([0.5])]).round(6).tolist()
    [1.386294, 0.25, -1.0, -0.693147, 1.0]
    """
    parts: list[Any] = []
    for array in arrays:
        numbers = array.ravel()
        largest = np.abs(numbers).max()
        # An odd stride meets every column of a matrix whose size is a power of two.
        parts += [[np.log(largest)], numbers[:: numbers.size // COMPARED | 1] / largest]
    return np.concatenate(parts)


def _names(operand: Operand) -> list[str]:
    """Torch's axes that have a name, in order."""
    return [name for name in re.findall(r"\w+", operand.torch) if name != "1"]
