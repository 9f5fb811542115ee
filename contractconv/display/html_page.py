"""Explanations as HTML: formulas in MathML, diagrams in SVG, and nothing to load from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from contractconv.calculus.collected import Collected
from contractconv.calculus.equation import Equation
from contractconv.calculus.letters import said
from contractconv.display.algorithms import ROLES, Fast
from contractconv.display.diagram import diagram
from contractconv.display.equations import write
from contractconv.display.explanation import Explanation, Gradient
from contractconv.display.html_formulas import formula
from contractconv.display.html_sequences import again_parts
from contractconv.display.html_steps import steps_list, written
from contractconv.display.html_summed import summed_parts
from contractconv.display.sentences import (
    counts,
    forward_forms,
    letters,
    proof,
    words,
)
from contractconv.display.summed_gradient import SummedGradient
from contractconv.markup.parts import (
    article,
    code,
    contents,
    copies,
    definitions,
    figure,
    note,
    section,
)
from contractconv.notation.names import names_text
from contractconv.notation.spec import SUM, Spec
from contractconv.planning.plan import Plan
from contractconv.planning.report_page import steps_table
from contractconv.tiles.decomposition import Decomposition
from contractconv.tiles.tableau import IDENTITY, title
from contractconv.tiles.tableau import written as number

_FAST = "fast-algorithm"


def explanation_parts(explanation: Explanation, alone: bool) -> Iterator[str]:
    """The parts of a page that explains a contraction."""
    spec, plan, fast = explanation.spec, explanation.plan, explanation.fast
    yield f"<h1>{code(spec)}</h1>"
    if alone:
        titles = {_anchor(g): f"Gradient by {said(g.name)}" for g in explanation.gradients}
        yield contents(titles | ({_FAST: "Fast algorithm"} if fast else {}))
    yield definitions(_strings(forward_forms(spec)))
    yield _formula(explanation.forward, python(spec), str(spec))
    yield note(words(explanation))
    yield note("" if plan is None else counts(explanation, plan))
    yield picture(spec, explanation.forward)
    yield _plan(plan)
    for gradient in explanation.gradients:
        parts = _gradient_parts(gradient, spec)
        anchor = _anchor(gradient) if alone else ""
        yield section(f"Gradient by {said(gradient.name)}", parts, anchor)
    if fast is not None:
        yield section("Fast algorithm", _fast(fast), _FAST if alone else "")


def card(spec: Spec, equation: Equation) -> str:
    """Return one contraction, its formula and its diagram."""
    return article([f"<p>{code(spec)}</p>", formula(written(equation)), picture(spec, equation)])


def picture(spec: Spec, equation: Equation) -> str:
    """The diagram of a contraction."""
    names = [said(factor.name) for factor in equation.factors]
    return figure(diagram(spec, names, said(equation.left.name)))


def python(spec: Spec) -> str:
    """What makes a contraction, in Python."""
    given = [repr(str(spec))]
    given += [f"reduce={spec.reduce!r}"] * (spec.reduce != SUM)
    given += [f"parameters={' '.join(spec.parameters)!r}"] * bool(spec.parameters)
    given += [f"names={names_text(spec)!r}"] * bool(spec.names)
    return f"cc.Contraction({', '.join(given)})"


def _formula(equation: Equation | Collected, made: str, string: str = "") -> str:
    beside = copies(LaTeX=write(equation, "latex"), Python=made, string=string)
    return formula(written(equation)) + beside


def _anchor(gradient: Gradient | SummedGradient) -> str:
    return f"gradient-{gradient.name}"


def _gradient_parts(gradient: Gradient | SummedGradient, spec: Spec) -> Iterator[str]:
    if isinstance(gradient, SummedGradient):
        return _summed(gradient, spec)
    return _gradient(gradient, spec)


def _gradient(gradient: Gradient, spec: Spec) -> Iterator[str]:
    formulas = gradient.formulas
    yield definitions(_strings(gradient.forms))
    made = f"{python(spec)}.grad({formulas.operand})"
    yield _formula(formulas.collected, made, str(formulas.gather))
    yield note(letters(gradient))
    yield picture(formulas.gather, formulas.collected)
    yield "<h3>Derivation</h3>"
    yield steps_list(gradient.steps)
    yield note(proof(gradient))
    yield from again_parts(gradient.name, gradient.seconds, formulas.forward)
    yield _plan(gradient.plan, f"Plan of {said(formulas.collected.left.name)}")


def _summed(gradient: SummedGradient, spec: Spec) -> Iterator[str]:
    """The gradient by an array that stands in several places."""
    forward = gradient.parts[0].formulas.forward
    yield definitions(_strings(gradient.forms))
    yield _formula(gradient.formula, f"{python(spec)}.grad({gradient.name!r})")
    yield from summed_parts(gradient)
    yield "<h3>Derivation</h3>"
    yield steps_list(gradient.steps)
    yield note(proof(gradient))
    yield from again_parts(gradient.name, gradient.seconds, forward)
    for name, plan in gradient.plans:
        yield _plan(plan, f"Plan of {name}")


def _strings(forms: Iterable[tuple[str, Spec]]) -> list[tuple[str, str]]:
    return [(name, code(spec)) for name, spec in forms]


def _plan(plan: Plan | None, title: str = "Plan") -> str:
    return "" if plan is None else f"<h3>{escape(title)}</h3>{steps_table(plan)}"


def _fast(fast: Fast) -> Iterator[str]:
    yield note(fast.idea())
    yield f'<div class="cc-formula">{IDENTITY["mathml"]}</div>'
    yield note(fast.roles())
    yield definitions((role, escape(form)) for role, form in ROLES.items())
    yield definitions((name, escape(said)) for name, said in fast.savings())
    yield note(fast.proof())
    yield from map(_tile, fast.tiles)


def _tile(tile: Decomposition) -> str:
    points = ", ".join(map(number, tile.points))
    return (
        f"<h3>{escape(title(tile))}</h3>{note(f'The products are evaluated at {points}.')}"
        f'<div class="cc-wide cc-factors">{tile.mathml()}</div>'
    )
