"""Sentences that a text and a page share: what letters mean, and what numbers come out."""

from __future__ import annotations

from math import prod

from contractconv.calculus.backward import Formulas
from contractconv.calculus.derivation_steps import listed
from contractconv.calculus.derived_strings import gathered
from contractconv.calculus.equation import Inside, size
from contractconv.calculus.local_derivative import local_name
from contractconv.calculus.read_conditions import places
from contractconv.calculus.symbols import DOTS
from contractconv.display.explanation import Explanation, Gradient
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan
from contractconv.reductions.table import REDUCTIONS


def words(explanation: Explanation) -> str:
    """Say what happens to indices, and what the letters of a formula mean."""
    spec, equation = explanation.spec, explanation.forward
    said = []
    reduced = [i.name for i in equation.summed if i.name in spec.reduced or i.name == DOTS]
    if reduced:
        are, they = ("is", "it") if len(reduced) == 1 else ("are", "they")
        them = "them" if they == "they" else "it"
        treated = _treated(spec.reduce, f"{they} {are}", f"over {them}")
        named = listed([name.replace(DOTS, "…") for name in reduced])
        said.append(f"{named} {are} not in the result, so {treated}.")
    if equation.deltas:
        treated = _treated(spec.reduce, "they are", "of them")
        said.append(f"Where several points land on one element, {treated}.")
    said += _sizes(explanation)
    return " ".join(said)


def _treated(reduce: str, they_are: str, over_them: str) -> str:
    record = REDUCTIONS[reduce]
    if record.verb:
        return f"{they_are} {record.verb}"
    return f"the {record.noun} {over_them} is taken"


def _sizes(explanation: Explanation) -> list[str]:
    """Say what the sizes in conditions are."""
    told = [step.equation for gradient in explanation.gradients for step in gradient.steps]
    equations = [explanation.forward, *told]
    if not any(isinstance(g, Inside) for equation in equations for g in equation.guards):
        return []
    names = [factor.name for factor in explanation.forward.factors]
    named = places(explanation.spec)
    shown = {g.size for g in explanation.forward.guards if isinstance(g, Inside)}
    axes = [
        f"N_{position.name} the size of axis {number} of {names[term]}"
        for term in range(len(names))
        for number, position in enumerate(named[term])
        if size(position.name) in shown
    ]
    return [", ".join(["N_i is the extent of index i", *axes]) + "."]


def counts(explanation: Explanation, plan: Plan) -> str:
    """Say in numbers what a contraction does."""
    problem, record = plan.problem, REDUCTIONS[explanation.spec.reduce]
    shapes = ", ".join(map(str, explanation.shapes))
    said = f"Shapes {shapes} make {problem.result_shape}."
    factors = [extent for name, extent in problem.sizes if name in problem.reduced]
    if factors and not explanation.forward.deltas:
        terms = "·".join(map(str, factors))
        total = f" = {prod(factors):,}" if len(factors) > 1 else ""
        elements = prod(problem.result_shape)
        which = "Its one element" if elements == 1 else f"Each of its {elements:,} elements"
        count = terms + total
        does = f"sums {count} products" if record.is_sum else f"is the {record.noun} of {count}"
        said += f" {which} {does}."
    return said


def letters(gradient: Gradient) -> str:
    """Say what the letters beside the operands mean in a gradient."""
    forward = gradient.formulas.forward
    record = REDUCTIONS[forward.reduce]
    said = "G is the cotangent, the gradient of a loss by Y."
    return said if record.is_sum else f"{said} {local_name(forward)} is {record.local.meaning}."


def proof(gradient: Gradient) -> str:
    """Say what was checked of a gradient."""
    if gradient.certificate is None:
        return "not verified: no proof was asked for."
    return gradient.certificate.sentence


def forward_forms(spec: Spec) -> list[tuple[str, Spec]]:
    """The other strings of a contraction whose output is a scatter."""
    other = gathered(spec)
    return [] if other is None or other == spec else [("gather", other)]


def gradient_forms(gradient: Gradient) -> list[tuple[str, Spec]]:
    """The strings of a gradient, by name."""
    formulas: Formulas = gradient.formulas
    two = formulas.gather != formulas.scatter
    forms = [("scatter" if two else "string", formulas.scatter)]
    if two:
        forms.append(("gather", formulas.gather))
    if gradient.simplified is not None:
        forms.append(("here", gradient.simplified))
    return forms
