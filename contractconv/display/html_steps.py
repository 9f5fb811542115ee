"""The steps of a derivation on a page: each shows only what is new in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise

from contractconv.calculus.collected import Collected
from contractconv.calculus.derivation_steps import Step
from contractconv.calculus.equation import Equation
from contractconv.display.equations import local_sides, sides
from contractconv.display.html_formulas import Sides, formula
from contractconv.markup.parts import code


def steps_list(steps: Iterable[Step]) -> str:
    """The steps as a numbered list; what a step changes is marked in its formula."""
    return f'<ol class="cc-steps">{"".join(_items(steps))}</ol>'


def _items(steps: Iterable[Step]) -> Iterator[str]:
    for before, step in pairwise([None, *steps]):
        assert step is not None
        equation = _changed(step.equation, None if before is None else before.equation)
        string = "" if step.string is None else f"<p>{code(step.string)}</p>"
        local = "" if step.local is None else formula(Sides(*local_sides(step.local, "mathml")))
        yield f"<li><b>{step.name}</b> {escape(step.sentence)}{equation}{local}{string}</li>"


def _changed(equation: Equation | Collected, before: Equation | Collected | None) -> str:
    if equation == before:
        return ""
    return formula(written(equation), None if before is None else written(before))


def written(equation: Equation | Collected) -> Sides:
    """An equation in MathML, in its parts."""
    return Sides(*sides(equation, "mathml"))
