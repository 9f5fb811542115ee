"""Certificates: a derived gradient is compared with its definition, in exact integers.

Four independent things must agree on small arrays: the definition (brute force over the index
space), the sympy formula with the numbers put in, and the two strings as they are run; and the
gradient must be the transpose of the forward map, ``⟨G, c(…, V, …)⟩ = ⟨d(G, …), V⟩``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import sympy

from contractconv.calculus.derivation import COTANGENT, Formulas
from contractconv.calculus.equation import Equation, size
from contractconv.calculus.evaluation import evaluator
from contractconv.calculus.phases import phases
from contractconv.calculus.reads import places
from contractconv.calculus.rules import RULES
from contractconv.calculus.symbols import operand_names, parameter
from contractconv.errors import CertificateError, ContractionError, ShapeError
from contractconv.execution.gradient import (
    backward_operands,
    backward_problem,
    gradient,
    phase_gradient,
)
from contractconv.execution.run import run
from contractconv.execution.views import Array
from contractconv.markup import preformatted
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.plan import plan
from contractconv.verification.brute import BruteForce, Place
from contractconv.verification.cases import Case, cases

# How many terms of a formula are looked at for one statement of one case.
_TERMS = 300_000
# What float64 may leave where a local derivative is a fraction or an exponential.
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Check:
    """One statement that was checked.

    Attributes:
        statement: what was compared.
        numbers: how many numbers of each side were compared.
        exact: whether in integers; otherwise within 1e-12.
    """

    statement: str
    numbers: int
    exact: bool

    def __str__(self) -> str:
        how = "exact" if self.exact else f"within {_TOLERANCE:g}"
        return f"{self.statement:<42} {self.numbers:>7,} numbers, {how}"


@dataclass(frozen=True, slots=True, repr=False)
class Certificate:
    """What was checked of a derived gradient, all of it with success.

    Attributes:
        forward: the contraction.
        operand: the position of the operand it was differentiated by.
        checks: the statements that hold.
        cases: the extents and parameters that they were checked with.
    """

    forward: Spec
    operand: int
    checks: tuple[Check, ...]
    cases: tuple[tuple[tuple[str, int], ...], ...]

    @property
    def summary(self) -> str:
        """The certificate in a few words."""
        compared = sum(check.numbers for check in self.checks)
        exact = all(check.exact for check in self.checks)
        how = "exactly" if exact else f"within {_TOLERANCE:g}"
        return f"verified on {len(self.cases)} small cases, {compared:,} numbers {how}"

    @property
    def sentence(self) -> str:
        """The certificate with what was compared."""
        return (
            f"{self.summary}: formula, strings and computed gradient equal brute force over the "
            f"definition, and the gradient is the transpose of the forward map."
        )

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [f"verified: the gradient of '{self.forward}' by operand {self.operand}"]
        lines += [f"  {check}" for check in self.checks]
        cases = [", ".join(f"{name}={value}" for name, value in case) for case in self.cases]
        return "\n".join([*lines, f"  with {'; '.join(cases[:3])}{'; ...' * (len(cases) > 3)}"])


def certify(formulas: Formulas, values: Mapping[str, int] | None = None) -> Certificate:
    """Check a derived gradient against the definition.

    Args:
        formulas: the derivation.
        values: extents and parameters to use; the others are chosen, small and varied.

    Returns:
        The certificate.

    Raises:
        CertificateError: something disagrees; the message says what, where, and by how much.
        ShapeError: the extents make too many points for brute force.
    """
    tally: dict[str, Check] = {}
    tried = []
    for case in cases(formulas, values or {}):
        tried.append(tuple(case.values.items()))
        for check in _checks(case):
            before = tally.get(check.statement)
            total = check.numbers + (before.numbers if before else 0)
            tally[check.statement] = replace(check, numbers=total)
    return Certificate(formulas.forward, formulas.operand, tuple(tally.values()), tuple(tried))


# -- checks --------------------------------------------------------------------------------------


def _checks(case: Case) -> Iterator[Check]:
    formulas, n = case.formulas, case.formulas.operand
    rng = np.random.default_rng(case.number)
    most = _magnitude(case.problem)
    operands = [_integers(rng, shape, most) for shape in case.shapes]
    cotangent = _integers(rng, case.problem.result_shape)
    split = list(map(_numbers, operands, case.problem.operands))
    brute = BruteForce(case.problem, split)
    expected = brute.gradient(n, _numbers(cotangent, case.problem.output))
    shape = tuple(access.size for access in case.problem.operands[n])
    judge = _Judge(case, expected, shape)

    arrays = _named_arrays(case, brute, split, cotangent)
    yield judge.formula("formula = brute force", formulas.collected, arrays)
    yield judge.formula("formula with deltas = brute force", formulas.placed, arrays)
    factors = backward_operands(n, case.problem, cotangent, operands)
    for form, spec in (("scatter", formulas.scatter), ("gather", formulas.gather)):
        problem = judge.fitted(form, spec)
        yield judge.array(f"{form} string = brute force", run(plan(problem), factors))
    if parts := _phases(case, cotangent, operands):
        yield judge.array("sum of phases = brute force", sum(parts[1:], parts[0]))
    result = gradient(case.forward, n, case.problem, cotangent, operands)
    yield judge.array("gradient = brute force", result)
    tangent = _integers(rng, case.shapes[n])
    image = _image(case, brute, operands, tangent)
    yield judge.transposed(_numbers(cotangent, case.problem.output), image, result * tangent)


def _phases(case: Case, cotangent: Array, operands: Sequence[Array]) -> list[Array]:
    """The parts of a gradient with a congruence; nothing if there is none, or no way to split."""
    here = replace(case.formulas, gather=case.bound(case.formulas.gather))
    try:
        found = phases(here.gather)
    except ContractionError:
        return []  # a composition is in the way, or the phases are too many
    if not any(phase.residues for phase in found):
        return []
    return [phase_gradient(phase, here, case.problem, cotangent, operands) for phase in found]


def _integers(rng: np.random.Generator, shape: Shape, most: int = 4) -> Array:
    """Small integers without zero, which would hide a fault."""
    return np.asarray(rng.integers(1, most + 1, shape) * rng.choice([-1, 1], shape))


def _magnitude(problem: Problem) -> int:
    """The largest operand for which no result leaves the 64 bits of an integer."""
    factors = problem.points * len(problem.operands)
    return 4 if problem.reduce != "prod" or factors <= 24 else 2 if factors <= 48 else 1


def _numbers(array: Array, accesses: Sequence[Any]) -> dict[Place, Any]:
    split = np.asarray(array).reshape([access.size for access in accesses])
    return {place: value.item() for place, value in np.ndenumerate(split)}


def _named_arrays(
    case: Case, brute: BruteForce, operands: Sequence[Mapping[Any, Any]], cotangent: Array
) -> dict[str, Mapping[Any, Any]]:
    names = operand_names(len(operands))
    arrays: dict[str, Mapping[Any, Any]] = dict(zip(names, operands, strict=True))
    arrays[COTANGENT] = _numbers(cotangent, case.problem.output)
    rule = RULES[case.forward.reduce]
    if rule is not None:
        arrays[rule.symbol] = _local(brute, rule.per_point)
    return arrays


def _local(brute: BruteForce, per_point: bool) -> dict[Any, Any]:
    """The local derivative by position: zero at points that do not contribute."""
    problem = brute.problem
    if per_point:
        return dict.fromkeys(np.ndindex(*(size for _, size in problem.sizes)), 0) | brute.local
    outputs = {out: brute.local[point] for point, out, _ in brute.points}
    everywhere = dict.fromkeys(np.ndindex(*problem.output_sizes), 0)
    return everywhere | outputs | {(): next(iter(brute.local.values()), 0)}


@dataclass(frozen=True, slots=True)
class _Judge:
    """Compares what a form says with what is expected."""

    case: Case
    expected: Mapping[Place, Any]
    shape: Shape

    @property
    def exact(self) -> bool:
        return self.case.forward.reduce in ("sum", "max", "min", "prod")

    def formula(self, statement: str, equation: Equation, arrays: Mapping[str, Any]) -> Check:
        value = evaluator(equation.sympy, arrays)
        known = self._known()

        def at(place: Place) -> Any:
            try:
                return value(known | dict(zip(equation.left.axes, place, strict=True)))
            except KeyError as error:
                return f"an element that does not exist, at {error.args[0]}"

        terms = prod(known.get(size(summed.name), 1) for summed in equation.summed)
        return self._compare(statement, at, _TERMS // max(1, terms))

    def array(self, statement: str, result: Array) -> Check:
        split = np.asarray(result).reshape(self.shape)
        return self._compare(statement, lambda place: split[place].item())

    def transposed(
        self, cotangent: Mapping[Any, Any], image: Mapping[Any, Any], products: Array
    ) -> Check:
        """The dot test: a gradient is the transpose of the forward map."""
        statement = "⟨G, c(…, V, …)⟩ = ⟨d(G, …), V⟩"
        forward = sum(cotangent[place] * value for place, value in image.items())
        self._expect(statement, products.sum().item(), forward, (), float(np.abs(products).sum()))
        return Check(statement, 1, self.exact)

    def fitted(self, form: str, spec: Spec) -> Problem:
        """Put the case's shapes into a string; if they do not fit, the string is wrong."""
        case = self.case
        try:
            return backward_problem(case.bound(spec), case.formulas, case.problem, case.shapes)
        except ShapeError as error:
            raise self._wrong(f"the {form} string fits no gradient: {error}") from None

    def _known(self) -> dict[sympy.Symbol, int]:
        """Parameters, the extent of every index and the size of every computed axis."""
        case = self.case
        parameters = case.formulas.forward.parameters
        known = {parameter(name): case.values[name] for name in parameters}
        known |= {size(name): value for name, value in case.values.items()}
        terms = [*case.problem.operands, case.problem.output]
        for term, positions in places(case.formulas.forward, case.formulas.operand).items():
            sizes = (access.size for access in terms[term])
            known |= {size(p.name): found for p, found in zip(positions, sizes, strict=True)}
        return known

    def _compare(
        self, statement: str, value: Callable[[Place], Any], most: int | None = None
    ) -> Check:
        scale = max((abs(float(number)) for number in self.expected.values()), default=0.0)
        looked_at = self._places(most)
        for place in looked_at:
            self._expect(statement, value(place), self.expected.get(place, 0), place, scale)
        return Check(statement, len(looked_at), self.exact)

    def _places(self, most: int | None) -> list[Place]:
        """Every position, or a sample that holds those with something in them first."""
        count = prod(self.shape)
        if most is None or count <= max(most, 64):
            return list(np.ndindex(*self.shape))
        rng = np.random.default_rng(self.case.number)
        busy = sorted(place for place, number in self.expected.items() if number)
        half = max(most, 64) // 2
        chosen = [busy[n] for n in rng.permutation(len(busy))[:half]]
        others = (np.unravel_index(n, self.shape) for n in rng.integers(count, size=half))
        return [*chosen, *(tuple(map(int, place)) for place in others)]

    def _expect(
        self, statement: str, found: Any, expected: Any, place: Place, scale: float
    ) -> None:
        if found == expected or (not self.exact and _close(found, expected, scale)):
            return
        where = f" at {place}" if place else ""
        raise self._wrong(f"{statement}{where}: found {found}, expected {expected}")

    def _wrong(self, reason: str) -> CertificateError:
        formulas, numbers = self.case.formulas, self.case.values.items()
        return CertificateError(
            f"the gradient of '{formulas.forward}' by operand {formulas.operand} does not hold: "
            f"{reason}, with {', '.join(f'{name}={number}' for name, number in numbers)}"
        )


def _close(found: Any, expected: Any, scale: float) -> bool:
    if isinstance(found, str):
        return False
    return abs(float(found) - float(expected)) <= _TOLERANCE * max(1.0, scale)


def _image(
    case: Case, brute: BruteForce, operands: Sequence[Array], tangent: Array
) -> Mapping[Place, Any]:
    """How the result changes with the tangent: as it is computed if the contraction is linear."""
    n = case.formulas.operand
    if case.forward.reduce != "sum":
        return brute.directional(n, _numbers(tangent, case.problem.operands[n]))
    moved = [tangent if m == n else operand for m, operand in enumerate(operands)]
    return _numbers(run(plan(case.problem), moved), case.problem.output)
