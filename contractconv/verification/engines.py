"""Every way of every engine that applies to a contraction, against brute force.

Small integers never reach a kernel, a tile or a transform by themselves. So the same numbers are
contracted once more as floats, by each algorithm, compiled and by numpy alone: what is summed
directly must be the integers exactly, what is transformed within the bound that its plan states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.trace import traced
from contractconv.arrays.views import Array
from contractconv.calculus.backward import Formulas
from contractconv.engines.llvm.kernels import native
from contractconv.errors import ShapeError
from contractconv.execution.gradient import gradient
from contractconv.execution.run import run
from contractconv.notation.problem import Problem
from contractconv.planning.cost import volume
from contractconv.planning.derived_problems import backward
from contractconv.planning.options import Options
from contractconv.planning.plan import Plan, plan
from contractconv.planning.setting import COMMON, Algorithm, Setting
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute import BruteForce
from contractconv.verification.cases import Case, cases
from contractconv.verification.judge import TOLERANCE, Judge, numbers_of

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
        how = f"within {self.within:.1g}" if self.within else "exact"
        return f"{self.way:<35} {self.numbers:>7,} numbers, {how}"


@dataclass(frozen=True, slots=True)
class Known:
    """What brute force says of one case.

    Attributes:
        case: the numbers.
        operands: the forward operands, of small integers.
        cotangent: the gradient with respect to the result.
        result: the result of the contraction.
        gradient: that of the operand.
    """

    case: Case
    operands: Sequence[Array]
    cotangent: Array
    result: Mapping[Any, Any]
    gradient: Mapping[Any, Any]

    def is_whole(self, dtype: str) -> bool:
        """Whether everything on the way is an integer that floats of a dtype hold exactly."""
        case, record = self.case, REDUCTIONS[self.case.forward.reduce]
        if not record.exact:
            return False
        factors = [self.cotangent, *self.operands]
        largest = prod(max(1, int(np.abs(array).max(initial=0))) for array in factors)
        if record.multiplies:
            values = [*self.result.values(), *self.gradient.values()]
            return all(abs(value) < _WHOLE[dtype] // 4 for value in values)
        return largest * case.problem.points < _WHOLE[dtype]


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


def covered(formulas: Formulas, facts: Known) -> Iterator[Covered]:
    """Compare what every way makes with what it should.

    Raises:
        CertificateError: it differs.
    """
    yield from _forward(formulas, facts)
    yield from _strings(formulas, facts)
    yield from _gradients(formulas, facts)


def _forward(formulas: Formulas, facts: Known) -> Iterator[Covered]:
    problem, arrays = facts.case.problem, facts.operands
    nothing = REDUCTIONS[problem.reduce].identity
    subject = f"'{formulas.forward}'"
    judged = _Judged(facts, subject, facts.result, problem.output_sizes, nothing)
    yield from judged.ways(problem, arrays)


def _strings(formulas: Formulas, facts: Known) -> Iterator[Covered]:
    """The backward contraction where it is one of the operands alone."""
    case, n = facts.case, formulas.operand
    if not REDUCTIONS[case.forward.reduce].is_sum:
        return
    problem = backward(case.forward, n, case.problem, case.shapes)
    others = [array for m, array in enumerate(facts.operands) if m != n]
    shape = tuple(access.size for access in case.problem.operands[n])
    yield from _Judged(facts, _subject(formulas), facts.gradient, shape).ways(
        problem, [facts.cotangent, *others]
    )


def _gradients(formulas: Formulas, facts: Known) -> Iterator[Covered]:
    """The gradient as it is called, local derivative and all."""
    case, n = facts.case, formulas.operand
    shape = tuple(access.size for access in case.problem.operands[n])
    judged = _Judged(facts, _subject(formulas), facts.gradient, shape)
    for dtype in _DTYPES:
        floats = [array.astype(dtype) for array in facts.operands]
        with traced() as ran:
            made = gradient(
                case.forward, n, case.problem, facts.cotangent.astype(dtype), floats, _DIRECTLY
            )
        names = " and ".join(dict.fromkeys(one.way for one in ran)) or "nothing to do"
        yield judged.judged(f"{names}, {dtype}", made, 0.0, dtype)


def _subject(formulas: Formulas) -> str:
    return f"the gradient of '{formulas.forward}' by operand {formulas.operand}"


@dataclass(frozen=True, slots=True)
class _Judged:
    """Compares one array with what is expected, however it is made."""

    known: Known
    subject: str
    expected: Mapping[Any, Any]
    shape: tuple[int, ...]
    nothing: float = 0.0

    def ways(self, problem: Problem, arrays: Sequence[Array]) -> Iterator[Covered]:
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
            with traced() as ran:
                made = run(steps, [array.astype(dtype) for array in arrays])
            names = " and ".join(dict.fromkeys(one.way for one in ran)) or "nothing to do"
            if algorithm != "direct":
                names = f"{algorithm} by {names}"
            yield self.judged(f"{names}, {dtype}", made, _bound(steps, arrays), dtype)

    def judged(self, way: str, made: Array, bound: float, dtype: str) -> Covered:
        """Compare; sums of integers are integers, as far as a float holds them."""
        exact = self.known.is_whole(dtype)
        if not exact:
            scale = max((abs(float(v)) for v in self.expected.values()), default=1.0)
            bound = max(bound, scale * _ROUNDED[dtype])
        split = np.asarray(made).reshape(self.shape)
        wanted = np.full(self.shape, float(self.nothing))
        for place, value in self.expected.items():
            wanted[place] = float(value)
        self._compare(way, split, wanted, bound)
        return Covered(way, split.size, bound)

    def _compare(self, way: str, made: Array, wanted: Array, bound: float) -> None:
        with np.errstate(invalid="ignore"):  # of two infinities, which are equal
            wrong = ~(np.abs(made - wanted) <= bound) & (made != wanted)
        if not wrong.any():
            return
        place = tuple(map(int, np.argwhere(wrong)[0]))
        judge = Judge(self.subject, self.known.case, self.expected, self.shape, not bound)
        raise judge.wrong(
            f"{way} = brute force at {place}: found {made[place]}, expected {wanted[place]}"
        )


def _bound(steps: Plan, arrays: Sequence[Array]) -> float:
    """The error that a plan admits for operands of these sizes."""
    largest = prod(int(np.abs(array).max(initial=0)) for array in arrays)
    return min(sum(_admitted(step) for step in steps.steps) * largest, _LOOSEST)


def _admitted(step: Any) -> float:
    chosen, problem = step.choice.chosen, step.problem
    if all(piece.algorithm == "direct" for piece in chosen.pieces):
        return 0.0
    return float(chosen.bound * volume(problem.reduced, problem.extents))


def known(case: Case, operands: Sequence[Array], cotangent: Array, n: int) -> Known:
    """Work out by brute force what is expected of a case."""
    split = list(map(numbers_of, operands, case.problem.operands))
    brute = BruteForce(case.problem, split)
    given = numbers_of(cotangent, case.problem.output)
    return Known(case, operands, cotangent, brute.result(), brute.gradient(n, given))
