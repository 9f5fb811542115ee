"""Numbers that know how they change: exact derivatives by arithmetic, and by nothing else.

A plain number is a ``Fraction`` as long as it can be one, else one of mpmath's with 40 digits, or a
``bool``. A ``Jet`` carries beside its value how it changes along one direction (its *tangent*), by
each of many variables (its *slopes*), and how the slopes change along the direction (its *mixed*
derivatives): the polynomial ``value + t*e + sum g_k*d_k + sum h_k*e*d_k``, in which ``e*e`` and all
``d_k*d_l`` are zero. So one evaluation of a program gives its value, a Jacobian times a vector, its
gradient by all inputs, and its Hessian times a vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import mpmath

mpmath.mp.dps = 50  # as many as other tests ask for: it is one number for the process

NEAR = mpmath.mpf("1e-7")
"""What is nearer than that, and was rounded on the way, may be equal or not."""


class Fragile(ArithmeticError):
    """A decision hangs on a rounding: floating-point numbers may decide otherwise."""


def plain(value: Any) -> Any:
    """A number of Python or numpy as an exact one."""
    if isinstance(value, Jet):
        return value
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, (bool, Fraction, mpmath.mpf, mpmath.mpc)):
        return number
    if isinstance(number, complex):
        return mpmath.mpc(number)
    return Fraction(number) if math.isfinite(number) else mpmath.mpf(number)


def rounded(number: Any) -> Any:
    """A plain number as one of mpmath's."""
    if isinstance(number, (Fraction, int)):
        exact = Fraction(number)
        return mpmath.mpf(exact.numerator) / exact.denominator
    return number


def is_exact(number: Any) -> bool:
    """Whether floating-point numbers hold it, however it was worked out."""
    if isinstance(number, (bool, int)):
        return True
    if isinstance(number, Fraction):
        power_of_two = number.denominator & (number.denominator - 1) == 0
        return power_of_two and number.denominator < 2**40 and abs(number.numerator) < 2**50
    return not mpmath.isfinite(number)


def add(left: Any, right: Any) -> Any:
    """The sum of two plain numbers."""
    left, right = _alike(left, right)
    return left + right


def multiply(left: Any, right: Any) -> Any:
    """The product of two plain numbers; nothing of anything is nothing."""
    left, right = _alike(left, right)
    return left * right


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    left, right = (Fraction(n) if isinstance(n, (bool, int)) else n for n in (left, right))
    if isinstance(left, Fraction) == isinstance(right, Fraction):
        return left, right
    return rounded(left), rounded(right)


@dataclass(frozen=True, slots=True)
class Jet:
    """A number with its derivatives.

    Attributes:
        value: the number.
        tangent: how it changes along the direction.
        slopes: how it changes by each variable; zero where there is none.
        mixed: how the slopes change along the direction.
    """

    value: Any
    tangent: Any = Fraction(0)
    slopes: Mapping[Any, Any] = field(default_factory=dict)
    mixed: Mapping[Any, Any] = field(default_factory=dict)

    def __add__(self, other: Any) -> Jet:
        other = jet(other)
        return Jet(
            add(self.value, other.value),
            add(self.tangent, other.tangent),
            _sum((self.slopes, 1), (other.slopes, 1)),
            _sum((self.mixed, 1), (other.mixed, 1)),
        )

    __radd__ = __add__

    def __mul__(self, other: Any) -> Jet:
        other = jet(other)
        a, b = self.value, other.value
        mixed = _sum(
            (self.mixed, b), (other.mixed, a),
            (self.slopes, other.tangent), (other.slopes, self.tangent),
        )  # fmt: skip
        tangent = _change(self.tangent, b, other.tangent, a)
        return Jet(multiply(a, b), tangent, _sum((self.slopes, b), (other.slopes, a)), mixed)

    __rmul__ = __mul__

    def __neg__(self) -> Jet:
        return self * Fraction(-1)

    def __sub__(self, other: Any) -> Jet:
        return self + jet(other) * Fraction(-1)

    def __rsub__(self, other: Any) -> Jet:
        return jet(other) - self

    def through(self, value: Any, first: Any, second: Any) -> Jet:
        """A function of it, of which the value and two derivatives are given."""
        bent = multiply(second, self.tangent) if self.tangent else Fraction(0)
        return Jet(
            value,
            multiply(first, self.tangent) if self.tangent else Fraction(0),
            _sum((self.slopes, first)),
            _sum((self.mixed, first), (self.slopes, bent)),
        )


def jet(value: Any) -> Jet:
    """A number as one that does not change."""
    return value if isinstance(value, Jet) else Jet(plain(value))


def value_of(number: Any) -> Any:
    """The value of a number that may change."""
    return number.value if isinstance(number, Jet) else plain(number)


def on_parts(number: Any, change: Callable[[Any], Any]) -> Any:
    """Apply a function that is linear over the reals, such as the conjugate."""
    if not isinstance(number, Jet):
        return change(plain(number))
    slopes, mixed = (
        {k: change(n) for k, n in part.items()} for part in (number.slopes, number.mixed)
    )
    return Jet(change(number.value), change(number.tangent), slopes, mixed)


def total(numbers: Iterable[Any]) -> Any:
    """The sum of numbers."""
    found: Any = Fraction(0)
    for number in numbers:
        found = number + found if isinstance(number, Jet) else _plus(found, plain(number))
    return found


def product(numbers: Iterable[Any]) -> Any:
    """The product of numbers."""
    found: Any = Fraction(1)
    for number in numbers:
        found = times(found, number)
    return found


def times(left: Any, right: Any) -> Any:
    """The product of two numbers, which may change."""
    if isinstance(left, Jet) or isinstance(right, Jet):
        return jet(left) * right
    return multiply(plain(left), plain(right))


def plus(left: Any, right: Any) -> Any:
    """The sum of two numbers, which may change."""
    return _plus(left, right if isinstance(right, Jet) else plain(right))


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, Jet) or isinstance(right, Jet):
        return jet(left) + right
    return add(plain(left), right)


def _change(tangent: Any, factor: Any, other_tangent: Any, other_factor: Any) -> Any:
    parts = [multiply(t, f) for t, f in ((tangent, factor), (other_tangent, other_factor)) if t]
    return total(parts)


def _sum(*parts: tuple[Mapping[Any, Any], Any]) -> dict[Any, Any]:
    """The sum of multiples of derivatives."""
    found: dict[Any, Any] = {}
    for slopes, factor in parts:
        if isinstance(factor, (int, Fraction)) and not factor:
            continue
        for name, slope in slopes.items():
            change = multiply(slope, factor)
            found[name] = add(found[name], change) if name in found else change
    return found


# -- decisions -------------------------------------------------------------------------------------


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1: whether a number is less than another one, equal, or greater.

    Raises:
        Fragile: they are so near that roundings decide.
    """
    a, b = value_of(left), value_of(right)
    x, y = _alike(a, b)
    if not (is_exact(a) and is_exact(b)) and mpmath.isfinite(rounded(x)):
        gap = abs(rounded(x) - rounded(y))
        if mpmath.isfinite(gap) and gap < NEAR * (1 + abs(rounded(x))):
            raise Fragile(f"{a} or {b}")
    return int(x > y) - int(x < y)


def is_equal(left: Any, right: Any) -> bool:
    """Whether two numbers, maybe complex ones, are equal."""
    a, b = value_of(left), value_of(right)
    if isinstance(a, mpmath.mpc) or isinstance(b, mpmath.mpc):
        return bool(rounded(a) == rounded(b))
    return compare(a, b) == 0
