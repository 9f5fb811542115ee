"""Formulas in their three scripts: they are well-formed, they agree, and they are true.

Everything that shows a formula is collected from a table of contractions: the contraction, its
gradients with their steps and phases, forward derivatives, Jacobians, and curvature. Readers of our
own take the scripts apart again. What a formula says is also worked out by brute force, from its
text alone, and compared with what the library computes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from itertools import count
from math import prod
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy
from browser import assert_closed
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mathml_rules import NAMESPACE, assert_core
from strategies import Array, filled, problems, windows
from strategies import Problem as Drawn

import contractconv as cc
from contractconv import Reduction
from contractconv.api.derivation import Step
from contractconv.api.representations import Shown
from contractconv.notation.spec import REDUCTIONS

# spec, reduction, parameters
CONTRACTIONS: list[tuple[str, Reduction, str]] = [
    # layers
    ("i j, j k -> i k", "sum", ""),
    ("b (i+k) c, k c o -> b i o", "sum", ""),
    ("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", "sum", ""),
    ("b (i+k-1) (j+l-1) c, k l c -> b i j c", "sum", ""),
    ("b (i+k) g c, k g c o -> b i g o", "sum", ""),
    ("b i c, k c o -> b (2*i+k-1) o", "sum", ""),
    ("b h w c, (h w c) o -> b o", "sum", ""),
    ("b h q d, b h k d, b h k v -> b h q v", "sum", ""),
    ("b (s*i+d*k-p) c, k c o -> b i o", "sum", "s d p"),
    *(("b (2*i+k) c -> b i c", reduce, "") for reduce in REDUCTIONS),
    ("b i, i -> b", "max", ""),
    ("b i, i -> b", "logsumexp", ""),
    # every form of an axis
    ("(i-k), k -> i", "sum", ""),
    ("(4-i) -> i", "sum", ""),
    ("(-i) -> i", "sum", ""),
    ("(2*i+3*k-1), k -> i", "sum", ""),
    ("((h-k)/2), k -> h", "sum", ""),
    ("((s*i+k)/d) k -> i", "sum", "s d"),
    ("((s*t*i+s*k-p)/2), k -> i", "sum", "s t p"),
    ("(0) ->", "sum", ""),
    ("(3) i -> i", "sum", ""),
    ("(2*i) ->", "sum", ""),
    ("(h w) c -> c (w h)", "sum", ""),
    ("i i -> i", "sum", ""),
    ("i i i -> i", "sum", ""),
    ("i -> i i", "sum", ""),
    ("i -> i r", "sum", ""),
    ("->", "sum", ""),
    (", i -> i", "sum", ""),
    ("i, , j ->", "sum", ""),
    ("i -> (2*i+1)", "sum", ""),
    ("(i+k), (i+k), k -> i", "sum", ""),
    ("... i, ... j -> ... i j", "sum", ""),
    ("... i, i j -> j", "sum", ""),
    ("... i -> ...", "logsumexp", ""),
    # names
    ("batch (2*row-tap+1), tap channel -> batch row channel", "sum", ""),
    ("x_1_ (2*y_2+z__-1), z__ _w -> x_1_ y_2 _w", "sum", ""),
    ("i1 (i2+k3), k3 -> i1 i2", "mean", ""),
    ("sum max, max lambda -> sum lambda", "sum", ""),
    ("alpha (beta+gamma) Sigma, gamma Pi -> alpha beta Pi", "prod", ""),
    ("frac mathrm, mathrm quad -> quad", "max", ""),
    ("script (lt+amp), amp math -> script lt", "sum", ""),
    ("E (2*I+N-1), N pi -> I E pi", "sum", ""),
    ("X W, W Y -> X Y", "sum", ""),
    ("G N_i, N_i L -> G L", "sum", ""),
    ("dX (dW+δ), δ α -> dX dW α", "sum", ""),
    ("ä (é+ß), ß ñandú -> é ä", "sum", ""),
    ("_ (2*i+__-1), __ -> i _", "sum", ""),
]


def _label(row: object) -> str:
    return " ".join(filter(None, row)) if isinstance(row, tuple) else repr(row)


every_contraction = pytest.mark.parametrize("row", CONTRACTIONS, ids=_label)


# --- everything that shows a formula ----------------------------------------------------------


@cache
def shown_by(row: tuple[str, Reduction, str]) -> tuple[Shown, ...]:
    """Everything with a formula that comes of a contraction."""
    contraction = cc.Contraction(*row)
    operands = range(row[0].count(",") + 1)
    return contraction, *(found for n in operands for found in _derived(contraction, n))


def without_steps(row: tuple[str, str, str]) -> list[Shown]:
    """The same but steps: they only have what lies between other formulas, and are many."""
    return [thing for thing in shown_by(row) if not isinstance(thing, Step)]


@cache
def written(row: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    """Every formula that comes of a contraction as text, LaTeX and MathML, each once."""
    scripts = ((thing.formula, thing.latex(), thing.mathml()) for thing in shown_by(row))
    return list(dict.fromkeys(scripts))


def _derived(contraction: cc.Contraction, n: int) -> Iterator[Shown]:
    derivation = contraction.grad(n)
    yield derivation
    yield from derivation.steps
    numbers = {name: 2 + (name == "p") for name in contraction.parameters}
    makers: list[Callable[[], Sequence[Shown]]] = [
        lambda: derivation.phases(**numbers),
        lambda: (contraction.jvp(n),),
        lambda: (contraction.jacobian(n),),
        *(lambda root=root: (contraction.curvature(n).product(root),) for root in (False, True)),
        *(lambda root=root: (contraction.curvature(n).diagonal(root),) for root in (False, True)),
        *(lambda kind=kind: _factors(contraction, n, kind) for kind in ("expand", "reduce")),
    ]
    for maker in makers:
        yield from _unless_refused(maker)


def _factors(contraction: cc.Contraction, n: int, kind: str) -> Sequence[Shown]:
    factors = contraction.curvature(n).kronecker(kind)
    return factors.input, factors.output


def _unless_refused(maker: Callable[[], Sequence[Shown]]) -> Sequence[Shown]:
    """Not every contraction has a Jacobian, phases, or Kronecker factors."""
    try:
        return maker()
    except cc.ContractionError:
        return ()


@pytest.mark.parametrize("spec", ["->", "i ->", "i -> i", "(4-i) -> i", "(h w) -> h w", "i i -> i"])
@pytest.mark.parametrize("part", ["product", "diagonal", "kronecker"])
def test_the_curvature_of_a_single_operand_is_shown_or_refused(spec: str, part: str) -> None:
    with suppress(cc.ContractionError):
        getattr(cc.Contraction(spec).curvature(0), part)()


def test_the_table_shows_every_kind_of_thing() -> None:
    kinds: dict[str, int] = {}
    for row in CONTRACTIONS:
        for thing in shown_by(row):
            name = getattr(thing, "name", type(thing).__name__)
            kinds[name] = kinds.get(name, 0) + 1
    rare = {name for name, number in kinds.items() if number < 3}
    assert rare == set()
    assert {"Contraction", "Derivation", "Phase", "congruence", "range", "stop"} <= kinds.keys()
    assert {"Jacobian", "forward derivative", "input factor", "output factor"} <= kinds.keys()
    assert {"Gauss-Newton product", "Gauss-Newton diagonal"} <= kinds.keys()


# --- a few, word by word ----------------------------------------------------------------------

CONV = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")

WORDS: list[tuple[Shown, str, str]] = [
    (
        CONV,
        "Y[b, i, o] = Σ_{k,c} X[b, 2i+k−1, c] · W[k, c, o]   where 0 ≤ 2i+k−1 < N_h",
        (
            r"Y_{b, i, o} = \sum_{k, c} X_{b, 2i+k-1, c} \, W_{k, c, o}"
            r" \quad \mathrm{where} \ \ 0 \leq 2i+k-1 < N_{h}"
        ),
    ),
    (
        CONV.grad(0),
        (
            "dX[b, h, c] = Σ_{o,k} G[b, (h−k+1)/2, o] · W[k, c, o]"
            "   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_i"
        ),
        (
            r"\mathrm{d}X_{b, h, c} = \sum_{o, k} G_{b, (h-k+1) / 2, o} \, W_{k, c, o}"
            r" \quad \mathrm{where} \ \ 2 \mid h-k+1,\ 0 \leq \frac{h-k+1}{2} < N_{i}"
        ),
    ),
    (
        CONV.grad(1),
        "dW[k, c, o] = Σ_{b,i} G[b, i, o] · X[b, 2i+k−1, c]   where 0 ≤ 2i+k−1 < N_h",
        (
            r"\mathrm{d}W_{k, c, o} = \sum_{b, i} G_{b, i, o} \, X_{b, 2i+k-1, c}"
            r" \quad \mathrm{where} \ \ 0 \leq 2i+k-1 < N_{h}"
        ),
    ),
    (
        CONV.grad(0).steps[1],
        (
            "dX[b′, h, c′] = Σ_{b,i,o,k,c} G[b, i, o] · W[k, c, o] · δ(b′, b) · δ(h, 2i+k−1) · "
            "δ(c′, c)"
        ),
        (
            r"\mathrm{d}X_{b', h, c'} = \sum_{b, i, o, k, c} G_{b, i, o} \, W_{k, c, o} \,"
            r" \delta_{b',\, b} \, \delta_{h,\, 2i+k-1} \, \delta_{c',\, c}"
        ),
    ),
    (
        CONV.jvp(1),
        "JV[b, i, o] = Σ_{k,c} X[b, 2i+k−1, c] · V[k, c, o]   where 0 ≤ 2i+k−1 < N_h",
        (
            r"\mathrm{JV}_{b, i, o} = \sum_{k, c} X_{b, 2i+k-1, c} \, V_{k, c, o}"
            r" \quad \mathrm{where} \ \ 0 \leq 2i+k-1 < N_{h}"
        ),
    ),
    (
        CONV.jacobian(1),
        "J[b, i, o, k, c, o′] = X[b, 2i+k−1, c] · δ(o′, o)   where 0 ≤ 2i+k−1 < N_h",
        (
            r"J_{b, i, o, k, c, o'} = X_{b, 2i+k-1, c} \, \delta_{o',\, o}"
            r" \quad \mathrm{where} \ \ 0 \leq 2i+k-1 < N_{h}"
        ),
    ),
    (
        cc.Contraction("b i, i o -> b o").curvature(1).kronecker("expand").output,
        "B[o, o_] = 1/N_b · Σ_{b} G[b, o] · G[b, o_]",
        r"B_{o, o'} = \frac{1}{N_{b}} \sum_{b} G_{b, o} \, G_{b, o'}",
    ),
    (
        cc.Contraction("(s*i+d*k-p), k -> i", parameters="s d p").grad(0),
        "dX[h] = Σ_{k} G[(h−d·k+p)/s] · W[k]   where s | h−d·k+p, 0 ≤ (h−d·k+p)/s < N_i",
        (
            r"\mathrm{d}X_{h} = \sum_{k} G_{(h-d k+p) / s} \, W_{k}"
            r" \quad \mathrm{where} \ \ s \mid h-d k+p,\ 0 \leq \frac{h-d k+p}{s} < N_{i}"
        ),
    ),
    (
        cc.Contraction("(4-i) (h w) -> i w h", reduce="max"),
        "Y[i, w, h] = X[4−i, (h w)]   where 0 ≤ 4−i < N_d",
        (
            r"Y_{i, w, h} = X_{4-i, (h \, w)}"
            r" \quad \mathrm{where} \ \ 0 \leq 4-i < N_{d}"
        ),
    ),
    (
        cc.Contraction("batch (row+tap) -> batch row", reduce="mean"),
        "Y[batch, row] = 1/N_tap · Σ_{tap} X[batch, row + tap]",
        (
            r"Y_{\mathrm{batch}, \mathrm{row}} = \frac{1}{N_{\mathrm{tap}}} \sum_{\mathrm{tap}}"
            r" X_{\mathrm{batch}, \mathrm{row}+\mathrm{tap}}"
        ),
    ),
    (
        cc.Contraction("(i+k-1) (2*j+l) -> i j", reduce="mean"),
        "Y[i, j] = 1/(N_k N_l) · Σ_{k,l} X[i+k−1, 2j+l]   where 0 ≤ i+k−1 < N_h",
        (
            r"Y_{i, j} = \frac{1}{N_{k} \, N_{l}} \sum_{k, l} X_{i+k-1, 2j+l}"
            r" \quad \mathrm{where} \ \ 0 \leq i+k-1 < N_{h}"
        ),
    ),
    (
        cc.Contraction("b (i+k-1) -> b i", reduce="mean").grad(0),
        "dX[b, h] = 1/N_k · Σ_{k} G[b, h−k+1]   where 0 ≤ h−k+1 < N_i",
        (
            r"\mathrm{d}X_{b, h} = \frac{1}{N_{k}} \sum_{k} G_{b, h-k+1}"
            r" \quad \mathrm{where} \ \ 0 \leq h-k+1 < N_{i}"
        ),
    ),
    (
        cc.Contraction("i, k -> (i+k)", reduce="mean"),
        "Y[h] = 1/max(1, Σ_{i′,k′} δ(h, i′+k′)) · Σ_{i,k} X[i] · W[k] · δ(h, i+k)",
        (
            r"Y_{h} = \frac{1}{\max(1, \sum_{i, k} \delta_{h,\, i+k})}"
            r" \sum_{i, k} X_{i} \, W_{k} \, \delta_{h,\, i+k}"
        ),
    ),
    (
        cc.Contraction("... i, ... j -> ... i j").grad(0),
        "dX[…, i] = Σ_{j} G[…, i, j] · W[…, j]",
        r"\mathrm{d}X_{\ldots, i} = \sum_{j} G_{\ldots, i, j} \, W_{\ldots, j}",
    ),
    (cc.Contraction("->"), "Y = X", "Y = X"),
    (cc.Contraction(", i ->", reduce="prod"), "Y = Π_{i} X · W[i]", r"Y = \prod_{i} X \, W_{i}"),
]


@pytest.mark.parametrize(("thing", "text", "latex"), WORDS, ids=[text for _, text, _ in WORDS])
def test_formulas_word_by_word(thing: Shown, text: str, latex: str) -> None:
    assert thing.formula == text
    assert thing.latex() == latex
    assert thing._repr_latex_() == f"${latex}$"


def test_mathml_word_by_word() -> None:
    comma = '<mo separator="true">,</mo>'
    assert cc.Contraction("i j -> i").grad(0).mathml() == (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow><mrow>'
        '<msub><mrow><mi mathvariant="normal">d</mi><mi>X</mi></mrow>'
        f"<mrow><mi>i</mi>{comma}<mi>j</mi></mrow></msub>"
        "<mo>=</mo><mrow><msub><mi>G</mi><mrow><mi>i</mi></mrow></msub></mrow>"
        "</mrow></mrow></math>"
    ).replace("<mi>i</mi>", "<mrow><mrow><mi>i</mi></mrow></mrow>").replace(
        "<mi>j</mi>", "<mrow><mrow><mi>j</mi></mrow></mrow>"
    )


# --- LaTeX ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _mathtext() -> Any:
    return pytest.importorskip("matplotlib.mathtext").MathTextParser("agg")


@cache
def assert_parses(latex: str) -> None:
    """Ask matplotlib, which knows the part of LaTeX that is mathematics."""
    try:
        _mathtext().parse(f"${latex}$")
    except ValueError as error:
        raise AssertionError(f"{latex}\n{error}") from None


def assert_balanced(latex: str) -> None:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0, f"a brace closes nothing in {latex}"
    assert depth == 0, f"a brace stays open in {latex}"


@every_contraction
def test_the_braces_of_latex_are_balanced(row: tuple[str, str, str]) -> None:
    for _, latex, _ in written(row):
        assert_balanced(latex)


@every_contraction
def test_the_latex_of_contractions_and_gradients_is_read_by_mathtext(
    row: tuple[str, str, str],
) -> None:
    for thing in shown_by(row):
        if isinstance(thing, cc.Contraction | cc.Derivation):
            assert_parses(thing.latex())


# Parsing is slow, and the rest is made of the same parts.
@pytest.mark.parametrize("row", CONTRACTIONS[2::8], ids=_label)
def test_the_latex_of_all_the_rest_is_read_by_mathtext(row: tuple[str, str, str]) -> None:
    for _, latex, _ in written(row):
        assert_parses(latex)


@pytest.mark.parametrize("wrong", [r"\frac{a}{b", r"x_{i", "x}_{i", r"\nosuchcommand x", "x_"])
def test_wrong_latex_is_found(wrong: str) -> None:
    def check() -> None:
        assert_balanced(wrong)
        assert_parses(wrong)

    with pytest.raises(AssertionError):
        check()


# --- MathML -----------------------------------------------------------------------------------


@every_contraction
def test_mathml_is_well_formed_and_core(row: tuple[str, str, str]) -> None:
    for _, _, mathml in written(row):
        assert_core(mathml)


@pytest.mark.parametrize(
    "wrong",
    [
        "<mfenced><mi>i</mi></mfenced>",
        "<mfrac><mn>1</mn></mfrac>",
        "<msub><mi>x</mi><mi>i</mi><mi>j</mi></msub>",
        "<mi></mi>",
        "<mtr><mtd><mi>i</mi></mtd></mtr>",
        '<mi color="red">i</mi>',
        "<mrow>i</mrow>",
        "<p>i</p>",
        "<mn>i</mn>",
        "<mtable><mi>i</mi></mtable>",
        '<mspace width="wide"/>',
        '<mo form="above">+</mo>',
        "<math><mi>i</mi></math>",
    ],
)
def test_wrong_mathml_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        assert_core(f'<math xmlns="http://www.w3.org/1998/Math/MathML">{wrong}</math>')


# --- the three scripts agree ------------------------------------------------------------------

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "sigma": "σ", "lambda": "λ", "pi": "π", "Sigma": "Σ",
    "Pi": "Π",
}  # fmt: skip
_COMMANDS = _GREEK | {
    "sum": "Σ", "prod": "Π", "max": "max", "min": "min", "log": "log", "exp": "exp",
    "delta": "δ", "ldots": "…", "mid": "|", "leq": "≤", "quad": "", "infty": "∞",
    ",": "", " ": "", "_": "",
}  # fmt: skip
_LATEX_TOKEN = re.compile(r"\\([a-zA-Z]+|.)|(.)", re.DOTALL)
_BRACKETS_AND_BLANKS = re.compile(r"[][(){}\s,*·_$]")
_SIGNS = str.maketrans(
    {"∑": "Σ", "∏": "Π", "−": "-", "′": "'", "∣": "|", "\u2062": None, "^": None}
    | dict(zip("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹", "01234567890123456789", strict=True))
)


def symbols_of_text(text: str) -> str:
    """Letters, numbers and signs in the order of reading."""
    text = re.sub(r"log Σ exp_\{(.*?)\}", r"log Σ_{\1} exp", text)
    text = re.sub(r"\w+(?!\w|\{)", lambda word: _with_primes(word[0]), text.translate(_SIGNS))
    text = re.sub(r"[^\W\d_]+", lambda word: _GREEK.get(word[0], word[0]), text)
    return _BRACKETS_AND_BLANKS.sub("", text)


def _with_primes(word: str) -> str:
    """The second copy of an index is written with a prime."""
    if word.startswith("N_") and len(word) > len("N_"):
        return "N_" + _with_primes(word[2:])
    bare = word.rstrip("_")
    name = bare.lstrip("0123456789")
    return word if not name or name.startswith("_") else bare + "'" * (len(word) - len(bare))


def symbols_of_latex(latex: str) -> str:
    """Letters, numbers and signs in the order of reading."""
    read = _read_latex(iter(_LATEX_TOKEN.findall(latex)))
    return _BRACKETS_AND_BLANKS.sub("", read.translate(_SIGNS))


def _read_latex(tokens: Iterator[tuple[str, str]], closing: str = "") -> str:
    read = ""
    for command, character in tokens:
        if character and character == closing:
            break
        if character == "{":
            read += _read_latex(tokens, "}")
        elif command == "frac":
            read += f"{_argument(tokens)}/{_argument(tokens)}"
        elif command == "mathrm":
            read += _argument(tokens)
        else:
            read += _COMMANDS[command] if command else character
    return read


def _argument(tokens: Iterator[tuple[str, str]]) -> str:
    assert next(tokens) == ("", "{"), "an argument stands in braces"
    return _read_latex(tokens, "}")


def symbols_of_mathml(mathml: str) -> str:
    """Letters, numbers and signs in the order of reading."""
    read = _read_mathml(ElementTree.fromstring(mathml)).translate(_SIGNS)
    return _BRACKETS_AND_BLANKS.sub("", read)


def _read_mathml(element: ElementTree.Element) -> str:
    parts = [element.text or "", *map(_read_mathml, element)]
    if element.tag == f"{NAMESPACE}mfrac":
        parts.insert(2, "/")
    return "".join(parts)


@every_contraction
def test_text_latex_and_mathml_have_the_same_symbols(row: tuple[str, str, str]) -> None:
    for text, latex, mathml in written(row):
        symbols = symbols_of_text(text)
        assert symbols_of_latex(latex) == symbols
        assert symbols_of_mathml(mathml) == symbols


def test_symbols_are_read_in_order() -> None:
    derivation = cc.Contraction("( 2*i+k_1 ), k_1 -> i").grad(0)
    expected = "dXh=Σk1Gh-k1/2Wk1where2|h-k10≤h-k1/2<Ni"
    assert symbols_of_text(derivation.formula) == expected
    assert symbols_of_latex(derivation.latex()) == expected
    assert symbols_of_mathml(derivation.mathml()) == expected


def test_the_indices_of_a_logsumexp_stand_below_its_sum() -> None:
    assert cc.Contraction("b i -> b", reduce="logsumexp").formula.startswith("Y[b] = log Σ_{i} exp")


@pytest.mark.parametrize("script", ["formula", "latex"])
def test_the_exponential_of_a_product_is_bracketed(script: str) -> None:
    thing = cc.Contraction("i, i ->", reduce="logsumexp")
    text = thing.formula if script == "formula" else thing.latex()
    assert re.search(r"exp\s*(\\left)?[(\[\\{]", text)


def test_no_condition_is_said_twice() -> None:
    formulas = [text for row in CONTRACTIONS for text, _, _ in written(row)]
    conditions = [(text, text.partition("   where ")[2].split(", ")) for text in formulas]
    assert [text for text, said in conditions if len(said) > len(set(said))] == []


# --- what a formula says is what is computed --------------------------------------------------

Grid = Mapping[str, Array]

_BIG = re.compile(r"(Σ|Π|max|min|mean|log Σ exp)_\{(.*?)\} ")
# The other ways to write it: with the indices below the sum, with brackets around the product.
_LOGSUMEXP = re.compile(r"^log Σ_\{(.*?)\} exp *\(?(.*?)\)?$")
_SCALE = re.compile(r"1/(?:\((?P<sizes>N_[^)]*)\)|(?P<size>N_\S+))(?: |$)")
_EXPONENT = re.compile(r"(.*?)([⁰¹²³⁴⁵⁶⁷⁸⁹]*)")
# Printed signs, and what can be typed.
_TYPED = str.maketrans({"−": "-", "′": "'"} | dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)))
_NOTHING = {"0": 0.0, "1": 1.0, "-∞": -np.inf, "∞": np.inf}
# Points of a mean that land on an element are counted where their number differs.
_COUNT = re.compile(r"1/max\(1, Σ_\{(.*?)\} (.*?\))\) (?=Σ)")
_FACTOR = re.compile(r"([^\[(]+)(?:\[(.*)\]|\((.*)\))?")
_IDENTITY = {
    "sum": 0.0,
    "mean": 0.0,
    "prod": 1.0,
    "max": -np.inf,
    "min": np.inf,
    "logsumexp": -np.inf,
}


class Formula:
    """A formula that is worked out from its text, at all points at once.

    Args:
        text: the formula.
        reduce: what happens where nothing is there to be reduced.
        sizes: the extent of every index and the value of every parameter.
        strict: conditions must keep every read inside its array; otherwise a read that is outside,
            or at no whole number, leaves its point out, as everywhere in the notation.
        room: how far indices run of which no extent is known.
    """

    def __init__(
        self,
        text: str,
        reduce: Reduction,
        sizes: Mapping[str, int],
        strict: bool = False,
        room: int = 0,
    ) -> None:
        text = re.sub(r" ([+−]) ", r"\1", text).translate(_TYPED)
        body, _, where = text.partition("   where ")
        self.left, _, right = body.partition(" = ")
        self.reduce, self.sizes, self.strict, self.room = reduce, sizes, strict, room
        self.conditions = re.split(", ", where) if where else []
        scale, counted = _SCALE.match(right), _COUNT.match(right)
        self.scale = (scale["sizes"] or scale["size"]).split() if scale else []
        self.counted = counted.group(2).split(" · ") if counted else []
        for found in filter(None, (scale, counted)):
            right = right[found.end() :]
        right = _LOGSUMEXP.sub(r"log Σ exp_{\1} \2", right)
        big = _BIG.match(right)
        self.summed = [] if big is None else big.group(2).split(",")
        right = right[big.end() :] if big else right
        self.nothing = None if big else _NOTHING.get(right)
        self.factors = right.split(" · ") if right and self.nothing is None else []

    def points(self, shape: tuple[int, ...]) -> dict[str, int]:
        """Every index with its extent: those of the left side first, then the summed ones."""
        ranges = dict(zip(_axes(self.left), shape, strict=True))
        names = [name for axis in ranges for name in re.findall(r"(?:[^\W\d]\w*|…)'*", axis)]
        return {name: ranges.get(name, self.extent(name)) for name in [*names, *self.summed]}

    def extent(self, name: str) -> int:
        """The extent of an index, primed or not."""
        return self.sizes.get(name.rstrip("'"), self.room)

    def __call__(self, arrays: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
        """Work the formula out for arrays by name, and a left side of this shape."""
        points = self.points(shape)
        extents = tuple(points.values())
        grid = dict(zip(points, np.indices(extents), strict=True))
        grid |= {n: np.asarray(v) for n, v in self.sizes.items() if n not in grid}
        values, there = np.ones(extents), np.ones(extents, bool)
        landed = np.ones(extents)
        for delta in self.counted:
            landed = landed * self._value(delta, grid, arrays)[0]
        for condition in self.conditions:
            there &= self._holds(condition, grid, arrays)
        for factor in self.factors:
            value, inside = self._value(factor, grid, arrays)
            assert not self.strict or (inside | ~there).all(), f"{factor} is read outside"
            values, there = values * value, there & inside
        if self.nothing is not None:
            return np.full(shape, self.nothing)
        kept = len(points) - len(self.summed)
        made = self._reduced(values, there, landed, kept)
        return self._placed(made, grid, shape) if self._is_spread else made.reshape(shape)

    @property
    def _is_spread(self) -> bool:
        """Whether an element is met at an expression, and nothing is said of the others."""
        return any(re.search(r"[-+·\d]", re.sub(r"[^\W\d]\w*", "", a)) for a in _axes(self.left))

    def _placed(self, made: Array, grid: Grid, shape: tuple[int, ...]) -> Array:
        first = (slice(None),) * made.ndim + (0,) * len(self.summed)
        whole = (*made.shape, *[1] * len(self.summed))
        at = [
            np.broadcast_to(
                self._position(a, grid)[0],
                np.broadcast_shapes(whole, *(g.shape for g in grid.values() if g.ndim)),
            )[first]
            for a in _axes(self.left)
        ]
        there = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(at, shape, strict=True)])
        result = np.zeros(shape)
        result[tuple(p[there] for p in at)] = made[there]
        return result

    def _value(self, factor: str, grid: Grid, arrays: Mapping[str, Array]) -> tuple[Array, Array]:
        name, inside_brackets, compared = _matched(_FACTOR, factor)
        if name == "δ":
            one, other = (number(part, grid) for part in compared.split(", "))
            return (one[0] == other[0]).astype(float), one[1] & other[1]
        if name == "1":
            return np.ones(()), np.ones((), bool)
        array = arrays[name]
        if inside_brackets is None:
            return array, np.ones((), bool)
        axes = [self._position(axis, grid) for axis in inside_brackets.split(", ")]
        there = np.ones((), bool)
        for (position, whole), size in zip(axes, array.shape, strict=True):
            there = there & whole & (position >= 0) & (position < size)
        at = tuple(
            np.clip(position, 0, size - 1)
            for (position, _), size in zip(axes, array.shape, strict=True)
        )
        read = array[at] if array.size else np.zeros(np.broadcast_shapes(*(a.shape for a in at)))
        return np.where(there, read, 0), np.asarray(there)

    def _position(self, axis: str, grid: Grid) -> tuple[Array, Array]:
        """The position on an axis; the indices of a composition run row by row."""
        if " " not in axis:
            return number(axis, grid)
        position = np.zeros((), int)
        for name in axis.strip("()").split():
            position = position * self.extent(name) + grid[name]
        return position, np.ones((), bool)

    def _holds(self, condition: str, grid: Grid, arrays: Mapping[str, Array]) -> Array:
        if " | " in condition:
            divisor, dividend = (number(part, grid)[0] for part in condition.split(" | "))
            return np.asarray(dividend % divisor == 0)
        if " = " in condition:
            one, other = (number(part, grid) for part in condition.split(" = "))
            return np.asarray((one[0] == other[0]) & one[1] & other[1])
        position, size = _matched(re.compile(r"(?:0 ≤ )?(.*) < (\S+)"), condition)
        value, whole = number(position, grid)
        return np.asarray(whole & (value >= 0) & (value < self._size(size, position, arrays)))

    def _size(self, name: str, position: str, arrays: Mapping[str, Array]) -> int:
        """The extent of the index, or else the size of the axis that has this position."""
        index = name.removeprefix("N_")
        if index in self.sizes:
            return self.sizes[index]
        for factor in self.factors:
            array, inside_brackets, _ = _matched(_FACTOR, factor)
            for n, axis in enumerate((inside_brackets or "").split(", ")):
                if axis == position:
                    return int(arrays[array].shape[n])
        raise AssertionError(f"nobody knows what {name} is")

    def _power(self, size: str) -> int:
        """An extent, as often as it is multiplied."""
        name, exponent = _matched(_EXPONENT, size)
        power = int(exponent.translate(_SIGNS) or 1)
        extent: int = self.sizes[name.removeprefix("N_")]
        return int(extent**power)

    def _reduced(self, values: Array, there: Array, landed: Array, kept: int) -> Array:
        along = tuple(range(kept, values.ndim))
        shown = np.where(there, values, _IDENTITY[self.reduce])
        divisor: Any = prod(self._power(size) for size in self.scale)
        if self.counted:
            divisor = np.maximum(1, landed.sum(along))
        with np.errstate(divide="ignore"):
            total: Array = {
                "sum": lambda: shown.sum(along),
                "mean": lambda: shown.sum(along),
                "prod": lambda: shown.prod(along),
                "max": lambda: shown.max(along, initial=-np.inf),
                "min": lambda: shown.min(along, initial=np.inf),
                "logsumexp": lambda: np.log(np.exp(shown).sum(along)),
            }[self.reduce]()
        return np.asarray(total / divisor)


def _axes(element: str) -> list[str]:
    _, inside_brackets, _ = _matched(_FACTOR, element)
    return inside_brackets.split(", ") if inside_brackets else []


def _matched(pattern: re.Pattern[str], text: str) -> Sequence[Any]:
    match = pattern.fullmatch(text)
    assert match is not None, f"{text!r} is not {pattern.pattern}"
    return match.groups()


def number(text: str, grid: Grid) -> tuple[Array, Array]:
    """The value of an index expression, and where it is a whole number."""
    above, _, below = text.partition("/")
    dividend = _sum(above.removeprefix("(").removesuffix(")"), grid)
    divisor = _sum(below.removeprefix("(").removesuffix(")"), grid) if below else np.asarray(1)
    return dividend // divisor, np.asarray(dividend % divisor == 0)


def _sum(text: str, grid: Grid) -> Array:
    total = np.zeros((), int)
    for sign, product in re.findall(r"([+-]?)([^+-]+)", text):
        digits, names = _matched(re.compile(r"([0-9]*)(.*)"), product)
        factors = [np.asarray(int(digits))] if digits else []
        factors += [grid[name] for name in names.split("·") if name]
        value = factors[0]
        for factor in factors[1:]:
            value = value * factor
        total = total - value if sign == "-" else total + value
    return total


def arrays_for(shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> dict[str, Array]:
    """An array of small numbers for every name."""
    seeds = count(4)
    return {
        name: filled(shape, next(seeds), 3, "float64")
        for name, shape in zip(names, shapes, strict=True)
    }


def operand_names(count: int) -> list[str]:
    """What operands are called: X and W, or by their numbers."""
    return ["X", "W"][:count] if count <= 2 else [f"T{n}" for n in range(count)]


# spec, shapes, extents and parameters
TRUE: list[tuple[str, list[tuple[int, ...]], dict[str, int]]] = [
    ("i j, j k -> i k", [(2, 3), (3, 4)], {}),
    ("b (2*i+k-1) (j+2*l) c, k l c o -> b i j o", [(2, 5, 6, 2), (3, 2, 2, 2)], {}),
    ("b (i+k) g c, k g c o -> b i g o", [(1, 5, 2, 2), (3, 2, 2, 3)], {}),
    ("b i c, k c o -> b (2*i+k-1) o", [(2, 3, 2), (3, 2, 2)], {}),
    ("b h w c, (h w c) o -> b o", [(2, 2, 3, 2), (12, 3)], {}),
    ("b h q d, b h k d, b h k v -> b h q v", [(1, 2, 2, 3), (1, 2, 4, 3), (1, 2, 4, 2)], {}),
    ("b (s*i+d*k-p) c, k c o -> b i o", [(2, 9, 2), (3, 2, 2)], {"s": 2, "d": 2, "p": 1}),
    ("b (s*i+d*k-p) c, k c o -> b i o", [(1, 12, 2), (2, 2, 2)], {"s": 3, "d": 1, "p": 2}),
    ("(i-k), k -> i", [(4,), (3,)], {}),
    ("(4-i) -> i", [(5,)], {}),
    ("((h-k)/2), k -> h", [(4,), (3,)], {"h": 6}),
    ("(3) i -> i", [(5, 2)], {}),
    ("(h w) c -> c (w h)", [(6, 2)], {"h": 2}),
    ("i i -> i", [(3, 3)], {}),
    ("i -> i i", [(3,)], {}),
    ("i -> i r", [(3,)], {"r": 2}),
    (", i -> i", [(), (3,)], {}),
    ("i -> (2*i+1)", [(3,)], {}),
    ("(i+k), (i+k), k -> i", [(6,), (6,), (2,)], {}),
    ("batch (2*row-tap+1), tap channel -> batch row channel", [(2, 7), (3, 2)], {}),
    ("X W, W Y -> X Y", [(2, 3), (3, 4)], {}),
    ("... i, ... j -> ... i j", [(3, 2), (3, 4)], {}),
    ("... i, i j -> ... j", [(3, 2), (2, 4)], {}),
    ("... i, i j -> j", [(3, 2), (2, 4)], {}),
]
every_true = pytest.mark.parametrize(("spec", "shapes", "given"), TRUE, ids=[r[0] for r in TRUE])


def _facts(
    spec: str,
    shapes: Sequence[tuple[int, ...]],
    given: Mapping[str, Any],
    reduce: Reduction = "sum",
) -> tuple[cc.Contraction, dict[str, int], dict[str, Array], tuple[int, ...]]:
    """A contraction with symbols left in it, all numbers, its arrays, and the result's shape."""
    parameters = "s d p" if "s*" in spec else ""
    contraction = cc.Contraction(spec, reduce, parameters)
    sizes = contraction.extents(*shapes, **given)
    # An ellipsis of one axis is like an index.
    numbers = {name.replace("dots0", "…"): size for name, size in sizes.items()} | dict(given)
    arrays = arrays_for(shapes, operand_names(len(shapes)))
    return contraction, numbers, arrays, contraction.output_shape(*shapes, **given)


@every_true
def test_the_formula_of_a_contraction_is_true(
    spec: str, shapes: list[tuple[int, ...]], given: dict[str, Any]
) -> None:
    contraction, numbers, arrays, shape = _facts(spec, shapes, given)
    said = Formula(contraction.formula, "sum", numbers, strict=True)(arrays, shape)
    np.testing.assert_allclose(said, contraction(*arrays.values(), **given), atol=1e-12)


@every_true
def test_the_formulas_of_gradients_are_true(
    spec: str, shapes: list[tuple[int, ...]], given: dict[str, Any]
) -> None:
    contraction, numbers, arrays, shape = _facts(spec, shapes, given)
    cotangent = filled(shape, 3, 3, "float64")
    for n, operand in enumerate(arrays.values()):
        derivation = contraction.grad(n)
        formula = Formula(derivation.formula, "sum", numbers, strict=True)
        said = formula(arrays | {"G": cotangent}, operand.shape)
        expected = derivation(cotangent, *arrays.values(), **given)
        np.testing.assert_allclose(said, expected, atol=1e-12)


@every_true
def test_every_step_of_a_derivation_says_the_same(
    spec: str, shapes: list[tuple[int, ...]], given: dict[str, Any]
) -> None:
    contraction, numbers, arrays, shape = _facts(spec, shapes, given)
    everything = arrays | {"G": filled(shape, 3, 3, "float64")}
    loss = np.sum(everything["G"] * contraction(*arrays.values(), **given))
    for n, operand in enumerate(arrays.values()):
        expected = contraction.grad(n)(everything["G"], *arrays.values(), **given)
        for step in contraction.grad(n).steps:
            formula = Formula(step.formula, "sum", numbers)
            if formula.left == "L":
                said, wanted = formula(everything, ()), loss
            else:
                said, wanted = formula(everything, operand.shape), expected
            np.testing.assert_allclose(said, wanted, atol=1e-12, err_msg=str(step))


@every_true
def test_the_formulas_of_phases_add_up_to_the_gradient(
    spec: str, shapes: list[tuple[int, ...]], given: dict[str, Any]
) -> None:
    contraction, numbers, arrays, shape = _facts(spec, shapes, given)
    everything = arrays | {"G": filled(shape, 3, 3, "float64")}
    for n, operand in enumerate(arrays.values()):
        derivation = contraction.grad(n)
        known = {name: given[name] for name in contraction.parameters}
        phases = _unless_refused(lambda d=derivation, k=known: d.phases(**k))  # type: ignore[misc]
        if not phases:
            continue
        # A split index runs no further than the old one of its name, and a new one no further than
        # an axis; what they reach beyond the end is outside of the arrays.
        room = max(operand.shape, default=1)
        # Parameters are numbers by now, and an axis may have the name of one.
        sizes = {name: size for name, size in numbers.items() if name not in known}
        formulas = [Formula(phase.formula, "sum", sizes, room=room) for phase in phases]
        said = sum(formula(everything, operand.shape) for formula in formulas)
        expected = derivation(everything["G"], *arrays.values(), **given)
        np.testing.assert_allclose(said, expected, atol=1e-12)


@every_true
def test_the_formulas_of_forward_derivatives_and_jacobians_are_true(
    spec: str, shapes: list[tuple[int, ...]], given: dict[str, Any]
) -> None:
    contraction, numbers, arrays, shape = _facts(spec, shapes, given)
    for n, operand in enumerate(arrays.values()):
        tangent = filled(operand.shape, 2, 3, "float64")
        jvp = contraction.jvp(n)
        said = Formula(jvp.formula, "sum", numbers)(arrays | {"V": tangent}, shape)
        expected = jvp(tangent, *arrays.values(), **given)
        np.testing.assert_allclose(said, expected, atol=1e-12)
        for jacobian in _unless_refused(lambda n=n: (contraction.jacobian(n),)):  # type: ignore[misc]
            said = Formula(jacobian.formula, "sum", numbers)(arrays, (*shape, *operand.shape))
            expected = jacobian(*arrays.values(), **given)  # type: ignore[operator]
            np.testing.assert_allclose(said, expected, atol=1e-12)


REDUCED: list[tuple[str, list[tuple[int, ...]], dict[str, int]]] = [
    ("b (2*i+k) c -> b i c", [(2, 6, 2)], {"k": 2}),
    ("b (2*i+k-1) -> b i", [(2, 7)], {"k": 3}),
    ("i, i j -> j", [(3,), (3, 2)], {}),
    ("b i j ->", [(2, 2, 2)], {}),
    ("i -> i", [(3,)], {}),
    ("... i -> i", [(3, 2)], {}),
    ("i, k -> (i+k)", [(3,), (2,)], {}),
    ("i -> (2*i+1)", [(3,)], {}),
    ("i -> i i", [(3,)], {}),
]


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize(("spec", "shapes", "given"), REDUCED, ids=[row[0] for row in REDUCED])
def test_the_formulas_of_other_reductions_are_true(
    spec: str, shapes: list[tuple[int, ...]], given: dict[str, Any], reduce: Reduction
) -> None:
    contraction, numbers, arrays, shape = _facts(spec, shapes, given, reduce)
    said = Formula(contraction.formula, reduce, numbers, strict=True)(arrays, shape)
    np.testing.assert_allclose(said, contraction(*arrays.values(), **given), atol=1e-12)


def test_a_mean_divides_by_all_its_points() -> None:
    mean = cc.Contraction("(i+k-1) -> i", reduce="mean")
    assert mean.formula == "Y[i] = 1/N_k · Σ_{k} X[i+k−1]   where 0 ≤ i+k−1 < N_h"
    said = Formula(mean.formula, "mean", {"i": 4, "k": 3}, strict=True)({"X": np.ones(4)}, (4,))
    np.testing.assert_allclose(said, [2 / 3, 1, 1, 2 / 3])
    np.testing.assert_allclose(mean(np.ones(4), k=3), said)


def test_a_count_has_one_letter() -> None:
    for spec in ("(i+k-1) -> i", "b i j -> b", "i, k -> (i+k)", "i -> i i"):
        derivation = cc.Contraction(spec, reduce="mean").grad(0)
        texts = [derivation.formula, *(step.formula for step in derivation.steps)]
        texts += [str(cc.Contraction(spec, reduce="mean").explain(wrt=0))]
        assert not any(re.search(r"\bN(?!_)\b", text) for text in texts)


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_each_reduction_brings_its_equation(reduce: cc.Reduction) -> None:
    thing = cc.Contraction("b (2*i+k-1) -> b i", reduce)
    symbols = symbols_of_text(thing.formula)
    assert symbols == symbols_of_latex(thing.latex()) == symbols_of_mathml(thing.mathml())
    x = filled((2, 7), 5, 3, "float64")
    found = [[value(thing, {"X": x}, {"b": b, "i": i}, {"k": 3}) for i in range(4)] for b in (0, 1)]
    np.testing.assert_allclose(np.array(found, float), thing(x, k=3), atol=1e-12)


def value(
    thing: Shown, arrays: Mapping[str, Array], place: Mapping[str, int], sizes: Mapping[str, int]
) -> Any:
    """What the sympy expression is worth at one element, term by term as sympy itself does it."""
    numbers = {f"N_{name}": size for name, size in sizes.items()} | dict(place)
    numbers |= {
        f"N_{name}": array.shape[-1] for name, array in zip("h", arrays.values(), strict=True)
    }
    known = {s: numbers[name] for name, s in thing.symbols.items() if name in numbers}
    return _worked_out(thing.sympy.xreplace(known), arrays)


_FOLDS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "Sum": sum, "Product": prod, "Maximum": lambda v: max(v, default=-np.inf),
    "Minimum": lambda v: min(v, default=np.inf), "Add": sum, "Mul": prod,
    "log": lambda v: np.log(v[0]) if v[0] else -np.inf, "exp": lambda v: np.exp(v[0]),
    "Pow": lambda v: v[0] ** v[1],
}  # fmt: skip


def _worked_out(formula: Any, arrays: Mapping[str, Array]) -> Any:
    kind = formula.func.__name__
    if kind in ("Sum", "Product", "Maximum", "Minimum"):
        terms = [formula.function]
        for symbol, low, high in formula.limits:
            terms = [t.xreplace({symbol: sympy.Integer(n)}) for t in terms
                     for n in range(int(low), int(high) + 1)]  # fmt: skip
        return _FOLDS[kind]([_worked_out(term, arrays) for term in terms])
    if kind == "Piecewise":
        return next(_worked_out(e, arrays) for e, c in formula.args if _holds(c, arrays))
    if kind == "Indexed":
        return arrays[formula.base.label.name][tuple(map(int, formula.indices))].item()
    if kind in _FOLDS:
        return _FOLDS[kind]([_worked_out(part, arrays) for part in formula.args])
    return float(formula)


def _holds(condition: Any, arrays: Mapping[str, Array]) -> bool:
    if condition.has(sympy.Sum):
        return bool(_worked_out(condition.lhs, arrays) > _worked_out(condition.rhs, arrays))
    return bool(condition.doit())


@pytest.mark.parametrize(
    "wrong",
    [
        "dX[h] = Σ_{k} G[(h−k)/2] · W[k]   where 2 | h−k, 0 ≤ (h−k)/2 < N_i",
        "dX[h] = Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_k",
        "dX[h] = Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1",
        "dX[h] = Σ_{i,k} G[i] · W[k]",
        "dX[h] = 1/(N_k) Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_i",
    ],
)
def test_a_formula_that_is_not_true_is_found(wrong: str) -> None:
    right = "dX[h] = Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_i"
    conv = cc.Contraction("(2*i+k-1), k -> i")
    assert conv.grad(0).formula == right
    x, w, g = (filled((size,), size, 3, "float64") for size in (8, 3, 4))
    arrays, expected = {"G": g, "W": w}, conv.grad(0)(g, x, w)
    sizes = {"i": 4, "k": 3}

    def check(text: str) -> None:
        said = Formula(text, "sum", sizes, strict=True)(arrays, (8,))
        np.testing.assert_allclose(said, expected)

    check(right)
    with pytest.raises(AssertionError):
        check(wrong)


# --- random contractions ----------------------------------------------------------------------

MOST_POINTS = 200_000

# A derivation takes far longer than a sum.
some = settings(max_examples=max(25, settings().max_examples // 10))


@some
@given(problem=problems())
def test_random_formulas_are_well_formed_and_agree(problem: Drawn) -> None:
    contraction = cc.Contraction(problem.spec)
    things: list[Shown] = [contraction]
    things += [contraction.grad(n) for n in range(len(problem.shapes))]
    for thing in things:
        assert_balanced(thing.latex())
        assert_parses(thing.latex())
        assert_core(thing.mathml())
        symbols = symbols_of_text(thing.formula)
        assert symbols_of_latex(thing.latex()) == symbols
        assert symbols_of_mathml(thing.mathml()) == symbols


@some
@given(problem=problems())
def test_random_formulas_are_true(problem: Drawn) -> None:
    contraction = cc.Contraction(problem.spec)
    operands = problem.operands(7, dtype="float64")
    arrays = dict(zip(operand_names(len(operands)), operands, strict=True))
    arrays["G"] = problem.cotangent(7, dtype="float64")
    extents: dict[str, Any] = dict(problem.extents)
    formula = Formula(contraction.formula, "sum", problem.extents)
    assume(prod(formula.points(problem.output_shape).values()) <= MOST_POINTS)
    said = formula(arrays, problem.output_shape)
    expected = contraction(*operands, output_shape=problem.output_shape, **extents)
    np.testing.assert_allclose(said, expected, atol=1e-12)
    for n, operand in enumerate(operands):
        derivation = contraction.grad(n)
        formula = Formula(derivation.formula, "sum", problem.extents)
        assume(prod(formula.points(operand.shape).values()) <= MOST_POINTS)
        said = formula(arrays, operand.shape)
        expected = derivation(arrays["G"], *operands, **extents)
        np.testing.assert_allclose(said, expected, atol=1e-12)


@some
@given(problem=problems(), reduce=st.sampled_from(REDUCTIONS))
def test_random_formulas_of_every_reduction_are_true(problem: Drawn, reduce: cc.Reduction) -> None:
    contraction = cc.Contraction(problem.spec, reduce)
    operands = problem.operands(7, dtype="float64")
    arrays = dict(zip(operand_names(len(operands)), operands, strict=True))
    extents: dict[str, Any] = dict(problem.extents)
    formula = Formula(contraction.formula, reduce, problem.extents)
    assume(prod(formula.points(problem.output_shape).values()) <= MOST_POINTS)
    said = formula(arrays, problem.output_shape)
    expected = contraction(*operands, output_shape=problem.output_shape, **extents)
    np.testing.assert_allclose(said, expected, atol=1e-12)
    if reduce != "mean":
        return
    arrays["G"] = problem.cotangent(7, dtype="float64")
    for n, operand in enumerate(operands):
        derivation = contraction.grad(n)
        formula = Formula(derivation.formula, "sum", problem.extents)
        if any(factor.startswith("M") for factor in formula.factors):
            continue  # what M holds differs from element to element
        assume(prod(formula.points(operand.shape).values()) <= MOST_POINTS)
        found = derivation(arrays["G"], *operands, **extents)
        np.testing.assert_allclose(formula(arrays, operand.shape), found, atol=1e-12)


@some
@given(problem=windows(layers=["conv", "depthwise"]))
def test_the_conditions_of_random_layers_keep_every_read_inside(problem: Drawn) -> None:
    contraction = cc.Contraction(problem.spec)
    operands = problem.operands(7, dtype="float64")
    arrays = dict(zip(operand_names(len(operands)), operands, strict=True))
    arrays["G"] = problem.cotangent(7, dtype="float64")
    said = Formula(contraction.formula, "sum", problem.extents, strict=True)
    np.testing.assert_allclose(
        said(arrays, problem.output_shape), contraction(*operands), atol=1e-12
    )
    for n, operand in enumerate(operands):
        derivation = contraction.grad(n)
        formula = Formula(derivation.formula, "sum", problem.extents, strict=True)
        expected = derivation(arrays["G"], *operands)
        np.testing.assert_allclose(formula(arrays, operand.shape), expected, atol=1e-12)


# --- notebooks --------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CONTRACTIONS[::3], ids=_label)
def test_every_tag_of_the_html_is_closed(row: tuple[str, str, str]) -> None:
    for thing in without_steps(row):
        seen = assert_closed(thing._repr_html_())
        assert {"math", "svg", "code"} <= set(seen)


class Printer:
    """Stands in for IPython's printer."""

    def __init__(self) -> None:
        self.said = ""
        self.stack: list[int] = []  # of what is being printed nothing is inside another

    def text(self, text: str) -> None:
        """Remember what is printed."""
        self.said += text


def test_an_interactive_shell_shows_repr_and_formula() -> None:
    derivation = cc.Contraction("i j, j -> i").grad(1)
    printer = Printer()
    derivation._repr_pretty_(printer, cycle=False)
    assert printer.said == "Contraction('i j, j -> i').grad(1)\ndW[j] = Σ_{i} G[i] · X[i, j]"


def test_an_interactive_shell_ends_a_cycle() -> None:
    printer = Printer()
    cc.Contraction("i ->")._repr_pretty_(printer, cycle=True)
    assert printer.said == "Contraction('i ->')"


@pytest.mark.parametrize("row", CONTRACTIONS[::4], ids=_label)
def test_an_interactive_shell_can_show_everything(row: tuple[str, str, str]) -> None:
    for thing in without_steps(row):
        printer = Printer()
        thing._repr_pretty_(printer, cycle=False)
        assert printer.said == f"{thing!r}\n{thing.formula}"
