"""Sines, cosines, tangents and their inverse.

The first three are of ``x = n pi / 2 + r``, where sine and cosine are polynomials in ``r²``. Up to
some limit ``n`` parts of a quarter turn are taken from ``x`` one after the other (W. J. Cody and
W. Waite, "Software manual for the elementary functions", 1980): by a multiplication and addition at
once the first of them leaves nothing out, and those that follow round what is left. Beyond the
limit each angle is reduced by itself. The coefficients are fitted with Remez's algorithm to values
of 60 digits, such that the greatest relative error is least for ``|r|`` below 0.81: 5e-9 and 6e-18.

The inverse tangent of what is near one is ``pi / 4`` and that of ``(x - 1) / (x + 1)``; of what is
greater, ``pi / 2`` and that of ``-1 / x``. So its polynomial, fitted likewise (to 2.1e-8 and
3.6e-17), need not go further than to the tangent of ``pi / 8``.
"""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps import huge_angles
from contractconv.engines.llvm.maps.vector_kinds import Floats


class _Table(NamedTuple):
    """What depends on the precision.

    Attributes:
        sine: the polynomial P of ``sin(r) = r + r³ P(r²)``.
        cosine: that of the cosine.
        quarter: a quarter turn in parts.
        limit: up to it, these are enough.
        inverse: the polynomial of the inverse tangent.
    """

    sine: tuple[float, ...]
    cosine: tuple[float, ...]
    quarter: tuple[float, ...]
    limit: float
    inverse: tuple[float, ...]


_SINGLE = _Table(
    (-0.00019492517788374256, 0.00833199055377760757, -0.166666518814010184),
    (0.0000244071260899901876, -0.00138870850103578461, 0.0416666408658947226, -0.5, 1.0),
    (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    2.0**18,
    (0.0805347851401657757, -0.13877608400703984, 0.199777040394593808, -0.333329489979413289),
)  # fmt: skip
_DOUBLE = _Table(
    (
        1.58848545354162711e-10, -2.50505505661609844e-8, 2.75573123585371597e-6,
        -0.000198412698259491454, 0.0083333333333175858, -0.166666666666666126,
    ),
    (
        -1.13506294648298672e-11, 2.08755463427825261e-9, -2.755731303051352e-7,
        0.0000248015872848372718, -0.00138888888888665763, 0.0416666666666665553, -0.5, 1.0,
    ),
    (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
    2.0**45,
    (
        0.0212582413640289206, -0.0435896573579997287, 0.0569249472142329857,
        -0.0664111286030752736, 0.0769006735956815453, -0.0909078234728445583, 0.111111066508745441,
        -0.142857141951978406, 0.19999999999088233, -0.333333333333301479,
    ),
)  # fmt: skip
_INVERSE = 0.6366197723675814
_EIGHTH = 0.41421356237309503  # the tangent of pi / 8


class _Parts(NamedTuple):
    """Of an angle without its sign: sine and cosine of the rest, and bits that count quarters."""

    sine: Vector
    cosine: Vector
    quarters: Vector


def sin(f: Floats, x: Vector) -> Vector:
    """The sine."""
    found = _parts(f, x)
    value = f.where(_is_odd(f, found.quarters), found.cosine, found.sine)
    return _turned(f, value, f.flipped(_half_turns(f, found.quarters), f.bits(x)))


def cos(f: Floats, x: Vector) -> Vector:
    """The cosine."""
    found = _parts(f, x)
    value = f.where(_is_odd(f, found.quarters), found.sine, found.cosine)
    # One quarter, or two, less than nothing.
    return _turned(f, value, _half_turns(f, f.sum(found.quarters, f.integer(1))))


def tan(f: Floats, x: Vector) -> Vector:
    """The tangent."""
    found = _parts(f, x)
    odd = _is_odd(f, found.quarters)
    above = f.where(odd, f.negated(found.cosine), found.sine)
    below = f.where(odd, found.sine, found.cosine)
    return _turned(f, above / below, f.bits(x))


def arctan(f: Floats, x: Vector) -> Vector:
    """The inverse tangent."""
    t, a = _table(f), f.absolute(x)
    zero, one = f.constant(0.0), f.constant(1.0)
    near, far = f.compared("<", a, f.constant(_EIGHTH)), f.compared(">", a, f.constant(1 / _EIGHTH))

    def chosen(small: Vector, middle: Vector, large: Vector) -> Vector:
        return f.where(far, large, f.where(near, small, middle))

    r = chosen(a, a - one, f.constant(-1.0)) / chosen(one, a + one, a)
    begun, lost = (chosen(zero, f.constant(part / 2), f.constant(part)) for part in t.quarter[:2])
    square = r * r
    less = f.fma(square * r, f.polynomial(t.inverse, square), lost)
    return f.with_sign(begun + (r + less), x)


def _parts(f: Floats, x: Vector) -> _Parts:
    t, a = _table(f), f.absolute(x)
    far = f.compared(">", a, f.constant(t.limit))

    def one_by_one() -> list[Vector]:
        near, found = _reduced(f, a), huge_angles.reduced(f, a)
        return [f.where(far, *pair) for pair in zip(found, near, strict=True)]

    rest, quarters = f.e.either(f.e.any(far.value), one_by_one, lambda: _reduced(f, a))
    rest = f.where(f.compared("==", a, f.constant(inf)), f.constant(nan), rest)
    square = rest * rest
    sine = f.fma(square * rest, f.polynomial(t.sine, square), rest)
    return _Parts(sine, f.polynomial(t.cosine, square), quarters)


def _reduced(f: Floats, a: Vector) -> list[Vector]:
    """What is left of angles up to the limit, and bits that count quarter turns."""
    shifted = f.fma(a, f.constant(_INVERSE), f.rounder)
    rest, whole = a, shifted - f.constant(f.rounder)
    for part in _table(f).quarter:
        rest = f.fma(whole, f.constant(-part), rest)
    return [rest, f.bits(shifted)]


def _is_odd(f: Floats, quarters: Vector) -> Vector:
    one = f.integer(1)
    return f.same_bits(f.both(quarters, one), one)


def _half_turns(f: Floats, quarters: Vector) -> Vector:
    """Bits whose first one is the second to last."""
    return f.shifted(quarters, f.width - 2)


def _turned(f: Floats, value: Vector, bits: Vector) -> Vector:
    """The other sign where the first bit is set."""
    first = f.both(bits, f.integer(-1 << (f.width - 1)))
    return f.of_bits(f.flipped(f.bits(value), first))


def _table(f: Floats) -> _Table:
    return _DOUBLE if f.mantissa == 52 else _SINGLE
