"""Panels: what a card shows when it is asked for; each is one entry in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from contractconv.api.derivation import Derivation
from contractconv.calculus.backward import derive
from contractconv.calculus.collected import Collected
from contractconv.calculus.equation import Equation
from contractconv.calculus.gather_phases import count_phases
from contractconv.calculus.letters import gradient as slope_by
from contractconv.calculus.letters import said, tangent
from contractconv.display.equations import write
from contractconv.display.explanation import Gradient
from contractconv.display.html_page import python
from contractconv.display.html_sequences import phase_parts, second_parts
from contractconv.display.html_steps import steps_list
from contractconv.display.summed_gradient import SummedGradient
from contractconv.errors import ContractionError
from contractconv.markup.parts import copies, note, preformatted
from contractconv.notation.spec import Spec
from contractconv.planning.report_page import plan_parts
from contractconv.playground.subject import Subject

Operand = int | None
"""The operand that a card's gradient is by; ``None`` on the card of the layer."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Something that a card can show besides.

    Attributes:
        name: what the page calls it.
        title: what is on its button.
        html: what it shows.
        belongs: whether a card has it.
    """

    name: str
    title: str
    html: Callable[[Subject, Operand], str]
    belongs: Callable[[Subject, Operand], bool]


def _gradient(subject: Subject, operand: Operand) -> Gradient | SummedGradient:
    assert operand is not None
    return subject.explanation.gradients[operand]


def _derivation(subject: Subject, operand: Operand) -> Derivation:
    assert operand is not None
    return subject.contraction.grad(operand)


def _is_gradient(_: Subject, operand: Operand) -> bool:
    return operand is not None


def _always(_: Subject, operand: Operand) -> bool:
    return True


def _derived(subject: Subject, operand: Operand) -> str:
    return steps_list(_gradient(subject, operand).steps)


def _has_phases(subject: Subject, operand: Operand) -> bool:
    if operand is None:
        return False
    forward = subject.contraction.bind(**subject.parameters)._named
    places = [part.formulas.operand for part in _gradient(subject, operand).parts]
    try:
        found = sum(count_phases(derive(forward, place).gather) for place in places)
    except ContractionError:
        return False  # a symbol in a division, a composition in the way, or too many of them
    return found > len(places)


def _phases(subject: Subject, operand: Operand) -> str:
    found = _derivation(subject, operand).phases(**subject.parameters)
    counted = (
        f"{len(found)} contractions without a division, whose results add up to the gradient: "
        f"one for each residue."
    )
    items = (
        "".join(phase_parts(phase._shown_spec(), phase._shown_equation(), phase.meaning))
        for phase in found
    )
    return f"{note(counted)}<ol>{''.join(f'<li>{item}</li>' for item in items)}</ol>"


def _again(subject: Subject, operand: Operand) -> str:
    gradient = _gradient(subject, operand)
    forward = subject.explanation.spec
    back, slope = said(tangent(forward, gradient.name)), said(slope_by(gradient.name))
    return note(f"{back} is the cotangent of {slope}.") + "".join(
        part for second in gradient.seconds for part in second_parts(second, forward)
    )


def _has_plan(subject: Subject, operand: Operand) -> bool:
    return subject.explanation.plan is not None


def _planned(subject: Subject, operand: Operand) -> str:
    plans = [subject.explanation.plan]
    if operand is not None:
        plans = [plan for _, plan in _gradient(subject, operand).plans]
    predicted = (
        "What is predicted for a machine like many, in float32."
        if find_spec("numpy") is not None
        else "What is predicted for a machine like many, in float32; nothing is carried out here."
    )
    return "".join(part for plan in plans if plan for part in plan_parts(plan)) + note(predicted)


def _certificate(subject: Subject, operand: Operand) -> str:
    derivation = _derivation(subject, operand)
    if find_spec("numpy") is None:
        from contractconv.verification.exact_proof import prove

        where = "In Python's integers; engines, which need numpy, are not compared here."
        gradient = _gradient(subject, operand)
        proofs = [str(prove(part.formulas, subject.parameters)) for part in gradient.parts]
        return preformatted("\n".join(proofs)) + note(where)
    return preformatted(str(derivation.verify(extents=subject.parameters, engines=False)))


def _source(library: str, subject: Subject, operand: Operand) -> str:
    subject_of_code = subject.contraction if operand is None else _derivation(subject, operand)
    return preformatted(subject_of_code.code(library, *subject.shapes, **subject.given))


def _copied(subject: Subject, operand: Operand) -> str:
    spec = subject.explanation.spec
    if operand is None:
        return _copies({"string": spec}, subject.explanation.forward, python(spec))
    gradient = _gradient(subject, operand)
    forms = [part.forms for part in gradient.parts]
    strings = {
        name if len(forms) == 1 else f"{name}-{number}": form
        for number, part in enumerate(forms, 1)
        for name, form in part
    }
    return _copies(strings, gradient.formula, f"{python(spec)}.grad({operand})")


def _copies(strings: Mapping[str, Spec], shown: Equation | Collected, made: str) -> str:
    scripts = {"text": "text", "LaTeX": "latex", "MathML": "mathml"}
    texts = {name: str(string) for name, string in strings.items()}
    texts |= {name: write(shown, script) for name, script in scripts.items()}
    return copies(**texts, Python=made, sympy=str(shown.sympy))


_LIBRARIES = ("numpy", "torch", "jax")

PANELS = {
    panel.name: panel
    for panel in (
        Panel("steps", "Steps", _derived, _is_gradient),
        Panel("phases", "Phases", _phases, _has_phases),
        Panel("again", "Differentiated again", _again, _is_gradient),
        Panel("plan", "Plan", _planned, _has_plan),
        Panel("certificate", "Certificate", _certificate, _is_gradient),
        *(Panel(name, f"{name} code", partial(_source, name), _always) for name in _LIBRARIES),
        Panel("copy", "Copy", _copied, _always),
    )
}
