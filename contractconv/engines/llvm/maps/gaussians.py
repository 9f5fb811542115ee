"""Bells, what lies below them beyond a number, and the error function.

Of ``s = a²`` (or half of it) ``exp(-s) = 2^-n exp(-r)``, with ``r = s - n log 2`` and what was
rounded off the square. What lies beyond a number that is not negative is that, times a quotient of
two polynomials in ``a`` (as of W. J. Cody, "Rational Chebyshev approximation for the error
function", Math. Comp. 23, 1969): all coefficients are positive, so nothing cancels. They are fitted
with Remez's algorithm to values of 60 digits, such that the greatest relative error is least, from
zero to where the result is no number any more; then they are rounded, and moved by single bits as
long as the error becomes less (to 2.0e-8, and 2.9e-17 in double precision). In single precision the
logarithm of 2 is its nearest number, and ``n`` times what that lacks is made up for in the
quotient, since ``n`` follows ``s``.

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
            0.564189583547890949, 12.4201558382216106, 134.22562500096177, 926.29370571202503,
            4488.67629943553766, 15898.497446356454, 41630.7108510025282, 79685.3034947472624,
            107188.969142237023, 92360.1025535083318, 39452.9890380747674,
        ),
        (
            1.0, 22.0141530443415547, 238.40872592024121, 1652.81992241333865, 8074.42595124174295,
            28989.2524627956591, 77648.7935578468314, 154534.833322965453, 223196.284461770469,
            222186.301497625187, 136878.033463719534, 39452.9890380747674,
        ),
        27.3,
    ),
    _Tail(
        0.5,
        (
            0.398942280401526905, 12.4185583303466149, 189.778688594547759, 1851.9713659756369,
            12690.5797913391816, 63562.3455718811529, 235364.289976667002, 637073.352991736727,
            1211843.45608432568, 1476609.35132258362, 891954.18114409165,
        ),
        (
            1.0, 31.1287094410558645, 476.704626747705845, 4673.33249957428234, 32284.2707367958137,
            163907.119512300589, 620839.927914536442, 1747260.38531600451, 3568669.80498688249,
            5023731.67406392097, 4376571.64280203357, 1783908.3622881833,
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
