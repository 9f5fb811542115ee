"""The arrays that a case is tried with, and what formulas call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.calculus.local_derivative import counted, local_name
from contractconv.lazy import remembered
from contractconv.notation.problem import Problem, Shape
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute_force import BruteForce, Place
from contractconv.verification.cases import Case
from contractconv.verification.comparison import by_place, numbers_of


class Drawn:
    """Arrays of one case: small integers without zero, which would hide a fault.

    Args:
        case: the numbers; each case has arrays of its own.
        power: no result, to this power, leaves the 64 bits of an integer.
        most: the largest operand, if it may be so large.
    """

    def __init__(self, case: Case, power: int = 1, most: int = 4) -> None:
        self.case = case
        self.most = min(most, _magnitude(case.problem, power))
        self._rng = np.random.default_rng(case.number)
        self.operands = self._drawn()

    def _drawn(self) -> list[Array]:
        """An array for each operand; one that stands in several places is drawn once."""
        arrays: dict[str, Array] = {}
        for name, shape in zip(self.case.forward.called, self.case.shapes, strict=True):
            if name not in arrays:
                arrays[name] = self.integers(shape, self.most)
        return [arrays[name] for name in self.case.forward.called]

    def integers(self, shape: Shape, most: int = 4) -> Array:
        """One more array."""
        numbers = self._rng.integers(1, most + 1, shape)
        return np.asarray(numbers * self._rng.choice([-1, 1], shape))

    @remembered
    def brute(self) -> BruteForce:
        """The definition, with these operands."""
        problem = self.case.problem
        return BruteForce(problem, list(map(numbers_of, self.operands, problem.operands)))

    def named(self, **given: Array) -> dict[str, Mapping[Any, Any]]:
        """The elements of operands, local derivative and others, as formulas call the arrays."""
        forward = self.case.forward
        names = forward.called
        found = {**dict(zip(names, self.operands, strict=True)), **given}
        arrays: dict[str, Mapping[Any, Any]] = {n: elements(array) for n, array in found.items()}
        record = REDUCTIONS[forward.reduce]
        if not record.is_sum and counted(forward) is None:
            arrays[local_name(forward)] = _local(self.brute, not record.linear)
        return arrays


def _magnitude(problem: Problem, power: int) -> int:
    """The largest operand for which no result, to a power, leaves the 64 bits of an integer."""
    factors = problem.points * len(problem.operands) * power
    multiplies = REDUCTIONS[problem.reduce].multiplies
    return 4 if not multiplies or factors <= 24 else 2 if factors <= 48 else 1


def elements(array: Array) -> dict[Place, Any]:
    """The elements of an array by position."""
    return dict(by_place(np.asarray(array)))


def _local(brute: BruteForce, per_point: bool) -> dict[Any, Any]:
    """The local derivative by position: zero at points that do not contribute."""
    problem = brute.problem
    if per_point:
        return dict.fromkeys(np.ndindex(*(size for _, size in problem.sizes)), 0) | brute.local
    outputs = np.zeros(problem.output_sizes, object)
    for point, out, _ in brute.points:
        outputs[out] = brute.local[point]
    return dict(np.ndenumerate(outputs.reshape(problem.result_shape)))
