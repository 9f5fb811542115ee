"""The two kinds of numbers in which programs are tried, neither of which rounds what is compared.

Modulo a prime, with parts that say how a number changes: exact, for whatever is made of sums,
products and quotients (a wrong formula agrees by chance once in 2⁶¹ times: Schwartz-Zippel).
Or with many decimal digits, for everything else; how such numbers change, differences say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from operator import add, eq, ge, gt, le, lt, mod, mul, ne, neg, sub
from random import Random
from typing import Any, Protocol

from contractconv.programs.nodes import Scalar
from contractconv.reductions.record import Record
from contractconv.verification.programs.many_digits import DIGITS, MP, STEP
from contractconv.verification.programs.map_values import formula_value, map_value

PRIME = 2**61 - 1

_SMALL_STEP = STEP**2


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
class Jet:
    """A number modulo :data:`PRIME`, and how it changes in some directions at once.

    A polynomial in ``ε₀, ε₁, ...``, each of which has the square zero: of one it is a dual number,
    and the coefficient of ``ε₀·ε₁`` is a second derivative.

    Attributes:
        parts: the coefficient of each product of them; a bit of its number says that one is in it.
    """

    parts: tuple[int, ...]

    @staticmethod
    def of(number: Jet | Scalar) -> Jet:
        """An exact number, which does not change."""
        if isinstance(number, Jet):
            return number
        if isinstance(number, complex) or number in (float("inf"), -float("inf")):
            raise NotPolynomialError(f"{number} is no number modulo a prime")
        exact = Fraction(number)
        return Jet((exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME,))

    @property
    def value(self) -> int:
        """The number, without its changes."""
        return self.parts[0]

    def part(self, which: int) -> int:
        """A coefficient, by its number."""
        return self.parts[which] if which < len(self.parts) else 0

    def __add__(self, other: Jet | Scalar) -> Jet:
        pairs = zip_longest(self.parts, Jet.of(other).parts, fillvalue=0)
        return Jet(tuple((a + b) % PRIME for a, b in pairs))

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return Jet(tuple(-part % PRIME for part in self.parts))

    def __sub__(self, other: Jet | Scalar) -> Jet:
        return self + -Jet.of(other)

    def __rsub__(self, other: Jet | Scalar) -> Jet:
        return -self + other

    def __mul__(self, other: Jet | Scalar) -> Jet:
        other = Jet.of(other)
        made = [0] * max(len(self.parts), len(other.parts))
        for n, a in enumerate(self.parts):
            for m, b in enumerate(other.parts):
                if not n & m:  # what is in both has the square zero
                    made[n | m] += a * b
        return Jet(tuple(part % PRIME for part in made))

    __rmul__ = __mul__

    def inverse(self) -> Jet:
        """One over it: each step of Newton's doubles the order up to which that is right."""
        if not self.value:
            raise NotPolynomialError("one over zero")
        found = Jet((pow(self.value, -1, PRIME),))
        for _ in range(len(self.parts).bit_length() - 1):
            found = found * (2 - self * found)
        return found

    def __truediv__(self, other: Jet | Scalar) -> Jet:
        return self * Jet.of(other).inverse()

    def __rtruediv__(self, other: Jet | Scalar) -> Jet:
        return self.inverse() * other

    def __pow__(self, exponent: int) -> Jet:
        base = self if exponent >= 0 else self.inverse()
        found = Jet((1,))
        for bit in f"{abs(exponent):b}":
            found = found * found
            found = found * base if bit == "1" else found
        return found


class Modular:
    """Whole numbers where a program counts, numbers modulo a prime where it computes."""

    def number(self, value: Scalar) -> Any:
        """Whole numbers stay what they are, so that they can be compared."""
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value if isinstance(value, int) else Jet.of(value)

    def drawn(self, random: Random) -> Any:
        """Any number modulo the prime."""
        return Jet((random.randrange(1, PRIME),))

    def applied(self, function: str, arguments: Sequence[Any]) -> Any:
        """A map of numbers, if it is a quotient of polynomials, or of whole numbers alone."""
        if function == "where":
            return arguments[1] if _whole(arguments[0]) else arguments[2]
        rule = _POLYNOMIAL.get(function)
        if rule is None and not any(isinstance(number, Jet) for number in arguments):
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
    if isinstance(number, Jet):
        raise NotPolynomialError("numbers modulo a prime have no order")
    return number


def _quotient(above: Any, below: Any) -> Any:
    return Jet.of(above) / below


def _power(base: Any, exponent: Any) -> Any:
    return Jet.of(base) ** int(_whole(exponent))


_POLYNOMIAL: Mapping[str, Callable[..., Any]] = {
    "add": add, "subtract": sub, "multiply": mul, "negative": neg, "divide": _quotient,
    "power": _power, "square": lambda a: a * a, "reciprocal": lambda a: _quotient(1, a),
    "conj": lambda a: a, "real": lambda a: a,
    "stop_gradient": lambda a: Jet((a.value,)) if isinstance(a, Jet) else a,
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
        """Differences of it, in twice as many digits: they may be differentiated, too."""
        with MP.workdps(2 * DIGITS):
            return [self._slope(record, list(values), n) for n in range(len(values))]

    def _slope(self, record: Record, values: list[Any], n: int) -> Any:
        ends = []
        for step in (_SMALL_STEP, -_SMALL_STEP):
            moved = [*values[:n], values[n] + step, *values[n + 1 :]]
            ends.append(self.reduced(record, moved))
        return (ends[0] - ends[1]) / (2 * _SMALL_STEP)


def _folded(record: Record, values: Sequence[Any]) -> Any:
    """A sum of functions, of which a function is taken."""
    inside, outside = record.inside, record.outside
    each = values if inside is None else [formula_value(inside.sympy, (v,)) for v in values]
    total = MP.fsum(each)
    return total if outside is None else formula_value(outside.sympy, (total,))
