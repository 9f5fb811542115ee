"""sympy's expressions as expressions in maps, and derivatives of formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import sympy
from sympy.logic.boolalg import BooleanAtom
from sympy.utilities.iterables import sift

from contractconv.errors import MapError
from contractconv.maps.expression import Call, Expression
from contractconv.maps.record import COTANGENT, RESULT, MapRecord

_FUNCTIONS: dict[Any, str] = {
    sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan",
    sympy.atan: "arctan", sympy.sinh: "sinh", sympy.cosh: "cosh", sympy.tanh: "tanh",
    sympy.erf: "erf", sympy.erfc: "erfc", sympy.Abs: "abs", sympy.sign: "sign",
    sympy.floor: "floor", sympy.ceiling: "ceil", sympy.Mod: "mod",
    sympy.conjugate: "conj", sympy.re: "real",
    sympy.Not: "logical_not",
    sympy.StrictLessThan: "less", sympy.LessThan: "less_equal", sympy.Equality: "equal",
    sympy.StrictGreaterThan: "greater", sympy.GreaterThan: "greater_equal",
    sympy.Unequality: "not_equal",
}  # fmt: skip
_CHAINED: dict[Any, str] = {
    sympy.Max: "max", sympy.Min: "min", sympy.And: "logical_and", sympy.Or: "logical_or",
}  # fmt: skip


Cases = list[tuple[Any, Any]]


def translated(expression: Any) -> Expression:
    """Write an expression of sympy in maps.

    Args:
        expression: of symbols, whose names become those of variables.

    Raises:
        MapError: there is no map for one of its functions.

    Example:
        >>> a = sympy.Symbol("a")
        >>> translated(sympy.exp(-a))
        Call(function='exp', arguments=(Call(function='negative', arguments=('a',)),))
    """
    kind = type(expression)
    if isinstance(expression, sympy.Symbol):
        return str(expression.name)
    if not expression.free_symbols:
        return _number(expression)
    if kind in _RULES:
        return _RULES[kind](expression)
    parts = [translated(part) for part in expression.args]
    if kind in _CHAINED:
        return _chained(_CHAINED[kind], parts)
    if kind in _FUNCTIONS:
        return Call(_FUNCTIONS[kind], tuple(parts))
    raise MapError(f"there is no map for {kind.__name__} in {expression}")


def _chained(name: str, parts: Iterable[Expression]) -> Expression:
    return reduce(lambda left, right: Call(name, (left, right)), parts)


def _number(number: Any) -> Expression:
    if isinstance(number, BooleanAtom):
        return bool(number)
    if number.is_Integer:
        return int(number)
    if number in {sympy.nan, sympy.zoo}:
        raise MapError(f"this is no number: {number}")
    value = complex(number)
    return value if value.imag else value.real


def _sum(total: Any) -> Expression:
    """Positive terms first, so that the others are subtracted."""
    terms = sorted(total.as_ordered_terms(), key=lambda term: term.could_extract_minus_sign())
    found = translated(terms[0])
    for term in terms[1:]:
        if term.could_extract_minus_sign():
            found = Call("subtract", (found, translated(-term)))
        else:
            found = Call("add", (found, translated(term)))
    return found


def _product(product: Any) -> Expression:
    if product.as_coeff_Mul()[0].is_negative:
        return Call("negative", (translated(-product),))
    factors = product.as_ordered_factors()
    cases = [factor for factor in factors if isinstance(factor, _CASES)]
    if cases:
        rest = sympy.Mul(*[factor for factor in factors if factor is not cases[0]])
        # A product with cases is one in each of them: exactly zero where they are zero.
        return _chosen([(_times(value, rest), holds) for value, holds in _cases_of(cases[0])])
    above, below = _split(factors)
    upper = _chained("multiply", above) if above else 1
    return Call("divide", (upper, _chained("multiply", below))) if below else upper


def _times(value: Any, rest: Any) -> Any:
    return value if value == 0 else value * rest


def _split(factors: Iterable[Any]) -> tuple[list[Expression], list[Expression]]:
    """What stands above the line of a fraction, and below it; all numbers in one."""
    numbers, others = sift(factors, lambda factor: factor.is_number, binary=True)
    number = sympy.Mul(*numbers)
    upper, lower = (number.p, number.q) if number.is_Rational else (number, 1)
    above = [] if upper == 1 else [translated(sympy.sympify(upper))]
    below = [] if lower == 1 else [translated(sympy.sympify(lower))]
    for factor in others:
        if factor.is_Pow and factor.exp.could_extract_minus_sign():
            below.append(translated(1 / factor))
        else:
            above.append(translated(factor))
    return above, below


def _power(power: Any) -> Expression:
    base, exponent = power.as_base_exp()
    if exponent == 2:
        return Call("square", (translated(base),))
    if exponent == sympy.S.Half:
        return Call("sqrt", (translated(base),))
    if exponent.could_extract_minus_sign():
        return Call("reciprocal", (translated(1 / power),))
    return Call("power", (translated(base), translated(exponent)))


def _cases(expression: Any) -> Expression:
    return _chosen(_cases_of(expression))


def _cases_of(expression: Any) -> Cases:
    """Values, and when they hold; the first one that does."""
    if isinstance(expression, sympy.Piecewise):
        return [(value, condition) for value, condition in expression.args]
    place, middle = expression.args
    # What is no number at all is not less than zero, and passes a step.
    return [(sympy.S.Zero, place < 0), (middle, sympy.Eq(place, 0)), (sympy.S.One, sympy.true)]


def _chosen(cases: Cases) -> Expression:
    (value, condition), *rest = cases
    if condition == sympy.true:
        return translated(value)
    otherwise = _chosen(rest) if rest else float("nan")
    return Call("where", (translated(condition), translated(value), otherwise))


_CASES = (sympy.Piecewise, sympy.Heaviside)
_RULES: dict[Any, Callable[[Any], Expression]] = {
    sympy.Add: _sum,
    sympy.Mul: _product,
    sympy.Pow: _power,
    sympy.Piecewise: _cases,
    sympy.Heaviside: _cases,
}


def formula_of(record: MapRecord) -> Any:
    """The formula of a map, of symbols called as its arguments are.

    Raises:
        MapError: it is no expression of sympy.
    """
    formula = record.sympy(*_symbols(record))
    if not isinstance(formula, sympy.Basic):
        raise MapError(f"the formula of {record.name} is no expression of sympy: {formula!r}")
    return formula


def _symbols(record: MapRecord) -> list[sympy.Symbol]:
    real = True if record.ordered else None
    return [sympy.Symbol(name, real=real) for name in record.variables]


def derived(record: MapRecord, argument: int) -> Expression:
    """What comes back to an argument of a map, from its formula.

    Args:
        record: the map.
        argument: the position of the argument.

    Returns:
        An expression in the arguments, the result ``y``, and ``g``.
    """
    formula = formula_of(record)
    change = _without_jumps(sympy.diff(_without_remainders(formula), _symbols(record)[argument]))
    terms = sympy.Add.make_args(change.subs(formula, sympy.Symbol(RESULT)))
    cotangent = sympy.Symbol(COTANGENT)
    if any(term.has(*_CASES) for term in terms):
        return translated(sympy.Add(*[cotangent * term for term in terms]))
    return translated(cotangent * sympy.Add(*terms))


def _without_remainders(formula: Any) -> Any:
    """In terms of sympy, which knows no derivative of a remainder."""
    return formula.replace(sympy.Mod, lambda a, b: a - b * sympy.floor(a / b))


def _without_jumps(change: Any) -> Any:
    """Steps are as flat as they are between the jumps."""
    return change.replace(_is_jump, lambda _: sympy.S.Zero)


def _is_jump(part: Any) -> bool:
    if isinstance(part, sympy.Derivative):
        return isinstance(part.expr, sympy.floor | sympy.ceiling)
    # What is inside is visited first.
    return isinstance(part, sympy.DiracDelta) or (isinstance(part, sympy.Subs) and part.expr == 0)
