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
from math import prod
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy
from browser import assert_closed
from hypothesis import given, settings
from mathml_rules import NAMESPACE, assert_core
from strategies import Array, filled, problems
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
        "B[o, o′] = 1/N_b · Σ_{b} G[b, o] · G[b, o′]",
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
        "Y[i, w, h] = X[4−i, (h w)]   where 0 ≤ 4−i < N_d, else −∞",
        (
            r"Y_{i, w, h} = X_{4-i, (h \, w)}"
            r" \quad \mathrm{where} \ \ 0 \leq 4-i < N_{d},\ \mathrm{else} \ \ -\infty"
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
            r"Y_{h} = \frac{1}{\max(1, \sum_{i', k'} \delta_{h,\, i'+k'})}"
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


FIXED = cc.Contraction("(i+k), i, k -> i k")
TIED = cc.Contraction("(i+k), k -> i", names="x x")
ODD = cc.Contraction("(0), ((i+1)/2) ((1-i)/2), i i ->")
BACK = cc.Contraction("(i-k), i, k -> i")
STRIDED = cc.Contraction("(2*i-k), i, k -> i")


@pytest.mark.parametrize(
    ("thing", "condition"),
    [
        # i is as long as the second operand, which is in none of these
        (FIXED.jacobian(1), "   where 0 ≤ i+k < N_h"),
        (FIXED.jvp(1), "   where 0 ≤ i+k < N_h"),
        (FIXED.grad(1), "   where 0 ≤ i+k < N_h"),
        (FIXED.grad(1).gather, "   where 0 ≤ i+k < N_h"),
        (FIXED.grad(2).seconds[1], "   where 0 ≤ h−i < N_k"),
        (TIED.jacobian("x"), "x[i+k′] · 1[0 ≤ i+k′ < N_k]"),
        (BACK.grad(0).gather, "   where 0 ≤ h+k < N_w, 0 ≤ h+k < N_d"),
        (STRIDED.grad(0).phases()[0], "   where 0 ≤ h+k < N_i, 0 ≤ 2k < N_k"),
        # no position of the result is called as the size of another array's axis is
        (ODD.grad(2).phases()[0], "δ(i′′, 2i+1)   where 0 < N_h, 0 ≤ i+1 < N_w, 0 ≤ −i < N_d"),
        # the window sees to it, in whatever is derived
        (cc.Contraction("(2*i+k), k -> i").grad(1), "X[2i+k]"),
        (cc.Contraction("(2*i+k) -> i", reduce="max").grad(0).seconds[0], "V[2i+k] · S[i, k]"),
        (cc.Contraction("i, k -> (2*i+k)").grad(0).seconds[1], "V[i] · G[2i+k]"),
        (cc.Contraction("i, k -> (2*i+k)").grad(0).gather, "G[2i+k] · W[k]"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_condition_is_said_unless_the_contraction_sees_to_it(thing: Any, condition: str) -> None:
    assert thing.formula.endswith(condition)


def test_a_condition_is_of_one_sum() -> None:
    mean = cc.Contraction("(i-1), k -> (2*i+k)", reduce="mean")
    assert mean.formula == (
        "Y[h] = 1/max(1, Σ_{i′,k′} δ(h, 2i′+k′)) · Σ_{i,k} X[i−1] · W[k] · δ(h, 2i+k)"
        "   where 0 ≤ i−1 < N_w"
    )
    parts = cc.Contraction("i, k -> (2*i+k-1)", reduce="logsumexp").grad(0).seconds[2].formula
    assert parts.startswith(
        "∂⟨V, dX⟩/∂W[k] = Σ_{i} (V[i] · P[i, k] + Q[i, k] · X[i]) · G[2i+k−1]   where 0 ≤ 2i+k−1"
    )
    assert TIED.grad("x").formula == (
        "dx[h] = Σ_{k} G[h−k] · x[k] · 1[0 ≤ h−k < N_i] + Σ_{i} G[i] · x[h+i] · 1[0 ≤ h+i < N_k]"
    )


def test_a_scalar_is_told_from_an_index_of_its_name() -> None:
    odd = cc.Contraction("row V, ->")
    assert odd.jvp(1).formula == "JV = Σ_{row,V} X[row, V] · V[]"
    assert odd.jvp(1).latex().endswith(r"X_{\mathrm{row}, V} \, V_{()}")
    assert_core(odd.jvp(1).mathml())


def test_the_share_of_a_mean_is_no_other_operand() -> None:
    gather = cc.Contraction("b i, b i -> b", reduce="mean", names="M w").grad("w").gather
    assert gather.formula == "dw[b, i] = G[b] · M_1 · M[b, i]"
    assert (
        cc.Contraction("... i -> ...", reduce="mean").grad(0).formula == "dX[…, i] = 1/N_i · G[…]"
    )


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
_BRACKETS_AND_BLANKS = re.compile(r"[][(){}\s,;*·_$]")
_SIGNS = str.maketrans(
    {"∑": "Σ", "∏": "Π", "−": "-", "′": "'", "∣": "|", "\u2062": None, "^": None}
    | dict(zip("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹", "01234567890123456789", strict=True))
)


def symbols_of_text(text: str) -> str:
    """Letters, numbers and signs in the order of reading."""
    text = re.sub(r"log Σ exp_\{(.*?)\}", r"log Σ_{\1} exp", text)
    text = text.translate(_SIGNS)
    text = re.sub(r"[^\W\d_]+", lambda word: _GREEK.get(word[0], word[0]), text)
    return _BRACKETS_AND_BLANKS.sub("", text)


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
        elif command in ("mathrm", "text"):
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


# --- sympy says the same -----------------------------------------------------------------------


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


# --- random contractions ----------------------------------------------------------------------

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
