"""Transposes and repetitions, which are read and not made."""

from __future__ import annotations

import numpy as np
import pytest
from symbolic import both, contract, improved, steps

from contractconv.api.tensor import Tensor, applied, size, tensor
from contractconv.planning.programs.steps import ContractStep, ViewStep
from contractconv.programs.nodes import Contract

X, W, V, S = tensor("x", "b i"), tensor("W", "i o"), tensor("v", "o"), tensor("s", "i i2")
IMAGE = tensor("image", "c h w b")
RANDOM = np.random.default_rng(3)
ARRAYS = {
    "x": RANDOM.standard_normal((4, 3)),
    "W": RANDOM.standard_normal((3, 5)),
    "v": RANDOM.standard_normal(5),
    "s": RANDOM.standard_normal((3, 3)),
    "image": RANDOM.standard_normal((2, 6, 7, 3)),
    "K": RANDOM.standard_normal((3, 3, 2, 4)),
}


def turned(x: Tensor) -> Tensor:
    a, b = x.axes
    return contract(f"{a} {b} -> {b} {a}", x)


def repeated(v: Tensor) -> Tensor:
    return contract("o -> b o", v, b=size(X, "b"))


def image() -> Tensor:
    moved = contract("c h w b -> b h w c", IMAGE)
    return contract("b (i+k-1) (j+l-1) c, k l c o -> b i j o", moved, tensor("K", "k l c o"))


XW = contract("b i, i o -> b o", X, W)
CASES = {
    "operand": (contract("b i, i o -> b o", turned(turned(X) * 1), W), 1),
    "both operands": (contract("i b, o i -> b o", turned(X), turned(W)), 1),
    "convolution": (image(), 1),
    "argument": (turned(X) + X, 0),
    "argument of another name": (turned(S).named("i i2") + S, 0),
    "repeated argument": (XW + repeated(V), 1),
    "repeated operand": (contract("b o, b o -> b o", XW, repeated(V)), 1),
    "repeated and kept": (contract("b o, b i -> o b", repeated(V), X), 1),
    "diagonal": (contract("i i -> i", turned(S)), 1),
    "identity": (contract("b i -> b i", X) * 2, 0),
    "maximum": (contract("b i -> i", turned(turned(X)), reduce="max"), 1),
    "a number": (contract("-> b o", 2.5, b=size(X, "b"), o=size(W, "o")) * XW, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_what_only_moves_is_read(name: str) -> None:
    made, count = CASES[name]
    whole = improved([made], ARRAYS)
    assert sum(isinstance(node, Contract) for node in whole.graph.nodes) == count
    ((plain, new),) = both([made], ARRAYS)
    np.testing.assert_allclose(new, plain, rtol=1e-12, atol=1e-12)


def test_a_repetition_that_is_summed_stays() -> None:
    made = contract("b o -> o", repeated(V))
    ((plain, new),) = both([made], ARRAYS)
    np.testing.assert_allclose(new, 4 * ARRAYS["v"])
    np.testing.assert_allclose(plain, new)


def test_the_only_argument_with_an_axis_stays() -> None:
    made = applied("exp", repeated(V))
    ((_, new),) = both([made], ARRAYS)
    np.testing.assert_allclose(new, np.exp(np.broadcast_to(ARRAYS["v"], (4, 5))))


def test_a_transpose_that_no_string_takes_in_is_a_view() -> None:
    made = contract("i b -> b", turned(X), reduce="max")
    taken = steps([made], ARRAYS)
    assert [type(step) for step in taken] == [ViewStep, ContractStep]
    ((plain, new),) = both([made], ARRAYS)
    np.testing.assert_array_equal(plain, new)


def test_a_transpose_that_is_a_result_is_an_array_of_its_own() -> None:
    ((_, new),) = both([turned(X)], ARRAYS)
    assert not np.shares_memory(new, ARRAYS["x"])
    np.testing.assert_array_equal(new, ARRAYS["x"].T)


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (1, 1)])
def test_empty_arrays(shape: tuple[int, int]) -> None:
    arrays = {"x": np.ones(shape), "W": np.ones((shape[1], 5))}
    made = contract("i b, i o -> b o", turned(X), W)
    ((plain, new),) = both([made], arrays)
    assert plain.shape == new.shape
    np.testing.assert_array_equal(plain, new)
