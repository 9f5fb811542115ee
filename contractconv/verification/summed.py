"""Certificates of what is derived by an array that stands in several places.

Each part is certified by itself. Of their sum the collected formula, and the gradient as it is
called, are compared with brute force. And the product rule is not taken on trust: where the
contraction is a polynomial in the array, ``f(x + tV)`` is worked out by brute force for as many
``t`` as its degree asks for, and the exact coefficient of ``t`` must be ``⟨dx, V⟩``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.calculus import summed_steps
from contractconv.calculus.backward import Formulas
from contractconv.calculus.derived_strings import Subject
from contractconv.calculus.letters import cotangent as cotangent_letter
from contractconv.calculus.letters import gradient as gradient_letter
from contractconv.calculus.letters import said
from contractconv.calculus.read_conditions import places
from contractconv.execution.gradient import gradient
from contractconv.notation.problem import shape_of
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.brute_force import BruteForce, added
from contractconv.verification.cases import Case, cases, spelled
from contractconv.verification.certificate import (
    TERMS,
    Certificate,
    certify,
    letters_of,
    tally,
    tried,
)
from contractconv.verification.comparison import Check, Judge, numbers_of, sizes_of
from contractconv.verification.derived_forms import certify_derived
from contractconv.verification.drawn_arrays import Drawn

_COMPARED = (
    "the collected formula and the computed gradient equal brute force over the definition, and so "
    "does each of the parts"
)


def certify_sum(
    parts: Sequence[Formulas],
    values: Mapping[str, int] | None = None,
    report: Any = None,
    *,
    engines: bool = False,
) -> Certificate:
    """Check the gradient by an array that stands in several places.

    Args:
        parts: the derivation by each place.
        values: extents and parameters to use; the others are chosen, small and varied.
        report: is told after each case of a part how many of how many are done.
        engines: whether every way of every engine is run, too.

    Raises:
        CertificateError: something disagrees; the message says what, where, and by how much.
        ShapeError: the extents make too many points for brute force.
    """
    proofs = [certify(part, values, report, engines=engines) for part in parts]
    here = [replace(part, forward=spelled(part.forward)) for part in parts]
    chosen = cases(here[0].forward, values or {})
    checks = tally(_checks(here, case, TERMS // len(chosen)) for case in chosen)
    return Certificate(
        parts[0].forward, parts[0].operand, (*checks, *_of_parts(proofs)), tried(chosen),
        tuple(dict.fromkeys(way for proof in proofs for way in proof.ran)), compared=_COMPARED,
    )  # fmt: skip


def certify_derived_sum(
    subjects: Sequence[Subject], values: Mapping[str, int] | None = None
) -> Certificate:
    """Check what is derived by each place of an array; the result is their sum."""
    proofs = [certify_derived(subject, values) for subject in subjects]
    return replace(proofs[0], checks=_of_parts(proofs))


def _of_parts(proofs: Sequence[Certificate]) -> tuple[Check, ...]:
    checks = [[replace(c, statement=f"parts: {c.statement}") for c in p.checks] for p in proofs]
    return tally(checks)


def _checks(parts: Sequence[Formulas], case: Case, terms: int) -> Iterator[Check]:
    first, drawn = parts[0], Drawn(case)
    places_of = [part.operand for part in parts]
    cotangent = drawn.integers(case.problem.result_shape)
    given = numbers_of(cotangent, case.problem.output)
    exact = REDUCTIONS[case.forward.reduce].exact
    shape = shape_of(case.problem.operands[first.operand])
    expected = added(item for n in places_of for item in drawn.brute.gradient(n, given).items())
    subject = f"the gradient of '{first.forward}' by {said(first.forward.called[first.operand])}"
    judge = Judge(subject, case, expected, shape, exact)

    arrays = drawn.named(**{cotangent_letter(case.forward): cotangent})
    sizes: dict[Any, int] = {}
    for n in places_of:
        sizes |= sizes_of(case, places(first.forward, n))
    yield judge.formula(
        "formula = brute force", summed_steps.collected_gradient(parts), arrays, sizes, terms
    )
    made = [
        gradient(case.forward.unnamed, n, case.problem, cotangent, drawn.operands)
        for n in places_of
    ]
    total = sum(made[1:], start=made[0])
    yield judge.array("gradient = brute force", total)
    if REDUCTIONS[case.forward.reduce].linear:
        tangent = drawn.integers(case.shapes[first.operand], 2)
        slope = _slope(case, drawn.operands, places_of, tangent, given)
        products = total * tangent
        scale = float(np.abs(products).sum())
        statement = _statement(first)
        judge.expect(statement, products.sum().item(), slope, (), scale)
        yield Check(statement, 1, exact, 1)


def _statement(part: Formulas) -> str:
    name = part.forward.called[part.operand]
    back, along = letters_of(part.forward, part.operand)
    made = said(gradient_letter(name))
    return f"⟨{made}, {along}⟩ = slope of ⟨{back}, c(…, {name}+t{along}, …)⟩"


def _slope(
    case: Case,
    operands: Sequence[Array],
    where: Sequence[int],
    tangent: Array,
    cotangent: Mapping[Any, Any],
) -> Fraction:
    """The exact derivative of ``⟨G, c(…, x+tV, …)⟩`` at zero: of a polynomial, by its values."""
    degrees = range(len(where) + 1)
    values = [_value(case, operands, where, tangent, cotangent, t) for t in degrees]
    return _derivative_at_zero(values)


def _value(
    case: Case,
    operands: Sequence[Array],
    where: Sequence[int],
    tangent: Array,
    cotangent: Mapping[Any, Any],
    t: int,
) -> Fraction:
    moved = [
        np.asarray(array + t * tangent, object) if n in where else array
        for n, array in enumerate(operands)
    ]
    numbers = [
        dict(np.ndenumerate(_split(array, accesses)))
        for array, accesses in zip(moved, case.problem.operands, strict=True)
    ]
    made = BruteForce(case.problem, numbers).result()
    return sum((Fraction(cotangent[at]) * Fraction(v) for at, v in made.items()), Fraction(0))


def _split(array: Array, accesses: Sequence[Any]) -> Array:
    return np.asarray(array).reshape([access.size for access in accesses])


def _derivative_at_zero(values: Sequence[Fraction]) -> Fraction:
    """The slope at zero of the polynomial through values at 0, 1, 2, ...: Newton's differences."""
    total, row, sign = Fraction(0), list(values), 1
    for order in range(1, len(values)):
        row = [later - sooner for sooner, later in pairwise(row)]
        total += Fraction(sign, order) * row[0]
        sign = -sign
    return total
