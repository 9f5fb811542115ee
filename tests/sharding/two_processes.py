"""A convolution over the devices of two processes, which is compared with the whole in each.

``python two_processes.py NUMBER PORT`` is one of them.
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import numpy as np

import contractconv as cc

jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_cpu_enable_async_dispatch", False)

CONVOLUTION = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")


def main(number: int, port: int) -> None:
    """Contract, and compare what this process has of the results."""
    jax.distributed.initialize(f"localhost:{port}", 2, number)
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("space",))
    rng = np.random.default_rng(0)
    x, w = rng.integers(-4, 5, (2, 13, 3)), rng.integers(-4, 5, (3, 3, 2))
    y = CONVOLUTION(x, w)
    g = rng.integers(-4, 5, y.shape)
    shards = [cc.shard(d, mesh, i="space") for d in (CONVOLUTION.grad(0), CONVOLUTION.grad(1))]
    compare(cc.shard(CONVOLUTION, mesh, i="space")(x, w), y)
    for n, sharded in enumerate(shards):
        compare(sharded(g, x, w), CONVOLUTION.grad(n)(g, x, w))
    assert len(jax.devices()) == 4 > len(jax.local_devices())


def compare(made: Any, expected: Any) -> None:
    """What this process has of an array."""
    assert made.shape == expected.shape
    for shard in made.addressable_shards:
        np.testing.assert_array_equal(np.asarray(shard.data), expected[shard.index])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    print("equal")
