"""The formulas of maps, as sympy writes them."""

from __future__ import annotations

import pytest
import sympy
from map_oracles import EXACT, points
from mpmath import mp, mpf

from contractconv.maps.formulas import Round, where
from contractconv.maps.table import MAPS

TRUTHS = {False: sympy.false, True: sympy.true}


@pytest.mark.parametrize("name", sorted(MAPS))
def test_formulas_are_the_maps(name: str) -> None:
    record = MAPS[name]
    for row in points(name):
        given = [
            TRUTHS[n] if n in TRUTHS and isinstance(n, bool) else sympy.Rational(n) for n in row
        ]
        found, exact = record.sympy(*given), EXACT[name](*map(mpf, row))
        if record.kind == "bool":
            assert bool(found) == exact
        else:
            assert mp.almosteq(mpf(sympy.N(found, 50)), mpf(exact), 1e-45, 1e-45), (name, row)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1/2", 0),
        ("3/2", 2),
        ("5/2", 2),
        ("-1/2", 0),
        ("-3/2", -2),
        ("7/5", 1),
        ("8/5", 2),
        ("4", 4),
    ],
)
def test_halves_are_rounded_to_the_even_one(number: str, expected: int) -> None:
    assert Round(sympy.Rational(number)) == expected


def test_rounding_is_flat_and_waits_for_a_number() -> None:
    a = sympy.Symbol("a")
    assert Round(a).diff(a) == 0
    assert Round(a).subs(a, sympy.Rational(5, 2)) == 2


def test_a_condition_may_be_a_number() -> None:
    a = sympy.Symbol("a")
    assert where(a < 1, 2, 3) == sympy.Piecewise((2, a < 1), (3, True))
    assert where(a + 1, 2, 3) == sympy.Piecewise((2, sympy.Ne(a + 1, 0)), (3, True))
    assert where(sympy.Integer(0), 2, 3) == 3
