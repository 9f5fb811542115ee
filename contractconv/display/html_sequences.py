"""Several formulas in HTML: phases of a gradient, its own derivatives, parts of a curvature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import Step
from contractconv.calculus.equation import Equation
from contractconv.calculus.gradient_derivatives import Second
from contractconv.calculus.letters import said
from contractconv.calculus.summed_steps import second_equation
from contractconv.display.equations import second_remark
from contractconv.display.html_formulas import formula
from contractconv.display.html_steps import written
from contractconv.display.sentences import again_words, second_words
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


def again_parts(name: str, seconds: Iterable[Second], forward: Spec) -> Iterator[str]:
    """The derivatives of a gradient, below a title of their own."""
    yield f"<h3>Differentiated again</h3>{note(_capital(again_words(name, forward)))}"
    for second in seconds:
        yield from _second(second, forward, _strings(second, forward), not second.same_as)


def _capital(words: str) -> str:
    """A sentence of its own."""
    return f"{words[:1].upper()}{words[1:]}."


def _strings(second: Second, forward: Spec) -> str:
    """What a second derivative is, its strings as such."""
    if second.same_as or not second.parts:
        return escape(second_words(second, forward))
    return " + ".join(code(part.spec) for part in second.parts)


def second_parts(second: Second, forward: Spec) -> Iterator[str]:
    """The derivative of a gradient of a contraction by something that it is made of."""
    yield from _second(second, forward, escape(str(second)), shown=True)


def _second(second: Second, forward: Spec, told: str, shown: bool) -> Iterator[str]:
    yield f"<p>by {escape(said(second.by))}: {told}</p>"
    if shown:
        yield formula(written(second_equation(second, forward)))
    yield note(second_remark(second, forward))


def named_parts(parts: Iterable[tuple[str, Spec, Equation | Collected]]) -> Iterator[str]:
    """Several contractions, each with what it is called."""
    for name, spec, equation in parts:
        yield f"<p>{escape(name)}: {code(spec)}</p>{formula(written(equation))}"
