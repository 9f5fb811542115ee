"""What comes back through every map: against its formula, and against torch and jax."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy
from map_oracles import (
    EXACT,
    applied,
    back,
    columns,
    exactly,
    extremes,
    in_jax,
    in_torch,
    numbers,
    points,
    pulled,
)
from mpmath import mp, mpf

from contractconv.cache_register import clear_caches
from contractconv.maps.derivatives import derivatives
from contractconv.maps.expression import Call, parts
from contractconv.maps.record import ARGUMENTS, MapRecord
from contractconv.maps.table import MAPS, register, unregister
from contractconv.maps.translation import derived, formula_of

NAMES = sorted(MAPS)
FLOATS = ["float16", "float32", "float64"]
# What numbers have changes with them; a condition has no neighbours, and a formula of parts of
# complex numbers no derivative in sympy.
SMOOTH = [n for n in NAMES if n not in {"conj", "real", "stop_gradient"}]


def places(name: str) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Arguments that are numbers, and where to look."""
    record = MAPS[name]
    for argument in range(record.conditions, record.arity):
        yield from ((argument, row) for row in points(name, 5))


# -- in 50 digits --------------------------------------------------------------------------------


def said(name: str, argument: int, row: tuple[float, ...]) -> Any:
    """What the record says, if three comes back to the result."""
    variables = dict(zip(ARGUMENTS, map(mpf, row), strict=False))
    variables |= {"y": EXACT[name](*map(mpf, row)), "g": mpf(3)}
    return exactly(derivatives(name)[argument], variables)


def difference(name: str, argument: int, row: tuple[float, ...]) -> Any:
    """The same by differences of the map's values."""

    def moved(value: Any) -> Any:
        given = [mpf(number) for number in row]
        given[argument] = value
        return mpf(EXACT[name](*given))

    return 3 * mp.diff(moved, mpf(row[argument]))


def symbolic(name: str, argument: int, row: tuple[float, ...]) -> Any:
    """The same by sympy's derivative of the map's formula."""
    symbols = [sympy.Symbol(letter, real=True) for letter in ARGUMENTS[: MAPS[name].arity]]
    formula = MAPS[name].sympy(*symbols)
    if formula.is_Boolean:
        return mpf(0)
    change = sympy.diff(
        formula.replace(sympy.Mod, lambda a, b: a - b * sympy.floor(a / b)), symbols[argument]
    )
    change = change.replace(
        lambda part: isinstance(part, sympy.Derivative | sympy.DiracDelta), lambda _: sympy.S.Zero
    )
    truths = {0: sympy.false, 1: sympy.true}
    number = [truths[n] if isinstance(n, bool) else sympy.Rational(n) for n in row]
    at = change.xreplace(dict(zip(symbols, number, strict=True))).doit()
    return 3 * mpf(sympy.N(at, 50))


def check(name: str) -> None:
    for argument, row in places(name):
        found = said(name, argument, row)
        # Numbers in texts, as the root of two, have 16 digits.
        assert mp.almosteq(found, difference(name, argument, row), 1e-14, 1e-14), (name, row)
        assert mp.almosteq(found, symbolic(name, argument, row), 1e-14, 1e-14), (name, row)


@pytest.mark.parametrize("name", SMOOTH)
def test_what_comes_back_is_the_derivative_of_the_formula(name: str) -> None:
    check(name)


@contextmanager
def replaced(name: str, **changed: Any) -> Iterator[None]:
    record = MAPS[name]
    unregister(name)
    register(replace(record, **changed))
    try:
        yield
    finally:
        unregister(name)
        register(record)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("tanh", ("g * (1 - y)",)),
        ("gelu", ("g * (0.5 * erfc(a * -0.7071067811865476))",)),
        ("divide", ("g / b", "g * y / b")),
        ("where", ("0", "where(a, g, 0)", "where(a, g, 0)")),
        ("rsqrt", ("-0.5 * g * y * y * y * 1.0000000001",)),
    ],
)
def test_a_wrong_text_would_be_noticed(name: str, fault: tuple[str, ...]) -> None:
    with replaced(name, derivatives=fault), pytest.raises(AssertionError):
        check(name)
    check(name)


@pytest.mark.parametrize("name", [n for n in SMOOTH if MAPS[n].kind != "bool"])
def test_texts_say_what_would_be_derived(name: str) -> None:
    for argument, row in places(name):
        variables = dict(zip(ARGUMENTS, map(mpf, row), strict=False))
        variables |= {"y": EXACT[name](*map(mpf, row)), "g": mpf(3)}
        found = exactly(derived(MAPS[name], argument), variables)
        assert mp.almosteq(found, said(name, argument, row), 1e-14, 1e-14), (name, row)


# -- in torch and jax ----------------------------------------------------------------------------


def kept(name: str) -> list[tuple[float, ...]]:
    """Extremes, but for those where what torch says is no derivative."""
    rows = extremes(name)
    if name in {"abs", "elu"}:  # what is no number lets no number back
        rows = [row for row in rows if row[0] == row[0]]
    if name == "leaky_relu":  # what a choice leaves out is infinity times zero
        rows = [row for row in rows if np.isfinite(row).all()]
    if name == "mod":  # the quotient by an infinity is neither zero nor minus one
        rows = [row for row in rows if np.isfinite(row).all() and row[1]]
    return rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n in NAMES if MAPS[n].kind != "bool"])
def test_kinks_and_extremes_are_those_of_torch(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    if name == "stop_gradient":
        return
    record = MAPS[name]
    rows = kept(name)
    given = columns(name, rows, dtype)
    g = np.linspace(1, 2, len(rows)).astype(dtype)
    tensors = [torch.tensor(n, requires_grad=n.dtype != bool) for n in given]
    wanted = tensors[record.conditions :]
    result = in_torch(name)(*tensors)
    expected = torch.autograd.grad(result, wanted, torch.tensor(g), materialize_grads=True)
    rounding = float(np.finfo(dtype).eps)
    for found, other in zip(back(name, given, g)[record.conditions :], expected, strict=True):
        known = np.broadcast_to(found, g.shape)
        np.testing.assert_allclose(known, other, rtol=20 * rounding, atol=8 * rounding)


@pytest.mark.parametrize("name", [n for n in NAMES if MAPS[n].kind != "bool"])
def test_what_comes_back_is_that_of_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    peer = in_jax(name)
    if peer is None:
        return
    given = columns(name, points(name), "float32")
    start = MAPS[name].conditions
    result, pull = jax.vjp(lambda *numbers: peer(*given[:start], *numbers), *given[start:])
    g = np.linspace(1, 2, len(result)).astype("float32")
    expected = pull(jax.numpy.asarray(g))
    for found, other in zip(back(name, given, g)[start:], expected, strict=True):
        np.testing.assert_allclose(np.broadcast_to(found, g.shape), other, rtol=3e-6, atol=1e-6)


COMPLEX = [n for n in NAMES if not MAPS[n].ordered and MAPS[n].kind != "bool"]


@pytest.mark.parametrize("name", COMPLEX)
def test_of_complex_numbers_the_transpose_comes_back_as_in_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    peer = in_jax(name)
    assert peer is not None
    record = MAPS[name]
    real, imaginary = np.random.default_rng(2).uniform(-2, 2, (2, record.arity, 20))
    drawn = (real + 1j * imaginary).astype("complex64")
    start = record.conditions
    given = (*(real[:start] > 0), *drawn[start:])
    result, pull = jax.vjp(lambda *some: peer(*given[:start], *some), *given[start:])
    g = np.linspace(1, 2, 20).astype("float32").astype(result.dtype)
    g = g * np.complex64(1 - 2j) if record.kind != "real" else g
    expected = pull(jax.numpy.asarray(g))
    for found, other in zip(back(name, given, g)[start:], expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=2e-5, atol=1e-5)


FLAT = {
    "sigmoid": (0, 0), "softplus": (0, 1), "log_sigmoid": (1, 0), "tanh": (0, 0), "erf": (0, 0),
    "silu": (0, 1), "gelu": (0, 1), "gelu_tanh": (0, 1), "elu": (0, 1), "relu": (0, 1),
    "relu6": (0, 0),
    "arctan": (0, 0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(FLAT))
def test_nothing_overflows_on_the_way_back(name: str, dtype: str) -> None:
    given = np.array([-1e4, 1e4], dtype)
    (found,) = back(name, (given,), np.ones(2, dtype))
    np.testing.assert_allclose(found, FLAT[name], atol=1e-7)


# -- second derivatives --------------------------------------------------------------------------


def second(name: str, argument: int, given: tuple[Any, ...]) -> list[Any]:
    """How what comes back to one argument changes with each, through the maps it is made of."""
    variables = dict(zip(ARGUMENTS, given, strict=False))
    variables |= {"y": applied(name, given), "g": np.ones_like(given[-1])}
    expression = derivatives(name)[argument]
    direct = pulled(expression, variables, np.ones_like(given[-1]))
    through = back(name, given, direct.get("y", np.zeros_like(given[-1])))
    return [direct.get(ARGUMENTS[n], 0) + part for n, part in enumerate(through)]


@pytest.mark.parametrize("name", [n for n in SMOOTH if MAPS[n].kind != "bool"])
def test_second_derivatives_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    record = MAPS[name]
    given = columns(name, points(name), "float64")
    tensors = [torch.tensor(n, requires_grad=n.dtype != bool) for n in given]
    wanted = tensors[record.conditions :]
    result = in_torch(name)(*tensors)
    first = torch.autograd.grad(result.sum(), wanted, create_graph=True, materialize_grads=True)
    for n, change in enumerate(first, record.conditions):
        found = second(name, n, given)[record.conditions :]
        if not change.requires_grad:
            expected = [torch.zeros(len(given[-1]))] * len(wanted)
        else:
            expected = torch.autograd.grad(
                change.sum(), wanted, retain_graph=True, materialize_grads=True
            )
        for one, other in zip(found, expected, strict=True):
            known = np.broadcast_to(one, given[-1].shape)
            peers = other.numpy(force=True)
            np.testing.assert_allclose(known, peers, rtol=1e-11, atol=1e-12)


# -- what expressions are ------------------------------------------------------------------------


def every_expression() -> list[tuple[MapRecord, int, Any]]:
    return [
        (record, n, expression)
        for record in list(MAPS.values())
        for n, expression in enumerate(derivatives(record.name))
    ]


def test_derivatives_are_made_of_maps_of_the_table() -> None:
    for record, n, expression in every_expression():
        for part in parts(expression):
            if isinstance(part, str):
                assert part in {*record.variables, "y", "g"}, (record.name, n)
            if isinstance(part, Call):
                assert MAPS[part.function].arity == len(part.arguments), (record.name, n)


def test_where_nothing_comes_back_it_is_the_number_zero() -> None:
    silent = {
        record.name
        for record in MAPS.values()
        if all(expression == 0 for expression in derivatives(record.name))
    }
    constant = {"sign", "floor", "ceil", "round", "stop_gradient"}
    assert silent == constant | {n for n in NAMES if MAPS[n].kind == "bool"}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_what_comes_back_keeps_its_kind_and_is_linear(name: str, dtype: str) -> None:
    given = columns(name, points(name), dtype)
    g = np.linspace(1, 2, len(given[0])).astype(dtype)
    once, twice, none = (back(name, given, factor * g) for factor in (1, 2, 0))
    for one, two, nothing, expression in zip(once, twice, none, derivatives(name), strict=True):
        if isinstance(expression, int):
            continue
        assert one.dtype == dtype
        assert np.array_equal(two, 2 * one)
        assert not np.any(nothing)


MASKED = {
    "relu": (-1.0,), "relu6": (7.0,), "where": (True, 1.0, 2.0), "max": (-1.0, 1.0),
    "min": (1.0, -1.0),
    "leaky_relu": (1.0, 0.5), "power": (0.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("g", [np.inf, np.nan])
@pytest.mark.parametrize("name", sorted(MASKED))
def test_what_is_masked_is_exactly_zero(name: str, g: float) -> None:
    given = tuple(np.array(n) for n in MASKED[name])
    found = back(name, given, np.float64(g))
    assert 0 in [float(part) for part in found[MAPS[name].conditions :]]


def test_derivatives_are_remembered() -> None:
    assert derivatives("gelu") is derivatives("gelu")
    before = derivatives("arctan")
    clear_caches()
    assert derivatives("arctan") == before


def test_formulas_have_the_arguments_names() -> None:
    assert formula_of(MAPS["divide"]) == sympy.Symbol("a") / sympy.Symbol("b")
    assert numbers(derivatives("square")[0], {"a": 3.0, "g": 2.0}) == 12
