"""What maps mean together: found however it is written, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from map_code import code_of, done

import contractconv as cc
from contractconv.api.tensor import applied
from contractconv.engines.llvm.maps.idioms import IDIOMS, table_numbers
from contractconv.engines.llvm.maps.vector_maps import rule

x, y = cc.tensor("x", "i"), cc.tensor("y", "i")
ROOT, PEAK = -0.7071067811865476, 0.3989422804014327


def erfc(a: Any) -> Any:
    return applied("erfc", a)


def exp(a: Any) -> Any:
    return applied("exp", a)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        (0.5 * erfc(x * ROOT), "normal_probability"),
        (erfc(ROOT * x) * 0.5, "normal_probability"),
        (PEAK * exp(-0.5 * x * x), "normal_density"),
        (exp(x * (x * -0.5)) * PEAK, "normal_density"),
        (1 / applied("sqrt", x), "inverse_root"),
        (applied("rsqrt", x), "inverse_root"),
        (applied("log1p", exp(-abs(x))), "softplus_excess"),
    ],
)
def test_what_is_meant_is_found(output: cc.Tensor, name: str) -> None:
    assert done(code_of(output)) == ["leaf", name]
    assert rule(name, "float32") is not None


@pytest.mark.parametrize(
    "output",
    [
        0.5 * erfc(x * 0.7071067811865476), 0.25 * erfc(x * ROOT), 0.5 * applied("erf", x * ROOT),
        PEAK * exp(-0.5 * x * y), PEAK * exp(-0.5 * (x + x)), 2 / applied("sqrt", x),
        applied("sqrt", x) / 1, applied("log1p", exp(-x)), applied("log1p", exp(abs(x))),
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_not(output: cc.Tensor) -> None:
    assert not set(IDIOMS) & set(done(code_of(output)))


def test_what_is_not_known_is_written_out() -> None:
    found = done(code_of(applied("gelu", x), unknown="normal_probability"))
    assert "erfc" in found


def test_what_comes_back_through_gelu_needs_no_other_maps() -> None:
    change = cc.grad(cc.contract("i, i ->", y, applied("gelu", x)), x)
    known = {"leaf", "normal_probability", "normal_density", "multiply", "add"}
    assert set(done(code_of(change))) == known


def test_a_program_and_its_gradient_share_what_they_mean() -> None:
    share = applied("gelu_tanh", x)
    change = cc.grad(cc.contract("i, i ->", y, share), x)
    assert done(code_of(share + change)).count("exp") == 1


def test_numbers_of_the_table_are_no_secret() -> None:
    assert {ROOT, PEAK, 1.5957691216057308} <= table_numbers()
    assert code_of(x * PEAK).told == ()
    assert code_of(x * 0.3989).told == (0.3989,)
