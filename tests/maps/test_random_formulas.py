"""Random formulas: what they are translated into, and what is derived of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from map_oracles import exactly
from mpmath import mp, mpf

from contractconv.maps.translation import derived, translated
from contractconv.maps.user_maps import from_sympy

A, B = sympy.symbols("a b", real=True)
NUMBERS = [sympy.Rational(n) for n in ("-2", "-1/3", "1/2", "1", "2", "3")]


def _smooth(inner: Any) -> st.SearchStrategy[Any]:
    functions: list[Any] = [
        sympy.tanh, sympy.sin, sympy.cos, sympy.atan, sympy.Abs, sympy.erf,
        lambda x: sympy.exp(-(x**2)), lambda x: sympy.sqrt(1 + x**2), lambda x: 1 / (2 + x**2),
        lambda x: sympy.log(1 + x**2), lambda x: -x, lambda x: x**2, lambda x: x**3,
    ]  # fmt: skip
    return st.builds(lambda f, x: f(x), st.sampled_from(functions), inner)


def _pair(inner: Any) -> st.SearchStrategy[Any]:
    functions: list[Any] = [
        lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, sympy.Max, sympy.Min,
        lambda x, y: x / (1 + y**2),
        lambda x, y: sympy.Piecewise((x, A < B), (y, True)),
        lambda x, y: sympy.Piecewise((x, (A > 0) & (B > 0)), (0, True)) * y,
        lambda x, y: sympy.floor(3 * A) * x + y,
    ]  # fmt: skip
    return st.builds(lambda f, x, y: f(x, y), st.sampled_from(functions), inner, inner)


FORMULAS = st.recursive(
    st.sampled_from([A, A, B, B, *NUMBERS]),
    lambda inner: _smooth(inner) | _pair(inner),
    max_leaves=5,
)
# Odd parts of 61, less than one: none is at a kink of a formula of such numbers.
PLACES = st.lists(st.integers(-29, 29), min_size=2, max_size=2, unique=True).map(
    lambda drawn: [sympy.Rational(2 * n + 1, 61) for n in drawn]
)
trials = settings(max_examples=settings().max_examples // 3)


def value(formula: Any, place: Sequence[Any]) -> Any:
    """The value that sympy finds."""
    return mpf(sympy.N(formula.subs(dict(zip((A, B), place, strict=True))), 50))


def variables(place: Sequence[Any]) -> dict[str, Any]:
    return {letter: mpf(n.p) / n.q for letter, n in zip("ab", place, strict=True)}


@given(FORMULAS, PLACES)
@trials
def test_what_is_translated_is_the_formula(formula: Any, place: list[Any]) -> None:
    found = exactly(translated(formula), variables(place))
    assert mp.almosteq(mpf(found), value(formula, place), 1e-12, 1e-12)


@given(FORMULAS, PLACES)
@trials
def test_what_is_derived_is_its_derivative(formula: Any, place: list[Any]) -> None:
    record = from_sympy("drawn", lambda a, b: formula)
    result = value(formula, place)
    for argument in range(2):
        expression = derived(record, argument)
        found = exactly(expression, variables(place) | {"y": result, "g": mpf(3)})

        def moved(step: Any, argument: int = argument) -> Any:
            near = [
                n + (sympy.Rational(str(step)) if m == argument else 0) for m, n in enumerate(place)
            ]
            return value(formula, near)

        step = mpf(10) ** -20
        expected = 3 * (moved(step) - moved(-step)) / (2 * step)
        assert mp.almosteq(mpf(found), expected, 1e-12, 1e-12), expression
