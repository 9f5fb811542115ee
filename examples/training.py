"""What the examples share: parameters by their axes, and a training step that is one program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import contractconv as cc
from contractconv import functions as F

Array = NDArray[Any]


class Parameters:
    """Tensors of a network, with the arrays that they begin with; axes of one name are as long.

    Args:
        seed: of what is drawn.
        dtype: of the arrays.
        **sizes: of axes, by name.
    """

    def __init__(self, seed: int = 0, dtype: Any = np.float32, **sizes: int) -> None:
        self._rng, self._dtype, self._sizes = np.random.default_rng(seed), dtype, sizes
        self.tensors: list[cc.Tensor] = []
        self.arrays: list[Array] = []

    def weight(self, name: str, axes: str, over: str) -> cc.Tensor:
        """Numbers drawn such that a sum over some axes is about as large as what is added up."""
        scale = np.sqrt(1 / np.prod(self._shape(over)))
        return self._kept(name, axes, scale * self._rng.standard_normal(self._shape(axes)))

    def zeros(self, name: str, axes: str) -> cc.Tensor:
        return self._kept(name, axes, np.zeros(self._shape(axes)))

    def ones(self, name: str, axes: str) -> cc.Tensor:
        return self._kept(name, axes, np.ones(self._shape(axes)))

    def _shape(self, axes: str) -> tuple[int, ...]:
        return tuple(self._sizes[axis] for axis in axes.split())

    def _kept(self, name: str, axes: str, array: Array) -> cc.Tensor:
        self.tensors.append(cc.tensor(name, axes))
        self.arrays.append(array.astype(self._dtype))
        return self.tensors[-1]


def adam_step(loss: cc.Tensor, inputs: Sequence[cc.Tensor], wrt: Sequence[cc.Tensor]) -> Any:
    """A program of inputs, the number of the step, its rate, parameters and their averages.

    It returns the loss, the next parameters and the next averages.
    """
    number, rate = cc.tensor("number", dtype="int64"), cc.tensor("rate")
    first, second = ([cc.tensor(f"{m}_{p.label}", p.axes) for p in wrt] for m in "ms")
    moved = [
        F.adam(p, slope, m, s, number, rate)
        for p, slope, m, s in zip(wrt, cc.grad(loss, wrt), first, second, strict=True)
    ]
    outputs = [loss, *(part for parts in zip(*moved, strict=True) for part in parts)]
    return cc.compile(outputs, [*inputs, number, rate, *wrt, *first, *second])


def trained(
    loss: cc.Tensor,
    inputs: Sequence[cc.Tensor],
    parameters: Parameters,
    batches: Iterable[Sequence[Array]],
    rate: float,
    steps: int,
) -> list[Array]:
    """Parameters after some steps of Adam, whose rate falls along half a cosine."""
    step = adam_step(loss, inputs, parameters.tensors)
    count = len(parameters.arrays)
    state = [*parameters.arrays, *(np.zeros_like(a) for a in 2 * parameters.arrays)]
    with tqdm(total=steps, unit="step", disable=None) as bar:
        for n, batch in zip(range(steps), batches, strict=False):
            now = np.float32(rate * 0.5 * (1 + np.cos(np.pi * n / steps)))
            value, *state = step(*batch, np.int64(n + 1), now, *state)
            bar.update()
            bar.set_postfix(loss=f"{value:.4f}", refresh=False)
    return state[:count]
