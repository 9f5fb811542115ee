"""Steps of KFAC on a network: where its weights stand is known from its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.cache_register import Shelf
from contractconv.errors import ParameterError
from contractconv.networks.batches import taken
from contractconv.networks.fitting.step import State
from contractconv.training.kfac import KFAC, Likelihood, sites_of_product
from contractconv.training.kfac import Objective as Natural

if TYPE_CHECKING:
    from contractconv.layers.records import Parameter
    from contractconv.networks.network import Network
    from contractconv.networks.traced import Objective
    from contractconv.training.kfac import Training

# What a state calls the averages of KFAC.
_KEPT = "kfac"
# Bytes that a parameter takes in the record of a training, about.
_ENTRY = 4096


class NaturalStepper:
    """Steps of KFAC: a program of gradients, linear algebra, a program of the update.

    Args:
        network: what is trained.
        loss: what it is measured by: the name of a loss that is a likelihood.
        optimizer: the options.
        average: how much of the average of parameters is kept in each step, if there is one.

    Raises:
        ParameterError: the loss is no likelihood.
    """

    def __init__(
        self, network: Network, loss: Any, optimizer: KFAC, average: float | None = None
    ) -> None:
        if loss not in _LIKELIHOODS:
            raise ParameterError(
                f"KFAC needs a loss that is a likelihood, to draw from: one of "
                f"{', '.join(_LIKELIHOODS)}, not {loss!r}"
            )
        self._network, self._loss, self._optimizer = network, loss, optimizer
        self._average = average
        self._trainings = Shelf()

    def first(self, parameters: Sequence[Parameter], arrays: Sequence[Any]) -> State:
        """The state that a training begins with."""
        named = {p.name: a for p, a in zip(parameters, arrays, strict=True)}
        state: State = {"parameters": named, _KEPT: {}}
        if self._average is not None:
            state["average"] = {p.name: named[p.name].copy() for p in parameters if p.trained}
        return state

    def __call__(
        self, batch: Sequence[Any], number: int, rate: float, state: State, rng: np.random.Generator
    ) -> tuple[float, State]:
        """Take a step; the first one begins the averages, which need to know the strings."""
        whole = self._network.objective(*batch, loss=self._loss)
        training, before = self._training(whole), state["parameters"]
        arrays = {str(p.tensor.label): before[p.name] for p in whole.traced.parameters}
        trained = {str(p.tensor.label): arrays[str(p.tensor.label)] for p in whole.traced.trained}
        kept = state[_KEPT] or training.begin(trained)
        still = [arrays[str(p.tensor.label)] for p in _untrained(whole)]
        data = [*taken(whole, batch, [*before.values()], rng), *still]
        made = training.step(trained, kept, data, rate=rate)
        after = {**made.parameters, **made.beside}
        parameters = {
            p.name: after.get(str(p.tensor.label), before[p.name]) for p in whole.traced.parameters
        }
        return made.loss, self._next(state, parameters, dict(made.state))

    def _next(self, state: State, parameters: Mapping[str, Any], kept: dict[str, Any]) -> State:
        later: State = {"parameters": dict(parameters), _KEPT: kept}
        if self._average is not None:
            share = self._average
            later["average"] = {
                name: (share * old + (1 - share) * parameters[name]).astype(old.dtype)
                for name, old in state["average"].items()
            }
        return later

    def _training(self, whole: Objective) -> Training:
        found: Training | None = self._trainings.get(whole)
        if found is None:
            shapes = {str(p.tensor.label): p.shape for p in whole.traced.trained}
            found = self._optimizer.on(natural(whole, self._loss), shapes)
            self._trainings.put(whole, found, _ENTRY * len(shapes))
        return found


_LIKELIHOODS = ("cross_entropy", "mse", "binary_cross_entropy")


def natural(whole: Objective, loss: str) -> Natural:
    """A network with a loss, as KFAC sees it: its weights where they stand."""
    traced = whole.traced
    sizes = dict(zip(traced.output.axes, traced.trace.shape(traced.output), strict=True))
    axis = traced.output.axes[-1]
    products = [product for call in traced.calls for product in call.products]
    return Natural(
        whole.loss,
        Likelihood(loss, traced.output, axis, sizes[axis]),
        (*whole.inputs, *(p.tensor for p in _untrained(whole))),
        tuple(p.tensor for p in traced.trained),
        tuple(site for product in products for site in sites_of_product(product)),
        {
            str(p.tensor.label): traced.updates[p.path]
            for p in traced.parameters
            if p.path in traced.updates
        },
    )


def _untrained(whole: Objective) -> list[Parameter]:
    return [p for p in whole.traced.parameters if not p.trained]
