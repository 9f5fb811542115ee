"""Certificates: a derived gradient is compared with its definition, in exact integers.

Four independent things must agree on small arrays: the definition (brute force over the index
space), the sympy formula with the numbers put in, and the two strings as they are run; and the
gradient must be the transpose of the forward map, ``⟨G, c(…, V, …)⟩ = ⟨d(G, …), V⟩``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.calculus.backward import Formulas
from contractconv.calculus.gather_phases import phases
from contractconv.calculus.letters import cotangent as cotangent_letter
from contractconv.calculus.letters import said
from contractconv.calculus.letters import tangent as tangent_letter
from contractconv.calculus.read_conditions import places
from contractconv.calculus.symbols import scaling
from contractconv.errors import ContractionError, ParameterError, ShapeError
from contractconv.execution.gradient import backward_operands, gradient
from contractconv.execution.run import run
from contractconv.markup.shown import Printed
from contractconv.notation.carets import operand_label
from contractconv.notation.extents import bind
from contractconv.notation.problem import Problem, shape_of
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import backward_problem, phase_problem
from contractconv.planning.plan import plan
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute_force import BruteForce, Place
from contractconv.verification.cases import Case, cases, spelled
from contractconv.verification.comparison import TOLERANCE, Check, Judge, numbers_of, sizes_of
from contractconv.verification.drawn_arrays import Drawn
from contractconv.verification.engines import Covered, covered, large, subject_of

# How many terms of formulas are looked at in all cases together.
TERMS = 200_000

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, repr=False)
class Certificate(Printed):
    """What was checked of something derived, all of it with success.

    Attributes:
        forward: the contraction.
        operand: the position of the operand it was differentiated by.
        checks: the statements that hold.
        cases: the extents and parameters that they were checked with.
        ran: the ways by which forward and backward contraction were run and compared as well.
        what: what was derived.
        compared: which of the statements the sentence is about.
    """

    forward: Spec
    operand: int
    checks: tuple[Check, ...]
    cases: tuple[tuple[tuple[str, int], ...], ...]
    ran: tuple[Covered, ...] = ()
    what: str = "gradient"
    compared: str = (
        "formula, strings and computed gradient equal brute force over the definition, and the "
        "gradient is the transpose of the forward map"
    )

    @property
    def summary(self) -> str:
        """The certificate in a few words."""
        compared = sum(check.numbers for check in self.checks)
        exact = all(check.exact for check in self.checks)
        how = "exactly" if exact else f"within {TOLERANCE:g}"
        return f"verified on {len(self.cases)} small cases, {compared:,} numbers {how}"

    @property
    def sentence(self) -> str:
        """The certificate with what was compared."""
        sampled = any(check.of > check.numbers for check in self.checks)
        some = " Of large formulas a sample of elements was worked out." * sampled
        return f"{self.summary}: {self.compared}.{some}"

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        label = operand_label(self.forward, self.operand)
        lines = [f"verified: the {self.what} of '{self.forward}' by {label}"]
        lines += [f"  {check}" for check in self.checks]
        width = max((35, *(len(one.way) for one in self.ran)))
        lines += [f"  run by {one.row(width)}" for one in self.ran]
        cases = [", ".join(f"{name}={value}" for name, value in case) for case in self.cases]
        return "\n".join([*lines, f"  with {'; '.join(cases[:3])}{'; ...' * (len(cases) > 3)}"])


def certify(
    formulas: Formulas,
    values: Mapping[str, int] | None = None,
    report: Report | None = None,
    *,
    engines: bool = False,
) -> Certificate:
    """Check a derived gradient against the definition.

    Args:
        formulas: the derivation.
        values: extents and parameters to use; the others are chosen, small and varied.
        report: is told after each case how many of how many are done.
        engines: whether every way of every engine is run, too, on one case.

    Returns:
        The certificate.

    Raises:
        CertificateError: something disagrees; the message says what, where, and by how much.
        ShapeError: the extents make too many points for brute force.
        ParameterError: a stride is zero, by which the formula divides.
    """
    here = replace(
        formulas,
        forward=spelled(formulas.forward),
        scatter=spelled(formulas.scatter),
        gather=spelled(formulas.gather),
    )
    given = {n: v for n, v in (values or {}).items() if n in here.forward.parameters}
    if any(given.get(name, 1) == 0 for name in scaling(here.forward)):
        bind(here.gather, given)  # a stride of zero, which a formula may divide by
    chosen = cases(here.forward, values or {})
    share = TERMS // (2 * len(chosen))
    checks = tally(_told((_checks(here, case, share) for case in chosen), len(chosen), report))
    ran = _ran(here, values or {}) if engines else ()
    return Certificate(formulas.forward, formulas.operand, checks, tried(chosen), ran)


def _told(
    checked: Iterable[Iterable[Check]], count: int, report: Report | None
) -> Iterator[Iterable[Check]]:
    for number, checks in enumerate(checked, 1):
        yield checks
        if report is not None:
            report(number, count)


def tally(checked: Iterable[Iterable[Check]]) -> tuple[Check, ...]:
    """Add up what was checked in all cases."""
    total: dict[str, Check] = {}
    for check in chain.from_iterable(checked):
        before = total.get(check.statement, replace(check, numbers=0, of=0))
        total[check.statement] = replace(
            check, numbers=check.numbers + before.numbers, of=check.of + before.of
        )
    return tuple(total.values())


def tried(chosen: Sequence[Case]) -> tuple[tuple[tuple[str, int], ...], ...]:
    """The numbers of each case."""
    return tuple(tuple(case.values.items()) for case in chosen)


# -- checks --------------------------------------------------------------------------------------


def _ran(formulas: Formulas, values: Mapping[str, int]) -> tuple[Covered, ...]:
    """What each way of each engine makes, on a case that is large enough for all of them."""
    return tuple(dict.fromkeys(covered(formulas, Drawn(large(formulas, values)))))


def _checks(formulas: Formulas, case: Case, terms: int) -> Iterator[Check]:
    n, drawn = formulas.operand, Drawn(case)
    operands, brute = drawn.operands, drawn.brute
    cotangent = drawn.integers(case.problem.result_shape)
    given = numbers_of(cotangent, case.problem.output)
    exact = REDUCTIONS[case.forward.reduce].exact
    shape = shape_of(case.problem.operands[n])
    judge = Judge(subject_of(formulas), case, brute.gradient(n, given), shape, exact)

    arrays = drawn.named(**{cotangent_letter(case.forward): cotangent})
    sizes = sizes_of(case, places(formulas.forward, n))
    for statement, equation in (
        ("formula = brute force", formulas.collected),
        ("formula with deltas = brute force", formulas.placed),
    ):
        yield judge.formula(statement, equation, arrays, sizes, terms)
    factors = backward_operands(n, case.problem, cotangent, operands)
    for form, spec in (("scatter", formulas.scatter), ("gather", formulas.gather)):
        problem = _fitted(judge, formulas, form, spec)
        yield judge.array(f"{form} string = brute force", run(plan(problem), factors))
    if parts := _phases(formulas, case, factors):
        yield judge.array("sum of phases = brute force", sum(parts[1:], parts[0]))
    result = gradient(case.forward, n, case.problem, cotangent, operands)
    yield judge.array("gradient = brute force", result)
    tangent = drawn.integers(case.shapes[n])
    image = _image(n, case, brute, operands, tangent)
    back, along = letters_of(case.forward, n)
    dot = f"⟨{back}, c(…, {along}, …)⟩ = ⟨d({back}, …), {along}⟩"
    forward = sum(given[at] * v for at, v in image.items())
    products = result * tangent
    judge.expect(dot, products.sum().item(), forward, (), float(np.abs(products).sum()))
    yield Check(dot, 1, exact, 1)


def letters_of(forward: Spec, n: int) -> tuple[str, str]:
    """The cotangent, and a tangent of an operand, as they are written."""
    return said(cotangent_letter(forward)), said(tangent_letter(forward, forward.called[n]))


def _fitted(judge: Judge, formulas: Formulas, form: str, spec: Spec) -> Problem:
    """Put the case's shapes into a string; if they do not fit, the string is wrong."""
    case = judge.case
    try:
        return backward_problem(case.bound(spec), formulas, case.problem, case.shapes)
    except (ShapeError, ParameterError) as error:
        raise judge.wrong(f"the {form} string fits no gradient: {error}") from None


def _phases(formulas: Formulas, case: Case, factors: Sequence[Array]) -> list[Array]:
    """The parts of a gradient with a congruence; nothing if there is none, or no way to split."""
    here = replace(formulas, gather=case.bound(formulas.gather))
    try:
        found = phases(here.gather)
    except ContractionError:
        return []  # a composition is in the way, or the phases are too many
    if not any(phase.residues for phase in found):
        return []
    parts = (phase_problem(phase, here, case.problem, case.shapes) for phase in found)
    return [run(plan(part), factors) for part in parts]


def _image(
    n: int, case: Case, brute: BruteForce, operands: Sequence[Array], tangent: Array
) -> Mapping[Place, Any]:
    """How the result changes with the tangent: as it is computed if the contraction is linear."""
    if not REDUCTIONS[case.forward.reduce].is_sum:
        return brute.directional(n, numbers_of(tangent, case.problem.operands[n]))
    moved = [tangent if m == n else operand for m, operand in enumerate(operands)]
    return numbers_of(run(plan(case.problem), moved), case.problem.output)
