"""A training step of LeNet-5 with the library: strings forward, derived contractions backward."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

import contractconv as cc
from benchmarks.layers import Training
from benchmarks.lenet import CLASSES, LAYERS, POOL, RATE, batch, movement, parameters
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from contractconv.execution.compiled import Compiled

Options = dict[str, Any]


def lenet(case: Training, direction: str, **options: Any) -> Prepared:
    """Compile the network for a batch; each run is a step with the same images."""
    images, labels = batch(case.batch)
    learned = parameters()
    start = [p.copy() for p in learned]
    stages, scores = _network(images, learned, options)
    loss = CrossEntropy(scores, labels, options)

    def step() -> float:
        x = images
        for stage in stages:
            x = stage.forward(x)
        value, g = loss(x)
        for stage in reversed(stages):
            g = stage.backward(g)
        return value

    return Prepared(step, lambda value: movement(start, learned))


class Stage(Protocol):
    """A part of the network."""

    def forward(self, x: Array) -> Array:
        """Return the result, and remember what the way back needs."""
        ...

    def backward(self, g: Array) -> Array:
        """Return the cotangent of the input, and learn."""
        ...


class Linear:
    """A contraction with a weight, a bias for each output, and max(z, 0) where it is wanted.

    Args:
        string: the contraction.
        x: an input, for its shape.
        weight: the first weight, which is changed in place.
        bias: likewise.
        activation: ``"relu"``, or ``None`` for the scores.
        options: passed on to `Contraction.compile`.
    """

    def __init__(
        self,
        string: str,
        x: Array,
        weight: Array,
        bias: Array,
        activation: str | None,
        options: Options,
    ) -> None:
        self._run = compiled(cc.Contraction(string), x, weight, options=options)
        spread = cc.Contraction(f"o -> {string.split('-> ')[1]}")
        collect = spread.grad(0).scatter
        self._collect = compiled(collect, self._run(x, weight), options=options)
        self._weight, self._bias, self._activation = weight, bias, activation

    def forward(self, x: Array) -> Array:
        """Multiply, add the bias, and rectify."""
        self._x = x
        self._y = self._run(x, self._weight, bias=self._bias, activation=self._activation)
        return self._y

    def backward(self, g: Array) -> Array:
        """Return the cotangent of the input, and move weight and bias."""
        if self._activation is not None:
            g = g * (self._y > 0)
        dx = self._cotangent(g)
        self._weight -= RATE * self._run.vjp(1, g, self._x, self._weight)
        self._bias -= RATE * self._collect(g)
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

    def forward(self, x: Array) -> Array:
        """Return the maxima."""
        self._x = x
        return self._run(x)

    def backward(self, g: Array) -> Array:
        """Give to each maximum."""
        return self._run.vjp(0, g, self._x)


class CrossEntropy:
    """log Σ exp(scores) - score of the true class, averaged over the batch."""

    def __init__(self, scores: Array, labels: Array, options: Options) -> None:
        self._target = np.eye(CLASSES, dtype=np.float32)[labels]
        self._share = np.full(len(labels), 1 / len(labels), np.float32)
        total = cc.Contraction("b o -> b", reduce="logsumexp")
        self._total = compiled(total, scores, options=options)
        true = cc.Contraction("b o, b o -> b")
        self._true = compiled(true, scores, self._target, options=options)

    def __call__(self, scores: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        losses = self._total(scores) - self._true(scores, self._target)
        g = self._total.vjp(0, self._share, scores)
        g -= self._true.vjp(0, self._share, scores, self._target)
        return float(losses @ self._share), g


def compiled(contraction: cc.Contraction, *arrays: Array, options: Options) -> Compiled:
    """Compile for the shapes of arrays."""
    shapes = (array.shape for array in arrays)
    return contraction.compile(*shapes, dtype="float32", **options)


def _network(x: Array, learned: list[Array], options: Options) -> tuple[list[Stage], Array]:
    """The stages, each compiled for what the ones before it make of the images, and the scores."""
    stages: list[Stage] = []

    def add(stage: Stage) -> None:
        nonlocal x
        stages.append(stage)
        x = stage.forward(x)

    for layer, weight, bias in zip(LAYERS, learned[::2], learned[1::2], strict=True):
        kind = Linear if stages else FirstLinear
        activation = None if layer is LAYERS[-1] else "relu"
        add(kind(layer.string, x, weight, bias, activation, options))
        if layer.pooled:
            add(Pool(x, options))
    return stages, x
