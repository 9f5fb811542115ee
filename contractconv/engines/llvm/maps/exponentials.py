"""Exponentials: of ``x = n log 2 + r``, where ``exp(r)`` is a polynomial and the rest an exponent.

The coefficients are fitted with Remez's algorithm to values of 50 digits: ``exp(r) = 1 + r + r² P``
where P's greatest error is least, for r within half a logarithm of 2; those of the hyperbolic sine
likewise, as ``x + x³ P(x²)`` up to one.
"""

from __future__ import annotations

from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps.vector_kinds import Floats


class _Table(NamedTuple):
    """What depends on the precision.

    Attributes:
        high, low: the logarithm of 2 in two parts; the first has so few digits that its multiples
            are exact.
        least, most: beyond these, exponentials are zero and infinite.
        flat: below it, an exponential less one is minus one.
        tiny: numbers of a smaller magnitude are the same as their exponentials less one.
        sine: the polynomial of the hyperbolic sine.
    """

    polynomial: tuple[float, ...]
    high: float
    low: float
    least: float
    most: float
    flat: float
    tiny: float
    sine: tuple[float, ...]


_SINGLE = _Table(
    (
        0.00139411213879024559, 0.00836318403662705724, 0.0416663751735062662,
        0.166665769447964086, 0.500000002694060628,
    ),
    0.693145751953125, 1.428606820309417e-06, -104.0, 89.0, -18.0, 2.0**-30,
    (0.000203721942956269573, 0.00833028371990269681, 0.166667160222723569),
)  # fmt: skip
_DOUBLE = _Table(
    (
        2.51100498958587163e-8, 2.76200905184994294e-7, 2.75572423366803571e-6,
        0.000024801521290973346, 0.000198412698865909993, 0.00138888889172174569,
        0.0083333333333222073, 0.0416666666666241189, 0.166666666666666745, 0.500000000000000102,
    ),
    0.6931471805598903, 5.497923018708371e-14, -746.0, 710.0, -38.0, 2.0**-60,
    (
        7.75874880065595611e-13, 1.60572597687581788e-10, 2.50521231367220983e-8,
        2.75573191570718887e-6, 0.000198412698414318724, 0.00833333333333314774,
        0.166666666666666674,
    ),
)  # fmt: skip
_LOG2_E = 1.4426950408889634


def _table(f: Floats) -> _Table:
    return _DOUBLE if f.mantissa == 52 else _SINGLE


class Parts(NamedTuple):
    """An exponential as ``(1 + rest) * 2 ** power``, of a whole power."""

    rest: Vector
    power: Vector


def parts(f: Floats, x: Vector, behind: Vector | None = None) -> Parts:
    """The parts of the exponential of a number within the bounds.

    Args:
        f: the kind of numbers.
        x: the number.
        behind: what it lacks, if that is known.
    """
    t = _table(f)
    shifted = f.fma(x, f.constant(_LOG2_E), f.rounder)
    whole = shifted - f.constant(f.rounder)
    r = f.fma(whole, f.constant(-t.high), x)
    r = f.fma(whole, f.constant(-t.low), r)
    r = r if behind is None else r + behind
    return Parts(f.fma(r * r, f.polynomial(t.polynomial, r), r), whole)


def of_multiple(f: Floats, factor: float) -> tuple[float, ...]:
    """The polynomial ``P`` of ``exp(factor r) = 1 + r P(r)``, whose factor is a power of two."""
    coefficients = _table(f).polynomial
    powers = range(len(coefficients) + 1, 1, -1)
    scaled = (c * factor**n for c, n in zip(coefficients, powers, strict=True))
    return (*scaled, factor)


def exp(f: Floats, x: Vector, behind: Vector | None = None) -> Vector:
    """The exponential; of a number and what it lacks, if that is known."""
    t = _table(f)
    found = parts(f, f.clamped(x, t.least, t.most), behind)
    return f.powered(f.constant(1.0) + found.rest, found.power)


def expm1(f: Floats, x: Vector) -> Vector:
    """The exponential less one, exact also near zero."""
    t = _table(f)
    found = parts(f, f.clamped(x, t.flat, t.most))
    # Half of it, since twice the greatest power of two is no number.
    scale = f.power_of_two(found.power - f.constant(1.0))
    half = f.fma(scale, found.rest, scale - f.constant(0.5))
    small = f.compared("<", f.absolute(x), f.constant(t.tiny))
    return f.where(small, x, half + half)


def tanh(f: Floats, x: Vector) -> Vector:
    """The hyperbolic tangent: of ``t = exp(-2 |x|)`` less one, or of what it lacks to one."""
    a, one, two = f.absolute(x), f.constant(1.0), f.constant(2.0)
    found = parts(f, f.clamped(f.scaled(-2.0, a), _table(f).flat, 0.0))
    scale = f.power_of_two(found.power)
    power = f.fma(scale, found.rest, scale)
    less = f.fma(scale, found.rest, scale - one)
    far = f.compared(">", a, f.constant(0.55))
    above = f.where(far, power + power, f.negated(less))
    ratio = above / f.where(far, one + power, two + less)
    return f.with_sign(f.where(far, one - ratio, ratio), x)


def sinh(f: Floats, x: Vector) -> Vector:
    """The hyperbolic sine."""
    a, square = f.absolute(x), x * x
    up, down = _halves(f, a)
    near = f.fma(square * x, f.polynomial(_table(f).sine, square), x)
    far = f.with_sign(up - down, x)
    return f.where(f.compared(">", a, f.constant(1.0)), far, near)


def cosh(f: Floats, x: Vector) -> Vector:
    """The hyperbolic cosine."""
    up, down = _halves(f, f.absolute(x))
    return up + down


def _halves(f: Floats, a: Vector) -> tuple[Vector, Vector]:
    """Half the exponential of a number that is not negative, and of its opposite."""
    one = f.constant(1.0)
    # Half of it is a number for a little longer.
    found = parts(f, f.least(f.constant(_table(f).most + 1), a))
    up = f.powered(one + found.rest, found.power - one)
    return up, f.constant(0.25) / up
