"""A training step of LeNet-5 with the library: strings forward, derived contractions backward."""

from __future__ import annotations

from typing import Any

import numpy as np

import contractconv as cc
from benchmarks.layers import Training
from benchmarks.lenet import LAYERS, POOL, RATE, Layer, batch, movement, parameters
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from contractconv.execution.compiled import Compiled

Options = dict[str, Any]


def lenet(case: Training, direction: str, **options: Any) -> Prepared:
    """Compile the network for a batch; each run is a step with the same images."""
    images, labels = batch(case.batch)
    learned = parameters()
    start = [p.copy() for p in learned]
    network = _network(images, learned, options)
    loss = CrossEntropy(labels)

    def step() -> float:
        x = images
        for layer in network:
            x = layer.forward(x)
        value, g = loss(x)
        for layer in reversed(network):
            g = layer.backward(g)
        return value

    return Prepared(step, lambda value: movement(start, learned))


class Linear:
    """A contraction with a weight, a bias for each output, and max(z, 0) where it is wanted.

    Pooling comes before the rectifier: both are monotone, so they commute, and there is less to
    rectify. For the same reason the bias has the same gradient on either side.

    Args:
        layer: the contraction.
        x: an input, for its shape.
        weight: the first weight, which is changed in place.
        bias: likewise.
        rectified: whether max(z, 0) follows.
        options: passed on to `Contraction.compile`.
    """

    def __init__(
        self, layer: Layer, x: Array, weight: Array, bias: Array, rectified: bool, options: Options
    ) -> None:
        self._run = compiled(cc.Contraction(layer.string), x, weight, options=options)
        self._pool = Pool(self._run(x, weight), options) if layer.pooled else None
        self._weight, self._bias, self._rectified = weight, bias, rectified
        spread = cc.Contraction(f"o -> {layer.string.split('-> ')[1]}")
        self._collect = compiled(spread.grad(0).scatter, self.forward(x), options=options)

    def forward(self, x: Array) -> Array:
        """Multiply, add the bias, pool, and rectify."""
        self._x = x
        last = "relu" if self._rectified else None
        if self._pool is None:
            self._y = self._run(x, self._weight, bias=self._bias, activation=last)
        else:
            y = self._run(x, self._weight, bias=self._bias)
            self._y = self._pool.forward(y, last)
        return self._y

    def backward(self, g: Array) -> Array:
        """Return the cotangent of the input, and move weight and bias."""
        if self._rectified:
            g *= self._y > 0
        learned = self._collect(g)
        if self._pool is not None:
            g = self._pool.backward(g)
        dx = self._cotangent(g)
        self._weight -= RATE * self._run.vjp(1, g, self._x, self._weight)
        self._bias -= RATE * learned
        return dx

    def _cotangent(self, g: Array) -> Array:
        return self._run.vjp(0, g, self._x, self._weight)


class FirstLinear(Linear):
    """The layer at the images, whose gradient nobody asks for."""

    def _cotangent(self, g: Array) -> Array:
        return g


class Pool:
    """The maximum over windows of 2x2."""

    def __init__(self, x: Array, options: Options) -> None:
        pool = cc.Contraction(POOL, reduce="max")
        self._run = compiled(pool, x, options={**options, "k": 2, "l": 2})

    def forward(self, x: Array, activation: str | None) -> Array:
        """Return the maxima, rectified if that is wanted."""
        self._x = x
        return self._run(x, activation=activation)

    def backward(self, g: Array) -> Array:
        """Give to each maximum."""
        return self._run.vjp(0, g, self._x)


class CrossEntropy:
    """log Σ exp(scores) - score of the true class, averaged over the batch."""

    def __init__(self, labels: Array) -> None:
        self._true = np.arange(len(labels)), labels

    def __call__(self, scores: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        shifted = scores - scores.max(axis=1, keepdims=True)
        g = np.exp(shifted)
        totals = g.sum(axis=1, keepdims=True)
        losses = np.log(totals[:, 0]) - shifted[self._true]
        g /= totals
        g[self._true] -= 1
        g /= np.float32(len(losses))
        return float(losses.mean()), g


def compiled(contraction: cc.Contraction, *arrays: Array, options: Options) -> Compiled:
    """Compile for the shapes of arrays."""
    shapes = (array.shape for array in arrays)
    return contraction.compile(*shapes, dtype="float32", **options)


def _network(x: Array, learned: list[Array], options: Options) -> list[Linear]:
    """The layers, each compiled for what the ones before it make of the images."""
    network: list[Linear] = []
    for layer, weight, bias in zip(LAYERS, learned[::2], learned[1::2], strict=True):
        kind = Linear if network else FirstLinear
        network.append(kind(layer, x, weight, bias, layer is not LAYERS[-1], options))
        x = network[-1].forward(x)
    return network
