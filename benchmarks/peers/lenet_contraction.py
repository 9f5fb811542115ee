"""A training step of LeNet-5 with the library: a network of strings, each step one program."""

from __future__ import annotations

from typing import Any

import numpy as np

import contractconv as cc
from benchmarks.layers import Training
from benchmarks.lenet import LAYERS, POOL, RATE, Layer, batch, movement, parameters
from benchmarks.operands import Array
from benchmarks.peers import Prepared


def lenet(case: Training, direction: str, **options: Any) -> Prepared:
    """Compile a step for a batch; each run is a step with the same images."""
    images, labels = batch(case.batch)
    network = cc.Network([part for layer in LAYERS for part in parts(layer)])
    traced = network.traced(images).parameters
    start = parameters()
    step = network.stepper(cc.training.SGD(RATE))
    state = step.first(traced, start)
    rng = np.random.default_rng(0)

    def moved(value: Any) -> Array:
        return movement(start, list(state["parameters"].values()))

    def run() -> float:
        nonlocal state
        loss, state = step((images, labels), 1, RATE, state, rng)
        return loss

    return Prepared(run, moved)


def parts(layer: Layer) -> list[Any]:
    """A contraction with a weight; bias and rectifier, behind the maxima where there are any.

    All of them are monotone, so they commute, and there is less to do behind the maxima.
    """
    given = dict(zip(_names(layer), layer.weight, strict=True))
    last: Any = "relu" if layer is not LAYERS[-1] else None
    if not layer.pooled:
        return [cc.Layer(layer.string, bias="o", map=last, o=given["o"])]
    sizes = {name: given[name] for name in ("k", "l", "o")}
    pool = cc.Layer(POOL, reduce="max", bias="c", map=last, k=2, l=2)
    return [cc.Layer(layer.string, **sizes), pool]


def _names(layer: Layer) -> list[str]:
    """The indices of the weight."""
    return layer.string.split("->")[0].split(",")[1].split()
