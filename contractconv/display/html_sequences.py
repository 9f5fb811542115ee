"""Several formulas in HTML: phases of a gradient, its own derivatives, parts of a curvature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import Step
from contractconv.calculus.equation import Equation
from contractconv.calculus.gradient_derivatives import Second
from contractconv.calculus.letters import said
from contractconv.calculus.summed_steps import second_equations
from contractconv.display.html_formulas import formula
from contractconv.display.html_steps import written
from contractconv.markup.parts import code, note
from contractconv.notation.spec import Spec


def step_parts(step: Step) -> Iterator[str]:
    """One step of a derivation."""
    yield f"<p><b>{step.name}</b> {escape(step.sentence)}</p>"
    yield formula(written(step.equation))
    if step.string is not None:
        yield f"<p>{code(step.string)}</p>"


def phase_parts(spec: Spec, equation: Equation, meaning: str) -> Iterator[str]:
    """One phase of a gradient."""
    yield formula(written(equation))
    yield f"<p>{code(spec)}</p>"
    yield note(f"where {meaning}")


def second_parts(second: Second, forward: Spec) -> Iterator[str]:
    """The derivative of a gradient of a contraction by something that it is made of."""
    yield f"<p>by {escape(said(second.by))}: {escape(str(second))}</p>"
    for equation in second_equations(second, forward):
        yield formula(written(equation))


def named_parts(parts: Iterable[tuple[str, Spec, Equation | Collected]]) -> Iterator[str]:
    """Several contractions, each with what it is called."""
    for name, spec, equation in parts:
        yield f"<p>{escape(name)}: {code(spec)}</p>{formula(written(equation))}"
