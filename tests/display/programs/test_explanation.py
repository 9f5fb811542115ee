"""Explanations of programs: every value is told, what comes back beside what goes forward."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from browser import assert_closed, assert_self_contained
from explained_programs import NETWORKS, TOUCHSTONE, explained

import contractconv as cc

WIDTH = 100
every_network = pytest.mark.parametrize("name", NETWORKS)


def named_in(text: str) -> set[str]:
    """The names that a program's text defines."""
    return set(re.findall(r"^    (\w+) =", text, re.MULTILINE))


@every_network
def test_every_value_of_the_text_is_told_once(name: str) -> None:
    found = explained(name)
    told = [line.name for line in found.lines.all()]
    inputs = [node.name for node in found.graph.inputs]
    assert len(told) == len(set(told))
    assert set(told) == named_in(found.as_dict()["text"]) | set(inputs)
    for line in found.lines.all():
        pattern = rf"^  (  ← )?{line.name}(\[[^]]*\])?( = |   |$)"
        assert len(re.findall(pattern, str(found), re.MULTILINE)) == 1


@every_network
def test_what_comes_back_stands_with_its_value(name: str) -> None:
    for line in explained(name).lines.top:
        assert not line.name.startswith("d_")
    owners = {b.name: line.name for line in explained(name).lines.top for b in line.back}
    named = {line.name for line in explained(name).lines.all()}
    assert all(f"d_{target}" in owners for target in NETWORKS[name].wrt)
    for back, owner in owners.items():
        target = back.removeprefix("d_")
        assert owner == target or target not in named or target == back


@every_network
@pytest.mark.parametrize("sized", [True, False])
def test_lines_fit(name: str, sized: bool) -> None:
    lines = str(explained(name, sized)).splitlines()
    assert [line for line in lines if len(line) > WIDTH or line != line.rstrip()] == []


def test_how_32_maps_are_connected_to_64() -> None:
    text = str(cc.read(TOUCHSTONE).explain(**NETWORKS["touchstone"].shapes))
    assert "z[b, i, j, o] = Σ_{k,l,c} x[b, i+k, j+l, c] · W[k, l, c, o]" in text
    assert "b=8 i=98 j=98 o=64" in text
    joined = " ".join(text.split())
    assert "k, l and c are not in the result, so they are summed." in joined
    assert "Each of its 4,917,248 elements sums 3·3·32 = 288 products." in joined
    assert "←" not in text


def test_what_backpropagation_does_before_the_dense_layer() -> None:
    text = str(explained("touchstone"))
    assert "y[b, u] = Σ_{i,j,o} a[b, i, j, o] · V[i, j, o, u]" in text
    assert "← d_a[b, i, j, o] = Σ_{u} d_y[b, u] · V[i, j, o, u]" in text
    assert "← d_z[b, i, j, o] = where(a[b, i, j, o] <= 0, 0, d_a[b, i, j, o])" in text
    assert "← d_W[k, l, c, o] = Σ_{b,i,j} d_z[b, i, j, o] · x[b, i+k, j+l, c]" in text


def test_counts_are_those_of_an_array_of_ones() -> None:
    shapes: dict[str, Any] = {"x": (2, 7, 6, 3), "W": (3, 2, 3, 4), "V": (5, 5, 4, 2)}
    arrays = {name: np.ones(shape) for name, shape in shapes.items()}
    text = " ".join(str(cc.read(TOUCHSTONE).explain(**shapes)).split())
    z = cc.contract("b (i+k) (j+l) c, k l c o -> b i j o", arrays["x"], arrays["W"])
    assert f"Each of its {z.size} elements sums 3·2·3 = {int(z.max())} products." in text


def test_a_scatter_is_told_as_what_each_element_collects() -> None:
    program = cc.read(
        """def up(x: "i c", W: "k c"):
    y = contract("i c, k c -> (2*i+k) c", x, W)
    return y"""
    )
    text = str(program.explain())
    assert "y[i, c] = Σ_{k} x[(i−k)/2, c] · W[k, c]" in text
    assert "2 | i−k, 0 ≤ (i−k)/2 < N_i" in text


FORMULAS = {
    "a - (b - c)": "a − (b − c)",
    "a - b - c": "a − b − c",
    "(a + b) * c": "(a + b) · c",
    "a + b * c": "a + b · c",
    "-(a + b) ** 2": "−(a + b) ** 2",
    "(-a) ** 2": "(−a) ** 2",
    "a / (b / c)": "a / (b / c)",
    "a * (b / c)": "a · (b / c)",
    "exp(a + b) ** (b + c)": "exp(a + b) ** (b + c)",
    "where((a < b) & ~(b < c), a, -2)": "where((a < b) & ~(b < c), a, −2)",
}


@pytest.mark.parametrize("written", FORMULAS)
def test_parentheses_stand_where_they_are_needed(written: str) -> None:
    program = cc.read(f'def f(a: "", b: "", c: ""):\n    y = {written}\n    return y')
    line = str(program.explain()).splitlines()[-1]
    assert line == f"  y = {FORMULAS[written]}"


LATEX = {
    "(a + b) * c": r"\left(a + b\right) \cdot c",
    "(a + b) / c": r"\frac{a + b}{c}",
    "(a / b) ** 2": r"{\left(\frac{a}{b}\right)}^{2}",
    "a ** (b + 1)": r"{a}^{b + 1}",
    "sqrt(a + b)": r"\sqrt{a + b}",
    "a * -2": r"a \cdot \left(-2\right)",
    "max(a + b, -inf)": r"\max\left(a + b, -\infty\right)",
}


@pytest.mark.parametrize("written", LATEX)
def test_latex_needs_fewer(written: str) -> None:
    program = cc.read(f'def f(a: "", b: "", c: ""):\n    y = {written}\n    return y')
    assert program.explain().latex_lines() == [f"y = {LATEX[written]}"]


@every_network
def test_matplotlib_reads_every_line(name: str) -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for line in explained(name).latex_lines():
        parser.parse(f"${line}$")


@every_network
def test_latex_is_one_aligned_environment(name: str) -> None:
    found = explained(name)
    lines = found.latex().splitlines()
    assert lines[0] == r"\begin{aligned}"
    assert lines[-1] == r"\end{aligned}"
    assert all(line.count("&") == 1 for line in lines[1:-1])
    assert len(lines) - 2 == len(found.latex_lines())
    assert found._repr_latex_() == f"${found.latex()}$"


@every_network
def test_the_page_is_closed_and_self_contained(name: str) -> None:
    seen = assert_closed(explained(name).html())
    assert_self_contained(explained(name).html())
    assert seen.count("math") >= sum(1 for _ in explained(name).lines.all())
    assert seen.count("svg") == 1


def test_the_picture_tells_what_reads_what() -> None:
    html = explained("touchstone").html()
    assert "a is made of z" in html
    assert "d_a is made of d_y, V" in html
    assert "8×98×98×64" in html
    assert "8×98×98×64" not in explained("touchstone", sized=False).html()


@every_network
def test_the_dictionary_is_fit_for_json_and_complete(name: str) -> None:
    found = explained(name).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert str(cc.read(found["text"])) == found["text"]
    shapes = {value["name"]: value["shape"] for value in all_of(found["values"])}
    for given, shape in NETWORKS[name].shapes.items():
        assert shapes[given] == list(shape)


def all_of(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values, and what comes back to them."""
    return [one for value in values for one in (value, *all_of(value["back"]))]


def test_a_large_program_has_no_picture() -> None:
    x: Any = cc.tensor("x", "i")
    for _ in range(60):
        x = cc.contract("i -> i", x.named("i")) if x.label else x
        x = cc.tanh(x).called(f"a_{_}")
    found = cc.program(y=cc.contract("i ->", x)).explain(wrt="x")
    assert "too many for a picture" in found.html()
    assert "<svg" not in found.html()


def test_gradients_that_are_there_are_not_derived_again() -> None:
    loss: Any = cc.contract("b i, i o ->", cc.tensor("x", "b i"), W := cc.tensor("W", "i o"))
    program = cc.program(loss=loss, dW=cc.grad(loss, W))
    text = str(program.explain())
    given, _, computed = text.partition("computed")
    assert "← dW[i, o] = d_W[i]" in given.partition("  W[i, o]")[2]
    assert "←" not in computed


def test_one_value_that_comes_back_to_two_is_told_twice() -> None:
    a, b = cc.tensor("a", "i"), cc.tensor("b", "i")
    loss: Any = cc.contract("i ->", cc.sin(a + b))
    by_a, by_b = cc.grad(loss, [a, b])
    text = str(cc.program(loss=loss, d_a=by_a, d_b=by_b).explain())
    assert "  a[i]\n    ← d_a[i] = cos(total[i])\n  b[i]\n    ← d_b[i] = d_a[i]\n" in text


@pytest.mark.parametrize("reduce", ["sum", "logsumexp", "prod", "max", "mean"])
def test_gradients_of_gradients_are_told(reduce: cc.Reduction) -> None:
    x, W, v = cc.tensor("x", "b i"), cc.tensor("W", "i o"), cc.tensor("v", "i o")
    y: Any = cc.contract("b i, i o -> b o", x, W)
    loss: Any = cc.contract("b ->", cc.contract("b o -> b", cc.tanh(y) * y, reduce=reduce))
    program = cc.program(loss=loss, Hv=cc.hvp(loss, W, v))
    for found in (program.explain(), cc.program(Hv=program["Hv"]).explain()):
        told = [line.name for line in found.lines.all()]
        assert set(told) >= named_in(found.as_dict()["text"])
        assert_closed(found.html())


def test_a_thousand_steps_are_told() -> None:
    h: Any = cc.tensor("h", "b")
    for _ in range(1000):
        h = cc.tanh(h + cc.tensor("u", "b"))
    found = cc.program(loss=cc.contract("b ->", h)).explain(wrt="u", h=(2,), u=(2,))
    assert str(found).count("tanh") >= 1000


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"wrt": "Z"}, cc.ProgramError, "no value 'Z'"),
    ({"q": (3,)}, cc.ProgramError, "no input 'q'"),
    ({"x": (1, 9, 9, 3)}, cc.ShapeError, "shape of W is missing"),
    ({"x": (1, 9, 9), "W": (3, 3, 3, 2), "V": (7, 7, 2, 5)}, cc.ShapeError, "has the 4 axes"),
]


@pytest.mark.parametrize(("asked", "kind", "part"), WRONG)
def test_what_cannot_be_is_refused(asked: dict[str, Any], kind: type[Exception], part: str) -> None:
    with pytest.raises(kind, match=part):
        cc.read(TOUCHSTONE).explain(**asked)


def test_lines_that_pass_rows_stay_in_the_picture() -> None:
    x = cc.tensor("x", "b n")
    softmax = cc.program(y=cc.functions.softmax(x, "n"))
    for program in (softmax, cc.program(y=cc.functions.softmax(softmax.outputs["y"], "n"))):
        picture = re.findall("<svg.*?</svg>", program.explain().html(), re.DOTALL)[0]
        width = float(re.findall(r'viewBox="0 0 ([\d.]+)', picture)[0])
        reached = [float(x) for x in re.findall(r"[MH](-?[\d.]+)", picture)]
        assert 0 <= min(reached) <= max(reached) < width
