"""The library itself on JAX's arrays, each direction compiled by XLA as a function of its own."""

from __future__ import annotations

import jax

from benchmarks.layers import FORWARD, Convolution
from benchmarks.operands import operands
from benchmarks.peers import Prepared
from benchmarks.peers.jax_jit import compiled, start
from benchmarks.peers.strings_of_layouts import of_direction

__all__ = ["KINDS", "start"]


def _convolution(case: Convolution, direction: str) -> Prepared:
    x, w, g = map(jax.numpy.asarray, operands(case))
    call, extents = of_direction(case, "weights last", direction)
    given = (x, w) if direction == FORWARD else (g, x, w)
    return compiled(lambda *arrays: call(*arrays, **extents), *given)


KINDS = {Convolution: _convolution}
