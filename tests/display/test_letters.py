"""Names and letters in every script: what an operand is called, and one meaning a letter."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

import contractconv as cc
from contractconv.calculus.letters import Letter, gradient
from contractconv.cli import main
from contractconv.display.formula_writers import HANDS
from contractconv.display.names import array

CONV = cc.Contraction("b (2*i+k-1) c, k c o -> b i o", names="image W_q -> y")
ATTENTION = cc.Contraction("q d, k d, k e -> q e", names="Q K V")


@pytest.fixture(autouse=True)
def _as_they_were() -> Iterator[None]:
    with cc.letters():
        yield


def as_one_line(explanation: object) -> str:
    return " ".join(str(explanation).split())


def test_names_stand_in_formulas_sentences_pictures_and_pages() -> None:
    explanation = CONV.explain(proof=False)
    text, page = as_one_line(explanation), explanation.html()
    assert "y[b, i, o] = Σ_{k,c} image[b, 2i+k−1, c] · W_q[k, c, o]" in text
    assert "gradient by image" in text
    assert "L = Σ G·y, with y written out" in text
    assert "By one element of W_q" in text
    assert "differentiated again: the derivatives of ⟨V, dimage⟩ = Σ V·dimage, V being the" in text
    assert "by W_q dW_q with V in place of image" in text
    assert "by image dimage with V in place of W_q" in text
    assert 'data-name="image"' in page
    assert "Gradient by W_q" in page
    for unnamed in ("X[", "W[", "Y["):
        assert unnamed not in text
    found = explanation.as_dict()
    assert found["operands"] == ["image", "W_q"]
    assert [gradient["name"] for gradient in found["gradients"]] == ["image", "W_q"]


def test_names_stand_in_derived_objects() -> None:
    assert CONV.grad("W_q").roles == ("G", "image")
    assert CONV.jvp("image").roles == ("V", "W_q")
    assert CONV.curvature("W_q").product().roles == ("image", "image", "V")
    assert "def gradient(G, image, W_q):" in CONV.grad("W_q").code("numpy")
    assert "def forward_derivative(V, image, W_q, *, i):" in CONV.jvp(0).code("numpy")
    assert "by image" in str(CONV.grad(0).verify(engines=False))
    assert repr(CONV.grad("image")) == f"{CONV!r}.grad('image')"
    assert "by W_q" in repr(CONV.jvp("W_q"))
    assert eval(repr(CONV), {"Contraction": cc.Contraction}) == CONV  # our own repr


def test_names_stand_in_errors() -> None:
    with pytest.raises(cc.ShapeError, match="c is 3 on axis 2 of image, but 4 on axis 1 of W_q"):
        CONV.output_shape((8, 28, 3), (3, 4, 16))
    with pytest.raises(cc.ShapeError, match="image has 2 axes, but its term has 3"):
        CONV.output_shape((8, 28), (3, 4, 16))
    with pytest.raises(cc.OperandError, match="W_q is not an array of numbers"):
        CONV([[[1.0]]], "weights")
    with pytest.raises(cc.OperandError, match=r"2 operands \(image, W_q\)"):
        CONV.grad(0)(1.0)


def test_names_are_a_part_of_what_a_contraction_is() -> None:
    unnamed = cc.Contraction(str(CONV))
    assert unnamed != CONV
    assert len({unnamed, CONV, cc.Contraction(str(CONV), names=("image", "W_q"))}) == 3
    assert pickle.loads(pickle.dumps(CONV)) == CONV
    assert CONV.bind().names == CONV.block("i").names == ("image", "W_q")


def test_plans_and_caches_know_no_names() -> None:
    shapes = ((2, 9, 3), (3, 3, 4))
    unnamed = cc.Contraction(str(CONV))
    assert CONV.plan(*shapes) is unnamed.plan(*shapes) or (
        CONV.plan(*shapes).problem == unnamed.plan(*shapes).problem
    )
    options = CONV._options("plan", {}, None)
    assert CONV._problem(shapes, options) is unnamed._problem(shapes, options)


def test_a_second_cotangent_is_not_called_as_an_operand() -> None:
    scatter = CONV.grad("image").scatter
    assert scatter.names == ("G", "W_q")
    assert scatter.grad("G").formula.startswith("dG[b, i, o] = Σ_{k,c} V[")
    again = cc.Contraction("b i, i o -> b o").grad(0).scatter
    assert again.grad("W").formula == "dW[i, o] = Σ_{b} V[b, i] · G[b, o]"
    third = again.grad("W").scatter.grad("V").formula  # where V is an operand
    assert third == "dV[b, i] = Σ_{o} U[i, o] · G[b, o]"


def test_an_operand_keeps_its_letter() -> None:
    """Where an operand is called V, nothing else is."""
    assert ATTENTION.jvp("Q").formula == "JU[q, e] = Σ_{d,k} U[q, d] · K[k, d] · V[k, e]"
    assert ATTENTION.grad("V").formula == "dV[k, e] = Σ_{q,d} G[q, e] · Q[q, d] · K[k, d]"
    assert "by V   dV with U in place of Q" in str(ATTENTION.explain(proof=False, wrt="Q"))
    pool = cc.Contraction("i k -> i", "max", names="S")
    assert pool.grad("S").formula == "dS[i, k] = G[i] · S_1[i, k]"
    assert cc.Contraction("i, i ->", names="G Y").grad("Y").formula == "dY[i] = V · G[i]"
    assert cc.Contraction("i, i ->", names="G Y").formula == "Z = Σ_{i} G[i] · Y[i]"
    for forward in (ATTENTION, pool):
        for derivation in forward.grads():
            derivation.verify(engines=False)
            forward.jvp(derivation.operand).verify()


# -- scripts ---------------------------------------------------------------------------------------

SCRIPTS = [
    ("x", "x", "<mi>x</mi>"),
    ("image", r"\mathrm{image}", "<mi>image</mi>"),
    ("W_q", "W_{q}", "<msub><mi>W</mi><mi>q</mi></msub>"),
    ("W_out", r"W_{\mathrm{out}}", "<msub><mi>W</mi><mi>out</mi></msub>"),
    ("x_1", "x_{1}", "<msub><mi>x</mi><mn>1</mn></msub>"),
    ("T0", "T_{0}", "<msub><mi>T</mi><mn>0</mn></msub>"),
    ("alpha", r"\alpha", "<mi>α</mi>"),
    ("Gamma_1", r"\Gamma_{1}", "<msub><mi>Γ</mi><mn>1</mn></msub>"),
    ("at_least", r"\mathrm{at\_least}", "<mi>at_least</mi>"),
    ("lambda", r"\lambda", "<mi>λ</mi>"),
    ("β", r"\beta", "<mi>β</mi>"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "latex", "mathml"), SCRIPTS)
def test_names_are_written_as_mathematics(name: str, latex: str, mathml: str) -> None:
    assert array(HANDS["text"], name) == name.replace("T0", "T₀")
    assert array(HANDS["latex"], name) == latex
    assert array(HANDS["mathml"], name) == mathml


def test_a_name_with_a_subscript_has_positions() -> None:
    assert r"W_{q;\, k, c, o}" in CONV.latex()
    assert r"T_{0;\, a, b}" in cc.Contraction("a b, b c, c d -> a d").latex()
    assert r"\mathrm{d}W_{q;\, k, c, o} = " in CONV.grad("W_q").latex()
    dense = cc.Contraction("i, i ->", names="lambda x")
    assert "def forward(lambda_, x):" in dense.code("numpy")


def test_mathtext_reads_names() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    tied = cc.Contraction("i, i j, j ->", names="x_0 Alpha x_0".replace("Alpha", "Gamma"))
    shown = [CONV, CONV.grad(1), CONV.jvp(1), tied, tied.grad(0)]
    choices: list[dict[str, Any]]
    choices = [{}, {"gradient": "∂L/∂W", "tangent": "Ẇ", "cotangent": "Ȳ"}, {"tangent": "δW"}]
    for choice in choices:
        with cc.letters(**choice):
            for one in shown:
                parser.parse(f"${one.latex()}$")
                ElementTree.fromstring(one.mathml())


# -- one option ------------------------------------------------------------------------------------


def test_letters_reach_every_script() -> None:
    with cc.letters(gradient="∂L/∂W", tangent="Ẇ", cotangent="Ȳ"):
        by_w = CONV.grad("W_q")
        assert by_w.formula.startswith("∂L/∂W_q[k, c, o] = Σ_{b,i} ȳ[b, i, o] · image[")
        assert by_w.latex().startswith(r"\frac{\partial L}{\partial W_{q;\, k, c, o}} = ")
        assert r"\bar{y}_{b, i, o}" in by_w.latex()
        assert "<mfrac><mrow><mo>∂</mo><mi>L</mi></mrow>" in by_w.mathml()
        assert CONV.jvp("W_q").formula.startswith("ẏ[b, i, o] = ")
        text = as_one_line(CONV.explain(proof=False))
        assert "ȳ says how the loss changes with each element of y" in text
        assert "by W_q ∂L/∂W_q with i̇mage in place of image" in text
        assert "G[" not in text
    assert CONV.grad("W_q").formula.startswith("dW_q[k, c, o] = Σ_{b,i} G[")


PRINTED = [
    CONV,
    cc.Contraction("b (2*i+k), k -> b i"),
    cc.Contraction("b (2*i+k) -> b i", "max", names="image -> y"),
    cc.Contraction("i k -> i", "prod"),
    cc.Contraction("(2*i+k), k, k -> i", names="x w w"),
    cc.Contraction("i k -> i", "logsumexp"),
]
CHOSEN = [
    {"gradient": gradient, "tangent": tangent, "cotangent": cotangent}
    for gradient in ("dW", "∂L/∂W")
    for tangent in ("V", "Ẇ", "δW")
    for cotangent in ("G", "Ȳ")
]
# How each letter is written in any script, sentence or page.
WRITTEN = {
    "G": r"\bG\b",
    "V": r"\bJ?V\b",
    "dW": r"\bd[XxWw]|\bdimage|\bdy\b|mathrm\{d\}|normal\">d<",
    "Ȳ": "[Ȳȳ]|\\\\bar|¯",
    "Ẇ": "[ẊẋẆẇ]|i̇|\\\\dot\\b|˙",
    "δW": r"δ[XxWwYy]|δimage|\\delta [XxWwYy]|\\delta \\mathrm|<mi>δ</mi><mi>(?!L<)",
    "∂L/∂W": r"∂L/∂\w+\[|frac\{\\partial L\}|<mi>L</mi></mrow><mrow><mo>∂",
}


def derived(c: cc.Contraction) -> Iterator[str]:
    """Everything that is printed of gradients, in words, scripts, pictures and pages."""
    explanation = c.explain(proof=False)
    yield from (str(explanation), explanation.html())
    for name in c.arrays:
        whole = c.grad(name)
        parts = getattr(whole, "parts", (whole,))
        for derivation in {whole, *parts}:
            yield from scripts(derivation)
            yield from (f"{step.formula} {step.sentence}" for step in derivation.steps)
            yield from (second.formula for second in derivation.seconds)
        for part in parts:
            for one in (part.scatter, part.gather, *phases(part)):
                yield from scripts(one)
            yield str(part.scatter.explain(proof=False))
        yield from scripts(c.jvp(name))
        yield from (f"{step.formula} {step.sentence}" for step in c.jvp(name).steps)


def scripts(one: Any) -> Iterator[str]:
    """A formula in every script, and what a notebook shows."""
    yield from (str(one.formula), one.latex(), one.mathml(), one._repr_html_())


def phases(part: cc.Derivation) -> Any:
    """The phases of a gradient that a stride splits."""
    return part.phases() if "/" in str(part.gather) else ()


@pytest.mark.parametrize("c", PRINTED, ids=str)
def test_one_letter_stands_everywhere(c: cc.Contraction) -> None:
    for letters in CHOSEN:
        others = {letter for one in CHOSEN for letter in one.values()} - {*letters.values()}
        with cc.letters(**letters):  # type: ignore[arg-type]
            printed = [*derived(c)]
        for letter in others:
            wrong = [text for text in printed if re.search(WRITTEN[letter], text)]
            assert not wrong, (letters, letter, re.search(WRITTEN[letter], wrong[0]), wrong[0])
        for letter in letters.values():
            assert any(re.search(WRITTEN[letter], text) for text in printed), letter


def test_names_that_are_equal_may_mean_something_else() -> None:
    """A gradient's string has operands that are called as somebody else's own."""
    mine = cc.Contraction("b i, k -> b (2*i+k-1)", names="G w -> dx")
    for named in ("x w", "x w -> y"):
        scatter = cc.Contraction("b (2*i+k-1), k -> b i", names=named).grad("x").scatter
        assert scatter.names == mine.names
        with cc.letters(cotangent="Ȳ"):
            found = as_one_line(scatter.explain(proof=False))
            assert ("ȳ" if "y" in named else "Ȳ") in found
            assert ("Ȳ" if "y" in named else "ȳ") not in found
            assert "·G[" in as_one_line(mine.explain(proof=False)).replace(" ", "")


def test_letters_hold_until_they_are_changed() -> None:
    cc.letters(tangent="δW")
    assert CONV.jvp(1).formula.startswith("δy[b, i, o] = Σ_{k,c} image[b, 2i+k−1, c] · δW_q[")
    cc.letters(tangent="V")
    assert CONV.jvp(1).formula.startswith("JV[")


def test_what_is_printed_later_has_the_letters_of_then() -> None:
    explanation = CONV.explain(proof=False)
    with cc.letters(cotangent="Ȳ"):
        assert "L = Σ ȳ·y" in as_one_line(explanation)
    assert "L = Σ G·y" in as_one_line(explanation)


def test_unknown_letters_are_refused() -> None:
    with pytest.raises(cc.ParameterError, match="gradient='D': formulas write 'dW' or '∂L/∂W'"):
        cc.letters(gradient="D")  # type: ignore[arg-type]


def test_a_letter_travels_with_its_meaning() -> None:
    found = pickle.loads(pickle.dumps(gradient("W")))
    assert isinstance(found, Letter)
    assert (found, found.meaning, found.of) == ("dW", "gradient", "W")


# -- the command -----------------------------------------------------------------------------------


def test_the_command_takes_names(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["explain", "i, i j, j ->", "--names", "x A x", "--wrt", "x", "--no-proof"]
    assert main([*asked, "--shape", "3", "--shape", "3x3"]) == 0
    said = capsys.readouterr().out
    assert "dx[i] = G · Σ_{j} (A[i, j] + A[j, i]) · x[j]" in said
    assert "In matrices: dx = G (A + Aᵀ) x." in said
    assert "gradient by A" not in said
    assert main([*asked, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["gradients"]
    assert (found["name"], found["matrices"]) == ("x", "dx = G (A + Aᵀ) x")
    assert [part["scatter"] for part in found["parts"]] == [", i j, j -> i", ", i, i j -> j"]
    assert main(["explain", "i ->", "--names", "i"]) == 2
    assert "'i' is an index" in capsys.readouterr().err
