"""The derived strings themselves: both forms, for layers that people know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import Reduction
from contractconv.notation.spec import REDUCTIONS as NAMES
from contractconv.reductions.table import REDUCTIONS

# spec, operand, scatter form, gather form
SUMS = [
    ("i j, j k -> i k", 0, "i k, j k -> i j", "i k, j k -> i j"),
    ("i j, j k -> i k", 1, "i k, i j -> j k", "i k, i j -> j k"),
    ("(i+k), k -> i", 0, "i, k -> (i+k)", "(h-k), k -> h"),
    ("(i+k), k -> i", 1, "i, (i+k) -> k", "i, (i+k) -> k"),
    ("(2*i+3*k-1), k -> i", 0, "i, k -> (2*i+3*k-1)", "((h-3*k+1)/2), k -> h"),
    ("(i-k), k -> i", 0, "i, k -> (i-k)", "(h+k), k -> h"),
    ("i, k -> (2*i+k)", 0, "(2*i+k), k -> i", "(2*i+k), k -> i"),
    ("i, k -> (2*i+k)", 1, "(2*i+k), i -> k", "(2*i+k), i -> k"),
    ("((h-k)/2), k -> h", 0, "h, k -> ((h-k)/2)", "(2*w+k), k -> w"),
    ("(4-i) -> i", 0, "i -> (4-i)", "(4-h) -> h"),
    ("b h w c, (h w c) o -> b o", 1, "b o, b h w c -> (h w c) o", "b o, b h w c -> (h w c) o"),
    ("i i -> i", 0, "i -> i i", "i -> i i"),
    ("i -> i i", 0, "i i -> i", "i i -> i"),
    ("(3) i -> i", 0, "i -> (3) i", "i -> (3) i"),
    ("i -> i r", 0, "i r -> i", "i r -> i"),
    ("h w ->", 0, "-> h w", "-> h w"),
    ("... i, ... j -> ... i j", 1, "... i j, ... i -> ... j", "... i j, ... i -> ... j"),
    # nothing could carry the condition of the gather
    ("(2*i) ->", 0, "-> (2*i)", "-> (2*i)"),
    # the index stands in a composition elsewhere, where it has to stay
    ("(i+k), k -> (i k)", 0, "(i k), k -> (i+k)", "(i (h-i)) -> h"),
]


@pytest.mark.parametrize(("spec", "operand", "scatter", "gather"), SUMS[:-1])
def test_both_forms(spec: str, operand: int, scatter: str, gather: str) -> None:
    derivation = cc.Contraction(spec).grad(operand)
    assert str(derivation) == str(derivation.scatter) == scatter
    assert str(derivation.gather) == gather


def test_an_index_of_a_composition_is_not_eliminated() -> None:
    derivation = cc.Contraction("(i+k) -> (i k)").grad(0)
    assert str(derivation.scatter) == str(derivation.gather) == "(i k) -> (i+k)"


def test_a_window_of_two_dimensions_with_symbols() -> None:
    spec = "b (s*i+d*k-p) (s*j+d*l-p) c, k l c o -> b i j o"
    derivation = cc.Contraction(spec, parameters="s d p").grad(0)
    assert str(derivation.gather) == "b ((h-d*k+p)/s) ((w-d*l+p)/s) o, k l c o -> b h w c"


@pytest.mark.parametrize("operand", [0, 1])
@pytest.mark.parametrize("form", ["scatter", "gather"])
def test_binding_before_or_after_gives_the_same_formula(operand: int, form: str) -> None:
    spec = cc.Contraction("b (s*i+d*k-p) c, k c o -> b i o", parameters="s d p")
    values = {"s": 3, "d": 2, "p": 1}
    after = getattr(spec.grad(operand), form).bind(**values)
    before = getattr(spec.bind(**values).grad(operand), form)
    assert after == before


def test_new_names_avoid_those_in_use() -> None:
    derivation = cc.Contraction("(h+w), w d -> h d").grad(0)
    assert str(derivation.gather) == "(y-w) d, w d -> y"


def test_sizes_that_nobody_knows_are_not_assumed() -> None:
    # A gather would put the position alone on the second operand's axis as well.
    derivation = cc.Contraction("(i+k), (i+k), k -> i").grad(0)
    assert str(derivation.gather) == "i, (i+k), k -> (i+k)"
    x, y, w = np.arange(6), np.arange(9), np.array([1, 2])
    g = np.array([1, 1, 1, 1, 1])
    extents: dict[str, Any] = {"i": 5}
    expected = np.zeros(6, int)
    for i in range(5):
        for k in range(2):
            expected[i + k] += g[i] * y[i + k] * w[k]
    forward = cc.Contraction("(i+k), (i+k), k -> i")
    assert (forward.grad(0)(g, x, y, w, **extents) == expected).all()


def test_one_array_in_two_positions_has_two_gradients_that_add() -> None:
    square = cc.Contraction("i, i ->")
    x = np.array([1, -2, 3])
    first, second = (square.grad(n)(np.array(1), x, x) for n in range(2))
    assert (first + second == 2 * x).all()


@pytest.mark.parametrize(
    ("reduce", "scatter"),
    [
        ("max", "b i c, b i c k -> b (2*i+k) c"),
        ("min", "b i c, b i c k -> b (2*i+k) c"),
        ("prod", "b i c, b i c k -> b (2*i+k) c"),
        ("logsumexp", "b i c, b i c k -> b (2*i+k) c"),
        ("mean", "b i c, -> b (2*i+k) c"),
    ],
)
def test_other_reductions_meet_one_operand_more(reduce: Reduction, scatter: str) -> None:
    assert str(cc.Contraction("b (2*i+k) c -> b i c", reduce=reduce).grad(0)) == scatter


def test_a_mean_over_a_scatter_divides_each_element_by_its_own_count() -> None:
    mean = cc.Contraction("i, k -> (i+k)", reduce="mean")
    assert str(mean.grad(0)) == "(i+k), (i+k), k -> i"


def test_gradients_are_differentiated_again() -> None:
    conv = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
    second = conv.grad(0).scatter.grad(1)
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, (2, 7, 3)), rng.integers(-3, 4, (3, 3, 2))
    g = rng.integers(-3, 4, conv(x, w).shape)
    v = rng.integers(-3, 4, x.shape)
    # <v, dX(g, w)> is linear in w with gradient dW(g, v).
    assert (second(v, g, w) == conv.grad(1)(g, v, w)).all()


def test_every_reduction_has_its_record() -> None:
    assert [*REDUCTIONS] == NAMES
