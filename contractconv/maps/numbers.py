"""Maps of numpy's arrays that are no ufuncs of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.maps.expression import Expression, evaluate
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import record_of
from contractconv.maps.unfolding import expanded

# -log(erfc(x)) / x from zero to where erfc is no number any more, as a quotient of polynomials,
# the highest powers first; fitted to values of 60 digits such that the greatest relative error is
# least: 3.2e-17, and 7.7e-9 for float32. No coefficient is negative, so nothing cancels.
_DOUBLE = (
    (
        8.536374135902619e-10,
        2.3311942808686744e-07,
        1.746414948255572e-05,
        0.0005196472322961477,
        0.007433634138524046,
        0.05958043607329594,
        0.30334698043458347,
        1.0495888425079933,
        2.5398821611822675,
        4.292006545908028,
        4.889546644534427,
        3.4174237427993384,
        1.1283791670955126,
    ),
    (
        8.536382376524382e-10,
        2.331179479236907e-07,
        1.7458089804182955e-05,
        0.0005183784692464979,
        0.007357034255381598,
        0.05773058329977071,
        0.2819592633301388,
        0.9119516285351997,
        1.9872479013766564,
        2.851766056182215,
        2.464423353002567,
        1.0,
    ),
)
_SINGLE = (
    (
        0.000721940733,
        0.04839087311,
        0.3265070629,
        1.001486519,
        1.587278901,
        1.128379175,
    ),
    (
        0.0007212239828,
        0.04842731043,
        0.3211281459,
        0.8425002783,
        1.0,
    ),
)
_FAR = 30.0


def carried_out(definition: Expression, *arguments: Any) -> Any:
    """Carry out what defines a map in simpler maps."""
    dtype = np.result_type(*arguments)

    def number(value: Any) -> Any:
        # Where nothing but numbers meet, as in a choice between two, they have no say otherwise.
        fits = isinstance(value, int | float) and dtype.kind in "fc"
        return dtype.type(value) if fits else value

    variables = dict(zip(ARGUMENTS, arguments, strict=False))
    return evaluate(expanded(definition), variables, number, _applied)


def _applied(name: str, given: tuple[Any, ...]) -> Any:
    return record_of(name).ufunc(*given)


def rsqrt(a: Any) -> Any:
    """One over the square root."""
    return 1 / np.sqrt(a)


def erf(a: Any) -> Any:
    """The error function, of real numbers; exact to the last digits also near zero."""
    return _in_enough_digits(_erf, np.asarray(a))


def erfc(a: Any) -> Any:
    """One minus the error function, of real numbers; exact also where that is almost zero."""
    return _in_enough_digits(_erfc, np.asarray(a))


def _in_enough_digits(function: Any, a: Any) -> Any:
    return function(a.astype(np.float32)).astype(a.dtype) if a.dtype == np.float16 else function(a)


def _erf(a: Any) -> Any:
    return np.copysign(np.expm1(_log_of_rest(np.abs(a))), a)


def _erfc(a: Any) -> Any:
    rest = np.exp(_log_of_rest(np.abs(a)))
    return np.where(a < 0, 2 - rest, rest)


def _log_of_rest(x: Any) -> Any:
    """The logarithm of erfc, of numbers that are not negative."""
    above, below = _SINGLE if x.dtype == np.float32 else _DOUBLE
    x = np.minimum(x, _FAR)
    return -x * _polynomial(above, x) / _polynomial(below, x)


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    total = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        total += coefficient
        total *= x
    total += coefficients[-1]
    return total
