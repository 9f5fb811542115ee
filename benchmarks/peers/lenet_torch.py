"""A training step of LeNet-5 with eager torch: autograd and torch's own optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.layers import Training
from benchmarks.lenet import RATE, batch, movement, parameters
from benchmarks.operands import Array
from benchmarks.peers import Prepared

# A dense layer takes the flattened image, so its weight is a matrix.
FLATTENED = 4


def lenet(case: Training, direction: str, layout: str) -> Prepared:
    """Bring batch and parameters into torch's layout; each run is a step with the same images."""
    memory_format = getattr(torch, layout)
    drawn, classes = batch(case.batch)
    images = torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    labels = torch.from_numpy(classes)
    start = parameters()
    learned = [_learnable(n, p, memory_format) for n, p in enumerate(start)]
    optimizer = torch.optim.SGD(learned, RATE)

    def step() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(_scores(images, learned), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def moved(value: Any) -> Array:
        return movement(start, [_ours(p, s.shape) for p, s in zip(learned, start, strict=True)])

    return Prepared(step, moved)


def _scores(x: Any, p: list[Any]) -> Any:
    x = functional.max_pool2d(functional.relu(functional.conv2d(x, p[0], p[1], padding=2)), 2)
    x = functional.max_pool2d(functional.relu(functional.conv2d(x, p[2], p[3])), 2)
    x = functional.relu(functional.linear(x.flatten(1), p[4], p[5]))
    x = functional.relu(functional.linear(x, p[6], p[7]))
    return functional.linear(x, p[8], p[9])


def _learnable(n: int, parameter: Array, memory_format: Any) -> Any:
    tensor = torch.from_numpy(parameter)
    if tensor.dim() == 4:
        tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=memory_format)
    else:
        tensor = tensor.T.contiguous() if tensor.dim() == 2 else tensor
    if n == FLATTENED:
        tensor = tensor.flatten(1)
    return tensor.clone().requires_grad_()


def _ours(tensor: Any, shape: tuple[int, ...]) -> Array:
    if len(shape) == 4:
        *taps, channels, outputs = shape
        return np.asarray(tensor.detach().reshape(outputs, channels, *taps).permute(2, 3, 1, 0))
    return np.asarray(tensor.detach().T if tensor.dim() == 2 else tensor.detach())
