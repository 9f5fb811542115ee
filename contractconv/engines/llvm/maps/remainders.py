"""Remainders, exact however great the quotient is.

A rounded quotient leaves a rest that is a number, too, so that nothing is lost: it has no digits
behind those of the last one of the quotient times the divisor, nor before those of the divisor.
Whatever is not less than the divisor yet is divided again.
"""

from __future__ import annotations

from math import inf, nan

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps.vector_kinds import Floats

# The divisor is multiplied by it where the quotient would be no number otherwise.
_GREAT = 2.0**1000


def mod(f: Floats, a: Vector, b: Vector) -> Vector:
    """What remains of a division, with the divisor's sign."""
    rest = _of_magnitudes(f, a, b)
    zero = f.constant(0.0)
    rest = f.with_sign(rest, a)
    apart = f.flipped(f.compared("<", rest, zero), f.compared("<", b, zero))
    moved = f.where(apart, rest + b, rest)
    return f.where(f.compared("==", rest, zero), f.with_sign(zero, b), moved)


def _of_magnitudes(f: Floats, a: Vector, b: Vector) -> Vector:
    """The remainder without signs, in double precision if numbers have fewer digits."""
    if f.mantissa == 52:
        return _remainder(f, f.absolute(a), f.absolute(b), times=2)
    double = Floats(f.e, "float64")
    a, b = (double.absolute(double.converted(n, f)) for n in (a, b))
    return f.converted(_remainder(double, a, b, times=0), double)


def _remainder(f: Floats, a: Vector, b: Vector, times: int) -> Vector:
    """The remainder of numbers that are not negative; there is none of infinity, or by zero.

    Args:
        f: the kind of numbers.
        a, b: the numbers.
        times: how often the divisor may have to be multiplied, for the quotient to be a number.
    """
    known = f.both(f.compared("<", a, f.constant(inf)), f.compared(">", b, f.constant(0.0)))
    a = f.where(known, a, f.constant(nan))

    def great(rest: Vector) -> Vector:
        return f.compared(">=", f.absolute(rest), b)

    (rest,) = f.e.while_any(
        lambda carried: great(carried[0]),
        [a],
        lambda carried: [f.where(great(carried[0]), _left(f, carried[0], b, times), carried[0])],
    )
    rest = f.where(f.compared("<", rest, f.constant(0.0)), rest + b, rest)
    return f.where(f.unknown(b), b, rest)


def _left(f: Floats, a: Vector, b: Vector, times: int) -> Vector:
    """What a division leaves, of either sign."""
    much = f.scaled(1 / _GREAT, f.absolute(a))
    for _ in range(times):
        b = f.where(f.compared(">", much, b), f.scaled(_GREAT, b), b)
    return f.fma(f.negated(f.call("trunc", a / b)), b, a)
