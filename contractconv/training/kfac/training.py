"""Steps of KFAC: a program of gradients and factors, linear algebra, a program of the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from contractconv.api.compiling import compile as compile_program
from contractconv.errors import OperandError, ParameterError
from contractconv.training.kfac.curvature_state import Arrays, Block, Shape
from contractconv.training.kfac.damping import Array
from contractconv.training.kfac.fisher import NOISE, drawn
from contractconv.training.kfac.gradients import Gradients
from contractconv.training.kfac.objective import Objective, name_of
from contractconv.training.kfac.updates import Update
from contractconv.training.optimizer import Rate

if TYPE_CHECKING:
    from contractconv.training.kfac.optimizer import KFAC

STEP, FACTORS_MADE = "step", "factors_made"


class Step(NamedTuple):
    """What a step makes.

    Attributes:
        loss: before the step.
        parameters: the next ones, by name.
        state: the next one.
        beside: what else the objective asks for, by name.
    """

    loss: float
    parameters: Arrays
    state: Arrays
    beside: Arrays


class Training:
    """An optimiser on an objective: what steps are taken with.

    It keeps nothing from step to step: what there is to remember is a flat dict of arrays, the
    state, and all chance follows from the optimiser's seed and the number of the step. So a
    training that goes on from saved parameters, and a saved state, is the one that was left.

    Args:
        options: the optimiser.
        objective: the loss, and where weights stand in it. Weights of more rows or columns than
            the optimiser takes are left to its fallback.
        shapes: of the parameters, by name.

    Attributes:
        gradients: the program of the loss and its gradients.
        factors: the same, with the parts of Kronecker factors.
        update: the program of the update.
    """

    def __init__(self, options: KFAC, objective: Objective, shapes: Mapping[str, Shape]) -> None:
        self.options = options
        self._shapes = _checked(objective, shapes)
        self.objective = objective.within(self._shapes, options.largest)
        self._blocks = [
            Block.of(name, site, self._shapes[name])
            for name, (site, *_) in self.objective.blocks.items()
        ]
        asked = Gradients(self.objective, options.fisher, options.places)
        self._update = Update(
            self.objective, options.momentum, options.decay, options.clip, options.fallback
        )
        self.gradients, self.factors = asked.program(False), asked.program(True)
        self.update = self._update.program()
        programs = (self.gradients, self.factors, self.update, asked.shape_program())
        self._run = {
            program.name: compile_program(program.outputs, list(program.inputs.values()))
            for program in programs
        }

    def begin(self, parameters: Mapping[str, Array]) -> Arrays:
        """The state before the first step.

        Raises:
            OperandError: a parameter with factors is not of real floating-point numbers.
        """
        state: Arrays = {STEP: np.array(0), FACTORS_MADE: np.array(0)}
        for name in self._names:
            w = np.asarray(parameters[name])
            state |= {f"{name}_{s}": np.zeros_like(w) for s in self._update.slots_of(name)}
        for block in self._blocks:
            numbers = np.asarray(parameters[block.name]).dtype
            if numbers.kind != "f":
                raise OperandError(f"{block.name} is of {numbers}: Kronecker factors are real")
            state |= block.begin(numbers)
        return state

    def step(
        self,
        parameters: Mapping[str, Array],
        state: Mapping[str, Array],
        data: Sequence[Any],
        steps: int = 1,
        rate: float | None = None,
    ) -> Step:
        """Take a step.

        Args:
            parameters: by name.
            state: from :meth:`begin`, or from the step before.
            data: arrays for the inputs that the objective calls its data, in order.
            steps: how many there will be, for schedules.
            rate: how far this one goes; by default what the optimiser says.

        Raises:
            ParameterError: a rate is given, and that of the fallback is a schedule.
        """
        n, options = int(state[STEP]), self.options
        given = [*data, *(parameters[name] for name in self._names)]
        now = {**state, STEP: np.array(n + 1)}
        due = n % options.factors_every == 0 and bool(self._blocks)
        made = self._with_factors(given, n) if due else self._run["gradients"](*given)._asdict()
        if due:
            now |= self._averaged(now, made)
        if n % options.inverses_every == 0:
            now |= self._inverted(now)
        rates = self._rates(n, steps, rate)
        after = self._updated({**now, **made, **parameters, **rates})
        beside = {name: made[name] for name in self.objective.beside}
        following = {name: after[f"next_{name}"] for name in self._names}
        now |= {name: after[f"next_{name}"] for name in self._slots}
        return Step(float(made["loss"]), following, now, beside)

    @property
    def _names(self) -> list[str]:
        return [name_of(parameter) for parameter in self.objective.parameters]

    @property
    def _slots(self) -> list[str]:
        return [f"{name}_{slot}" for name in self._names for slot in self._update.slots_of(name)]

    def _with_factors(self, given: Sequence[Any], n: int) -> Arrays:
        """Loss, gradients and the parts of factors, from targets that are drawn if need be."""
        noise = [self._noise(given, n)] if NOISE in self.factors.inputs else []
        made: Arrays = self._run["factors"](*given, *noise)._asdict()
        return made

    def _noise(self, given: Sequence[Any], n: int) -> Array:
        shape = tuple(int(size) for size in self._run["shape"](*given))
        rng = np.random.default_rng([self.options.seed, n])
        numbers = np.result_type(*given[len(self.objective.data) :])
        return drawn(self.objective.likelihood.loss, shape, rng).astype(numbers)

    def _averaged(self, state: Mapping[str, Array], made: Mapping[str, Array]) -> Arrays:
        found: Arrays = {FACTORS_MADE: state[FACTORS_MADE] + 1}
        for block in self._blocks:
            found |= block.averaged(state, made, self.options.average)
        return found

    def _inverted(self, state: Mapping[str, Array]) -> Arrays:
        options = self.options
        # An average that began at zero has weights whose sum is not one yet.
        weight = 1 - options.average ** int(state[FACTORS_MADE])
        found: Arrays = {}
        for block in self._blocks:
            found |= block.inverted(state, weight, options.damping, options.inverse)
        return found

    def _updated(self, known: Mapping[str, Any]) -> Arrays:
        after: Arrays = self._run["update"](**{n: known[n] for n in self.update.inputs})._asdict()
        return after

    def _rates(self, n: int, steps: int, rate: float | None) -> dict[str, float]:
        """The rates of a step, counted from 0, of so many."""
        beside = self.options.fallback.rate
        if rate is not None and callable(beside):
            raise ParameterError(
                "where steps are told their rate, that of the fallback is a number"
            )
        taken = self.options.rate if rate is None else rate
        return {"rate": number_at(taken, n, steps), "rate_beside": number_at(beside, n, steps)}


def number_at(value: Rate, step: int, steps: int) -> float:
    """A number, or what a schedule says of a step, counted from 0, of so many."""
    return value(step, steps) if callable(value) else float(value)


def _checked(objective: Objective, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    names = [name_of(parameter) for parameter in objective.parameters]
    missing = [name for name in names if name not in shapes]
    if missing:
        raise ParameterError(f"the shape of {missing[0]} is missing: there are {', '.join(shapes)}")
    return {name: tuple(shapes[name]) for name in names}
