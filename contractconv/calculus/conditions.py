"""Conditions said as briefly as they can be: what is idle goes, what is said twice is said once.

A congruence ``d | number`` only knows its number up to multiples of ``d`` and up to factors that
have no divisor in common with ``d``: ``2 | h-4*k`` is ``2 | h``, and ``4 | 2*h-2*k`` is
``2 | h-k``. One that follows from the others goes: these hold on a coset of a lattice
(:mod:`contractconv.calculus.lattice`), of which a basis is asked. Conditions that nothing can
fulfil together leave nothing to be reduced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import gcd, lcm

import sympy

from contractconv.calculus.equation import Divides, Equation, Guard, Inside, size
from contractconv.calculus.lattice import Congruence, Coset, solve

Linear = Mapping[sympy.Expr, int]
"""An expression as numbers times products of symbols."""


def simplified(equation: Equation) -> Equation:
    """The same equation with its conditions in as few words as possible.

    Args:
        equation: any equation.

    Returns:
        An equal one; it is *empty* if nothing fulfils the conditions.

    Example:
        >>> from contractconv.calculus.backward import forward_equation
        >>> from contractconv.notation.parser import parse
        >>> brief = simplified(forward_equation(parse("((h-4*k)/2) ((h-2*k)/4) (h/2) k -> ")))
        >>> [str(guard.sympy) for guard in brief.guards if isinstance(guard, Divides)]
        ['Eq(Mod(h - 2*k, 4), 0)']
    """
    tied = [guard for delta in equation.deltas for guard in _of_position(delta.expression)]
    guards = _joined([_shortened(guard) for guard in equation.guards])
    if not possible([*guards, *map(_shortened, tied)]):
        return replace(equation, guards=(), empty=True)
    return replace(equation, guards=tuple(_needed(guards)))


def _of_position(expression: sympy.Expr) -> tuple[Guard, Guard]:
    """What must hold where a position equals an expression."""
    number, divisor = sympy.fraction(sympy.together(expression))
    return Divides(divisor, sympy.expand(number)), Inside(expression, size("position"))


def possible(guards: Sequence[Guard]) -> bool:
    """Whether conditions do not contradict each other, as far as their numbers tell.

    Example:
        >>> h = sympy.Symbol("h", integer=True)
        >>> possible([Divides(sympy.Integer(2), h), Divides(sympy.Integer(4), h + 1)])
        False
    """
    if any(isinstance(guard, Inside) and _negative(guard.position) for guard in guards):
        return False
    return _common(guards) is not None


def _negative(position: sympy.Expr) -> bool:
    """Whether an expression is negative everywhere: indices and parameters are not."""
    numbers = sympy.expand(position).as_coefficients_dict()
    return numbers.get(sympy.S.One, 0) < 0 and all(number <= 0 for number in numbers.values())


# -- one congruence ------------------------------------------------------------------------------


def _shortened(guard: Guard) -> Guard:
    """A congruence with smaller numbers; with none at all if it always holds."""
    if isinstance(guard, Inside):
        return guard
    before = _without_fraction(guard)
    after = _reduced(before)
    while after != before:
        before, after = after, _reduced(after)
    return after


def _without_fraction(guard: Divides) -> Divides:
    """``2 | h/3`` is ``6 | h``."""
    number, below = sympy.fraction(sympy.together(guard.number))
    return Divides(sympy.expand(guard.divisor * below), sympy.expand(number))


def _reduced(guard: Divides) -> Divides:
    if not guard.divisor.is_Integer:
        return _without_multiples(guard)
    divisor = int(guard.divisor)
    numbers = {s: _residue(number, divisor) for s, number in _linear(guard.number).items()}
    common = gcd(*numbers.values()) or 1
    if sum((value > 0) - (value < 0) for s, value in numbers.items() if s != 1) < 0:
        common = -common  # more of it is taken away than added
    number = sympy.Add(*(value // common * symbol for symbol, value in numbers.items()))
    return Divides(sympy.Integer(divisor // gcd(divisor, common)), number)


def _linear(number: sympy.Expr) -> dict[sympy.Expr, int]:
    return {s: int(value) for s, value in sympy.expand(number).as_coefficients_dict().items()}


def _residue(number: int, divisor: int) -> int:
    """The smallest number that differs by a multiple of the divisor; of two, with the same sign."""
    rest = number % divisor
    return rest - divisor if 2 * rest > divisor or (2 * rest == divisor and number < 0) else rest


def _without_multiples(guard: Divides) -> Divides:
    """With a symbol for a divisor: what is a multiple of it goes."""
    summands = sympy.Add.make_args(sympy.expand(guard.number))
    kept = [part for part in summands if not _is_multiple(part, guard.divisor)]
    return Divides(guard.divisor, sympy.Add(*kept))


def _is_multiple(summand: sympy.Expr, divisor: sympy.Expr) -> bool:
    number, rest = sympy.fraction(sympy.cancel(summand / divisor))
    return bool(rest == 1 and number.as_coeff_Mul()[0].is_Integer)


# -- several -------------------------------------------------------------------------------------


def _joined(guards: Sequence[Guard]) -> list[Guard]:
    """Divisors of one number become their least common multiple; idle conditions go."""
    found: dict[sympy.Expr, Guard] = {}
    for guard in guards:
        if isinstance(guard, Inside):
            found.setdefault((guard.position, guard.size), guard)
        elif guard.number != 0:
            key = guard.number if -guard.number not in found else -guard.number
            found[key] = _both(found.get(key), guard)
    return list(found.values())


def _both(one: Guard | None, other: Divides) -> Guard:
    if not isinstance(one, Divides) or one.divisor == other.divisor:
        return one or other
    if one.divisor.is_Integer and other.divisor.is_Integer:
        return replace(one, divisor=sympy.Integer(lcm(int(one.divisor), int(other.divisor))))
    return other


def _needed(guards: Sequence[Guard]) -> Iterator[Guard]:
    """The conditions that do not follow from the others."""
    kept = list(guards)
    for guard in sorted(guards, key=_length, reverse=True):
        others = [other for other in kept if other is not guard]
        if isinstance(guard, Divides) and _follows(guard, others):
            kept = others
    yield from kept


def _length(guard: Guard) -> int:
    return len(sympy.Add.make_args(guard.number)) if isinstance(guard, Divides) else 0


def _follows(guard: Divides, others: Sequence[Guard]) -> bool:
    symbols = _symbols([guard, *others])
    mine, common = _congruence(guard, symbols), _common(others, symbols)
    if mine is None or common is None:
        return False
    steps = (Congruence(mine.coefficients, 0, mine.divisor), common.lattice.basis)
    return _holds(mine, common.origin) and all(_holds(steps[0], step) for step in steps[1])


def _holds(congruence: Congruence, point: Sequence[int]) -> bool:
    pairs = zip(congruence.coefficients, point, strict=True)
    return (sum(c * x for c, x in pairs) + congruence.offset) % congruence.divisor == 0


def _common(guards: Sequence[Guard], symbols: Sequence[sympy.Expr] | None = None) -> Coset | None:
    """Where all congruences with numbers hold."""
    known = _symbols(guards) if symbols is None else symbols
    found = [_congruence(guard, known) for guard in guards if isinstance(guard, Divides)]
    return solve([congruence for congruence in found if congruence is not None], len(known))


def _symbols(guards: Sequence[Guard]) -> list[sympy.Expr]:
    """What the numbers of congruences are made of, products of symbols as one."""
    numbers = [_linear(guard.number) for guard in guards if isinstance(guard, Divides)]
    return list(dict.fromkeys(s for number in numbers for s in number if s != 1))


def _congruence(guard: Divides, symbols: Sequence[sympy.Expr]) -> Congruence | None:
    if not guard.divisor.is_Integer:
        return None
    numbers = _linear(guard.number)
    coefficients = tuple(numbers.get(symbol, 0) for symbol in symbols)
    return Congruence(coefficients, numbers.get(sympy.S.One, 0), int(guard.divisor))
