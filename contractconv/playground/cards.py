"""Cards: the layer, and the gradient by each operand: formulas, strings, diagrams."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contractconv.calculus.equation import Equation
from contractconv.calculus.letters import said
from contractconv.display.explanation import Gradient
from contractconv.display.html_formulas import formula
from contractconv.display.html_page import picture
from contractconv.display.html_steps import written
from contractconv.display.html_summed import summed_parts
from contractconv.display.sentences import (
    counts,
    forward_forms,
    letters,
    words,
)
from contractconv.display.summed_gradient import SummedGradient
from contractconv.markup.parts import code, definitions, note
from contractconv.notation.spec import Spec
from contractconv.playground.subject import Subject


@dataclass(frozen=True, slots=True)
class Card:
    """A part of the page.

    Attributes:
        operand: the number of the array that a gradient is by; ``None`` for the layer itself.
        title: what it is.
        html: what it shows.
    """

    operand: int | None
    title: str
    html: str

    def as_dict(self) -> dict[str, Any]:
        """As the page is told."""
        return {
            "name": "layer" if self.operand is None else self.operand,
            "title": self.title,
            "html": self.html,
        }


def layer_card(subject: Subject) -> Card:
    """The contraction itself."""
    explanation = subject.explanation
    spec, plan = explanation.spec, explanation.plan
    forms = [("string", spec), *forward_forms(spec)]
    sentences = "" if plan is None else counts(explanation, plan), words(explanation)
    return Card(None, "Layer", _shown(forms, explanation.forward, spec, *sentences))


def gradient_card(number: int, gradient: Gradient | SummedGradient) -> Card:
    """The gradient by one array, given its number."""
    title = f"Gradient by {said(gradient.name)}"
    if isinstance(gradient, SummedGradient):
        parts = definitions((name, code(spec)) for name, spec in gradient.forms)
        shown = formula(written(gradient.formula)) + parts + "".join(summed_parts(gradient))
        return Card(number, title, shown)
    html = _shown(gradient.forms, gradient.formula, gradient.formulas.gather, letters(gradient))
    return Card(number, title, html)


def _shown(
    forms: Iterable[tuple[str, Spec]], equation: Equation, drawn: Spec, *sentences: str
) -> str:
    notes = "".join(map(note, sentences))
    strings = definitions((name, code(spec)) for name, spec in forms)
    return f"{formula(written(equation))}{strings}{notes}{picture(drawn, equation)}"
