"""The two kinds of numbers in which programs are tried, neither of which rounds what is compared.

Modulo a prime, with a *dual* part that says how a number changes: exact, for whatever is made of
sums, products and quotients (a wrong formula agrees by chance once in 2⁶¹ times: Schwartz-Zippel).
Or with many decimal digits, for everything else; how such numbers change, differences say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import add, eq, ge, gt, le, lt, mod, mul, ne, neg, sub
from random import Random
from typing import Any, Protocol

from contractconv.programs.nodes import Scalar
from contractconv.reductions.record import Record
from contractconv.verification.programs.many_digits import MP, STEP
from contractconv.verification.programs.map_values import formula_value, map_value

PRIME = 2**61 - 1


class NotPolynomialError(ArithmeticError):
    """A program needs more than sums, products and quotients."""


class Algebra(Protocol):
    """Numbers in which a program can be carried out."""

    def number(self, value: Scalar) -> Any:
        """A number that stands in a program."""

    def drawn(self, random: Random) -> Any:
        """Any number."""

    def applied(self, function: str, arguments: Sequence[Any]) -> Any:
        """A map of numbers."""

    def reduced(self, record: Record, values: Sequence[Any]) -> Any:
        """A reduction that is no sum."""

    def slopes(self, record: Record, values: Sequence[Any]) -> Sequence[Any]:
        """How it changes with each of the values."""


# -- modulo a prime ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dual:
    """A number modulo :data:`PRIME`, and how it changes: ``value + slope·ε`` with ``ε² = 0``."""

    value: int
    slope: int = 0

    @staticmethod
    def of(number: Dual | Scalar) -> Dual:
        """An exact number, which does not change."""
        if isinstance(number, Dual):
            return number
        if isinstance(number, complex) or number in (float("inf"), -float("inf")):
            raise NotPolynomialError(f"{number} is no number modulo a prime")
        exact = Fraction(number)
        return Dual(exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME)

    def __add__(self, other: Dual | Scalar) -> Dual:
        other = Dual.of(other)
        return Dual((self.value + other.value) % PRIME, (self.slope + other.slope) % PRIME)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value % PRIME, -self.slope % PRIME)

    def __sub__(self, other: Dual | Scalar) -> Dual:
        return self + -Dual.of(other)

    def __rsub__(self, other: Dual | Scalar) -> Dual:
        return -self + other

    def __mul__(self, other: Dual | Scalar) -> Dual:
        other = Dual.of(other)
        change = self.slope * other.value + self.value * other.slope
        return Dual(self.value * other.value % PRIME, change % PRIME)

    __rmul__ = __mul__

    def inverse(self) -> Dual:
        """One over it."""
        if not self.value:
            raise NotPolynomialError("one over zero")
        inverse = pow(self.value, -1, PRIME)
        return Dual(inverse, -self.slope * inverse * inverse % PRIME)

    def __truediv__(self, other: Dual | Scalar) -> Dual:
        return self * Dual.of(other).inverse()

    def __rtruediv__(self, other: Dual | Scalar) -> Dual:
        return self.inverse() * other

    def __pow__(self, exponent: int) -> Dual:
        base = self if exponent >= 0 else self.inverse()
        power = pow(base.value, abs(exponent), PRIME)
        below = pow(base.value, max(abs(exponent) - 1, 0), PRIME)
        return Dual(power, abs(exponent) * below * base.slope % PRIME)


class Modular:
    """Whole numbers where a program counts, numbers modulo a prime where it computes."""

    def number(self, value: Scalar) -> Any:
        """Whole numbers stay what they are, so that they can be compared."""
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value if isinstance(value, int) else Dual.of(value)

    def drawn(self, random: Random) -> Any:
        """Any number modulo the prime."""
        return Dual(random.randrange(1, PRIME))

    def applied(self, function: str, arguments: Sequence[Any]) -> Any:
        """A map of numbers, if it is a quotient of polynomials, or of whole numbers alone."""
        if function == "where":
            return arguments[1] if _whole(arguments[0]) else arguments[2]
        rule = _POLYNOMIAL.get(function)
        if rule is None and not any(isinstance(number, Dual) for number in arguments):
            rule = _COUNTING.get(function)
        if rule is None:
            raise NotPolynomialError(f"{function} is no polynomial")
        return rule(*arguments)

    def reduced(self, record: Record, values: Sequence[Any]) -> Any:
        """A product."""
        if not record.multiplies:
            raise NotPolynomialError(f"{record.name} is no polynomial")
        return record.asked(record.definition, "definition to be verified by")(list(values))

    def slopes(self, record: Record, values: Sequence[Any]) -> Sequence[Any]:
        """The products of all others."""
        if not record.multiplies:
            raise NotPolynomialError(f"{record.name} is no polynomial")
        exact = record.asked(record.local.exact, "derivative to be verified by")
        return list(exact(list(values)))


def _whole(number: Any) -> Any:
    if isinstance(number, Dual):
        raise NotPolynomialError("numbers modulo a prime have no order")
    return number


def _quotient(above: Any, below: Any) -> Any:
    return Dual.of(above) / below


def _power(base: Any, exponent: Any) -> Any:
    return Dual.of(base) ** int(_whole(exponent))


_POLYNOMIAL: Mapping[str, Callable[..., Any]] = {
    "add": add, "subtract": sub, "multiply": mul, "negative": neg, "divide": _quotient,
    "power": _power, "square": lambda a: a * a, "reciprocal": lambda a: _quotient(1, a),
    "conj": lambda a: a, "real": lambda a: a,
    "stop_gradient": lambda a: Dual(a.value) if isinstance(a, Dual) else a,
}  # fmt: skip
_COUNTING: Mapping[str, Callable[..., Any]] = {
    "less": lt, "less_equal": le, "greater": gt, "greater_equal": ge, "equal": eq, "not_equal": ne,
    "logical_and": lambda a, b: bool(a) and bool(b), "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_not": lambda a: not a, "max": max, "min": min, "abs": abs, "mod": mod,
}  # fmt: skip


# -- many digits -------------------------------------------------------------------------------


class Digits:
    """Real numbers of many digits, in which formulas of sympy are worked out.

    Args:
        positive: whether all that are drawn are, as logarithms and roots need them.
    """

    def __init__(self, positive: bool = False) -> None:
        self._least = 0.25 if positive else -2.0

    def number(self, value: Scalar) -> Any:
        """Whole numbers, and truth values, stay what they are."""
        return value if isinstance(value, int) else MP.convert(value)

    def drawn(self, random: Random) -> Any:
        """A number of moderate size."""
        return MP.mpf(random.uniform(self._least, 2.0))

    def applied(self, function: str, arguments: Sequence[Any]) -> Any:
        """A map of numbers."""
        return map_value(function, arguments)

    def reduced(self, record: Record, values: Sequence[Any]) -> Any:
        """The formula of a reduction, or else its definition."""
        if record.inside is None and record.outside is None:
            return record.asked(record.definition, "definition to be verified by")(list(values))
        return _folded(record, values)

    def slopes(self, record: Record, values: Sequence[Any]) -> Sequence[Any]:
        """Differences of the reduction."""
        return [self._slope(record, list(values), n) for n in range(len(values))]

    def _slope(self, record: Record, values: list[Any], n: int) -> Any:
        ends = []
        for step in (STEP, -STEP):
            moved = [*values[:n], values[n] + step, *values[n + 1 :]]
            ends.append(self.reduced(record, moved))
        return (ends[0] - ends[1]) / (2 * STEP)


def _folded(record: Record, values: Sequence[Any]) -> Any:
    """A sum of functions, of which a function is taken."""
    inside, outside = record.inside, record.outside
    each = values if inside is None else [formula_value(inside.sympy, (v,)) for v in values]
    total = MP.fsum(each)
    return total if outside is None else formula_value(outside.sympy, (total,))
