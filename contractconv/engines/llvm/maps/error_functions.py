"""The error function, and what is missing from it to one.

``erfc(a) = exp(-a²) h(q) / (a + k)``, where ``h`` is a polynomial in ``q = (a - k) / (a + k)``,
which maps all positive numbers to a finite interval (after M. M. Shepherd and J. G. Laframboise,
"Chebyshev approximation of (1 + 2x) exp(x²) erfc x", Math. Comp. 36, 1981). The coefficients are
fitted with Remez's algorithm to values of 50 digits, such that the greatest relative error is
least; those of ``erf(a) / a - 1``, in ``a²`` up to 1, likewise.
"""

from __future__ import annotations

from typing import NamedTuple

from contractconv.engines.llvm.kernels.kernel_values import Vector
from contractconv.engines.llvm.maps.exponentials import parts
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
    2.5,
    (
        0.000142606547441334259, 0.000629657235456349675, -0.000525593952843859928,
        -0.00480445955314303371, 0.00842129137199783231, 0.0283608102952024977,
        -0.171254633772254867, 0.453914131925002617, -0.804651731633667121, 1.0540318194232044,
    ),
    10.19,
)  # fmt: skip
_DOUBLE = _Table(
    (
        -7.77944891324781993e-10, 1.37109698597732553e-8, -1.62063113176131159e-7,
        1.64471312531593897e-6, -0.0000149247122763996603, 0.00012055293575585292,
        -0.000854832592927157571, 0.00522397760611761999, -0.0268661706431113741,
        0.112837916709441843, -0.376126389031835195, 0.128379167095512566,
    ),
    3.5,
    (
        3.20014698799121649e-9, 8.82165981265713101e-9, -2.16189034751149079e-8,
        -8.28757883648633991e-8, 1.16225256051515049e-7, 5.4975192907921847e-7,
        -7.96684468748951452e-7, -3.39150022715275979e-6, 7.2444240148129383e-6,
        0.0000186469735225184514, -0.0000747772021847474114, -0.000042062108818383412,
        0.000714531713194265612, -0.00130535470075223867, -0.00317705034655501052,
        0.0265186198825010707, -0.0923187066381870735, 0.225738621647370355,
        -0.43525602671689921, 0.694113646634645192, -0.937799724567111912, 1.08705558926226008,
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
    a, one = f.absolute(x), f.constant(1.0)
    rest = _rest(f, a)
    below = f.compared("<", x, f.constant(0.0))
    far = f.where(below, f.constant(2.0) - rest, rest)
    near = f.fma(f.negated(x), f.polynomial(_table(f).near, x * x), one - x)
    return f.where(f.compared("<", a, f.constant(0.5)), near, far)


def _rest(f: Floats, a: Vector) -> Vector:
    """The complement, of numbers that are not negative."""
    t, one = _table(f), f.constant(1.0)
    a = f.least(f.constant(t.far), a)
    square = a * a
    lost = f.fma(a, a, f.negated(square))
    found = parts(f, f.negated(square))
    above, below = a - f.constant(t.middle), a + f.constant(t.middle)
    inverse = one / below
    quotient = f.quotient(above, below, inverse)
    shape = f.quotient(f.polynomial(t.rest, quotient), below, inverse)
    # exp(-a²) less one, of which the rounded square lacks a little.
    power = f.fma(lost, f.fma(f.constant(-1.0), found.rest, -1.0), found.rest)
    return f.powered(f.fma(shape, power, shape), found.power)
