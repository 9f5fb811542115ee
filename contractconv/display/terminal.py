"""An explanation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import Step
from contractconv.calculus.equation import Equation
from contractconv.calculus.gradient_derivatives import Second
from contractconv.calculus.letters import gradient as gradient_name
from contractconv.calculus.letters import said
from contractconv.display.algorithms import ROLES, Fast
from contractconv.display.equations import write, write_local, write_second
from contractconv.display.explanation import Explanation, Gradient
from contractconv.display.sentences import (
    again_words,
    counts,
    forward_forms,
    letters,
    proof,
    second_words,
    words,
)
from contractconv.display.summed_gradient import SummedGradient
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan
from contractconv.planning.report import summary
from contractconv.tiles.tableau import IDENTITY

_WIDTH = 100
_GLUE = "\N{NO-BREAK SPACE}"


def as_text(explanation: Explanation) -> str:
    """Write an explanation as lines of at most about 100 characters."""
    return "\n".join(short for line in _lines(explanation) for short in fitted(line.rstrip()))


def fitted(line: str) -> list[str]:
    """Break what is still too long, as strings with long names are."""
    if len(line) <= _WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 6)
    return wrap(line, _WIDTH, subsequent_indent=indent, drop_whitespace=True,
                break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _lines(explanation: Explanation) -> Iterator[str]:
    yield str(explanation.spec)
    yield from (f"  {name:10}{spec}" for name, spec in forward_forms(explanation.spec))
    yield ""
    yield from _formula(explanation.forward, "  ")
    yield from wrapped(words(explanation), "  ")
    if explanation.plan is not None:
        yield from wrapped(counts(explanation, explanation.plan), "  ")
        yield ""
        yield from _plan(explanation.plan, "  ")
    for gradient in explanation.gradients:
        yield ""
        if isinstance(gradient, SummedGradient):
            yield from _summed(gradient)
        else:
            yield from _gradient(gradient)
    if (fast := explanation.fast) is not None:
        yield ""
        yield from _fast(fast)


def _summed(gradient: SummedGradient) -> Iterator[str]:
    """The gradient by an array that stands in several places."""
    forward = gradient.parts[0].formulas.forward
    yield f"gradient by {said(gradient.name)}"
    yield from (f"  {name:10}{text}" for name, text in gradient.forms)
    yield ""
    yield from _formula(gradient.formula, "  ")
    yield from wrapped(f"{gradient.sentence} {letters(gradient.parts[0])}", "  ")
    yield from _derivation(gradient.steps)
    yield from _again(gradient.name, gradient.seconds, forward)
    yield from wrapped(proof(gradient), "  ")
    for name, plan in gradient.plans:
        yield ""
        yield from _plan(plan, "  ", f"plan of {name}")


def _gradient(gradient: Gradient) -> Iterator[str]:
    formulas = gradient.formulas
    yield f"gradient by {said(gradient.name)}"
    yield from (f"  {name:10}{spec}" for name, spec in gradient.forms)
    yield ""
    yield from _formula(formulas.collected, "  ")
    yield from wrapped(glued(letters(gradient), "[{}]"), "  ")
    yield from _derivation(gradient.steps)
    yield from _again(gradient.name, gradient.seconds, formulas.forward)
    yield from wrapped(proof(gradient), "  ")
    if gradient.plan is not None:
        yield ""
        yield from _plan(gradient.plan, "  ", f"plan of {said(gradient_name(gradient.name))}")


def _derivation(steps: Sequence[Step]) -> Iterator[str]:
    yield ""
    yield "  derivation"
    before: Equation | Collected | None = None
    for number, step in enumerate(steps, 1):
        yield from wrapped(f"{step.name}: {step.sentence}", "     ", f"{number:>3}. ")
        if step.equation != before:
            yield from _formula(step.equation, "       ")
        if step.local is not None:
            yield from wrapped(glued(write_local(step.local, "text")), " " * 11, " " * 7)
        if step.string is not None:
            yield f"       {step.string}"
        before = step.equation
    yield ""


def _again(name: str, seconds: Sequence[Second], forward: Spec) -> Iterator[str]:
    yield from wrapped(f"differentiated again: {again_words(name, forward)}", "  ")
    width = max(4, 1 + max(len(said(second.by)) for second in seconds))
    indent = " " * (7 + width)
    for second in seconds:
        by = f"    by {said(second.by):{width}}"
        yield from wrapped(second_words(second, forward), indent, by)
        if second.same_as is None:
            yield from wrapped(glued(write_second(second, forward)), indent + "    ", indent)
    yield ""


def _plan(plan: Plan, indent: str, title: str = "plan") -> Iterator[str]:
    yield f"{indent}{title}"
    yield from (f"{indent}  {line}" for line in summary(plan).splitlines())


def _fast(fast: Fast) -> Iterator[str]:
    yield "fast algorithm"
    yield from wrapped(fast.idea(), "  ")
    yield ""
    yield f"    {IDENTITY['text']}"
    yield ""
    yield from wrapped(fast.roles(), "  ")
    yield ""
    yield from (f"    {role:15}{form}" for role, form in ROLES.items())
    yield ""
    yield from (f"    {name:15}{said}" for name, said in fast.savings())
    yield ""
    yield from wrapped(fast.proof(), "  ")
    for tile in fast.tiles:
        yield ""
        yield from (f"  {line}" for line in str(tile).splitlines())


def _formula(equation: Equation | Collected, indent: str) -> Iterator[str]:
    body, _, where = write(equation, "text").partition("   where ")
    yield from wrapped(glued(body), indent + "    ", indent)
    if where:
        yield from wrapped(f"where {where}", indent + "      ", indent + "    ")


def glued(formula: str, brackets: str = "[({])}") -> str:
    """A formula is broken between factors, not inside one, or whatever else brackets hold."""
    depth, text, half = 0, "", len(brackets) // 2
    opening, closing = brackets[:half], brackets[half:]
    for letter in formula:
        depth += (letter in opening) - (letter in closing)
        text += _GLUE if letter == " " and depth else letter
    return text


def wrapped(text: str, indent: str, first: str | None = None) -> Iterator[str]:
    """Break a text between words, and nowhere else."""
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
