"""A training step of a network with jax, compiled by XLA as one function."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from benchmarks.layers import NetworkStep
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from benchmarks.steps import network
from benchmarks.steps.network import drawn, movements


def step(case: NetworkStep, direction: str) -> Prepared:
    """Compile the step; each run is one, with the same data."""
    net = network(case)
    start = drawn(net.parameters, 0)
    data = {name: jax.numpy.asarray(array) for name, array in drawn(net.data, 1).items()}
    learned = {name: jax.numpy.array(array) for name, array in start.items()}

    def stepped(learned: Any, data: Any) -> Any:
        loss, slopes = jax.value_and_grad(lambda p: net.in_jax(jax, p, data))(learned)
        return loss, jax.tree.map(lambda w, g: w - net.rate * g, learned, slopes)

    # The old parameters' memory may be the new ones'.
    compiled = jax.jit(stepped, donate_argnums=0)

    def run() -> Any:
        loss, after = jax.block_until_ready(compiled(learned, data))
        learned.update(after)
        return loss

    def moved(loss: Any) -> Array:
        after = {n: np.asarray(p) for n, p in learned.items()}
        return movements(float(loss), start, after, net.rate)

    return Prepared(run, moved)
