"""One network, three strings, wherever arrays are: the scores and gradients are the same.

    python examples/everywhere.py            # every library that is installed
    python examples/everywhere.py torch      # one of them

Its strings are written once. They run on numpy's arrays by compiled kernels, on PyTorch's and JAX's
by their own convolutions, differentiable and compiled there, on dask's block by block, and on eight
devices by the names of indices: each has four images' rows, and sends what its neighbours' windows
reach.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

# Eight devices of one processor; JAX asks for them when it is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import numpy as np

import contractconv as cc

NET = cc.Network(
    [
        cc.Layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", k=3, l=3, o=16, bias="o", map="relu"),
        cc.Layer("b (2*i+k) (2*j+l) c -> b i j c", k=2, l=2, reduce="max"),
        cc.Layer("b h w c, h w c n -> b n", n=10, bias="n"),
    ]
)

Tree = dict[str, Any]
# Of the loss and the gradients, as numpy's arrays.
Found = tuple[float, Tree]


def by_numpy(params: Tree, images: Any, labels: Any) -> Found:
    """The gradients are contractions that were derived, carried out by numpy and our kernels."""
    loss, slopes = NET.loss_and_grad(params, images, labels)
    return float(loss), slopes


def by_torch(params: Tree, images: Any, labels: Any) -> Found:
    """PyTorch goes backwards; on its way it meets an operator whose gradient is ours."""
    import torch

    leaves = mapped(lambda array: torch.tensor(array, requires_grad=True), params)
    scores = NET(leaves, torch.tensor(images))
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(labels))
    loss.backward()
    return float(loss.detach()), mapped(lambda leaf: leaf.grad.numpy(), leaves)


def by_jax(params: Tree, images: Any, labels: Any) -> Found:
    """JAX traces the network, differentiates what it sees, and compiles all of it."""
    import jax
    import jax.numpy as jnp

    def cost(params: Tree) -> Any:
        scores = jax.nn.log_softmax(NET(params, jnp.asarray(images)))
        return -scores[jnp.arange(len(labels)), labels].mean()

    loss, slopes = jax.jit(jax.value_and_grad(cost))(mapped(jnp.asarray, params))
    return float(loss), mapped(np.asarray, slopes)


def by_dask(params: Tree, images: Any, labels: Any) -> Found:
    """Nothing runs until it is asked for; then a task for each block of four images."""
    import dask
    import dask.array as da

    blocks = (da.from_array(array, chunks=(4, *array.shape[1:])) for array in (images, labels))
    loss, slopes = NET.loss_and_grad(params, *blocks)
    made = dask.compute(loss, slopes)
    return float(made[0]), made[1]


def in_shards(params: Tree, images: Any, labels: Any) -> Found:
    """Images along one axis of a mesh of devices, rows of images along the other one."""
    import jax

    mesh = jax.make_mesh((4, 2), ("data", "space"))
    program = NET.program(images, labels, loss="cross_entropy", gradients=True)
    run = cc.shard(program, mesh, b="data", h="space")
    arrays = [array for layer in params.values() for array in layer.values()]
    print(run.plan(*map(np.shape, (images, labels, *arrays))))
    loss, *slopes = run(images, labels, *arrays)
    names = [(layer, name) for layer in params for name in params[layer]]
    found: Tree = {layer: {} for layer in params}
    for (layer, name), slope in zip(names, slopes, strict=True):
        found[layer][name] = np.asarray(slope)
    return float(loss), found


WAYS: dict[str, tuple[str, Callable[..., Found]]] = {
    "numpy": ("numpy", by_numpy),
    "torch": ("torch", by_torch),
    "jax": ("jax", by_jax),
    "dask": ("dask", by_dask),
    "shards": ("jax", in_shards),
}


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """A function of every array of a nested dict."""
    return {
        name: mapped(function, value) if isinstance(value, dict) else function(value)
        for name, value in tree.items()
    }


def farthest(one: Tree, other: Tree) -> float:
    """The largest distance between two nested dicts of arrays."""
    return max(
        farthest(one[name], value)
        if isinstance(value, dict)
        else float(np.abs(one[name] - value).max())
        for name, value in other.items()
    )


def main() -> None:
    """Carry the network out in every way, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ways", nargs="*", choices=[[], *WAYS], help="all of them by default")
    ways = parser.parse_args().ways or list(WAYS)
    draw = np.random.default_rng(0)
    images = draw.random((16, 28, 28, 1), np.float32)
    labels = draw.integers(0, 10, 16)
    params = NET.init(0, images.shape)
    expected = by_numpy(params, images, labels)
    for name in ways:
        package, way = WAYS[name]
        if find_spec(package) is None:
            print(f"{name:7} is not installed: pip install 'contractconv[{package}]'")
            continue
        loss, slopes = way(params, images, labels)
        apart = farthest(slopes, expected[1])
        print(f"{name:7} loss {loss:.5f}, gradients within {apart:.0e} of numpy's")


if __name__ == "__main__":
    main()
