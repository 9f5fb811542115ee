"""Gradients by arrays that stand in several places, in HTML: the sum, what it is in matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contractconv.calculus.collected import Collected
from contractconv.display.html_formulas import formula
from contractconv.display.html_steps import written
from contractconv.display.matrix_form import matrix_form
from contractconv.display.summed_gradient import SummedGradient
from contractconv.markup.parts import article, code, figure, note


def card(parts: Iterable[str], collected: Collected, picture: str) -> str:
    """What a notebook shows of a sum: the strings of its parts, the formula, the pictures."""
    shown = " + ".join(map(code, parts))
    matrices = _matrices(collected)
    return article([f"<p>{shown}</p>", formula(written(collected)), matrices, figure(picture)])


def summed_parts(gradient: SummedGradient) -> Iterator[str]:
    """Why a gradient has parts, what they are in matrices, and their pictures."""
    matrices = _matrices(gradient.formula)
    yield note(gradient.reason + " In matrices:" * bool(matrices))
    yield matrices
    yield figure(gradient.picture())


def _matrices(collected: Collected) -> str:
    found = matrix_form(collected, "mathml")
    return "" if found is None else f'<div class="cc-formula">{found}</div>'
