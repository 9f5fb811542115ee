"""The steps of plans: which come first, which windows stay closed, how results lie."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise

import numpy as np
import pytest

import contractconv as cc
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.einsum import Einsum, as_einsum, in_blocks
from contractconv.planning.path import Search
from contractconv.planning.plan import Plan, plan
from contractconv.planning.setting import DIRECT

SEPARABLE = "b (i+k) (j+l) c, k r, l r, c r, r o -> b i j o"
SHAPES = [(8, 100, 100, 32), (3, 16), (3, 16), (32, 16), (16, 64)]


def test_what_is_moved_counts() -> None:
    """Operations alone build ``i j k``, with as many operations as two matrix products."""
    plan = cc.Contraction("i j, j k, k l, j k -> i l").plan(*[(500, 500)] * 4)
    assert str(plan.steps[0].problem) == "j k, j k -> j k"
    assert plan.largest_intermediate == 500 * 500
    assert "\norder: " in str(plan)
    assert "\norder: " not in str(cc.Contraction("i j, j k -> i k").plan((2, 2), (2, 2)))


def test_windows_stay_closed_until_a_tap_is_needed() -> None:
    plan = cc.Contraction(SEPARABLE).plan(*SHAPES)
    steps = [str(step.problem) for step in plan.steps]
    assert "b (i+k) (j+l) c, c r -> b (i+k) (j+l) r" in steps
    assert str(plan.steps[-1].problem).endswith("-> b i j o")
    # The plain einsum over places and taps needs at least the opened window times r.
    opened = 8 * 98 * 98 * 3 * 3 * 32 * 16
    assert plan.flops < opened


def test_a_window_that_the_output_wants_is_opened_last() -> None:
    plan = cc.Contraction("b (i+k) c, c d -> b i k d").plan((2, 50, 8), (8, 4), k=5)
    steps = [str(step.problem) for step in plan.steps]
    assert steps == ["b (i+k) c, c d -> b d (i+k)", "b d (i+k) -> b i k d"]


def test_indices_of_one_operand_alone_are_summed_first() -> None:
    plan = cc.Contraction("a b, b c -> c").plan((50, 20), (20, 3))
    assert [str(step.problem) for step in plan.steps] == ["a b -> b", "b c, b -> c"]


@pytest.mark.parametrize("count", [9, 12, 20])
def test_many_operands_with_windows_are_planned(count: int) -> None:
    names = [f"n{n}" for n in range(count + 1)]
    chain = [f"{a} {b}" for a, b in pairwise(names)]
    spec = f"{', '.join(chain)}, ({names[-1]}+k) -> {names[0]} k"
    shapes = [(3, 4) if n % 2 else (4, 3) for n in range(count)]
    last = shapes[-1][1]
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-2, 3, shape) for shape in [*shapes, (last + 1,)]]
    product = np.linalg.multi_dot([a.astype(float) for a in arrays[:-1]]).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(arrays[-1], last)
    assert (cc.contract(spec, *arrays, k=2) == product @ windows.T).all()


def test_a_plan_explains_itself() -> None:
    plan = cc.Contraction("i j, j k -> i k").plan((2, 3), (3, 4))
    assert isinstance(plan, Plan)
    assert str(plan) == (
        "i j, j k -> i k    [sum]\n"
        "extents: i=2, k=4, j=3\n"
        "result: (2, 4); 48 operations\n"
        "largest intermediate: 0 elements\n"
        "  1. i j, j k -> i k        48  matmul (BLAS)"
    )


def test_equal_windows_on_axes_of_different_size_are_kept_apart() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(-3, 4, (6, 2)), rng.integers(-3, 4, (9, 3))
    w = rng.integers(-3, 4, 2)
    # Both operands have an index of their own, so each is summed first, with its window closed.
    got = cc.contract("(i+k) a, (i+k) b, k -> i", x, y, w, i=5)
    expected = [sum(x[i + k].sum() * y[i + k].sum() * w[k] for k in range(2)) for i in range(5)]
    assert got.tolist() == expected


def test_a_plan_shows_itself_wherever_one_looks() -> None:
    plan = cc.Contraction("i j, j k -> i k").plan((2, 3), (3, 4))
    assert repr(plan) == str(plan)
    shown = unescape(re.sub("<[^>]*>", "", plan._repr_html_()))
    assert "i j, j k -> i k" in shown


def test_intermediates_lie_as_the_next_step_reads_them() -> None:
    """Gates in the middle of a state: the axes of all other qubits stay where they are."""
    state, gates = "a b c d e f g h i j k l m n", "D E d e, F G E f, H I G g"
    spec = f"{state}, {gates} -> a b c D F H I h i j k l m n"
    problem = resolve(parse(spec), [(2,) * 14, *((2,) * 4,) * 3], {})
    steps = plan(problem, DIRECT, Search(((0, 1), (0, 2), (0, 1)))).steps
    assert str(steps[0].problem).endswith("-> a b c D E f g h i j k l m n")
    for step in steps:
        einsum = as_einsum(step.problem)
        assert einsum is not None
        assert in_blocks(einsum, step.problem.extents) is not None
    apart = "a d e b c, D E d e -> b c D a E"
    assert in_blocks(_einsum(apart), dict.fromkeys("abcdeDE", 2)) is None


def _einsum(spec: str) -> Einsum:
    left, output = spec.split(" -> ")
    return Einsum(tuple(tuple(term.split()) for term in left.split(", ")), tuple(output.split()))
