"""What of a gradient is proved where there are no arrays: its formulas and its strings.

Both are worked out in Python's own numbers and compared with brute force over the definition; no
engine is run. :mod:`contractconv.verification.certificate` compares the engines as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, product
from random import Random
from typing import Any

from contractconv.calculus.backward import Formulas, forward_equation
from contractconv.calculus.local_derivative import counted, local_name
from contractconv.calculus.read_conditions import places
from contractconv.notation.problem import Accesses, Shape, shape_of
from contractconv.planning.derived_problems import backward_problem
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute_force import BruteForce, Numbers, Place
from contractconv.verification.cases import Case, cases, spelled
from contractconv.verification.comparison import TOLERANCE, Check, Judge, sizes_of

# How many terms of formulas are looked at in all cases together: readers wait for the proof.
_TERMS = 20_000


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared with brute force, all of it with success.

    Attributes:
        checks: the statements that hold, one for each case.
        cases: how many cases there were.
    """

    checks: tuple[Check, ...]
    cases: int

    def __str__(self) -> str:
        numbers: Counter[str] = Counter()
        for check in self.checks:
            numbers[check.statement] += check.numbers
        exact = all(check.exact for check in self.checks)
        how = "exact" if exact else f"within {TOLERANCE:g}"
        lines = [f"  {name:<42} {count:>7,} numbers, {how}" for name, count in numbers.items()]
        return "\n".join([f"verified on {self.cases} small cases:", *lines])


def prove(formulas: Formulas, values: Mapping[str, int] | None = None) -> Proof:
    """Compare a gradient's formulas and strings with the definition.

    Args:
        formulas: the derivation.
        values: extents and parameters to use; the others are chosen, small and varied.

    Raises:
        CertificateError: something disagrees.
        ShapeError: the extents make too many points for brute force.
    """
    here = replace(
        formulas,
        forward=spelled(formulas.forward),
        scatter=spelled(formulas.scatter),
        gather=spelled(formulas.gather),
    )
    chosen = cases(here.forward, values or {})
    share = _TERMS // (2 * len(chosen))
    checks = chain.from_iterable(_checks(here, case, share) for case in chosen)
    return Proof(tuple(checks), len(chosen))


def _checks(formulas: Formulas, case: Case, terms: int) -> Iterator[Check]:
    n, problem = formulas.operand, case.problem
    random = Random(case.number)
    names = [factor.name for factor in forward_equation(formulas.forward).factors]
    drawn = {name: _drawn(shape, random) for name, shape in zip(names, case.shapes, strict=True)}
    operands = [
        _split(drawn[name], term) for name, term in zip(names, problem.operands, strict=True)
    ]
    brute = BruteForce(problem, operands)
    roles = [factor.name for factor in formulas.derivative.factors]
    cotangent = _drawn(problem.result_shape, random)
    arrays = drawn | {roles[0]: cotangent, local_name(formulas.forward): _local(brute, formulas)}
    expected = brute.gradient(n, _split(cotangent, problem.output))
    exact = REDUCTIONS[problem.reduce].exact
    subject = f"the gradient of '{formulas.forward}' by {names[n]}"
    judge = Judge(subject, case, expected, shape_of(problem.operands[n]), exact)

    sizes = sizes_of(case, places(formulas.forward, n))
    for statement, equation in (
        ("formula = brute force", formulas.collected),
        ("formula with deltas = brute force", formulas.placed),
    ):
        yield judge.formula(statement, equation, arrays, sizes, terms)
    for form, spec in (("scatter", formulas.scatter), ("gather", formulas.gather)):
        string = backward_problem(case.bound(spec), formulas, problem, case.shapes)
        given = [arrays[role] for role in _read(formulas, roles)]
        factors = map(_split, given, string.operands)
        made = BruteForce(string, list(factors)).result()
        yield judge.numbers(f"{form} string = brute force", made)


def _read(formulas: Formulas, roles: list[str]) -> list[str]:
    """What a string reads: that of a mean its weight, too, which a formula writes as a number."""
    count = len(formulas.scatter.inputs)
    return roles if len(roles) == count else [roles[0], local_name(formulas.forward), *roles[1:]]


def _drawn(shape: Shape, random: Random) -> dict[Place, Any]:
    """The elements of an array, in order: small integers without zero, which would hide a fault."""
    found = product(*map(range, shape))
    return {place: random.choice((-4, -3, -2, -1, 1, 2, 3, 4)) for place in found}


def _split(array: Numbers, accesses: Accesses) -> dict[Place, Any]:
    """The same elements by position where compositions are split."""
    found = product(*(range(access.size) for access in accesses))
    return dict(zip(found, array.values(), strict=True))


def _local(brute: BruteForce, formulas: Formulas) -> dict[Place, Any]:
    """The local derivative by position: one number, or one for each point, or for each element."""
    problem = brute.problem
    if counted(formulas.forward) is not None:
        return {(): next(iter(brute.local.values()))}
    if not REDUCTIONS[problem.reduce].linear:
        points = product(*(range(size) for _, size in problem.sizes))
        return dict.fromkeys(points, 0) | brute.local
    outputs = dict.fromkeys(product(*map(range, problem.output_sizes)), 0)
    outputs |= {out: brute.local[point] for point, out, _ in brute.points}
    return dict(zip(product(*map(range, problem.result_shape)), outputs.values(), strict=True))
