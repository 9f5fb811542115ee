"""Contractions of a program, ready for arrays that lie in memory as they did before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.views import Array
from contractconv.execution.launches import Launch
from contractconv.execution.local_weights import derivative_weights
from contractconv.execution.programs.reduction_gradients import arrays_of
from contractconv.execution.programs.step_run import Work
from contractconv.execution.ready import Ready, key_of
from contractconv.execution.run import made_ready, planned, run
from contractconv.planning.plan import Plan
from contractconv.planning.programs.steps import ContractStep
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Number


def contraction(program: Typed, step: ContractStep) -> Work:
    """What carries out a contraction, or the local derivative of a reduction."""
    if step.node.local:
        return lambda given: [_local(program, step, given)]
    return PlannedContraction(step, program.dtypes[step.node])


class PlannedContraction:
    """A contraction, ready for operands that lie in memory as they did before.

    Args:
        step: the contraction.
        dtype: of what it makes.

    Attributes:
        plan: how it is carried out.
    """

    def __init__(self, step: ContractStep, dtype: str) -> None:
        self.plan: Plan = planned(step.problem, dtype)
        self._dtype = np.dtype(dtype)
        self._ended = step.ended
        self._numbers = [
            (n, self._dtype.type(o.value))
            for n, o in enumerate(step.node.operands)
            if isinstance(o, Number)
        ]

    def __call__(self, given: Sequence[Any]) -> Sequence[Any]:
        """Carry it out."""
        return [run(self.plan, *self._split(given))]

    def launch(self, given: Sequence[Array]) -> Launch | None:
        """The same as calls of kernels, if it was done by nothing else for arrays like these."""
        operands, ending = self._split(given)
        found: Ready | None = self.plan.ready.get(key_of(operands, ending))
        if found is None or found.kernels is None or self._numbers:
            return None
        bias = None if ending is None else ending.bias
        if bias is not None and (bias is not given[-1] or bias.dtype != self._dtype):
            return None  # kernels do not read it where it lies
        return found.kernels.launch(len(given))

    def ready(self, given: Sequence[Array]) -> Ready:
        """What carries it out for arrays that lie in memory like these, which nobody reads."""
        return made_ready(self.plan, *self._split(given))

    def _split(self, given: Sequence[Any]) -> tuple[list[Any], Ending | None]:
        """The operands, and what is done to their product at the end."""
        operands, ending = self._ending(given)
        for n, number in self._numbers:
            operands.insert(n, np.asarray(number))
        return operands, ending

    def _ending(self, given: Sequence[Any]) -> tuple[list[Any], Ending | None]:
        if self._ended is None:
            return list(given), None
        *operands, last = given
        if self._ended.bias is None:
            return list(given), Ending(None, self._ended.activation)
        return operands, Ending(np.ascontiguousarray(last), self._ended.activation)


def _local(program: Typed, step: ContractStep, given: Sequence[Any]) -> Array:
    held = dict(zip(step.reads, given, strict=True))
    operands = arrays_of(step.node.operands, held, program.dtypes[step.node])
    made = derivative_weights(step.problem, operands)
    return np.asarray(made, program.dtypes[step.node])
