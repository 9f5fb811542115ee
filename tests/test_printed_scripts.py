"""LaTeX and MathML of random contractions: typesetters compile the one, browsers know the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from explained_programs import NETWORKS, explained
from hypothesis import Phase, given, settings
from katex import refused
from mathml_rules import assert_core
from printed_cases import cases
from printed_claims import Case

import contractconv as cc

_MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
MANY = settings().max_examples // 10


def shown(printed: Case) -> Iterator[Any]:
    """All that a contraction shows in scripts."""
    contraction = printed.contraction
    yield contraction
    for n in range(len(printed.witness.shapes)):
        for maker in _MAKERS:
            yield from _unless_refused(maker, contraction, n, printed)


Maker = Callable[[cc.Contraction, int, Case], tuple[Any, ...]]
_MAKERS: list[Maker] = [
    lambda c, n, p: (c.grad(n), c.grad(n).scatter, c.grad(n).gather, *c.grad(n).steps),
    lambda c, n, p: (*c.bind(**p.numbers).grad(n).phases(),),
    lambda c, n, p: (c.jvp(n), c.jacobian(n)),
    lambda c, n, p: (c.curvature(n).product(), c.curvature(n).diagonal()),
    lambda c, n, p: (c.curvature(n).product(root=True), c.curvature(n).diagonal(root=True)),
    lambda c, n, p: (c.curvature(n).kronecker("expand").input,),
    lambda c, n, p: (c.curvature(n).kronecker("reduce").output,),
]


def _unless_refused(
    maker: Maker, contraction: cc.Contraction, n: int, printed: Case
) -> tuple[Any, ...]:
    try:
        return maker(contraction, n, printed)
    except cc.ContractionError:
        return ()


@cache
def scripts() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """LaTeX and MathML of everything that random contractions show, each once."""
    latex: dict[str, None] = {}
    mathml: dict[str, None] = {}

    @settings(max_examples=MANY, database=None, derandomize=True, phases=[Phase.generate])
    @given(printed=cases())
    def collect(printed: Case) -> None:
        for thing in shown(printed):
            latex[thing.latex()] = mathml[thing.mathml()] = None

    collect()
    for latex_of, mathml_of in _elsewhere():
        latex |= dict.fromkeys(latex_of)
        mathml |= dict.fromkeys(mathml_of)
    return tuple(latex), tuple(mathml)


def _elsewhere() -> Iterator[tuple[list[str], list[str]]]:
    """Programs, with maps in them, tiles, and pages."""
    for name in NETWORKS:
        explanation = explained(name)
        yield [explanation.latex(), *explanation.latex_lines()], _MATH.findall(explanation.html())
    for outputs, taps in ((2, 3), (4, 3)):
        tile = cc.toom_cook(outputs, taps)
        yield [tile.latex()], _MATH.findall(tile.mathml())
    pool = cc.Contraction("b (2*i+k-1) c -> b i c", reduce="max")
    yield [], _MATH.findall(pool.explain((2, 8, 3), k=3).html())


def test_katex_compiles_every_latex() -> None:
    assert refused(scripts()[0]) == []


def test_katex_refuses_what_is_wrong() -> None:
    wrong = [r"\frac{a}{b", r"x_{i", r"\nosuch x", r"\mathrm{a_b", "a % b", "é"]
    assert [latex for latex, _ in refused([r"a_{b}", *wrong])] == wrong


def test_mathtext_reads_latex() -> None:
    """Matplotlib's reader is slow, so it gets a sample of what stands on one line."""
    reader = pytest.importorskip("matplotlib.mathtext").MathTextParser("agg")
    lines = [latex for latex in scripts()[0] if r"\begin" not in latex]
    refuses = []
    for latex in lines[:: max(1, len(lines) // 40)]:
        try:
            reader.parse(f"${latex}$")
        except ValueError as error:
            refuses.append((latex, str(error)))
    assert refuses == []


def test_every_mathml_is_valid() -> None:
    for mathml in scripts()[1]:
        assert_core(mathml)
