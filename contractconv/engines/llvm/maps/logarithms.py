"""Logarithms: of ``x = 2^n (1 + f)``, where ``log(1 + f)`` is a polynomial in ``f / (2 + f)``.

With ``s = f / (2 + f)`` it is ``2 s + s z R(z)``, ``z = s²``; that is summed as
``f - (f²/2 - s (f²/2 + z R))``, in which what is rounded is small (K. C. Ng and P. T. P. Tang,
"Table-driven implementation of the logarithm", and the fdlibm of Sun Microsystems). The
coefficients of R are fitted with Remez's algorithm to values of 50 digits, for ``1 + f`` between
the roots of 1/2 and of 2.
"""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps import exponentials
from contractconv.engines.llvm.maps.vector_kinds import Floats


class _Table(NamedTuple):
    """What depends on the precision.

    Attributes:
        high, low: the logarithm of 2 in two parts; multiples of the first are exact.
        half: the bits of the root of 1/2.
        normal: the least number that has all digits.
        tiny: numbers of a smaller magnitude are the logarithms of themselves plus one.
    """

    polynomial: tuple[float, ...]
    high: float
    low: float
    half: int
    normal: float
    tiny: float


_SINGLE = _Table(
    (0.295830876892492647, 0.399886958826369585, 0.666666853221116992),
    0.693145751953125, 1.4286068203094173e-06, 0x3F3504F3, 2.0**-126, 2.0**-30,
)  # fmt: skip
_DOUBLE = _Table(
    (
        0.146190969920122785, 0.153314977645068184, 0.18182896207631686, 0.222222110317493245,
        0.285714286266514069, 0.399999999998978878, 0.666666666666666975,
    ),
    0.6931471805598903, 5.497923018708371e-14, 0x3FE6A09E667F3BCD, 2.0**-1022, 2.0**-60,
)  # fmt: skip
_ROOT_LESS_ONE = 0.41421356237309503


def _table(f: Floats) -> _Table:
    return _DOUBLE if f.mantissa == 52 else _SINGLE


def log(f: Floats, x: Vector) -> Vector:
    """The logarithm."""
    fraction, power = split(f, x)
    made = _of_parts(f, fraction, power, f.constant(0.0))
    return _with_limits(f, made, x)


def softplus_excess(f: Floats, x: Vector) -> Vector:
    """The logarithm of one plus ``exp(-|x|)``: what softplus is more than its argument, or zero."""
    zero, one = f.constant(0.0), f.constant(1.0)
    decay = exponentials.exp(f, f.negated(f.absolute(x)))
    # Near two, it is that of half of it, plus the logarithm of 2.
    near = f.compared("<", decay, f.constant(_ROOT_LESS_ONE))
    fraction = f.where(near, decay, f.scaled(0.5, decay - one))
    return _of_parts(f, fraction, f.where(near, zero, one), zero)


def split(f: Floats, x: Vector) -> tuple[Vector, Vector]:
    """The ``f`` and the ``n`` of ``x = 2^n (1 + f)``, of any positive number."""
    # What has not all digits is scaled up first.
    small = f.compared("<", x, f.constant(_table(f).normal))
    shift = f.mantissa + 1
    scaled = f.where(small, f.scaled(2.0**shift, x), x)
    fraction, power = _split(f, scaled)
    return fraction, power - f.where(small, f.constant(shift), f.constant(0.0))


def times_log2(f: Floats, power: Vector) -> tuple[Vector, Vector]:
    """A whole number times the logarithm of 2, in two parts, of which the first is exact."""
    t = _table(f)
    return f.scaled(t.high, power), f.scaled(t.low, power)


def log1p(f: Floats, x: Vector) -> Vector:
    """The logarithm of a number plus one, exact also near zero."""
    t = _table(f)
    one = f.constant(1.0)
    whole = one + x
    # What was rounded off the sum.
    bigger = f.compared(">", x, one)
    lost = f.where(bigger, one - (whole - x), x - (whole - one))
    fraction, power = _split(f, whole)
    near = f.both(f.compared(">", x, f.constant(-0.29)), f.compared("<", x, f.constant(0.41)))
    zero = f.constant(0.0)
    fraction, power = f.where(near, x, fraction), f.where(near, zero, power)
    made = _of_parts(f, fraction, power, f.where(near, zero, lost / whole))
    made = _with_limits(f, made, whole)
    return f.where(f.compared("<", f.absolute(x), f.constant(t.tiny)), x, made)


def _split(f: Floats, x: Vector) -> tuple[Vector, Vector]:
    """The same, of what has all digits."""
    t = _table(f)
    bits = f.bits(x)
    power = f.shifted(f.difference(bits, f.integer(t.half)), -f.mantissa)
    mantissa = f.of_bits(f.difference(bits, f.shifted(power, f.mantissa)))
    return mantissa - f.constant(1.0), f.whole(power)


def _of_parts(f: Floats, fraction: Vector, power: Vector, beside: Vector) -> Vector:
    """``n log 2 + log(1 + f) + beside``."""
    t = _table(f)
    s = fraction / (f.constant(2.0) + fraction)
    z = s * s
    half = f.scaled(0.5, fraction) * fraction
    rest = f.fma(power, f.constant(t.low), beside)
    rest = f.fma(s, f.fma(z, f.polynomial(t.polynomial, z), half), rest)
    return f.fma(power, f.constant(t.high), fraction - (half - rest))


def _with_limits(f: Floats, made: Vector, x: Vector) -> Vector:
    """What a logarithm is at the ends, and beyond them."""
    zero = f.constant(0.0)
    made = f.where(f.compared("<", x, f.constant(inf)), made, x)
    made = f.where(f.compared("==", x, zero), f.constant(-inf), made)
    return f.where(f.compared("<", x, zero), f.constant(nan), made)
