"""``cc.testing.check_grads`` finds what is wrong, and nothing that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.api.program import program
from contractconv.api.tensor import Tensor, applied, index, tensor
from contractconv.maps.table import MAPS, register, unregister
from contractconv.testing import check_grads

DRAW = np.random.default_rng(1)
X, W, B = DRAW.normal(size=(3, 4)), DRAW.normal(size=(4, 2)), DRAW.normal(size=2)


def contract(*given: Any, **named: Any) -> Any:
    """A contraction of symbolic tensors."""
    return cc.contract(*given, **named)


def loss(x: "b i", W: "i o", bias: "o") -> Any:  # type: ignore # noqa
    z = contract("b i, i o -> b o", x, W) + bias
    return contract("b o ->", applied("tanh", z) * z)


def test_right_derivatives_pass() -> None:
    check_grads(loss, X, W, B)


def test_three_times() -> None:
    check_grads(lambda x: applied("sin", x) * x, X, axes=["b i"], order=3)


@pytest.mark.parametrize("dtype", ["float32", "float16", "complex64", "complex128"])
def test_any_numbers(dtype: str) -> None:
    turned = X.astype(dtype) * (1 + 2j if dtype.startswith("complex") else 1)
    check_grads(lambda x: contract("b i, b j -> i j", x, x), turned.astype(dtype), axes=["b i"])


def test_complex_numbers_and_their_conjugates() -> None:
    def energy(x: Tensor) -> Any:
        return contract("i, i ->", x, applied("conj", x))

    check_grads(energy, X[0] + 1j * X[1], axes=["i"])


@pytest.mark.parametrize("reduce", ["sum", "max", "min", "prod", "mean", "logsumexp"])
def test_reductions(reduce: Any) -> None:
    check_grads(
        lambda x, w: contract("b (i+k), k -> b i", x, w, reduce=reduce),
        X, W[:2, 0], axes=["b i", "k"],
    )  # fmt: skip


def test_labels_stay_as_they_are() -> None:
    def chosen(table: Tensor, labels: Tensor) -> Any:
        return contract("v c, b v -> b c", table, applied("equal", labels, index("v")))

    check_grads(chosen, W, np.array([0, 3, 1]), axes=["v c", "b"])


def test_several_results_and_programs() -> None:
    x, w = tensor("x", "b i"), tensor("w", "i o")
    y = contract("b i, i o -> b o", x, w)
    check_grads(program(y=y, z=y * y), X, W)
    check_grads(lambda x: (x * x, applied("exp", x)), X, axes=["b i"])


def test_arrays_without_elements() -> None:
    check_grads(lambda x: x * x, np.zeros((0, 3)), axes=["b i"])


# -- what is wrong is found ------------------------------------------------------------------------


@pytest.fixture
def planted() -> Iterator[Callable[[str, str], str]]:
    """Registers a copy of a map with another derivative."""
    names: list[str] = []

    def plant(name: str, derivative: str) -> str:
        names.append(f"planted_{len(names)}")
        register(replace(MAPS[name], name=names[-1], derivatives=(derivative,)))
        return names[-1]

    yield plant
    for name in names:
        unregister(name)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_wrong_derivative_is_found_in_each_mode(
    planted: Callable[[str, str], str], mode: Any
) -> None:
    name = planted("sin", "g * cos(a) * 1.001")
    with pytest.raises(cc.CertificateError, match=rf"by x \(input 0\), {mode} mode, order 1") as e:
        check_grads(lambda x: applied(name, x), X, axes=["b i"], modes=[mode])
    assert "is off by" in str(e.value)


def test_a_derivative_that_is_wrong_from_the_second_order_on(
    planted: Callable[[str, str], str],
) -> None:
    # Its value is right: the cosine is held still.
    name = planted("sin", "g * stop_gradient(cos(a))")
    check_grads(lambda x: applied(name, x), X, axes=["b i"], order=1)
    with pytest.raises(cc.CertificateError, match="order 2 "):
        check_grads(lambda x: applied(name, x), X, axes=["b i"])


def test_only_the_input_that_is_wrong_is_named(planted: Callable[[str, str], str]) -> None:
    name = planted("square", "3 * a * g")
    with pytest.raises(cc.CertificateError, match=r"by w \(input 1\)"):
        check_grads(lambda x, w: applied("exp", x) * applied(name, w), X, X, axes=["b i", "b i"])


def test_a_tolerance_is_kept(planted: Callable[[str, str], str]) -> None:
    name = planted("sin", "g * cos(a) * 1.001")
    check_grads(lambda x: applied(name, x), X, axes=["b i"], order=1, tolerance=1e-2)


def test_a_kink_is_told() -> None:
    with pytest.raises(cc.CertificateError, match=r"do not settle.*a kink"):
        check_grads(lambda x: applied("abs", x - 0.3), np.array(0.3 + 2.0**-19), axes=[""])


# -- wrong calls -----------------------------------------------------------------------------------


def test_wrong_calls() -> None:
    with pytest.raises(cc.OperandError, match="3 inputs, and 1 arrays"):
        check_grads(loss, X)
    with pytest.raises(cc.OperandError, match="none of the inputs can change"):
        check_grads(lambda x: x * 2, np.arange(3), axes=["i"])
    with pytest.raises(cc.ContractionError, match=r"the axes of x have no names"):
        check_grads(lambda x: x * 2, X)
    with pytest.raises(cc.ContractionError, match="the function returns 3"):
        check_grads(lambda x: 3, X, axes=["b i"])


def test_it_is_there_when_asked_for() -> None:
    assert cc.testing.check_grads is check_grads
