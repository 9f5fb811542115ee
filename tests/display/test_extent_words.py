"""How far indices run, said with letters: what it comes to in numbers is what calls find."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contractconv as cc
from contractconv.display.extent_words import extents_said


@pytest.mark.parametrize(("spec", "parameters", "said"), [
    ("b (2*i+k-1) c, k c o -> b i o", "", "If nothing else is given, N_i = ⌊(N_h−N_k+2)/2⌋+1."),
    ("b (2*i+k) (2*j+l) c -> b i j c", "", (
        "The extents of k and l have to be given; "
        "then N_i = ⌊(N_h−N_k)/2⌋+1 and N_j = ⌊(N_w−N_l)/2⌋+1."
    )),
    ("b h i d, b h (i+j-w) d -> b h i j", "w", "If nothing else is given, N_j = N_y−N_i+2w+1."),
    ("(s*i+d*k-p), k -> i", "s d p",
     "If nothing else is given, N_i = ⌊(N_h−d·N_k+d+2p−1)/s⌋+1."),
    ("... (i+k-1), k ... -> i ...", "", "If nothing else is given, N_i = N_h−N_k+3."),
    ("(h w) (i+k), k -> w i", "", "The extent of h has to be given; then N_i = N_d−N_k+1."),
    ("i -> i copy", "", "The extent of copy has to be given."),
    ("((h-k)/2), k -> h", "", "The extent of h has to be given."),
    ("i k, k -> (2*i+k)", "", ""),
    ("(p*i-q*i+k), k -> i", "p q", ""),
])  # fmt: skip
def test_extents_are_said(spec: str, parameters: str, said: str) -> None:
    contraction = cc.Contraction(spec, parameters=parameters)
    assert " ".join(extents_said(contraction._spec)) == said


@given(
    numbers=st.tuples(*[st.sampled_from([-3, -2, -1, 1, 2, 3])] * 3),
    offset=st.integers(-4, 4),
    sizes=st.tuples(st.integers(1, 14), st.integers(1, 4), st.integers(1, 3)),
)
def test_what_is_said_of_extents_is_what_calls_find(
    numbers: tuple[int, int, int], offset: int, sizes: tuple[int, int, int]
) -> None:
    step, first, second = numbers
    contraction = cc.Contraction(f"({step}*i+{first}*k+{second}*l+{offset}), k l -> i")
    try:
        found = contraction.extents(sizes[:1], sizes[1:])["i"]
    except cc.ShapeError:  # the window is larger than its axis
        return
    (said,) = extents_said(contraction._spec)
    known = dict(zip(("N_h", "N_k", "N_l"), sizes, strict=True))
    assert _worth(said.partition(" = ")[2][:-1], known) == found


def _worth(formula: str, sizes: dict[str, int]) -> int:
    """What a formula says, as Python reads it: nobody typed it."""
    text = re.sub(r"(\d)N", r"\1*N", formula.translate(str.maketrans("−", "-")))
    text = text.replace("⌊", "floor(").replace("⌋", ")")
    worth: int = eval(text, {"floor": math.floor, "max": max}, sizes)
    return worth
