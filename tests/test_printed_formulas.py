"""What is printed is right: formulas are worked out from their text alone, by a stranger.

The reader of formulas (``printed_formulas``, ``printed_values``) knows what the notation's page
says; what they should be worth (``printed_oracle``) comes from sums over points and dual numbers.
Neither knows anything of the library, and they know nothing of each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from printed_cases import case, cases, layers, reductions, settled_cases
from printed_claims import FAMILIES, Case, Claim, check, gradient
from printed_curvature import kronecker, products, rooted
from printed_formulas import Unreadable
from printed_ties import Tied, tied
from printed_ties import claims as tied_claims
from printed_values import evaluate
from strategies import Problem

from contractconv import ContractionError

Family = Callable[[Case, int], Iterator[Claim]]
ALL: list[Family] = [*FAMILIES, products, rooted, kronecker]


# --- the reader of formulas ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("Y = Σ_{i} X[i]", 60),
        ("Y = Σ_{i,k} X[i+k] · W[k]", 60 + 2 * 50),
        ("Y = Σ_{i,k} X[i + k] W[k]   where 0 ≤ i+k < 2", 10 + 2 * 20 + 20),
        ("Y = 1/N_i · Σ_{i} X[i]", 20),
        ("Y = 1/(N_i*N_k) · Σ_{i,k} X[i] · W[k]", 30),
        ("Y = 1/(N_i N_k²) · Σ_{i,k} X[i] · W[k]", 15),
        ("Y = 2*3-4", 2),
        ("Y = 2·3−4", 2),
        ("Y = -1-1", -2),
        ("Y = 7/2/2", 1.75),
        ("Y = max_{i} X[i]", 30),
        ("Y = min_{i} X[i] · 2", 20),
        ("Y = Π_{i} X[i]", 6000),
        ("Y = log Σ_{i} exp(0)", 1.0986122886681098),
        ("Y = max(1, Σ_{i} (δ(i, 1) + δ(i, 2)))", 2),
        ("Y = 1/max(1, Σ_{i} δ(1, i)) · Σ_{i} X[i]", 60),
        ("Y = 1/max(1, Σ_{i′} δ(1, i′)) · Σ_{i} X[i]   where i < 2", 30),
        ("Y = Σ_{i} (X[i-1] · 1[0 ≤ i-1 < N_i, i < 3] + 2 · X[i]) · W[0]", 30 + 120),
        ("Y = X[0] · 1[0 < 0] + X[1]", 20),
        ("Y = Σ_{i} X[i] · k[]", 60),
        ("Y = Σ_{i} X[i/2]", 30),
        ("Y = Σ_{i} X[i]   where 2 | i", 40),
        ("Y = Σ_{i} X[i]   where i = 1, 2 ∣ i-1", 20),
        ("Y = Σ_{i′} X[i']   where i' ≠ 1", 40),
        ("Y = Σ_{i} 1", 3),
        ("Y = Σ_{i,k} X[(k)] · Z[(k i)]", 10 * 3 + 20 * 12),
        ("Y = Σ_{i} X[i-1]   where 0 ≤ i-1 < N_h", 30),
        ("Y = Σ_{_,k_} X[_] · W[k_]", 180),
        ("Y = Σ_{…} X[…]", 60),
        ("Y = 1/N_… · Σ_{…} X[…]", 20),
        ("Y = Σ_{i} s·X[s·i-p₀]", 40),
        ("Y = Σ_{where} X[2where − 1]   where 1 < N_i", 20),
        ("Y = Π_{i ≠ k} X[i]", 300),
        ("Y = Σ_{i,k} 1[(i,k) = argmax_{i′,k′} X[i′] · W[k′]]", 1),
        ("Y = 2 − ∞", float("-inf")),
    ],
)
def test_a_text_is_worth(text: str, worth: float) -> None:
    arrays = {"X": [10, 20, 30], "W": [1, 2], "Z": [0, 1, 2, 3, 4, 5]}
    extents = {"i": 3, "k": 2, "_": 3, "k_": 2, "where": 2}
    assert evaluate(text, arrays, extents, (), {"s": 2, "p0": 1, "k": 1}) == pytest.approx(
        float(worth)
    )


def test_the_left_side_says_where() -> None:
    x = [[1, 2, 3], [4, 5, 6]]
    assert evaluate("Y[j, i] = X[i, j]", {"X": x}, {}, (3, 2)) == [[1, 4], [2, 5], [3, 6]]
    sizes = {"i": 2, "j": 3}
    assert evaluate("Y[(j i)] = X[i, j]", {"X": x}, sizes, (6,)) == [1, 4, 2, 5, 3, 6]
    assert evaluate("Y[i, i'] = Z[i] · δ(i', i)", {"Z": [7, 8]}, {}, (2, 2)) == [[7, 0], [0, 8]]
    assert evaluate(
        "Y[h] = X[0, h-1]",
        {"X": x},
        {},
        (2,),
    ) == [0, 1]
    assert evaluate("Y[2h−1] = X[0, h]", {"X": x}, {}, (6,)) == [0, 2, 0, 3, 0, 0]
    text = "Y[h] = X[0, h-1]   where 0 ≤ h-1, else −∞"
    assert evaluate(text, {"X": x}, {}, (2,)) == [float("-inf"), 1]
    first = "S[i] = 1[i = argmin_{i′} X[0, i′]]   where 0 < i′"
    assert evaluate(first, {"X": x}, {"i": 3}, (3,)) == [0, 1, 0]


def test_reading_outside_can_be_forbidden() -> None:
    for text in ("Y = Σ_{i} X[i-1]", "Y = Σ_{i} X[i/2]", "Y = Σ_{i} X[i+1]   where i < N_i"):
        with pytest.raises(Unreadable):
            evaluate(text, {"X": [1, 2, 3]}, {"i": 3}, (), strict=True)
    inside = "Y = Σ_{i} X[i-1]   where 0 ≤ i-1"
    assert evaluate(inside, {"X": [1, 2, 3]}, {"i": 3}, (), strict=True) == 3


def test_an_ellipsis_is_broadcast() -> None:
    x, w = [[[1, 2], [3, 4]]], [[10, 20]]
    arrays = {"X": x, "W": w}
    assert evaluate("Y[…, i] = X[…, i] · W[…, i]", arrays, {}, (1, 2, 2)) == [[[10, 40], [30, 80]]]
    assert evaluate("dW[…, i] = X[…, i]", arrays, {}, (1, 2)) == [[4, 6]]
    both = "dW[…', i'] = Σ_{…,i} X[…, i] · δ(…', …) · δ(i', i)"
    assert evaluate(both, arrays, {"i": 2}, (2, 2)) == x[0]


@pytest.mark.parametrize(
    "text",
    [
        "Y = ", "Y = X[i", "Y = Σ_{i X[i]", "Y X", "Y = X[i]   where", "Y = X[i]   where i",
        "Y = X[q]", "Y = Σ_{q} X[0]", "Y = Q[0]", "Y = Σ_{i} X[i]   where 0 ≤ i-1 < N_q", "Y = ⊗",
        "Y[i] = 1",
        "Y = Σ_{i} X[i]   where 0 ≤ i < 2 + Σ_{i} X[i]   where i = 1",
        "Y = 1/N_i X[0]", "Y = 1/max(1, Σ_{i} δ(1, i)) · Σ_{i} X[i]   where i < 2", "Y = 1[i]",
        "Y = Σ_{i} X[i] + Σ_{i} X[i]   where i = 1",
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        evaluate(text, {"X": [1, 2, 3]}, {"i": 3}, ())


# --- what is printed -------------------------------------------------------------------------


def _text(printed: Case) -> str:
    return f"{printed.contraction} {printed.witness.reduce}"


@pytest.mark.parametrize("printed", [*layers(), *reductions()], ids=_text)
def test_formulas_of_layers_are_worth_what_they_say(printed: Case) -> None:
    for family in ALL:
        for n in range(len(printed.witness.shapes)):
            for claim in claims(printed, family, n):
                check(strictly(claim))


def strictly(claim: Claim) -> Claim:
    """Conditions say all; but for steps, which find them one after the other."""
    return replace(claim, strict=not claim.what.startswith("step"))


def drawn_claims(printed: Case, family: Family, data: st.DataObject) -> Iterator[Claim]:
    """What is printed of a case about one of its operands."""
    n = data.draw(st.integers(0, len(printed.witness.shapes) - 1))
    note(f"{printed.contraction!r} {family.__name__} {n}: {printed.witness}")
    yield from claims(printed, family, n)


@settings(max_examples=max(100, settings().max_examples // 5))
@given(printed=cases(), family=st.sampled_from(ALL), data=st.data())
def test_printed_formulas_are_worth_what_they_say(
    printed: Case, family: Family, data: st.DataObject
) -> None:
    for claim in drawn_claims(printed, family, data):
        check(claim)


@settings(max_examples=max(100, settings().max_examples // 5))
@given(printed=settled_cases(), family=st.sampled_from(ALL), data=st.data())
def test_conditions_say_all_where_extents_follow_from_shapes(
    printed: Case, family: Family, data: st.DataObject
) -> None:
    for claim in drawn_claims(printed, family, data):
        check(strictly(claim))


@settings(max_examples=max(60, settings().max_examples // 10))
@given(printed=tied(), data=st.data())
def test_formulas_of_arrays_in_several_places_are_worth_what_they_say(
    printed: Tied, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(printed.names))
    note(f"{printed.case.contraction!r} {name}: {printed.case.witness}")
    for claim in tied_claims(printed, name):
        check(strictly(claim))


def claims(printed: Case, family: Family, n: int) -> Iterator[Claim]:
    """What a family says, unless the library says that there is nothing of it."""
    try:
        yield from family(printed, n)
    except ContractionError:
        return


# --- the check itself ------------------------------------------------------------------------

_CONV = Problem(
    "b (2*i+k-1), k o -> b i o", ((2, 8), (3, 2)), {"b": 2, "i": 4, "k": 3, "o": 2}, (2, 4, 2)
)
_WRONG = [
    (r"\+1\)/2", "-1)/2"), (r"\+k", ""), ("k-1", "k"), ("-k", "+k"), (r"2 \| ", "4 | "),
    ("< N_i", "< N_i-1"), ("0 ≤", "4 ≤"), (r" · W\[k, o\]", ""), (r"Σ_{o,k}", "max_{o,k}"),
    ("1/N_k · ", ""), ("1/N_k", "1/N_i"), ("max_", "min_"), ("Π_", "Σ_"), ("log ", ""),
    (r"δ\(h, 2\*i", "δ(h, 3*i"), (r"δ\(b', b\)", "δ(b', o)"), (r"G\[b, ", "G[0, "),
    (r"V\[k, ", "V[0, "), (r" \* ", " + "),
]  # fmt: skip


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "logsumexp"])
def test_wrong_formulas_are_noticed(reduce: Any) -> None:
    printed = case(_CONV.spec, _CONV, reduce, 3)
    told = [claim for n in (0, 1) for family in ALL for claim in claims(printed, family, n)]
    wrong = [
        replace(claim, text=text)
        for claim in {claim.text: claim for claim in told}.values()
        for pattern, instead in _WRONG
        if (text := re.sub(pattern, instead, claim.text, count=1)) != claim.text
    ]
    assert len(wrong) > 40
    unnoticed = [claim.text for claim in wrong if _holds(claim)]
    assert not unnoticed


@pytest.mark.parametrize(
    "wrong",
    [
        "dX[h] = Σ_{k} G[(h−k)/2] · W[k]   where 2 | h−k, 0 ≤ (h−k)/2 < N_i",
        "dX[h] = Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_k",
        "dX[h] = Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1",
        "dX[h] = Σ_{i,k} G[i] · W[k]",
        "dX[h] = 1/N_k · Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_i",
    ],
)
def test_a_condition_that_is_missing_or_wrong_is_noticed(wrong: str) -> None:
    conv = Problem("(2*i+k-1), k -> i", ((8,), (3,)), {"i": 4, "k": 3}, (4,))
    right = next(gradient(case(conv.spec, conv, "sum", 3), 0))
    check(strictly(right))
    assert right.text == "dX[h] = Σ_{k} G[(h−k+1)/2] · W[k]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_i"
    assert not _holds(replace(strictly(right), text=wrong))


def _holds(claim: Claim) -> bool:
    try:
        check(claim)
    except AssertionError:
        return False
    return True
