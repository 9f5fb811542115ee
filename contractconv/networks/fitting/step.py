"""A step of training, as one program: data and parameters go in, the next parameters come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.api.program import Program, program
from contractconv.api.tensor import Tensor, tensor
from contractconv.functions.clipping import clipped
from contractconv.functions.optimizers import averaged
from contractconv.networks.traced import Objective

if TYPE_CHECKING:
    from contractconv.layers.records import Parameter

State = dict[str, dict[str, Any]]
"""Arrays of each kind (``parameters``, ``average``, an optimiser's slots), by the names of
parameters."""


@dataclass(frozen=True)
class Rules:
    """How parameters follow from gradients.

    Attributes:
        optimizer: what makes steps of gradients.
        clip: what all gradients together are at most as long as.
        average: how much of the average of parameters is kept in each step, if there is one.
    """

    optimizer: Any
    clip: float | None = None
    average: float | None = None

    def first(self, parameters: Sequence[Parameter], arrays: Sequence[Any]) -> State:
        """The state that a training begins with."""
        named = [(p, a) for p, a in zip(parameters, arrays, strict=True)]
        state: State = {"parameters": {p.name: a for p, a in named}}
        for slot in self.optimizer.slots:
            state[slot] = {p.name: np.zeros_like(a) for p, a in named if p.trained}
        if self.average is not None:
            state["average"] = {p.name: a.copy() for p, a in named if p.trained}
        return state


@dataclass(frozen=True)
class Step:
    """One step, ready to be compiled.

    Attributes:
        inputs: data, chance, the number of the step, its rate, and the state, kind by kind.
        outputs: the loss, and the next state.
        keys: of which kind and which parameter each part of the state is.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    keys: tuple[tuple[str, str], ...]

    def program(self, name: str) -> Program:
        """The step as a program that can be read."""
        loss, *after = self.outputs
        named = {f"next_{t.label}": new for t, new in zip(self._state, after, strict=True)}
        return program({"loss": loss, **named}, inputs=self.inputs, name=name)

    @property
    def _state(self) -> tuple[Tensor, ...]:
        return self.inputs[len(self.inputs) - len(self.keys) :]

    def carried_out(
        self, run: Callable[..., Any], data: Sequence[Any], number: int, rate: float, state: State
    ) -> tuple[float, State]:
        """Carry a compiled step out.

        Args:
            run: what is compiled.
            data: arrays that come in, and the chance.
            number: of the step, from 1.
            rate: how far it goes.
            state: what there was.

        Returns:
            The loss, and what there is next.
        """
        arrays = [state[kind][name] for kind, name in self.keys]
        loss, *after = run(*data, np.int64(number), _rate(rate, arrays), *arrays)
        later: State = {kind: {} for kind in state}
        for (kind, name), array in zip(self.keys, after, strict=True):
            later[kind][name] = array
        return float(loss), later


def _rate(rate: float, arrays: Sequence[Any]) -> Any:
    """A rate in the widest numbers of parameters, which it must not widen."""
    dtypes = {array.dtype for array in arrays if array.dtype.kind == "f"}
    return np.asarray(rate, max(dtypes, key=lambda d: d.itemsize, default=np.float64))


def step_of(whole: Objective, rules: Rules) -> Step:
    """What makes of data and a state the next state."""
    parameters = whole.traced.parameters
    number, rate = tensor("step", dtype="int64"), tensor("rate")
    moved = _moved(whole, rules, number, rate)
    old: dict[tuple[str, str], Tensor] = {("parameters", p.name): p.tensor for p in parameters}
    new: dict[tuple[str, str], Tensor] = {
        ("parameters", p.name): whole.traced.updates.get(p.path, p.tensor) for p in parameters
    }
    for key, (before, after) in moved.items():
        old[key], new[key] = before, after
    if rules.average is not None:
        for p in whole.traced.trained:
            key = "average", p.name
            old[key] = _like(p, "average")
            new[key] = averaged(old[key], new["parameters", p.name], rules.average)
    return Step(
        (*whole.inputs, number, rate, *old.values()),
        (whole.loss, *(new[key] for key in old)),
        tuple(old),
    )


def _moved(
    whole: Objective, rules: Rules, number: Tensor, rate: Tensor
) -> dict[tuple[str, str], tuple[Tensor, Tensor]]:
    """Parameters and slots, before the step and after it."""
    trained = whole.traced.trained
    slopes = [whole.gradients[p.path] for p in trained]
    if rules.clip is not None:
        slopes = clipped(slopes, norm=rules.clip)
    found = {}
    for p, slope in zip(trained, slopes, strict=True):
        slots = {slot: _like(p, slot) for slot in rules.optimizer.slots}
        after, later = rules.optimizer.update(p.tensor, slope, slots, number, rate)
        found["parameters", p.name] = p.tensor, after
        found |= {(slot, p.name): (slots[slot], later[slot]) for slot in slots}
    return found


def _like(parameter: Parameter, kind: str) -> Tensor:
    """What is kept beside a parameter, with its axes."""
    return tensor(f"{kind}_{parameter.tensor.label}", parameter.axes)
