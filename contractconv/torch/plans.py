"""What a module does for inputs of some shapes: a text, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from contractconv.api.program import program
from contractconv.layers.records import Path
from contractconv.networks.network import Network


class Plan(NamedTuple):
    """A network as it is in training, or afterwards, for inputs of some shapes.

    Attributes:
        text: the program, of what comes in, chance, and parameters.
        masks: the sizes of chance, and how likely each of it is true.
        paths: where the parameters are.
        moved: the running statistics that it makes behind the result.
    """

    text: str
    masks: tuple[tuple[tuple[int, ...], float], ...]
    paths: tuple[Path, ...]
    moved: tuple[Path, ...]


@dataclass(frozen=True)
class Look:
    """What a network reads of an input: its shape, and its kind of numbers."""

    shape: tuple[int, ...]
    dtype: Any

    @staticmethod
    def of(given: Any) -> Any:
        """That of a tensor; a shape stays what it is."""
        if not isinstance(given, torch.Tensor):
            return given
        return looking(tuple(given.shape), str(given.dtype))


def looking(shape: tuple[int, ...], dtype: str) -> Look:
    """What a network reads of a tensor."""
    name = dtype.removeprefix("torch.")
    return Look(shape, np.dtype("float32" if name == "bfloat16" else name))


def plan_of(
    network: Network, looks: tuple[tuple[tuple[int, ...], str], ...], training: bool
) -> Plan:
    """Trace a network, and write down what it does.

    Args:
        network: the network.
        looks: the shape and the dtype of each input.
        training: as it is in training, or afterwards.
    """
    traced = network.traced(*(looking(*look) for look in looks), training=training)
    masks = [*traced.masks]
    parameters = [*traced.parameters]
    inputs = [*traced.inputs, *(m.tensor for m in masks), *(p.tensor for p in parameters)]
    outputs = {"made": traced.output}
    outputs |= {f"moved_{n}": tensor for n, tensor in enumerate(traced.updates.values())}
    return Plan(
        str(program(outputs, inputs=inputs, name=network.name)),
        tuple((mask.shape, mask.kept) for mask in masks),
        tuple(parameter.path for parameter in parameters),
        tuple(traced.updates),
    )
