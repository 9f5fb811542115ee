"""Bells, what lies below them beyond a number, and the error function.

Of ``s = a²`` (or half of it) ``exp(-s) = 2^-n exp(-r)``, with ``r = s - n log 2`` and what was
rounded off the square. What lies beyond a number that is not negative is that, times a quotient of
two polynomials in ``a`` (as of W. J. Cody, "Rational Chebyshev approximation for the error
function", Math. Comp. 23, 1969): all coefficients are positive, so nothing cancels. They are fitted
with Remez's algorithm to values of 60 digits, such that the greatest relative error is least, from
zero to where the result is no number any more; then they are rounded, and those of single precision
moved by single bits as long as the error becomes less (to 2.0e-8, and 1.2e-16 in double precision).
In single precision the logarithm of 2 is its nearest number, and ``n`` times what that lacks is
made up for in the quotient, since ``n`` follows ``s``.

The error function below one is ``a`` plus ``a`` times a polynomial in ``a²``, fitted likewise.
"""

from __future__ import annotations

from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps import exponentials
from contractconv.engines.llvm.maps.vector_kinds import Floats


class _Tail(NamedTuple):
    """What lies beyond a number: ``exp(-share a²)`` times a quotient.

    Attributes:
        share: what the square is multiplied by.
        above, below: the polynomials, the highest powers first.
        far: beyond it, there is nothing.
    """

    share: float
    above: tuple[float, ...]
    below: tuple[float, ...]
    far: float


class _Table(NamedTuple):
    """What depends on the precision.

    Attributes:
        error, normal: what lies beyond a number, twice below ``exp(-a²) / sqrt(pi)``, and below the
            normal density.
        near: the polynomial of the error function near zero.
        log2: the logarithm of 2 in parts.
        lack: what the parts exceed the logarithm by, as a share of it.
    """

    error: _Tail
    normal: _Tail
    near: tuple[float, ...]
    log2: tuple[float, ...]
    lack: float


_SINGLE = _Table(
    _Tail(
        1.0,
        (0.564194441, 3.9255116, 12.4856977, 21.072443, 16.9469681),
        (1.0, 6.95817089, 22.6236725, 40.8938255, 40.1950607, 16.9469681),
        10.19,
    ),
    _Tail(
        0.5,
        (0.398945659, 3.92353868, 17.6420345, 42.0950165, 47.8572044),
        (1.0, 9.83538723, 45.2088432, 115.534019, 160.559128, 95.7144089),
        14.5,
    ),
    (
        0.0000785384404589982144, -0.000801018924727442368, 0.00518832731951522096,
        -0.0268538118463974975, 0.112835851506760037, -0.376126258251011324, 0.128379165727088786,
    ),
    (0.6931471824645996,), 2.7478353131569119e-9,
)  # fmt: skip
_DOUBLE = _Table(
    _Tail(
        1.0,
        (
            0.56418958354601445, 10.7308303022075933, 99.9288271489690487, 589.41194821613567,
            2408.35615565672788, 7045.37731628870097, 14757.6978582639313, 21431.1800922673647,
            19772.5543745919676, 9024.4938816093254,
        ),
        (
            1.0, 19.0199014921117886, 177.619234526204337, 1054.21542696383699, 4356.75979098382686,
            13000.4483358459638, 28204.3877767690683, 43730.9006486773505, 46207.9671285019576,
            29955.6052641807219, 9024.4938816093254,
        ),
        27.3,
    ),
    _Tail(
        0.5,
        (
            0.398942280400212512, 10.7294980627948817, 141.288602688454262, 1178.45018794533689,
            6809.15034630033551, 28168.2083002420513, 83436.9241443823994, 171345.02034165751,
            223549.469500144769, 144283.123409473163,
        ),
        (
            1.0, 26.8948632161694476, 355.158006440655186, 2980.83142128155077, 17420.1669151423557,
            73507.370785051171, 225515.117096258124, 494465.422505503288, 738847.236216449412,
            677341.49210595293, 288566.246818946325,
        ),
        38.6,
    ),
    (
        -7.77944891324781993e-10, 1.37109698597732553e-8, -1.62063113176131159e-7,
        1.64471312531593897e-6, -0.0000149247122763996603, 0.00012055293575585292,
        -0.000854832592927157571, 0.00522397760611761999, -0.0268661706431113741,
        0.112837916709441843, -0.376126389031835195, 0.128379167095512566,
    ),
    (0.6931471805599453, 2.3190468138462996e-17), 0.0,
)  # fmt: skip
_LOG2_E = 1.4426950408889634
_PEAK = 0.3989422804014327


def _table(f: Floats) -> _Table:
    return _DOUBLE if f.mantissa == 52 else _SINGLE


def erf(f: Floats, x: Vector) -> Vector:
    """The error function."""
    a, one = f.absolute(x), f.constant(1.0)
    near = f.fma(x, f.polynomial(_table(f).near, x * x), x)
    far = f.with_sign(one - _beyond(f, _table(f).error, a), x)
    return f.where(f.compared(">", a, one), far, near)


def erfc(f: Floats, x: Vector) -> Vector:
    """One minus the error function, exact also where that is almost zero."""
    rest = _beyond(f, _table(f).error, f.absolute(x))
    below = f.compared("<", x, f.constant(0.0))
    return f.where(below, f.constant(2.0) - rest, rest)


def normal_probability(f: Floats, x: Vector) -> Vector:
    """That a normal variable is less than a number; exact also where that is almost zero."""
    rest = _beyond(f, _table(f).normal, f.absolute(x))
    above = f.compared(">", x, f.constant(0.0))
    return f.where(above, f.constant(1.0) - rest, rest)


def normal_density(f: Floats, x: Vector) -> Vector:
    """The density of a normal variable."""
    t = _table(f)
    square, found = _bell(f, t.normal, f.least(f.constant(t.normal.far), f.absolute(x)))
    peak = f.constant(_PEAK)
    if t.lack:
        peak = f.fma(square, f.constant(-0.5 * t.lack * _PEAK), peak)
    return f.powered(f.fma(peak, found.rest, peak), found.power)


def _beyond(f: Floats, tail: _Tail, a: Vector) -> Vector:
    """What lies beyond numbers that are not negative."""
    a = f.least(f.constant(tail.far), a)
    square, found = _bell(f, tail, a)
    above, below = (_by_square(f, part, a, square) for part in (tail.above, tail.below))
    return f.powered(f.fma(above, found.rest, above) / below, found.power)


def _by_square(f: Floats, coefficients: tuple[float, ...], a: Vector, square: Vector) -> Vector:
    """A polynomial by the square: what that is rounded by is nearly the same in both of two."""
    parts = f.polynomial(coefficients[::2], square), f.polynomial(coefficients[1::2], square)
    even, odd = parts if len(coefficients) % 2 else parts[::-1]
    return f.fma(odd, a, even)


def _bell(f: Floats, tail: _Tail, a: Vector) -> tuple[Vector, exponentials.Parts]:
    """The square of a number that is not far, and ``exp(-share a²)``."""
    t = _table(f)
    square = a * a
    lost = f.fma(a, a, f.negated(square))
    whole = f.fma(square, f.constant(-tail.share * _LOG2_E), f.rounder) - f.constant(f.rounder)
    r = square
    for part in t.log2:
        r = f.fma(whole, f.constant(part / tail.share), r)
    r = r + lost
    rest = f.polynomial(exponentials.of_multiple(f, -tail.share), r) * r
    return square, exponentials.Parts(rest, whole)
