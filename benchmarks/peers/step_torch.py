"""A training step of a network with torch: autograd and torch's own optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.layers import NetworkStep
from benchmarks.operands import Array
from benchmarks.peers import Prepared
from benchmarks.steps import network
from benchmarks.steps.network import Operand, drawn, from_torch, movements, to_torch


def step(case: NetworkStep, direction: str, layout: str, compiled: bool = False) -> Prepared:
    """Bring data and parameters into torch's layout; each run is a step with the same data."""
    net = network(case)
    start, given = drawn(net.parameters, 0), drawn(net.data, 1)
    learned = {n: laid_out(net.parameters[n], a, layout) for n, a in start.items()}
    data = {n: laid_out(net.data[n], a, layout) for n, a in given.items()}
    for parameter in learned.values():
        parameter.requires_grad_()
    optimizer = torch.optim.SGD(learned.values(), net.rate)

    def loss_of() -> Any:
        return net.in_torch(torch, learned, data)

    forward = torch.compile(loss_of) if compiled else loss_of

    def run() -> Any:
        optimizer.zero_grad()
        loss = forward()
        loss.backward()
        optimizer.step()
        return loss.item()

    def moved(loss: Any) -> Array:
        after = {n: from_torch(net.parameters[n], _array(p)) for n, p in learned.items()}
        return movements(loss, start, after, net.rate)

    return Prepared(run, moved)


def laid_out(operand: Operand, array: Array, layout: str) -> Any:
    """An array as a tensor in torch's order of axes, and in the memory layout asked for."""
    # A copy: what is learned must not change what it began with.
    tensor = torch.tensor(to_torch(operand, array))
    wanted = getattr(torch, layout)
    return tensor.contiguous(memory_format=wanted) if tensor.dim() == 4 else tensor


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach())
