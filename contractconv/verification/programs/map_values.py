"""The value of a map's formula in numbers of many digits.

The formula is walked as sympy made it, with one entry of a table for each kind of node: nothing is
compiled, and the derivatives that are judged have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, mul
from typing import Any

import sympy
from sympy.logic.boolalg import BooleanAtom

from contractconv.cache_register import kept
from contractconv.errors import CertificateError
from contractconv.maps.formulas import Round
from contractconv.maps.record import MapRecord
from contractconv.maps.table import record_of
from contractconv.verification.programs.many_digits import DIGITS, MP

Values = Mapping[Any, Any]


def symbols_of(record: MapRecord) -> tuple[Any, ...]:
    """The arguments of a map as sympy's symbols."""
    return tuple(sympy.Symbol(name, real=record.ordered or None) for name in record.variables)


@kept(most=1024)
def formula_of(name: str) -> Any:
    """The formula of a map in these symbols."""
    record = record_of(name)
    return record.sympy(*symbols_of(record))


def map_value(name: str, arguments: Sequence[Any]) -> Any:
    """A map of numbers."""
    known = dict(zip(symbols_of(record_of(name)), arguments, strict=True))
    return value(formula_of(name), known)


def formula_value(formula: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """A function of sympy's expressions, of numbers."""
    names = [sympy.Dummy() for _ in arguments]
    return value(formula(*names), dict(zip(names, arguments, strict=True)))


def value(formula: Any, known: Values) -> Any:
    """The value of an expression.

    Args:
        formula: of sympy.
        known: the number for each symbol.

    Raises:
        CertificateError: nothing is known of the numbers of one of its functions.
    """
    if formula in known:
        return known[formula]
    if isinstance(formula, BooleanAtom):
        return bool(formula)
    if isinstance(formula, sympy.Piecewise):
        return _chosen(formula, known)
    if formula.is_number and not formula.args:
        return _number(formula)
    rule = _RULES.get(type(formula))
    if rule is None:
        raise CertificateError(f"no numbers are known of {type(formula).__name__} in {formula}")
    return rule(*(value(part, known) for part in formula.args))


def _number(number: Any) -> Any:
    if number.is_Integer:
        return int(number)
    if number.is_Rational:
        return MP.mpf(int(number.p)) / int(number.q)
    return MP.mpf(str(number.evalf(DIGITS + 5)))


def _chosen(cases: Any, known: Values) -> Any:
    for result, condition in cases.args:
        if value(condition, known):
            return value(result, known)
    return MP.nan


def _power(base: Any, exponent: Any) -> Any:
    try:
        return MP.mpf(base) ** exponent if isinstance(base, int) else base**exponent
    except ZeroDivisionError:
        return MP.inf


_RULES: dict[Any, Callable[..., Any]] = {
    sympy.Add: lambda *parts: reduce(add, parts),
    sympy.Mul: lambda *parts: reduce(mul, parts),
    sympy.Pow: _power,
    sympy.exp: MP.exp, sympy.log: MP.log, sympy.sin: MP.sin, sympy.cos: MP.cos,
    sympy.tan: MP.tan, sympy.atan: MP.atan, sympy.sinh: MP.sinh,
    sympy.cosh: MP.cosh, sympy.tanh: MP.tanh, sympy.erf: MP.erf,
    sympy.erfc: MP.erfc, sympy.floor: MP.floor, sympy.ceiling: MP.ceil,
    sympy.Abs: abs, sympy.sign: MP.sign, sympy.Max: max, sympy.Min: min,
    sympy.Mod: lambda a, b: a - b * MP.floor(MP.mpf(a) / b),
    sympy.conjugate: MP.conj, sympy.re: MP.re, Round: MP.nint,
    sympy.And: lambda *parts: all(parts), sympy.Or: lambda *parts: any(parts),
    sympy.Not: lambda part: not part,
    sympy.StrictLessThan: lambda a, b: a < b, sympy.LessThan: lambda a, b: a <= b,
    sympy.StrictGreaterThan: lambda a, b: a > b, sympy.GreaterThan: lambda a, b: a >= b,
    sympy.Equality: lambda a, b: a == b, sympy.Unequality: lambda a, b: a != b,
}  # fmt: skip
