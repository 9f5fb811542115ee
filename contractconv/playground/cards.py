"""Cards: the layer, and the gradient by each operand: formulas, diagrams, texts to be copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.calculus.equation import Equation
from contractconv.display.equations import write
from contractconv.display.explanation import Gradient
from contractconv.display.html_formulas import formula
from contractconv.display.html_page import picture
from contractconv.display.html_steps import written
from contractconv.display.sentences import (
    counts,
    forward_forms,
    gradient_forms,
    letters,
    words,
)
from contractconv.markup.parts import code, definitions, note
from contractconv.notation.spec import Spec
from contractconv.playground.subject import Subject


@dataclass(frozen=True, slots=True)
class Card:
    """A part of the page.

    Attributes:
        operand: the operand that a gradient is by; ``None`` for the layer itself.
        title: what it is.
        html: what it shows.
        copies: texts that a reader may take away, each with its name.
    """

    operand: int | None
    title: str
    html: str
    copies: Sequence[tuple[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """As the page is told."""
        return {
            "name": "layer" if self.operand is None else self.operand,
            "title": self.title,
            "html": self.html,
            "copies": [{"title": title, "text": text} for title, text in self.copies],
        }


def layer_card(subject: Subject) -> Card:
    """The contraction itself."""
    explanation = subject.explanation
    spec, forward, plan = explanation.spec, explanation.forward, explanation.plan
    forms = [("string", spec), *forward_forms(spec)]
    html = _shown(
        forms, forward, spec, "" if plan is None else counts(explanation, plan), words(explanation)
    )
    return Card(None, "Layer", html, _copies(forms, forward))


def gradient_card(gradient: Gradient) -> Card:
    """The gradient by one operand."""
    formulas, forms = gradient.formulas, gradient_forms(gradient)
    html = _shown(forms, formulas.collected, formulas.gather, letters(gradient))
    copies = _copies(forms, formulas.collected)
    return Card(formulas.operand, f"Gradient by {gradient.name}", html, copies)


def _shown(
    forms: Iterable[tuple[str, Spec]], equation: Equation, drawn: Spec, *sentences: str
) -> str:
    said = "".join(map(note, sentences))
    strings = definitions((name, code(spec)) for name, spec in forms)
    return f"{formula(written(equation))}{strings}{said}{picture(drawn, equation)}"


def _copies(forms: Iterable[tuple[str, Spec]], equation: Equation) -> list[tuple[str, str]]:
    texts = {name: str(spec) for name, spec in forms}
    texts |= {"text": write(equation, "text"), "LaTeX": write(equation, "latex")}
    texts |= {"MathML": write(equation, "mathml"), "sympy": str(equation.sympy)}
    return list(texts.items())
