"""Derivatives through axes that have no size by themselves, against the witness.

An index as a value is open until it meets something; what comes back, or changes with it, may be
the same along an axis, and then says no size either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from programs.checks import assert_derivatives
from programs.choices import listed
from programs.programs_strategy import squared
from programs.writing import Program, Written, call

from contractconv.api.compiling import compile as compiled
from contractconv.api.symbolic import grad, jvp
from contractconv.api.tensor import index, tensor

T = call("index", "t")

OPENED: dict[str, Callable[[Written], Written]] = {
    "x * t": lambda x: call("*", x, T),
    "t * x": lambda x: call("*", T, x),
    "x + t": lambda x: call("+", x, T),
    "x / (t + 1)": lambda x: call("/", x, call("+", T, 1)),
    "max(x, t)": lambda x: call("max", x, T),
    "x where t": lambda x: call("where", call("<", T, 2), x, 0.5),
    "named": lambda x: call("named", call("*", T, call("named", x, "c")), "t b"),
    "of sums": lambda x: call("*", call("+", x, T), call("+", T, x)),
}


def contraction(text: str, reduce: str = "sum") -> Callable[[Written, Written], Written]:
    """A contraction in which ``V`` stands for the axes of what is open."""
    return lambda v, w: call(
        "contract", text.replace("V", listed(v.axes)), *[v] * text.count("V,"), w, reduce=reduce
    )


def alone(output: str, reduce: str = "sum") -> Callable[[Written, Written], Written]:
    """A contraction of what is open, and of nothing else."""
    return lambda v, w: call("contract", f"{listed(v.axes)} -> {output}", v, reduce=reduce, t=3)


MET: dict[str, Callable[[Written, Written], Written]] = {
    "a sum": lambda v, w: call("+", v, w),
    "a product": lambda v, w: call("*", v, w),
    "a mask": lambda v, w: call("where", call("<=", call("index", "b"), T), v, w),
    "a contraction": contraction("V, t -> b"),
    "a product of two": contraction("V, t -> t b"),
    "a product of three": contraction("V, V, t -> t"),
    "the greatest": contraction("V, t -> b", "max"),
    "another product": contraction("V, t -> b", "prod"),
    "another sum": contraction("V, t -> t", "logsumexp"),
    "an average": contraction("V, t -> b", "mean"),
    "an extent": alone("t b"),
    "an extent, reduced": alone("b", "prod"),
}


@pytest.mark.parametrize("met", MET.values(), ids=[*MET])
@pytest.mark.parametrize("opened", OPENED.values(), ids=[*OPENED])
def test_open_values_get_their_sizes(
    opened: Callable[[Written], Written], met: Callable[[Written, Written], Written]
) -> None:
    def made(program: Program) -> Written:
        x, w = program.input(["b"], [2], 7), program.input(["t"], [3], 8)
        return met(opened(x), w)

    assert_derivatives(squared(made))


MASKED = ["b i t -> b i", "b i t -> i", "b i t ->", "b b t -> b", "b b t ->", "b i t -> t b i"]


@pytest.mark.parametrize("spec", MASKED)
@pytest.mark.parametrize("names", [("i", "t"), ("t", "b"), ("t", "t")])
def test_open_masks_where_what_comes_back_is_the_same(spec: str, names: Sequence[str]) -> None:
    """What comes back lacks an axis, and the mask that it meets does not say its size."""

    def made(program: Program) -> Written:
        x = program.input(["b", "i", "t"], [2, 2, 3], 7)
        places = [call("index", names[0]), call("*", call("index", names[1]), 2)]
        masked = call("where", call("<", *places), x, np.float64(2.0))
        return call("contract", spec, masked)

    assert_derivatives(squared(made))


def test_open_masks_before_parts_of_arrays() -> None:
    """A slice reads an axis by an expression, which says no size of what it reads."""

    def made(program: Program) -> Written:
        x = program.input(["b", "t"], [2, 3], 7)
        summed = call("contract", "b t -> b (0) t", x)
        masked = call("where", call("<=", call("index", "t"), call("index", "at")), summed, 1)
        return call("at", masked, t=slice(-1, None))

    assert_derivatives(squared(made))


def test_derivatives_of_what_is_open_are_open() -> None:
    """They get their sizes from what they meet later."""
    x, w, d = tensor("x", "b"), tensor("w", "t b"), tensor("d", "b")
    arrays = {"x": np.ones(2), "w": np.arange(6.0).reshape(3, 2), "d": np.array([1.0, 2.0])}
    for value, factor in ((x + index("t"), 1), (index("t") * x, np.arange(3.0)[:, None])):
        change = compiled({"y": jvp(value, x, d) * w}, [x, w, d])(**arrays)
        np.testing.assert_array_equal(np.sort(change[0].shape), [2, 3])
        moved = change[0] if change[0].shape == (3, 2) else change[0].T
        np.testing.assert_array_equal(moved, factor * arrays["d"] * arrays["w"])
        (back,) = compiled({"g": grad(value, x, w)}, [x, w])(x=arrays["x"], w=arrays["w"])
        np.testing.assert_array_equal(back, (factor * arrays["w"]).sum(0))
