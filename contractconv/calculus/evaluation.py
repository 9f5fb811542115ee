"""The value of a formula in exact integers, term by term.

sympy's own ``doit`` rewrites sums with conditions, and not always rightly; its ``lambdify``
evaluates both branches of a condition. Here a formula is walked as it stands, one entry of a
table for each kind of node, and nothing is read where its condition does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import prod
from typing import Any

import sympy

Numbers = Mapping[Any, Any]
Evaluator = Callable[[dict[Any, Any]], Any]
Builder = Callable[[Any, Mapping[str, Numbers]], Evaluator]


def evaluator(formula: sympy.Expr, arrays: Mapping[str, Numbers]) -> Evaluator:
    """Prepare a formula for evaluation.

    Args:
        formula: an expression of sums, conditions, products, elements and integers.
        arrays: for each array its elements by position, a tuple; a scalar's position is ``()``.

    Returns:
        A function from the values of all free symbols, by symbol or by name, to the formula's
        value. It raises ``KeyError`` if an element is read that does not exist.

    Raises:
        TypeError: the formula has a node of an unknown kind.
    """
    for kind, build in _KINDS.items():
        if isinstance(formula, kind):
            return build(formula, arrays)
    raise TypeError(f"no value of {type(formula).__name__}: {formula}")


def _all(formula: sympy.Basic, arrays: Mapping[str, Numbers]) -> list[Evaluator]:
    return [evaluator(part, arrays) for part in formula.args]


def _number(formula: sympy.Rational, arrays: Mapping[str, Numbers]) -> Evaluator:
    value = int(formula) if formula.is_Integer else Fraction(int(formula.p), int(formula.q))
    return lambda values: value


def _truth(formula: sympy.Basic, arrays: Mapping[str, Numbers]) -> Evaluator:
    value = bool(formula)
    return lambda values: value


def _symbol(formula: sympy.Symbol, arrays: Mapping[str, Numbers]) -> Evaluator:
    name = formula.name
    # Indices, sizes and parameters are integers; a scalar is a symbol of nothing in particular.
    if name in arrays and formula.is_integer is None:
        scalar = arrays[name][()]
        return lambda values: scalar
    return lambda values: values[formula] if formula in values else values[name]


def _indexed(formula: sympy.Indexed, arrays: Mapping[str, Numbers]) -> Evaluator:
    array = arrays[formula.base.label.name]
    axes = [evaluator(axis, arrays) for axis in formula.indices]
    return lambda values: array[tuple(axis(values) for axis in axes)]


def _sum(formula: sympy.Sum, arrays: Mapping[str, Numbers]) -> Evaluator:
    inner = evaluator(formula.function, arrays)
    for symbol, low, high in formula.limits:
        inner = _range(inner, symbol, evaluator(low, arrays), evaluator(high, arrays))
    return inner


def _range(inner: Evaluator, index: sympy.Symbol, low: Evaluator, high: Evaluator) -> Evaluator:
    def total(values: dict[Any, Any]) -> Any:
        ends = range(low(values), high(values) + 1)
        here = dict(values)  # one for the whole range: most of the time went into copies

        def terms() -> Iterator[Any]:
            for here[index] in ends:
                yield inner(here)

        return sum(terms())

    return total


def _piecewise(formula: sympy.Piecewise, arrays: Mapping[str, Numbers]) -> Evaluator:
    pieces = [(evaluator(c, arrays), evaluator(e, arrays)) for e, c in formula.args]

    def chosen(values: dict[Any, Any]) -> Any:
        return next(expression(values) for condition, expression in pieces if condition(values))

    return chosen


def _power(formula: sympy.Pow, arrays: Mapping[str, Numbers]) -> Evaluator:
    base, exponent = _all(formula, arrays)

    def power(values: dict[Any, Any]) -> Any:
        return Fraction(base(values)) ** exponent(values)

    return power


def _product(formula: sympy.Mul, arrays: Mapping[str, Numbers]) -> Evaluator:
    # Where a delta is zero nothing else is looked at; every element that is, must exist.
    deltas = [p for p in formula.args if isinstance(p, sympy.KroneckerDelta)]
    tied = [evaluator(part, arrays) for part in deltas]
    numbers = [part.as_numer_denom() for part in formula.args if part.is_Rational or part.is_Pow]
    others = [p for p in formula.args if not (p in deltas or p.is_Rational or p.is_Pow)]
    above = [evaluator(p, arrays) for p in (*(n for n, _ in numbers), *others) if p != 1]
    below = [evaluator(p, arrays) for _, p in numbers if p != 1]

    def product(values: dict[Any, Any]) -> Any:
        if not all(part(values) for part in tied):
            return 0
        numerator = prod(part(values) for part in above)
        return _quotient(numerator, prod(part(values) for part in below)) if below else numerator

    return product


def _quotient(numerator: Any, denominator: Any) -> Any:
    """An exact quotient, which is whole as a rule."""
    if isinstance(numerator, int):
        whole, rest = divmod(numerator, denominator)
        return whole if not rest else Fraction(numerator, denominator)
    return numerator / denominator


def _folded(fold: Callable[[Any], Any]) -> Builder:
    def build(formula: sympy.Basic, arrays: Mapping[str, Numbers]) -> Evaluator:
        parts = _all(formula, arrays)
        return lambda values: fold(part(values) for part in parts)

    return build


def _pair(apply: Callable[[Any, Any], Any]) -> Builder:
    def build(formula: sympy.Basic, arrays: Mapping[str, Numbers]) -> Evaluator:
        left, right = _all(formula, arrays)
        return lambda values: apply(left(values), right(values))

    return build


_KINDS: dict[type, Builder] = {
    sympy.Rational: _number,
    sympy.logic.boolalg.BooleanAtom: _truth,
    sympy.Indexed: _indexed,
    sympy.Symbol: _symbol,
    sympy.Sum: _sum,
    sympy.Piecewise: _piecewise,
    sympy.Add: _folded(sum),
    sympy.Mul: _product,
    sympy.And: _folded(all),
    sympy.Pow: _power,
    sympy.Mod: _pair(lambda number, divisor: number % divisor),
    sympy.KroneckerDelta: _pair(lambda left, right: int(left == right)),
    sympy.Eq: _pair(lambda left, right: left == right),
    sympy.Ge: _pair(lambda left, right: left >= right),
    sympy.Gt: _pair(lambda left, right: left > right),
    sympy.Le: _pair(lambda left, right: left <= right),
    sympy.Lt: _pair(lambda left, right: left < right),
}
