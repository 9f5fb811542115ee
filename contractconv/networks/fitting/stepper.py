"""What carries steps of training out: batch by batch, whatever the shapes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from contractconv.cache_register import Shelf
from contractconv.networks.batches import taken
from contractconv.networks.fitting.step import Rules, State, Step, step_of

if TYPE_CHECKING:
    import numpy as np

    from contractconv.layers.records import Parameter
    from contractconv.networks.network import Network
    from contractconv.networks.traced import Objective


class Stepper(Protocol):
    """What makes of a batch and a state the next state."""

    def first(self, parameters: Sequence[Parameter], arrays: Sequence[Any]) -> State:
        """The state that a training begins with."""

    def __call__(
        self, batch: Sequence[Any], number: int, rate: float, state: State, rng: np.random.Generator
    ) -> tuple[float, State]:
        """Take the step of a number, counted from 1; return its loss and the next state."""


class ProgramStepper:
    """Steps that are one program each.

    Args:
        network: what is trained.
        loss: what it is measured by.
        rules: how parameters follow from gradients.
    """

    def __init__(self, network: Network, loss: Any, rules: Rules) -> None:
        self._network, self._loss, self._rules = network, loss, rules
        self._steps = Shelf()

    def first(self, parameters: Sequence[Parameter], arrays: Sequence[Any]) -> State:
        """The state that a training begins with."""
        return self._rules.first(parameters, arrays)

    def __call__(
        self, batch: Sequence[Any], number: int, rate: float, state: State, rng: np.random.Generator
    ) -> tuple[float, State]:
        """Take a step."""
        whole = self._network.objective(*batch, loss=self._loss)
        step, run = self._ready(whole)
        data = taken(whole, batch, [*state["parameters"].values()], rng)
        return step.carried_out(run, data, number, rate, state)

    def _ready(self, whole: Objective) -> tuple[Step, Any]:
        found: tuple[Step, Any] | None = self._steps.get(whole)
        if found is None:
            step = step_of(whole, self._rules)
            found = step, self._network.ready(step.outputs, step.inputs)
            self._steps.put(whole, found, _ENTRY * len(step.keys))
        return found


# Bytes that a part of a state takes in the record of a step, about.
_ENTRY = 512
