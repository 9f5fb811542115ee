"""Equality of programs, of pairs of which it is known whether they are equal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from symbolic import contract

from contractconv.api.equality import equal
from contractconv.api.symbolic import grad, jvp
from contractconv.api.tensor import Tensor, applied, index, size, tensor
from contractconv.errors import OperandError, ShapeError

X, Y, W = tensor("x", "b i"), tensor("y", "b i"), tensor("W", "j o")
IMAGE, KERNEL = tensor("image", "b h w c"), tensor("K", "k l c o")
LABELS = tensor("labels", "b", "int64")


def relu(x: Tensor) -> Tensor:
    return applied("relu", x)


def layer(x: Tensor) -> Tensor:
    return contract("b i, i o -> b o", x, W)


def convolved(image: Tensor) -> Tensor:
    return contract("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", image, KERNEL)


def exp(x: Tensor) -> Tensor:
    return applied("exp", x)


EQUAL: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "third binomial": lambda: ((X + Y) * (X - Y), X * X - Y * Y),
    "linearity": lambda: (layer(X + Y), layer(X) + layer(Y)),
    "order of axes": lambda: (X + Y, contract("b i -> i b", X) + Y),
    "relu": lambda: (relu(X), applied("where", X > 0, X, 0)),
    "abs": lambda: (abs(X), applied("max", X, -X)),
    "sigmoid": lambda: (applied("sigmoid", X), 1 / (1 + exp(-X))),
    "mean": lambda: (
        contract("b i -> b", X, reduce="mean"),
        contract("b i -> b", X) / size(X, "i"),
    ),
    "softmax": lambda: (
        grad(contract("b ->", contract("b i -> b", X, reduce="logsumexp")), X),
        exp(X) / contract("b i -> b", exp(X)),
    ),
    "product rule": lambda: (
        grad(contract("b i ->", X * Y * X), X),
        2 * X * Y,
    ),
    "a convolution is linear": lambda: (
        jvp(convolved(IMAGE), KERNEL, KERNEL),
        convolved(IMAGE),
    ),
    "gradient of a square": lambda: (
        grad(contract("b i j o ->", convolved(IMAGE) * convolved(IMAGE)), IMAGE),
        2 * grad(convolved(IMAGE), IMAGE, cotangent=convolved(IMAGE)),
    ),
    "masks": lambda: (
        applied("where", index("b") >= index("i"), X, 0),
        applied("where", index("b") + 1 > index("i"), X, 0),
    ),
    "one-hot": lambda: (
        contract("b v, v d -> b d", applied("equal", LABELS, index("v")), tensor("E", "v d")),
        contract("v b, v d -> b d", applied("equal", index("v"), LABELS), tensor("E", "v d")),
    ),
    "composition": lambda: (
        contract("b (p q) -> b p q", tensor("n", "b n"), p=2),
        contract("b (p q) -> b p q", tensor("n", "b n") * 1, p=2),
    ),
}

DIFFERENT: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "binomial": lambda: ((X + Y) * (X + Y), X * X + Y * Y),
    "relu is none": lambda: (relu(X), X),
    "thresholds": lambda: (
        applied("where", X < 100, X, 0),
        applied("where", X < 101, X, 0),
    ),
    "other axes": lambda: (X, contract("b i -> b", X)),
    "counts of two axes": lambda: (X * size(X, "i"), X * size(X, "b")),
    "another window": lambda: (
        contract("(i+k), k -> i", tensor("s", "a"), tensor("w", "k")),
        contract("(i-k+1), k -> i", tensor("s", "a"), tensor("w", "k")),
    ),
    "mask and strict mask": lambda: (
        applied("where", index("b") >= index("i"), X, 0),
        applied("where", index("b") > index("i"), X, 0),
    ),
    "ties": lambda: (
        grad(contract("b ->", contract("b i -> b", X, reduce="max")), X),
        applied("where", contract("b i -> b", X, reduce="max") == X, 1, 0),
    ),
    "a missing factor": lambda: (grad(contract("b i ->", X * X), X), X),
    "rounded away": lambda: (applied("floor", X), X),
    "functions": lambda: (applied("tanh", X), applied("sin", X)),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_programs_are_equal(name: str) -> None:
    first, second = EQUAL[name]()
    assert equal(first, second)
    assert equal(second, first)


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_programs_are_not(name: str) -> None:
    first, second = DIFFERENT[name]()
    assert not equal(first, second)
    assert not equal(second, first)


def test_complex_numbers_have_a_root_of_minus_one() -> None:
    z = tensor("z", "i", "complex128")
    assert equal((z + 1j) * (z - 1j), z * z + 1)
    assert not equal((z + 1j) * (z - 1j), z * z - 1)


def test_a_number_is_a_program() -> None:
    assert equal(X - X + 2, X * 0 + 2)
    assert equal(2, 1 + tensor("a") / tensor("a"))


def test_shapes_may_be_given() -> None:
    assert equal(contract("b i -> b", X * 0 + 1), contract("b i -> b", X * 0) + 3, x=(2, 3))
    assert not equal(contract("b i -> b", X * 0 + 1), contract("b i -> b", X * 0) + 3, x=(2, 4))


def test_no_sizes_that_fit_is_an_error() -> None:
    wide = contract("b i, i -> b", X, contract("i -> i", tensor("v", "i"), i=3))
    with pytest.raises(ShapeError, match="no small sizes fit all strings of program: give shapes"):
        equal(wide, wide, x=(2, 5))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(OperandError):
        equal(X, "x")
