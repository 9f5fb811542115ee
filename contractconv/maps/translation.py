"""sympy's expressions as expressions in maps, and derivatives of formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import sympy
from sympy.logic.boolalg import BooleanAtom

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
    if kind in _FUNCTIONS:
        return Call(_FUNCTIONS[kind], tuple(translated(part) for part in expression.args))
    if kind in _CHAINED:
        return _chained(_CHAINED[kind], [translated(part) for part in expression.args])
    if expression.is_number or isinstance(expression, BooleanAtom):
        return _number(expression)
    if kind in _RULES:
        return _RULES[kind](expression)
    raise MapError(f"there is no map for {kind.__name__} in {expression}")


def _chained(name: str, parts: Iterable[Expression]) -> Expression:
    return reduce(lambda left, right: Call(name, (left, right)), parts)


def _number(number: Any) -> Expression:
    if isinstance(number, BooleanAtom):
        return bool(number)
    if number.is_Integer:
        return int(number)
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
    above, below = _split(product)
    upper = _chained("multiply", above) if above else 1
    return Call("divide", (upper, _chained("multiply", below))) if below else upper


def _split(product: Any) -> tuple[list[Expression], list[Expression]]:
    above: list[Expression] = []
    below: list[Expression] = []
    for factor in product.as_ordered_factors():
        if factor.is_Rational and not factor.is_Integer:
            above += [int(factor.p)] * (factor.p != 1)
            below.append(int(factor.q))
        elif factor.is_Pow and factor.exp.could_extract_minus_sign():
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


def _cases(cases: Any) -> Expression:
    value, condition = cases.args[0]
    if condition == sympy.true:
        return translated(value)
    rest = cases.args[1:]
    otherwise = translated(sympy.Piecewise(*rest)) if rest else float("nan")
    return Call("where", (translated(condition), translated(value), otherwise))


def _step(step: Any) -> Expression:
    place, middle = step.args
    return translated(sympy.Piecewise((1, place > 0), (0, place < 0), (middle, True)))


_RULES: dict[Any, Callable[[Any], Expression]] = {
    sympy.Add: _sum,
    sympy.Mul: _product,
    sympy.Pow: _power,
    sympy.Piecewise: _cases,
    sympy.Heaviside: _step,
}


def derived(record: MapRecord, argument: int) -> Expression:
    """What comes back to an argument of a map, from its formula.

    Args:
        record: the map.
        argument: the position of the argument.

    Returns:
        An expression in the arguments, the result ``y``, and ``g``.
    """
    symbols = [sympy.Symbol(name, real=record.ordered or None) for name in record.variables]
    formula = record.sympy(*symbols)
    change = _without_jumps(sympy.diff(formula, symbols[argument]))
    reusing = change.subs(formula, sympy.Symbol(RESULT))
    return translated(_masked(sympy.Symbol(COTANGENT) * reusing))


def _without_jumps(change: Any) -> Any:
    """Steps are as flat as they are between the jumps."""
    return change.replace(
        lambda part: isinstance(part, sympy.Derivative | sympy.DiracDelta), lambda _: sympy.S.Zero
    )


def _masked(back: Any) -> Any:
    """Bring what comes back into the cases, so that it is exactly zero where they are."""
    return sympy.piecewise_fold(back.rewrite(sympy.Heaviside, sympy.Piecewise))
