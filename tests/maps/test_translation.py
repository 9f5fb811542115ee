"""sympy's expressions in maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from map_oracles import EXACT, exactly, points
from mpmath import mp, mpf
from sympy import Abs, Eq, Heaviside, Max, Min, Ne, Piecewise, Rational, exp, pi, sqrt

from contractconv.errors import MapError
from contractconv.maps.reading import read
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import MAPS
from contractconv.maps.translation import formula_of, translated

a, b, c = sympy.symbols("a b c", real=True)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (a - b, "a - b"),
        (-a - 1, "-a - 1"),
        (-2 * a / 3 - 1, "-(2 * a / 3) - 1"),
        (a / (b * c), "a / (b * c)"),
        (1 / a, "reciprocal(a)"),
        (a / b**2, "a / square(b)"),
        (a**3, "a ** 3"),
        (a**b, "a ** b"),
        (2 / sqrt(a), "2 / sqrt(a)"),
        (sqrt(a) / 3, "sqrt(a) / 3"),
        (Rational(1, 2) + a, "a + 0.5"),
        (exp(-a), "exp(-a)"),
        (sympy.E**2 * a, f"{float(np.exp(2))!r} * a"),
        (a * sqrt(2) / sqrt(pi), f"{float(np.sqrt(2 / np.pi))!r} * a"),
        (Max(a, b, c), "max(max(a, b), c)"),
        (Min(a, 0), "min(0, a)"),
        (Abs(a), "abs(a)"),
        (sympy.Mod(a, b), "a % b"),
        (Piecewise((a, a > 0), (0, True)), "where(a > 0, a, 0)"),
        (Piecewise((a, (a > 0) & Ne(b, 1)), (b, ~Eq(a, b)), (c, True)),
         "where((a > 0) & (b != 1), a, where(a != b, b, c))"),
        (b * Piecewise((a, a > 0), (0, True)), "where(a > 0, a * b, 0)"),
        (b * Heaviside(a, 0), "where(a < 0, 0, where(a == 0, 0, b))"),
        (a / b * sympy.I, "1j * a / b"),
        (sympy.oo * Heaviside(a), "where(a < 0, 0, where(a == 0, 1e999, 1e999))"),
        (sympy.Integer(7), "7"),
        (sympy.true, "True"),
    ],
)  # fmt: skip
def test_expressions_are_translated(expression: Any, text: str) -> None:
    assert translated(expression) == read(text)


def test_what_holds_nowhere_else_is_no_number() -> None:
    found = translated(Piecewise((a, a > 0)))
    assert "nan" in repr(found)


@pytest.mark.parametrize("expression", [sympy.asin(a), sympy.gamma(a) + 1, sympy.zeta(a, b)])
def test_what_there_is_no_map_for_is_refused(expression: Any) -> None:
    with pytest.raises(MapError, match=r"there is no map for (asin|gamma|zeta) in"):
        translated(expression)


@pytest.mark.parametrize("number", [sympy.nan, sympy.zoo])
def test_what_is_no_number_is_refused(number: Any) -> None:
    with pytest.raises(MapError, match="this is no number"):
        translated(number)


# A condition's symbol is real here, and a rounding has no form in maps but itself.
TRANSLATED = [n for n in MAPS if not MAPS[n].conditions and n not in {"round", "real", "conj"}]


@pytest.mark.parametrize("name", TRANSLATED)
def test_formulas_of_the_table_are_translated(name: str) -> None:
    expression = translated(formula_of(MAPS[name]))
    for row in points(name):
        given = tuple(map(mpf, row))
        found = exactly(expression, dict(zip(ARGUMENTS, given, strict=False)))
        assert mp.almosteq(mpf(found), mpf(EXACT[name](*given)), 1e-14, 1e-14), (name, row)
