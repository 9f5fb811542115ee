"""Conditions in few words: the shortest form is what one would write, and always an equal one."""

from __future__ import annotations

from itertools import product

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from contractconv.calculus.conditions import possible, simplified
from contractconv.calculus.equation import Divides, Element, Equation, Inside, size
from contractconv.calculus.symbols import index, parameter

H, K, L = map(index, "hkl")
S, D, P = map(parameter, "sdp")


def _equation(*guards: Divides | Inside) -> Equation:
    return Equation(Element("Y", (), ()), (), (H, K, L), guards=guards, parameters=("s", "d", "p"))


def _said(*guards: Divides | Inside) -> list[tuple[sympy.Expr, sympy.Expr]] | None:
    """The congruences that are left; ``None`` if nothing fulfils them."""
    brief = simplified(_equation(*guards))
    if brief.empty:
        return None
    return [(g.divisor, g.number) for g in brief.guards if isinstance(g, Divides)]


def _divides(divisor: int | sympy.Expr, number: sympy.Expr) -> Divides:
    return Divides(sympy.sympify(divisor), number)


@pytest.mark.parametrize(("guards", "said"), [
    # Multiples of the divisor say nothing; what is as short stays as it was.
    ([(2, H - 4 * K)], [(2, H)]),
    ([(2, H - 3 * K + 1)], [(2, H - K + 1)]),
    ([(2, H - K + 1)], [(2, H - K + 1)]),
    ([(4, H - 2 * K)], [(4, H - 2 * K)]),
    ([(3, H + 5 * K - 4)], [(3, H - K - 1)]),
    ([(2, -H)], [(2, H)]),
    ([(S, H - S * K)], [(S, H)]),
    ([(2 * S, H - 2 * S * K + S)], [(2 * S, H + S)]),
    ([(S, H - D * K + P)], [(S, H - D * K + P)]),
    # Common factors: what they share with the divisor goes, and all the rest does.
    ([(4, 2 * H - 2 * K)], [(2, H - K)]),
    ([(3, 2 * H)], [(3, H)]),
    ([(6, 4 * H + 2)], [(3, H - 1)]),
    ([(2, H / 3)], [(6, H)]),
    # What always holds.
    ([(2, 4 * H + 6)], []),
    ([(1, H)], []),
    ([(S, S * H)], []),
    # Several: one number has one divisor, and what follows from the others goes.
    ([(2, H), (3, H)], [(6, H)]),
    ([(2, H), (4, H - 2 * K)], [(4, H - 2 * K)]),
    ([(4, H - K), (2, H - K)], [(4, H - K)]),
    ([(2, H), (2, K), (2, H + K)], [(2, H), (2, K)]),
    ([(2, H), (2, K)], [(2, H), (2, K)]),
    ([(S, H), (S, H)], [(S, H)]),
    # Contradictions.
    ([(2, H), (2, H + 1)], None),
    ([(2, sympy.S.One)], None),
    ([(4, 2 * H + 1)], None),
    ([(2, H), (4, H - 1)], None),
    ([(2, H - K), (2, K - L), (2, H - L + 1)], None),
])  # fmt: skip
def test_congruences_in_few_words(
    guards: list[tuple[int, sympy.Expr]], said: list[tuple[int, sympy.Expr]] | None
) -> None:
    assert _said(*(_divides(*guard) for guard in guards)) == said


def test_what_is_inside_nowhere_is_a_contradiction() -> None:
    assert not possible([Inside(-H - 1, size("h"))])
    assert possible([Inside(-H, size("h"))])
    assert not possible([Inside(-H - P - 1, size("h"))])


numbers = st.builds(
    lambda a, b, c: a * H + b * K + c, *[st.integers(-7, 7)] * 2, st.integers(-7, 7)
)
congruences = st.lists(st.builds(_divides, st.integers(1, 6), numbers), max_size=4)


def _holds(guards: tuple[Divides | Inside, ...], h: int, k: int) -> bool:
    values = {H: h, K: k}
    found = [guard for guard in guards if isinstance(guard, Divides)]
    return all(g.number.xreplace(values) % int(g.divisor) == 0 for g in found)


@given(guards=congruences)
def test_the_few_words_say_the_same(guards: list[Divides]) -> None:
    brief = simplified(_equation(*guards))
    # Every residue occurs among these.
    for h, k in product(range(0, 60, 7), range(60)):
        assert (not brief.empty and _holds(brief.guards, h, k)) == _holds(tuple(guards), h, k)


@given(guards=congruences)
def test_nothing_is_left_that_could_go(guards: list[Divides]) -> None:
    brief = simplified(_equation(*guards))
    assert simplified(brief) == brief
    for gone in brief.guards:
        others = tuple(guard for guard in brief.guards if guard is not gone)
        assert any(
            _holds(others, h, k) and not _holds((gone,), h, k)
            for h, k in product(range(60), range(60))
        )
