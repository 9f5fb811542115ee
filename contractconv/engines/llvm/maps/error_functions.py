"""The error function, and what is missing from it to one.

``erfc(a) = exp(-a²) h(q) / (1 + 2 a)``, where ``h`` is a polynomial in ``q = (a - k) / (a + k)``,
which maps all positive numbers to a finite interval (M. M. Shepherd and J. G. Laframboise,
"Chebyshev approximation of (1 + 2x) exp(x²) erfc x", Math. Comp. 36, 1981). The coefficients are
fitted with Remez's algorithm to values of 50 digits, such that the greatest relative error is
least; those of ``erf(a) / a - 1``, in ``a²`` up to 1, likewise.
"""

from __future__ import annotations

from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps.exponentials import bounded, parts, powered
from contractconv.engines.llvm.maps.vector_kinds import Floats


class _Table(NamedTuple):
    """What depends on the precision.

    Attributes:
        near: the polynomial of the error function near zero.
        middle: the ``k``, which is mapped to zero.
        rest: the polynomial of its complement.
        far: beyond it, the complement is zero.
    """

    near: tuple[float, ...]
    middle: float
    rest: tuple[float, ...]
    far: float


_SINGLE = _Table(
    (
        0.0000785384404589982144, -0.000801018924727442368, 0.00518832731951522096,
        -0.0268538118463974975, 0.112835851506760037, -0.376126258251011324, 0.128379165727088786,
    ),
    2.0,
    (
        -0.000399445400419710047, -0.00122799445308890876, 0.00131330913116270676,
        0.00863008994939395158, -0.00806014429691951552, -0.0542038814579185298,
        0.164055425931876605, -0.166031461267865152, -0.0927639850432649241, 1.27697839396797451,
    ),
    10.2,
)  # fmt: skip
_DOUBLE = _Table(
    (
        -7.77944891324781993e-10, 1.37109698597732553e-8, -1.62063113176131159e-7,
        1.64471312531593897e-6, -0.0000149247122763996603, 0.00012055293575585292,
        -0.000854832592927157571, 0.00522397760611761999, -0.0268661706431113741,
        0.112837916709441843, -0.376126389031835195, 0.128379167095512566,
    ),
    3.0,
    (
        -3.94836136466761078e-9, -7.90171178040146374e-9, 3.24084527870478961e-8,
        8.98968323200478661e-8, -1.31063550073250936e-7, -6.02240512506316478e-7,
        3.49658160799373112e-7, 3.4618224326800525e-6, -7.28383726683659792e-7,
        -0.0000200955808152573879, 4.94859733180581609e-6, 0.00012509783090061793,
        -0.000105159635019846339, -0.000779831976220673494, 0.00188869033929315335,
        0.00252939178107083411, -0.0237705149171269154, 0.0683080273462718063,
        -0.119273663415374976, 0.12964515870269137, -0.0475622943534494986, -0.135621106124580556,
        1.25300805826972965,
    ),
    27.3,
)  # fmt: skip


def _table(f: Floats) -> _Table:
    return _DOUBLE if f.mantissa == 52 else _SINGLE


def erf(f: Floats, x: Vector) -> Vector:
    """The error function."""
    a, one = f.absolute(x), f.constant(1.0)
    near = f.fma(x, f.polynomial(_table(f).near, x * x), x)
    far = f.with_sign(one - _rest(f, a), x)
    return f.where(f.compared(">", a, one), far, near)


def erfc(f: Floats, x: Vector) -> Vector:
    """One minus the error function, exact also where that is almost zero."""
    rest = _rest(f, f.absolute(x))
    below = f.compared("<", x, f.constant(0.0))
    return f.where(below, f.constant(2.0) - rest, rest)


def _rest(f: Floats, a: Vector) -> Vector:
    """The complement, of numbers that are not negative."""
    t, one = _table(f), f.constant(1.0)
    a = f.clamped(a, 0.0, t.far)
    square = a * a
    lost = f.fma(a, a, f.negated(square))
    found = parts(f, bounded(f, f.negated(square)))
    middle = f.constant(t.middle)
    shape = f.polynomial(t.rest, (a - middle) / (a + middle)) / f.fma(f.constant(2.0), a, one)
    # exp(-a²) less one, of which the rounded square lacks a little.
    power = f.fma(lost, f.fma(f.constant(-1.0), found.rest, -1.0), found.rest)
    return powered(f, f.fma(shape, power, shape), found.power)
