"""An explanation as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from textwrap import wrap

from contractconv.calculus.equation import Equation
from contractconv.calculus.rules import RULES
from contractconv.calculus.symbols import DOTS
from contractconv.display.equations import write
from contractconv.display.explanation import Explanation, Gradient
from contractconv.planning.plan import Plan

_WIDTH = 100
# A formula is broken between factors, not inside one.
_SPACE_INSIDE = re.compile(r" (?=[^\[\]()·]*[\])])")


def as_text(explanation: Explanation) -> str:
    """Write an explanation as lines of at most about 100 characters."""
    return "\n".join(line.rstrip() for line in _lines(explanation))


def _lines(explanation: Explanation) -> Iterator[str]:
    yield str(explanation.spec)
    yield ""
    yield from _formula(explanation.forward, "  ")
    yield from _wrapped(words(explanation), "  ")
    if explanation.plan is not None:
        yield from _wrapped(counts(explanation, explanation.plan), "  ")
        yield ""
        yield from _plan(explanation.plan, "  ")
    for gradient in explanation.gradients:
        yield ""
        yield from _gradient(gradient)


def words(explanation: Explanation) -> str:
    """Say in a sentence or two what the letters of a formula mean."""
    spec, equation = explanation.spec, explanation.forward
    reduced = [name.replace(DOTS, "…") for name in spec.reduced]
    said = ""
    if reduced:
        verb = {"sum": "summed", "mean": "averaged"}.get(spec.reduce, f"reduced ({spec.reduce})")
        they = "it is" if len(reduced) == 1 else "they are"
        said = f"{_listed(reduced)} not in the result, so {they} {verb}."
    if equation.guards or explanation.gradients:
        said += " N_i is the extent of index i"
        said += ", N_h the size of the axis at position h." if equation.guards else "."
    return said.strip()


def counts(explanation: Explanation, plan: Plan) -> str:
    """Say in numbers what a contraction does."""
    problem, spec = plan.problem, explanation.spec
    shapes = ", ".join(map(str, explanation.shapes))
    said = f"Shapes {shapes} make {problem.result_shape}."
    factors = [size for name, size in problem.sizes if name in problem.reduced]
    if factors and spec.reduce == "sum":
        terms = "·".join(map(str, factors))
        total = f" = {prod(factors):,}" if len(factors) > 1 else ""
        said += (
            f" Each of its {prod(problem.result_shape):,} elements sums {terms}{total} products."
        )
    return said


def _gradient(gradient: Gradient) -> Iterator[str]:
    formulas = gradient.formulas
    yield f"gradient by {gradient.name}"
    yield f"  scatter   {formulas.scatter}"
    if formulas.gather != formulas.scatter:
        yield f"  gather    {formulas.gather}"
    if gradient.simplified is not None:
        yield f"  here      {gradient.simplified}"
    yield ""
    yield from _formula(formulas.collected, "  ")
    yield from _wrapped(letters(gradient), "  ")
    yield ""
    yield "  derivation"
    before: Equation | None = None
    for number, step in enumerate(gradient.steps, 1):
        yield from _wrapped(f"{step.name}: {step.sentence}", "     ", f"{number:>3}. ")
        if step.equation != before:
            yield from _formula(step.equation, "       ")
        if step.string is not None:
            yield f"       {step.string}"
        before = step.equation
    yield ""
    for second in gradient.seconds:
        yield f"  differentiated again, by {second.by}: {second}"
    yield ""
    yield from _wrapped(gradient.certificate.summary, "  ")
    if gradient.plan is not None:
        yield ""
        yield from _plan(gradient.plan, "  ")


def letters(gradient: Gradient) -> str:
    """Say what the letters beside the operands mean in a gradient."""
    rule = RULES[gradient.formulas.forward.reduce]
    said = "G is the cotangent, the gradient of a loss by Y."
    return said if rule is None else f"{said} {rule.symbol} is {rule.meaning}."


def _plan(plan: Plan, indent: str) -> Iterator[str]:
    yield f"{indent}plan"
    yield from (f"{indent}  {line}" for line in str(plan).splitlines())


def _formula(equation: Equation, indent: str) -> Iterator[str]:
    body, _, where = write(equation, "text").partition("   where ")
    whole = _SPACE_INSIDE.sub("\N{NO-BREAK SPACE}", body)
    for line in wrap(whole, _WIDTH, initial_indent=indent, subsequent_indent=indent + "    "):
        yield line.replace("\N{NO-BREAK SPACE}", " ")
    if where:
        yield from _wrapped(f"where {where}", indent + "      ", indent + "    ")


def _wrapped(text: str, indent: str, first: str | None = None) -> Iterator[str]:
    start = indent if first is None else first
    yield from wrap(text, _WIDTH, initial_indent=start, subsequent_indent=indent,
                    break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _listed(names: list[str]) -> str:
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{listed} {'is' if len(names) == 1 else 'are'}"
