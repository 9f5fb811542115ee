"""Sentences that a text and a page share: what letters mean, and what numbers come out."""

from __future__ import annotations

from math import prod

from contractconv.calculus.backward import Formulas
from contractconv.calculus.derivation_steps import listed
from contractconv.calculus.derived_strings import gathered
from contractconv.calculus.equation import Equation, Inside, size
from contractconv.calculus.letters import cotangent, result
from contractconv.calculus.letters import said as spelled
from contractconv.calculus.local_derivative import local_name
from contractconv.calculus.read_conditions import places
from contractconv.calculus.symbols import DOTS
from contractconv.display.explanation import Explanation, Gradient
from contractconv.display.summed_gradient import SummedGradient
from contractconv.notation.problem import Problem
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan
from contractconv.reductions.table import REDUCTIONS


def words(explanation: Explanation) -> str:
    """Say what happens to indices, and what the letters of a formula mean."""
    return " ".join([*reduced_words(explanation.spec, explanation.forward), *_sizes(explanation)])


def reduced_words(spec: Spec, equation: Equation) -> list[str]:
    """Say what happens to the indices that are not in a result."""
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
    return said


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
    shapes = ", ".join(map(str, explanation.shapes))
    said = f"Shapes {shapes} make {plan.problem.result_shape}."
    each = element_counts(plan.problem, explanation.forward)
    return f"{said} {each}" if each else said


def element_counts(problem: Problem, equation: Equation) -> str:
    """Say of how many points each element is made; nothing where that differs, or is one.

    Args:
        problem: the numbers.
        equation: the contraction as it is written; where that collects what the string of the
            problem scatters, windows may end before all of them are met.
    """
    record = REDUCTIONS[equation.reduce]
    reduced = [index.name for index in equation.summed]
    factors = [extent for name, extent in problem.sizes if name in reduced]
    if not factors or equation.deltas:
        return ""
    total = f" = {prod(factors):,}" if len(factors) > 1 else ""
    most = "at most " * (set(reduced) != set(problem.reduced))
    count = most + "·".join(map(str, factors)) + total
    elements = prod(problem.result_shape)
    which = "Its one element" if elements == 1 else f"Each of its {elements:,} elements"
    things = "products" if len(equation.factors) > 1 else "numbers"
    does = f"sums {count} {things}" if record.is_sum else f"is the {record.noun} of {count}"
    return f"{which} {does}."


def letters(gradient: Gradient) -> str:
    """Say what the letters beside the operands mean in a gradient."""
    forward = gradient.formulas.forward
    record = REDUCTIONS[forward.reduce]
    back = spelled(cotangent(forward))
    said = f"{back} is the cotangent, the gradient of a loss by {result(forward)}."
    return said if record.is_sum else f"{said} {local_name(forward)} is {record.local.meaning}."


def proof(gradient: Gradient | SummedGradient) -> str:
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
