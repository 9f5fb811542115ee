"""Powers of any numbers: ``x ** y = exp(y log x)``, of a logarithm with more digits than a number.

It is a sum of two numbers: with ``s = (m - 1) / (m + 1)`` in two parts, ``log m = 2 s + 2/3 s³ +
s⁵ P(s²)``, where only the last term is so small that it needs no second part (as in the fdlibm of
Sun Microsystems). The coefficients are fitted with Remez's algorithm to values of 60 digits, for
``m`` between the roots of 1/2 and of 2, such that the relative error of the logarithm is least:
9e-12, and 2e-20. What is exact in C99 (annex F.9.4.4) is so here.
"""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps import exponentials, logarithms
from contractconv.engines.llvm.maps.vector_kinds import Floats


class _Table(NamedTuple):
    """What depends on the precision.

    Attributes:
        polynomial: P.
        lack: of two thirds to the nearest number.
    """

    polynomial: tuple[float, ...]
    lack: float


_SINGLE = _Table(
    (0.234198185849761527, 0.28547083772456179, 0.400001526425534519), -1.9868214925130208e-8
)
_DOUBLE = _Table(
    (
        0.131977492138588738, 0.132566689310128846, 0.153867635281171798, 0.181817842371037051,
        0.222222225213534996, 0.285714285700918941, 0.400000000000022713,
    ),
    3.7007434154171885e-17,
)  # fmt: skip
_THIRDS = 2 / 3
# Beyond it the exponential is infinite, or zero, and second parts are no numbers any more.
_FAR = 1000.0


class _Pair(NamedTuple):
    """A number as a sum of two."""

    high: Vector
    low: Vector


def power(f: Floats, x: Vector, y: Vector) -> Vector:
    """A power."""
    zero, most, a = f.constant(0.0), f.constant(inf), f.absolute(x)
    made = _of_positive(f, a, y)
    known = f.both(f.compared(">", x, zero), f.compared("<", x, most))
    known = f.both(known, f.compared("<", f.absolute(y), most))
    special = f.e.any(f.opposite(known).value)
    (made,) = f.e.either(special, lambda: [_any_power(f, made, x, y)], lambda: [made])
    return made


def _any_power(f: Floats, made: Vector, x: Vector, y: Vector) -> Vector:
    """The power of any number, of that of its magnitude, if that is one."""
    a = f.absolute(x)
    inside = f.both(f.compared(">", a, f.constant(0.0)), f.compared("<", a, f.constant(inf)))
    made = f.where(inside, made, _at_the_ends(f, a, y))
    made = f.where(f.compared("==", a, f.constant(1.0)), _of_one(f, y), made)
    return _with_sign(f, made, x, y)


def _table(f: Floats) -> _Table:
    return _DOUBLE if f.mantissa == 52 else _SINGLE


def _of_positive(f: Floats, a: Vector, y: Vector) -> Vector:
    log = _logarithm(f, a)
    high = y * log.high
    low = f.fma(y, log.low, f.fma(y, log.high, f.negated(high)))
    near = f.compared("<", f.absolute(high), f.constant(_FAR))
    return exponentials.exp(f, high, f.where(near, low, f.constant(0.0)))


def _logarithm(f: Floats, a: Vector) -> _Pair:
    t, (fraction, power) = _table(f), logarithms.split(f, a)
    s = _quotient(f, fraction)
    square = s.high * s.high
    lost = f.fma(s.high + s.high, s.low, f.fma(s.high, s.high, f.negated(square)))
    # What 2 s is multiplied by to become the logarithm, less two.
    third = f.scaled(_THIRDS, square)
    behind = f.fma(f.constant(_THIRDS), square, f.negated(third))
    behind = f.fma(f.constant(_THIRDS), lost, f.fma(f.constant(t.lack), square, behind))
    behind = f.fma(square * square, f.polynomial(t.polynomial, square), behind)
    cubic = s.high * third
    low = f.fma(s.high, third, f.negated(cubic))
    low = f.fma(s.high, behind, f.fma(s.low, third, low)) + (s.low + s.low)
    return _summed(f, power, s.high + s.high, cubic, low)


def _quotient(f: Floats, fraction: Vector) -> _Pair:
    """``fraction / (2 + fraction)``."""
    two = f.constant(2.0)
    below = two + fraction
    inverse = f.constant(1.0) / below
    high = fraction * inverse
    left = f.fma(f.negated(high), below, fraction)
    left = f.fma(f.negated(high), fraction - (below - two), left)
    return _Pair(high, left * inverse)


def _summed(f: Floats, power: Vector, first: Vector, second: Vector, low: Vector) -> _Pair:
    """``power log 2 + first + second + low``; unless it is zero, each is more than the next."""
    whole, behind = logarithms.times_log2(f, power)
    total = _Pair(whole, low + behind)
    for part in (first, second):
        high = total.high + part
        total = _Pair(high, total.low + (part - (high - total.high)))
    high = total.high + total.low
    return _Pair(high, total.low - (high - total.high))


def _at_the_ends(f: Floats, a: Vector, y: Vector) -> Vector:
    """Powers of zero, of infinity, and of what is not a number."""
    zero, most = f.constant(0.0), f.constant(inf)
    of_zero = f.where(f.compared("<", y, zero), most, zero)
    of_most = f.where(f.compared("<", y, zero), zero, most)
    ends = f.where(f.compared("==", a, zero), of_zero, of_most)
    return f.where(f.unknown(a), a, f.where(f.unknown(y), y, ends))


def _of_one(f: Floats, y: Vector) -> Vector:
    """Powers of one and minus one, but for their sign."""
    return f.where(f.unknown(y), y, f.constant(1.0))


def _with_sign(f: Floats, made: Vector, x: Vector, y: Vector) -> Vector:
    zero, one = f.constant(0.0), f.constant(1.0)
    half, whole = f.scaled(0.5, y), f.compared("==", f.call("trunc", y), y)
    odd = f.both(whole, f.compared("!=", f.call("trunc", half), half))
    made = f.where(odd, f.with_sign(made, x), made)
    below = f.both(f.compared("<", x, zero), f.compared(">", x, f.constant(-inf)))
    made = f.where(below, f.where(whole, made, f.constant(nan)), made)
    always = f.one_of(f.compared("==", y, zero), f.compared("==", x, one))
    return f.where(always, one, made)
