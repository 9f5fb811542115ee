"""Sentences that a text and a page share: what letters mean, and what numbers come out."""

from __future__ import annotations

from math import prod

from contractconv.calculus.derivation import Formulas
from contractconv.calculus.recipes import gathered
from contractconv.calculus.rules import RULES
from contractconv.calculus.symbols import DOTS
from contractconv.display.explanation import Explanation, Gradient
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan

_VERBS = {"sum": "summed", "mean": "averaged"}


def words(explanation: Explanation) -> str:
    """Say what happens to indices, and what the letters of a formula mean."""
    spec, equation = explanation.spec, explanation.forward
    said = []
    reduced = [name.replace(DOTS, "…") for name in spec.reduced]
    verb = _VERBS.get(spec.reduce, f"reduced ({spec.reduce})")
    if reduced:
        are, they = ("is", "it is") if len(reduced) == 1 else ("are", "they are")
        said.append(f"{listed(reduced)} {are} not in the result, so {they} {verb}.")
    if equation.deltas:
        said.append(f"What lands on one element of the result is {verb}.")
    if _mentions_sizes(explanation):
        size = ", N_h the size of the axis at position h" * bool(equation.guards)
        said.append(f"N_i is the extent of index i{size}.")
    return " ".join(said)


def _mentions_sizes(explanation: Explanation) -> bool:
    told = [step.equation for gradient in explanation.gradients for step in gradient.steps]
    return any(equation.guards for equation in (explanation.forward, *told))


def counts(explanation: Explanation, plan: Plan) -> str:
    """Say in numbers what a contraction does."""
    problem = plan.problem
    shapes = ", ".join(map(str, explanation.shapes))
    said = f"Shapes {shapes} make {problem.result_shape}."
    factors = [size for name, size in problem.sizes if name in problem.reduced]
    if factors and explanation.spec.reduce == "sum" and not explanation.forward.deltas:
        terms = "·".join(map(str, factors))
        total = f" = {prod(factors):,}" if len(factors) > 1 else ""
        elements = f"{prod(problem.result_shape):,}"
        said += f" Each of its {elements} elements sums {terms}{total} products."
    return said


def letters(gradient: Gradient) -> str:
    """Say what the letters beside the operands mean in a gradient."""
    rule = RULES[gradient.formulas.forward.reduce]
    said = "G is the cotangent, the gradient of a loss by Y."
    return said if rule is None else f"{said} {rule.symbol} is {rule.meaning}."


def forward_forms(spec: Spec) -> list[tuple[str, Spec]]:
    """The other strings of a contraction whose output is a scatter."""
    other = gathered(spec)
    return [] if other is None or other == spec else [("gather", other)]


def gradient_forms(gradient: Gradient) -> list[tuple[str, Spec]]:
    """The strings of a gradient, by name."""
    formulas: Formulas = gradient.formulas
    forms = [("scatter", formulas.scatter)]
    if formulas.gather != formulas.scatter:
        forms.append(("gather", formulas.gather))
    if gradient.simplified is not None:
        forms.append(("here", gradient.simplified))
    return forms


def listed(names: list[str]) -> str:
    """Join names with commas and a last *and*."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
