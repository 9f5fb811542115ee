"""Maps that somebody else defines by a formula."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy
from map_oracles import applied, back, pulled
from sympy import Abs, Max, Min, Piecewise, exp, floor, log, sign, sqrt, tanh

from contractconv.errors import MapError
from contractconv.maps.derivatives import derivatives
from contractconv.maps.reading import read
from contractconv.maps.table import MAPS, register, unregister
from contractconv.maps.unfolding import unfolded
from contractconv.maps.user_maps import from_sympy


@contextmanager
def added(name: str, formula: Any, **given: Any) -> Iterator[None]:
    register(from_sympy(name, formula, **given))
    try:
        yield
    finally:
        unregister(name)


def huber(a: Any, b: Any) -> Any:
    return Piecewise((a**2 / 2, Abs(a) <= b), (b * (Abs(a) - b / 2), True))


FORMULAS: dict[str, Any] = {
    "swish2": lambda a: a / (1 + exp(-2 * a)),
    "mish": lambda a: a * tanh(log(1 + exp(a))),
    "hardtanh": lambda a: Max(-1, Min(1, a)),
    "hardswish": lambda a: a * Max(0, Min(6, a + 3)) / 6,
    "squared_relu": lambda a: Max(a, 0) ** 2,
    "normal": lambda a: exp(-(a**2) / 2) / sqrt(2 * sympy.pi),
    "signed_square": lambda a: sign(a) * a**2,
    "sawtooth": lambda a: a * (a - floor(2 * a)),
    "wave": lambda a: a * sympy.Mod(a, 1),
    "huber": huber,
    "weighted": lambda a, b, c: a * exp(-b) + sqrt(1 + c**2),
}


def in_torch(name: str, given: list[Any]) -> Any:
    """The same, written by hand."""
    import torch

    functional, one = torch.nn.functional, torch.ones((), dtype=torch.float64)
    by_hand: dict[str, Any] = {
        "swish2": lambda a: a * torch.sigmoid(2 * a),
        "mish": functional.mish,
        "hardtanh": lambda a: torch.maximum(-one, torch.minimum(one, a)),
        "hardswish": functional.hardswish,
        "squared_relu": lambda a: functional.relu(a) ** 2,
        "normal": lambda a: torch.exp(-a * a / 2) / (2 * torch.pi) ** 0.5,
        "signed_square": lambda a: torch.sign(a) * a * a,
        "sawtooth": lambda a: a * (a - torch.floor(2 * a)),
        "wave": lambda a: a * torch.remainder(a, one),
        "huber": lambda a, b: torch.where(abs(a) <= b, a * a / 2, b * (abs(a) - b / 2)),
        "weighted": lambda a, b, c: a * torch.exp(-b) + torch.sqrt(1 + c * c),
    }
    return by_hand[name](*given)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_values_and_what_comes_back_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    with added(name, FORMULAS[name]):
        random = np.random.default_rng(3)
        given = tuple(random.uniform(-4, 4, (MAPS[name].arity, 50)))
        given = (given[0], *(abs(n) + 0.1 for n in given[1:]))
        tensors = [torch.tensor(n, requires_grad=True) for n in given]
        result = in_torch(name, tensors)
        np.testing.assert_allclose(applied(name, given), result.detach(), rtol=1e-12, atol=1e-14)
        g = np.linspace(1, 2, 50)
        expected = torch.autograd.grad(result, tensors, torch.tensor(g), materialize_grads=True)
        for found, other in zip(back(name, given, g), expected, strict=True):
            np.testing.assert_allclose(found, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_keep_their_kind(dtype: str) -> None:
    step = {"step": lambda a: Piecewise((1, a > 0), (0, True))}
    for name, formula in (FORMULAS | step).items():
        with added(name, formula):
            given = (np.linspace(0.5, 2, 5).astype(dtype),) * MAPS[name].arity
            assert applied(name, given).dtype == dtype
            for found, expression in zip(
                back(name, given, given[0]), derivatives(name), strict=True
            ):
                assert expression == 0 or found.dtype == dtype


def test_what_is_constant_in_pieces_lets_nothing_back() -> None:
    with added("step", lambda a: Piecewise((1, a > 0), (0, True))):
        assert derivatives("step") == (0,)
    with added("stairs", lambda a: floor(a * a) + sympy.ceiling(a) + sign(a)):
        assert derivatives("stairs") == (0,)


def test_what_is_masked_is_exactly_zero() -> None:
    with added("hardtanh", FORMULAS["hardtanh"]):
        given = (np.array([-2.0, 2.0]),)
        assert back("hardtanh", given, np.array([np.inf, np.nan]))[0].tolist() == [0, 0]


def test_ties_share_what_comes_back() -> None:
    with added("hardtanh", FORMULAS["hardtanh"]):
        assert back("hardtanh", (np.array([-1.0, 1.0]),), np.ones(2))[0].tolist() == [0.5, 0.5]


def test_results_are_used_again() -> None:
    with added("normal", FORMULAS["normal"]):
        assert derivatives("normal") == (read("-(a * g * y)"),)


def test_one_map_is_used_in_another_one() -> None:
    inner, outer = "halved(swish2(a)) + 1", lambda a: 1 + a / (1 + exp(-2 * a)) / 2
    halves = added("halved", lambda a: a / 2)
    with added("swish2", FORMULAS["swish2"]), halves, added("outer", outer, unfolded=inner):
        given = {"a": np.linspace(-2, 2, 9)}
        assert unfolded("outer") == read("a / (1 + exp(-(2 * a))) / 2 + 1")
        found = applied("outer", (given["a"],))
        np.testing.assert_allclose(found, applied("swish2", (given["a"],)) / 2 + 1)
        through = pulled(read(inner), given, np.ones(9))
        (alone,) = back("outer", (given["a"],), np.ones(9))
        np.testing.assert_allclose(through["a"], alone)


def test_a_record_may_be_changed_into_another_one() -> None:
    record = replace(from_sympy("halved", lambda a: a / 2), name="half")
    assert record.numpy(np.float64(3)) == 1.5


def test_a_form_that_does_not_overflow_may_be_given() -> None:
    back_here = ("g * (sigmoid(2 * a) + 2 * y * (1 - sigmoid(2 * a)))",)
    with added("swish2", FORMULAS["swish2"], unfolded="a * sigmoid(2 * a)", derivatives=back_here):
        given = (np.array([-1e4, 1e4]),)
        assert applied("swish2", given).tolist() == [0, 1e4]
        assert back("swish2", given, np.ones(2))[0].tolist() == [0, 1]


def test_complex_numbers_may_be_meant() -> None:
    record = from_sympy("turned", lambda a: sympy.I * a**2, ordered=False)
    register(record)
    try:
        given = np.array([1 + 2j, -1j], "complex64")
        found = applied("turned", (given,))
        assert found.dtype == "complex64"
        assert found.tolist() == (1j * given * given).tolist()
        (change,) = back("turned", (given,), np.ones(2, "complex64"))
        assert change.tolist() == (2j * given).tolist()
    finally:
        unregister("turned")


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (lambda a: 1 + sympy.asin(a), "there is no map for asin"),
        (lambda: sympy.Integer(1), "wrong has 0 arguments"),
        (lambda a, b, c, d: a + b + c + d, "wrong has 4 arguments"),
        (lambda a: "a + 1", "the formula of wrong is no expression of sympy: 'a [+] 1'"),
        (lambda a: 1, "the formula of wrong is no expression of sympy: 1"),
        (lambda a: a + sympy.Symbol("d"), "wrong knows no 'd'"),
    ],
)
def test_a_formula_that_cannot_be_understood_is_refused(formula: Any, message: str) -> None:
    with pytest.raises(MapError, match=message):
        register(from_sympy("wrong", formula))
    assert "wrong" not in MAPS
