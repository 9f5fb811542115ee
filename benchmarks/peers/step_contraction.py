"""A training step of a network as one program: loss, derived gradients, and their step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import contractconv as cc
from benchmarks.layers import NetworkStep
from benchmarks.peers import Prepared
from benchmarks.steps import network
from benchmarks.steps.network import Network, Operand, drawn, movements
from contractconv.api.tensor import Tensor
from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.functions import sgd


def step(case: NetworkStep, direction: str) -> Prepared:
    """Compile the step of a network; each run is one, with the same data."""
    net = network(case)
    program = step_program(net)
    data, start = drawn(net.data, 1), drawn(net.parameters, 0)
    learned = dict(start)

    def run() -> Any:
        loss, *after = program(*data.values(), *learned.values())
        learned.update(zip(learned, after, strict=True))
        return loss

    return Prepared(run, lambda loss: movements(loss, start, learned, net.rate))


def step_program(net: Network) -> CompiledProgram:
    """The program from data and parameters to the loss and the next parameters."""
    data, learned = tensors(net.data), tensors(net.parameters)
    loss = net.ours(learned, data)
    slopes = cc.grad(loss, list(learned.values()))
    after = {
        f"{name}_next": sgd(w, slope, net.rate)
        for (name, w), slope in zip(learned.items(), slopes, strict=True)
    }
    shapes = {name: operand.shape for name, operand in {**net.data, **net.parameters}.items()}
    inputs = [*data.values(), *learned.values()]
    return cc.compile({"loss": loss, **after}, inputs, dtype="float32", **shapes)


def tensors(operands: Mapping[str, Operand]) -> dict[str, Tensor]:
    """Symbolic tensors of these names and axes."""
    return {
        name: cc.tensor(name, operand.axes, "int64" if operand.classes else None)
        for name, operand in operands.items()
    }
