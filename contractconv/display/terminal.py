"""An explanation as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap

from contractconv.calculus.equation import Equation
from contractconv.display.equations import write
from contractconv.display.explanation import Explanation, Gradient
from contractconv.display.wording import counts, forward_forms, gradient_forms, letters, words
from contractconv.planning.plan import Plan

_WIDTH = 100
_GLUE = "\N{NO-BREAK SPACE}"
# A formula is broken between factors, not inside one.
_SPACE_INSIDE = re.compile(r" (?=[^\[\]()·]*[\])])")


def as_text(explanation: Explanation) -> str:
    """Write an explanation as lines of at most about 100 characters."""
    return "\n".join(line.rstrip() for line in _lines(explanation))


def _lines(explanation: Explanation) -> Iterator[str]:
    yield str(explanation.spec)
    yield from (f"  {name:10}{spec}" for name, spec in forward_forms(explanation.spec))
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


def _gradient(gradient: Gradient) -> Iterator[str]:
    formulas = gradient.formulas
    yield f"gradient by {gradient.name}"
    yield from (f"  {name:10}{spec}" for name, spec in gradient_forms(gradient))
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
    yield f"  differentiated again, V being the cotangent of d{gradient.name}"
    for second in gradient.seconds:
        yield f"    by {second.by:4}{second}"
    yield ""
    yield from _wrapped(gradient.certificate.sentence, "  ")
    if gradient.plan is not None:
        yield ""
        yield from _plan(gradient.plan, "  ")


def _plan(plan: Plan, indent: str) -> Iterator[str]:
    yield f"{indent}plan"
    yield from (f"{indent}  {line}" for line in str(plan).splitlines())


def _formula(equation: Equation, indent: str) -> Iterator[str]:
    body, _, where = write(equation, "text").partition("   where ")
    glued = _SPACE_INSIDE.sub(_GLUE, body)
    yield from _wrapped(glued, indent + "    ", indent)
    if where:
        yield from _wrapped(f"where {where}", indent + "      ", indent + "    ")


def _wrapped(text: str, indent: str, first: str | None = None) -> Iterator[str]:
    start = indent if first is None else first
    lines = wrap(
        text.replace("Σ ", f"Σ{_GLUE}"),
        _WIDTH,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (line.replace(_GLUE, " ") for line in lines)
