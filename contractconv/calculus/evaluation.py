"""The value of a formula in exact integers, term by term.

sympy's own ``doit`` rewrites sums with conditions, and not always rightly; its ``lambdify``
evaluates both branches of a condition. Here a formula is walked as it stands, one entry of a
table for each kind of node, and nothing is read where its condition does not hold.

Most of what is worked out are positions and conditions, linear in the indices as soon as strides
and sizes are known. Each of these is one closure, however many nodes it has.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm, prod
from typing import Any

import sympy

Numbers = Mapping[Any, Any]
Evaluator = Callable[[dict[Any, Any]], Any]
Builder = Callable[[Any, "_Scope"], Evaluator]
Key = Any


def evaluator(
    formula: sympy.Expr, arrays: Mapping[str, Numbers], known: Numbers | None = None
) -> Evaluator:
    """Prepare a formula for evaluation.

    Args:
        formula: an expression of sums, conditions, products, elements and integers.
        arrays: for each array its elements by position, a tuple; a scalar's position is ``()``.
        known: the values of symbols that are always the same, by symbol or by name: what can be
            said of them once is not worked out again.

    Returns:
        A function from the values of all other free symbols, by symbol or by name, to the
        formula's value. It raises ``KeyError`` if an element is read that does not exist.

    Raises:
        TypeError: the formula has a node of an unknown kind.
    """
    scope = _Scope(arrays, known or {})
    value = _built(formula, scope)
    keys = list(scope.keys.items())

    def found(values: dict[Any, Any]) -> Any:
        here = {}
        for symbol, key in keys:
            if symbol in values:
                here[key] = values[symbol]
            elif symbol.name in values:
                here[key] = values[symbol.name]
        return value(here)

    return found


@dataclass(frozen=True)
class _Scope:
    """What the names of a formula stand for.

    Attributes:
        arrays: elements by position.
        known: values of symbols that do not change.
        hidden: the indices of sums around, which are not the known ones.
        keys: under what the values of the others are found: a name, which is looked up faster than
            a symbol, unless it is that of another symbol, too.
    """

    arrays: Mapping[str, Numbers]
    known: Numbers
    hidden: frozenset[sympy.Symbol] = frozenset()
    keys: dict[sympy.Symbol, Key] = field(default_factory=dict)

    def key(self, symbol: sympy.Symbol) -> Key:
        taken = symbol.name in self.keys.values()
        return self.keys.setdefault(symbol, symbol if taken else symbol.name)

    def hiding(self, indices: Collection[sympy.Symbol]) -> _Scope:
        return replace(self, hidden=self.hidden.union(indices))

    def constant(self, symbol: sympy.Symbol) -> Any:
        """The value of a symbol that is always the same, or ``None``."""
        if symbol in self.hidden:
            return None
        return self.known.get(symbol, self.known.get(symbol.name))

    def scalar(self, symbol: sympy.Symbol) -> bool:
        # Indices, sizes and parameters are integers; a scalar is a symbol of nothing in particular.
        return symbol.name in self.arrays and symbol.is_integer is None


def _built(formula: sympy.Basic, scope: _Scope) -> Evaluator:
    linear = _linear(formula, scope)
    if linear is not None:
        return linear.evaluator()
    for kind, build in _KINDS.items():
        if isinstance(formula, kind):
            return build(formula, scope)
    raise TypeError(f"no value of {type(formula).__name__}: {formula}")


def _all(parts: Sequence[sympy.Basic], scope: _Scope) -> list[Evaluator]:
    return [_built(part, scope) for part in parts]


# -- what is linear in its symbols ---------------------------------------------------------------


@dataclass(frozen=True)
class _Linear:
    """Multiples of symbols by their keys, and a number, each of them a fraction."""

    terms: Mapping[Key, Fraction]
    offset: Fraction

    def times(self, factor: Fraction) -> _Linear:
        return _Linear({key: n * factor for key, n in self.terms.items()}, self.offset * factor)

    def plus(self, other: _Linear) -> _Linear:
        terms = dict(self.terms)
        for key, number in other.terms.items():
            terms[key] = terms.get(key, Fraction()) + number
        return _Linear(terms, self.offset + other.offset)

    def whole(self) -> tuple[int, Evaluator]:
        """The least common denominator, and the value times it."""
        below = lcm(self.offset.denominator, *(n.denominator for n in self.terms.values()))
        terms = [(key, int(number * below)) for key, number in self.terms.items()]
        return below, _multiples(terms, int(self.offset * below))

    def evaluator(self) -> Evaluator:
        below, above = self.whole()
        return above if below == 1 else lambda values: _quotient(above(values), below)


def _multiples(terms: Sequence[tuple[Key, int]], offset: int) -> Evaluator:
    """A sum of multiples; up to three, as in a window, it takes no loop."""
    match terms:
        case []:
            return lambda values: offset
        case [(a, 1)] if offset == 0:
            return operator.itemgetter(a)
        case [(a, k)]:
            return lambda values: k * values[a] + offset
        case [(a, k), (b, m)]:
            return lambda values: k * values[a] + m * values[b] + offset
        case [(a, k), (b, m), (c, n)]:
            return lambda values: k * values[a] + m * values[b] + n * values[c] + offset
    return lambda values: sum([k * values[a] for a, k in terms], offset)


def _linear(formula: sympy.Basic, scope: _Scope) -> _Linear | None:
    """A formula of numbers and symbols that is linear in those that are not known."""
    for kind, read in _LINEAR.items():
        if isinstance(formula, kind):
            return read(formula, scope)
    return None


def _linear_number(formula: sympy.Rational, scope: _Scope) -> _Linear:
    return _Linear({}, Fraction(int(formula.p), int(formula.q)))


def _linear_symbol(formula: sympy.Symbol, scope: _Scope) -> _Linear | None:
    if scope.scalar(formula):
        return None
    value = scope.constant(formula)
    if value is None:
        return _Linear({scope.key(formula): Fraction(1)}, Fraction())
    return _Linear({}, Fraction(value))


def _linear_sum(formula: sympy.Add, scope: _Scope) -> _Linear | None:
    total = _Linear({}, Fraction())
    for part in formula.args:
        linear = _linear(part, scope)
        if linear is None:
            return None
        total = total.plus(linear)
    return total


def _linear_product(formula: sympy.Mul, scope: _Scope) -> _Linear | None:
    total = _Linear({}, Fraction(1))
    for part in formula.args:
        linear = _linear(part, scope)
        if linear is None or (linear.terms and total.terms):
            return None
        total = linear.times(total.offset) if linear.terms else total.times(linear.offset)
    return total


def _linear_power(formula: sympy.Pow, scope: _Scope) -> _Linear | None:
    base, exponent = (_linear(part, scope) for part in formula.args)
    if base is None or exponent is None or base.terms or exponent.terms or not base.offset:
        return None
    power = base.offset**exponent.offset
    return _Linear({}, power) if isinstance(power, Fraction) else None


_LINEAR: dict[type, Callable[[Any, _Scope], _Linear | None]] = {
    sympy.Rational: _linear_number,
    sympy.Symbol: _linear_symbol,
    sympy.Add: _linear_sum,
    sympy.Mul: _linear_product,
    sympy.Pow: _linear_power,
}


# -- every kind of node --------------------------------------------------------------------------


def _truth(formula: sympy.Basic, scope: _Scope) -> Evaluator:
    value = bool(formula)
    return lambda values: value


def _scalar(formula: sympy.Symbol, scope: _Scope) -> Evaluator:
    scalar = scope.arrays[formula.name][()]
    return lambda values: scalar


def _indexed(formula: sympy.Indexed, scope: _Scope) -> Evaluator:
    array = scope.arrays[formula.base.label.name]
    axes = _all(formula.indices, scope)
    return lambda values: array[tuple([axis(values) for axis in axes])]


def _sum(formula: sympy.Sum, scope: _Scope) -> Evaluator:
    indices = [symbol for symbol, _, _ in formula.limits]
    inner = _built(formula.function, scope.hiding(indices))
    for number, (symbol, *ends) in enumerate(formula.limits, 1):
        low, high = _all(ends, scope.hiding(indices[number:]))
        inner = _range(inner, scope.key(symbol), low, high)
    return inner


def _range(inner: Evaluator, index: Key, low: Evaluator, high: Evaluator) -> Evaluator:
    def total(values: dict[Any, Any]) -> Any:
        here = dict(values)  # one for the whole range: most of the time went into copies
        added: Any = 0
        for here[index] in range(low(values), high(values) + 1):
            added += inner(here)
        return added

    return total


def _piecewise(formula: sympy.Piecewise, scope: _Scope) -> Evaluator:
    pieces = [(_built(condition, scope), _built(e, scope)) for e, condition in formula.args]

    def chosen(values: dict[Any, Any]) -> Any:
        for condition, expression in pieces:
            if condition(values):
                return expression(values)
        raise ArithmeticError("no piece of a formula holds")

    return chosen


def _power(formula: sympy.Pow, scope: _Scope) -> Evaluator:
    base, exponent = _all(formula.args, scope)

    def power(values: dict[Any, Any]) -> Any:
        return Fraction(base(values)) ** exponent(values)

    return power


def _product(formula: sympy.Mul, scope: _Scope) -> Evaluator:
    # Where a delta is zero nothing else is looked at; every element that is, must exist.
    deltas = [p for p in formula.args if isinstance(p, sympy.KroneckerDelta)]
    tied = _each([_equal(delta, scope) for delta in deltas])
    numbers = [part.as_numer_denom() for part in formula.args if part.is_Rational or part.is_Pow]
    others = [p for p in formula.args if not (p in deltas or p.is_Rational or p.is_Pow)]
    above = _all([p for p in (*(n for n, _ in numbers), *others) if p != 1], scope)
    below = _all([p for _, p in numbers if p != 1], scope)

    def product(values: dict[Any, Any]) -> Any:
        if not tied(values):
            return 0
        numerator = prod([part(values) for part in above])
        return _quotient(numerator, prod([part(values) for part in below])) if below else numerator

    return product


def _quotient(numerator: Any, denominator: Any) -> Any:
    """An exact quotient, which is whole as a rule."""
    if isinstance(numerator, int):
        whole, rest = divmod(numerator, denominator)
        return whole if not rest else Fraction(numerator, denominator)
    return numerator / denominator


def _added(formula: sympy.Add, scope: _Scope) -> Evaluator:
    parts = _all(formula.args, scope)
    return lambda values: sum([part(values) for part in parts])


def _both(formula: sympy.And, scope: _Scope) -> Evaluator:
    return _each(_all(formula.args, scope))


def _each(parts: Sequence[Evaluator]) -> Evaluator:
    """Whether all conditions hold; once one does not, no later one is looked at."""

    def hold(values: dict[Any, Any]) -> bool:
        for part in parts:  # noqa: SIM110 - a generator takes longer than what it would ask
            if not part(values):
                return False
        return True

    return hold


def _remainder(formula: sympy.Mod, scope: _Scope) -> Evaluator:
    number, divisor = _all(formula.args, scope)
    return lambda values: number(values) % divisor(values)


def _delta(formula: sympy.KroneckerDelta, scope: _Scope) -> Evaluator:
    equal = _equal(formula, scope)
    return lambda values: int(equal(values))


def _compared(apply: Callable[[Any, Any], Any]) -> Builder:
    """A comparison; of two linear forms it is that of their difference with zero."""

    def build(formula: sympy.Basic, scope: _Scope) -> Evaluator:
        left, right = (_linear(part, scope) for part in formula.args)
        if left is not None and right is not None:
            _, difference = left.plus(right.times(Fraction(-1))).whole()
            return lambda values: apply(difference(values), 0)
        one, other = _all(formula.args, scope)
        return lambda values: apply(one(values), other(values))

    return build


_equal = _compared(operator.eq)

_KINDS: dict[type, Builder] = {
    sympy.logic.boolalg.BooleanAtom: _truth,
    sympy.Indexed: _indexed,
    sympy.Symbol: _scalar,
    sympy.Sum: _sum,
    sympy.Piecewise: _piecewise,
    sympy.Add: _added,
    sympy.Mul: _product,
    sympy.And: _both,
    sympy.Pow: _power,
    sympy.Mod: _remainder,
    sympy.KroneckerDelta: _delta,
    sympy.Eq: _equal,
    sympy.Ge: _compared(operator.ge),
    sympy.Gt: _compared(operator.gt),
    sympy.Le: _compared(operator.le),
    sympy.Lt: _compared(operator.lt),
}
