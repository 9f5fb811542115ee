"""Every way of every engine that applies to a contraction, against brute force.

Small integers never reach a kernel, a tile or a transform by themselves. So the same numbers are
contracted once more as floats, by each algorithm, compiled and by numpy alone, as large arrays are:
what is summed directly must be the integers exactly, what is transformed within the bound that its
plan states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.run_trace import traced
from contractconv.arrays.views import Array
from contractconv.calculus.backward import Formulas
from contractconv.engines.llvm.kernels import native
from contractconv.engines.numpy.small.few_points import as_large
from contractconv.errors import ShapeError
from contractconv.execution.gradient import gradient
from contractconv.execution.run import run
from contractconv.notation.carets import operand_label
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.cost import volume
from contractconv.planning.derived_problems import backward
from contractconv.planning.options import Options
from contractconv.planning.plan import Plan, plan
from contractconv.planning.setting import COMMON, Algorithm, Setting
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.cases import Case, cases
from contractconv.verification.comparison import TOLERANCE, Judge, numbers_of
from contractconv.verification.drawn_arrays import Drawn

_DTYPES = ("float32", "float64")
_DIRECTLY = Options(algorithm="direct")
_ALGORITHMS: tuple[Algorithm, ...] = ("direct", "toom-cook", "fft")
# Points from which on whatever there is for large contractions is taken.
_MANY = 1 << 13
# Half of the distance between two integers would hide one; so does a bound that says nothing.
_LOOSEST = 0.25
# Beyond these there are integers that are no floats; and what is left where others are rounded.
_WHOLE = {"float32": 1 << 24, "float64": 1 << 53}
_ROUNDED = {"float32": 1e-5, "float64": TOLERANCE}


@dataclass(frozen=True, slots=True)
class Covered:
    """A way that was taken, and how many numbers it made.

    Attributes:
        way: its name, and in which numbers.
        numbers: how many were compared.
        within: how far they may be from the integers, as the plan says; zero for sums.
    """

    way: str
    numbers: int
    within: float

    def __str__(self) -> str:
        return self.row(35)

    def row(self, width: int) -> str:
        """What it says, with so much room for the way."""
        how = f"within {self.within:.1g}" if self.within else "exact"
        return f"{self.way:<{width}} {self.numbers:>7,} numbers, {how}"


def large(formulas: Formulas, values: Mapping[str, int]) -> Case:
    """A case of so many points that everything is worth its while, if what is given allows it."""
    case = cases(formulas.forward, values)[0]
    points, names = case.problem.points, formulas.forward.indices
    free = [n for n in names if n in case.problem.kept and n not in values]
    if not free or points >= _MANY:
        return case
    # One index that stays is as long as it takes: windows, channels and taps stay small.
    longest = {free[-1]: case.values[free[-1]] * -(-_MANY // max(1, points))}
    with suppress(ShapeError):  # an array that has the index twice is too large
        return cases(formulas.forward, {**values, **longest}, points=2 * _MANY)[0]
    return case


def covered(formulas: Formulas, drawn: Drawn) -> Iterator[Covered]:
    """Compare what every way makes with what it should.

    Raises:
        CertificateError: it differs.
    """
    ways = _Ways(formulas, drawn)
    yield from ways.forward()
    yield from ways.strings()
    yield from ways.gradients()


def subject_of(formulas: Formulas) -> str:
    """What is judged of a gradient, for messages."""
    label = operand_label(formulas.forward, formulas.operand)
    return f"the gradient of '{formulas.forward}' by {label}"


class _Ways:
    """Everything that is run of one derivation on one case, and what brute force says of it."""

    def __init__(self, formulas: Formulas, drawn: Drawn) -> None:
        self.case, self.n = drawn.case, formulas.operand
        self.problem, self.operands = self.case.problem, drawn.operands
        self.cotangent = drawn.integers(self.problem.result_shape)
        given = numbers_of(self.cotangent, self.problem.output)
        shape = shape_of(self.problem.operands[self.n])
        result, gradient = drawn.brute.result(), drawn.brute.gradient(self.n, given)
        subject, sizes = f"'{formulas.forward}'", self.problem.output_sizes
        self.result = Judge(subject, self.case, result, sizes, False)
        self.gradient = Judge(subject_of(formulas), self.case, gradient, shape, False)

    def forward(self) -> Iterator[Covered]:
        """The contraction itself."""
        nothing = REDUCTIONS[self.problem.reduce].identity
        return self._contracted(self.problem, self.operands, self.result, nothing)

    def strings(self) -> Iterator[Covered]:
        """The backward contraction where it is one of the operands alone."""
        if not REDUCTIONS[self.problem.reduce].is_sum:
            return iter(())
        problem = backward(self.case.forward, self.n, self.problem, self.case.shapes)
        others = [array for m, array in enumerate(self.operands) if m != self.n]
        return self._contracted(problem, [self.cotangent, *others], self.gradient)

    def gradients(self) -> Iterator[Covered]:
        """The gradient as it is called, local derivative and all."""
        for dtype in _DTYPES:
            floats = [array.astype(dtype) for array in self.operands]
            given = self.cotangent.astype(dtype)
            with traced() as ran:
                made = gradient(self.case.forward, self.n, self.problem, given, floats, _DIRECTLY)
            yield self._judged(self.gradient, f"{_names(ran)}, {dtype}", made, 0.0, dtype)

    def _contracted(
        self, problem: Problem, arrays: Sequence[Array], judge: Judge, nothing: float = 0.0
    ) -> Iterator[Covered]:
        """Contract by every algorithm and engine, each way once."""
        seen: set[tuple[str, ...]] = set()
        for dtype, algorithm, compiled in product(_DTYPES, _ALGORITHMS, (True, False)):
            if compiled and not native.available():
                continue
            machine = replace(COMMON, compiled=compiled)
            steps = plan(problem, Setting(dtype, algorithm, machine, lenient=True))
            way = (dtype, *(step.lowering for step in steps.steps))
            if way in seen:
                continue
            seen.add(way)
            given, bound = [array.astype(dtype) for array in arrays], _bound(steps, arrays)
            how = f"{algorithm} by " * (algorithm != "direct")
            # As if it were too large to be laid out at once, and as it is.
            for told, size in (("", as_large()), (", at once", nullcontext())):
                with size, traced() as ran:
                    made = run(replace(steps), given)
                way_told = f"{how}{_names(ran)}{told}, {dtype}"
                yield self._judged(judge, way_told, made, bound, dtype, nothing)
                if compiled or algorithm != "direct":
                    break

    def _judged(
        self, judge: Judge, way: str, made: Array, bound: float, dtype: str, nothing: float = 0.0
    ) -> Covered:
        """Compare; sums of integers are integers, as far as a float holds them."""
        if not self._is_whole(dtype):
            scale = max((abs(float(v)) for v in judge.expected.values()), default=1.0)
            bound = max(bound, scale * _ROUNDED[dtype])
        return Covered(way, judge.near(f"{way} = brute force", made, bound, nothing), bound)

    def _is_whole(self, dtype: str) -> bool:
        """Whether everything on the way is an integer that floats of a dtype hold exactly."""
        record = REDUCTIONS[self.problem.reduce]
        if not record.exact:
            return False
        if record.multiplies:
            values = [*self.result.expected.values(), *self.gradient.expected.values()]
            return all(abs(value) < _WHOLE[dtype] // 4 for value in values)
        factors = [self.cotangent, *self.operands]
        largest = prod(max(1, int(np.abs(array).max(initial=0))) for array in factors)
        return largest * self.problem.points < _WHOLE[dtype]


def _names(ran: Iterable[Any]) -> str:
    return " and ".join(dict.fromkeys(one.way for one in ran)) or "nothing to do"


def _bound(steps: Plan, arrays: Sequence[Array]) -> float:
    """The error that a plan admits for operands of these sizes."""
    largest = prod(int(np.abs(array).max(initial=0)) for array in arrays)
    return min(sum(_admitted(step) for step in steps.steps) * largest, _LOOSEST)


def _admitted(step: Any) -> float:
    chosen, problem = step.choice.chosen, step.problem
    if all(piece.algorithm == "direct" for piece in chosen.pieces):
        return 0.0
    return float(chosen.bound * volume(problem.reduced, problem.extents))
