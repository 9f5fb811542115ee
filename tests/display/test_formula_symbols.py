"""How names and small expressions look in each script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from katex import refused

import contractconv as cc
from contractconv.calculus.equation import Element, Equation
from contractconv.calculus.symbols import expression, in_words
from contractconv.display.equations import Writer
from contractconv.display.formula_symbols import COMMA, latex_symbol, mathml_symbol, text_symbol
from contractconv.display.formula_writers import HANDS
from contractconv.display.names import array
from contractconv.notation.affine import Affine, Polynomial


@pytest.mark.parametrize(("name", "text", "latex", "mathml"), [
    ("k", "k", "k", "<mi>k</mi>"),
    ("k''", "k′′", "k''", "<mrow><mi>k</mi><mo>′′</mo></mrow>"),
    ("tap", "tap", r"\mathrm{tap}", "<mi>tap</mi>"),
    ("p0", "p₀", "p_{0}", "<msub><mi>p</mi><mn>0</mn></msub>"),
    ("p0'", "p₀′", "p_{0}'", "<mrow><msub><mi>p</mi><mn>0</mn></msub><mo>′</mo></mrow>"),
    ("x_1", "x_1", "x_{1}", "<msub><mi>x</mi><mn>1</mn></msub>"),
    ("in_1", "in_1", r"\mathrm{in}_{1}", "<msub><mi>in</mi><mn>1</mn></msub>"),
    ("x_max", "x_max", r"x_{\mathrm{max}}", "<msub><mi>x</mi><mi>max</mi></msub>"),
    ("at_least", "at_least", r"\mathrm{at\_least}", "<mi>at_least</mi>"),
    ("d_W", "d_W", r"\mathrm{d\_W}", "<mi>d_W</mi>"),
    ("k_", "k_", r"\mathrm{k\_}", "<mi>k_</mi>"),
    ("x_1_2", "x_1_2", "x_{1, 2}",
     f"<msub><mi>x</mi><mrow><mn>1</mn>{COMMA}<mn>2</mn></mrow></msub>"),
    ("beta_q", "beta_q", r"\beta_{q}", "<msub><mi>β</mi><mi>q</mi></msub>"),
    ("N_i", "N_i", r"\mathrm{N\_i}", "<mi>N_i</mi>"),
    ("é", "é", r"\text{é}", "<mi>é</mi>"),
    ("ß_ñu", "ß_ñu", r"\text{ß}_{\text{ñu}}", "<msub><mi>ß</mi><mi>ñu</mi></msub>"),
    ("Δt", "Δt", r"\Delta \text{t}", "<mi>Δt</mi>"),
    ("_", "_", r"\mathrm{\_}", "<mi>_</mi>"),
    ("_w", "_w", r"\mathrm{\_w}", "<mi>_w</mi>"),
    ("sigma", "sigma", r"\sigma", "<mi>σ</mi>"),
    ("alpha1", "alpha₁", r"\alpha_{1}", "<msub><mi>α</mi><mn>1</mn></msub>"),
    ("Omega", "Omega", r"\Omega", "<mi>Ω</mi>"),
    ("...", "…", r"\ldots", "<mi>…</mi>"),
])  # fmt: skip
def test_a_name_in_every_script(name: str, text: str, latex: str, mathml: str) -> None:
    assert (text_symbol(name), latex_symbol(name), mathml_symbol(name)) == (text, latex, mathml)


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,4}'{0,2}", fullmatch=True)


@given(one=names, other=names)
def test_no_two_names_look_alike_in_plain_text(one: str, other: str) -> None:
    assert (text_symbol(one) == text_symbol(other)) == (one == other)


def _gather(spec: str, parameters: str) -> cc.Derivation:
    return cc.Contraction(spec, parameters=parameters).grad(0)


def test_brackets_stand_around_a_divisor_that_is_a_product() -> None:
    derivation = _gather("(2*s*i+k-p), k -> i", "s p")
    assert "G[(h−k+p)/(2s)]" in derivation.formula
    assert "G_{(h-k+p) / (2s)}" in derivation.latex()
    assert "<mo>/</mo><mrow><mo>(</mo><mrow>" in derivation.mathml()
    # A fraction on two lines needs none.
    assert r"\frac{h-k+p}{2s}" in derivation.latex()


def test_words_have_space_around_them() -> None:
    layer = cc.Contraction("(stride*i+dilation*k-3), k -> i", parameters="stride dilation")
    assert "X[stride·i + dilation·k − 3]" in layer.formula
    assert r"X_{\mathrm{stride} \, i+\mathrm{dilation} \, k-3}" in layer.latex()
    letters = cc.Contraction("(s*i+d*k-3), k -> i", parameters="s d")
    assert "X[s·i+d·k−3]" in letters.formula
    assert "X_{s i+d k-3}" in letters.latex()


def test_arrays_and_indices_are_taken_apart_alike() -> None:
    names = ("W_q", "W1", "alpha_1", "image_1", "at_least", "d_k", "x_1_2", "é")
    for hand in (HANDS["latex"], HANDS["mathml"]):
        assert [array(hand, name) for name in names] == [*map(hand.symbol, names)]


def test_sizes_are_raised_to_powers() -> None:
    factors = cc.Contraction("b (i+k) c, k c o -> b i o").curvature(1).kronecker("reduce")
    assert "1/N_i² · Σ" in factors.input.formula
    assert r"\frac{1}{N_{i}^{2}}" in factors.input.latex()
    image = cc.Contraction("b (i+k) (j+l) c, k l c o -> b i j o").curvature(1).kronecker("reduce")
    assert "1/(N_i² N_j²) · Σ" in image.input.formula


LETTERS = ["é", "ß", "größe", "ñandú_x", "ä_1", "Δt", "ы", "語", "ℓ", "Α", "øre2", "d_é"]


@pytest.mark.parametrize(
    "how", ["%s", "X_{%s}", r"\sum_{%s} X", r"\dot{%s}", "%s'", r"\frac{%s}{2}"]
)
def test_katex_compiles_letters_of_other_alphabets(how: str) -> None:
    assert refused([how % latex_symbol(name) for name in LETTERS]) == []


def test_mathtext_compiles_letters_of_other_alphabets() -> None:
    reader = pytest.importorskip("matplotlib.mathtext").MathTextParser("agg")
    for name in set(LETTERS) - {"語"}:  # for which its font has no picture
        reader.parse(f"$X_{{{latex_symbol(name)}, k}}$")


def test_no_size_is_called_like_an_index() -> None:
    layer = cc.Contraction("(2*W+N_h-1), N_h N_d -> W N_d")
    assert layer.formula.endswith("X[2W+N_h−1] · W[N_h, N_d]   where 0 ≤ 2W+N_h−1 < N_w")
    assert r"X_{2W+\mathrm{N\_h}-1}" in layer.latex()
    assert layer.grad(0).formula.startswith("dX[w] = ")
    symbolic = cc.Contraction("(N_h*i+k-N_w), k -> i", parameters="N_h N_w")
    assert symbolic.formula.endswith("< N_d")


@given(
    numbers=st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    offset=st.integers(-3, 3),
    divisor=st.sampled_from([1, 1, 2, 3]),
    called=st.sampled_from([("i", "k", "s"), ("row", "k'", "tap"), ("p0", "x_1", "_a")]),
)
def test_sentences_write_expressions_as_formulas_do(
    numbers: list[int], offset: int, divisor: int, called: tuple[str, str, str]
) -> None:
    terms = [(name, Polynomial.of(n)) for name, n in zip(called, numbers, strict=True)]
    axis = Affine.of(terms, Polynomial.of(offset), Polynomial.of(divisor))
    equation = Equation(Element("Y", (), ()), (), (), typed=(axis,))
    writer = Writer(equation, HANDS["text"])
    assert writer.axis(equation.written(expression(axis))) == in_words(axis)
