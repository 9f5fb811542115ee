"""What each map means, and its derivatives, written down again from mathematics.

A function takes numbers (see ``jets``), and gives one. At kinks the derivative is the one that the
table of maps promises in words.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath as mp
from programs.jets import (
    Fragile,
    Jet,
    compare,
    is_equal,
    is_exact,
    on_parts,
    plus,
    rounded,
    times,
    value_of,
)

Function = Callable[..., Any]
ONE, HALF = Fraction(1), Fraction(1, 2)


def _analytic(*derivatives: Callable[[Any], Any]) -> Function:
    """A function of one number, given with its first two derivatives; not exact."""

    def apply(a: Any) -> Any:
        x = rounded(value_of(a))
        if not isinstance(a, Jet):
            return derivatives[0](x)
        return a.through(*(f(x) for f in derivatives))

    return apply


exp = _analytic(mp.exp, mp.exp, mp.exp)
log = _analytic(mp.log, lambda x: 1 / x, lambda x: -1 / x**2)
sin = _analytic(mp.sin, mp.cos, lambda x: -mp.sin(x))
cos = _analytic(mp.cos, lambda x: -mp.sin(x), lambda x: -mp.cos(x))
tan = _analytic(mp.tan, lambda x: mp.sec(x) ** 2, lambda x: 2 * mp.tan(x) * mp.sec(x) ** 2)
arctan = _analytic(mp.atan, lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2)
sinh = _analytic(mp.sinh, mp.cosh, mp.sinh)
cosh = _analytic(mp.cosh, mp.sinh, mp.cosh)
tanh = _analytic(
    mp.tanh, lambda x: mp.sech(x) ** 2, lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2
)  # fmt: skip
erf = _analytic(
    mp.erf,
    lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
    lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-x * x),
)
sqrt = _analytic(
    mp.sqrt, lambda x: mp.mpf(0.5) * x ** mp.mpf(-0.5), lambda x: -mp.mpf(0.25) * x ** mp.mpf(-1.5)
)


def _minus(a: Any, b: Any) -> Any:
    return plus(a, times(b, -ONE))


def reciprocal(a: Any) -> Any:
    """``1 / a``, exact if it can be."""
    x = value_of(a)
    x = Fraction(x) if isinstance(x, bool) else x
    if not isinstance(a, Jet):
        return _raised(x, -1)
    return a.through(_raised(x, -1), -_raised(x, -2), 2 * _raised(x, -3))


def _divide(a: Any, b: Any) -> Any:
    return times(a, reciprocal(b))


def power(a: Any, b: Any) -> Any:
    """``a**b``: exact for integers ``b`` that do not change."""
    x, n = value_of(a), value_of(b)
    still = not isinstance(b, Jet) or not (b.tangent or b.slopes)
    if still and isinstance(n, (bool, Fraction)) and Fraction(n).denominator == 1:
        return _whole_power(a, Fraction(x) if isinstance(x, bool) else x, int(n))
    return exp(times(b, log(a)))


def _whole_power(a: Any, x: Any, n: int) -> Any:
    if not isinstance(a, Jet):
        return _raised(x, n)
    first = n * _raised(x, n - 1) if n else Fraction(0)
    second = n * (n - 1) * _raised(x, n - 2) if n not in (0, 1) else Fraction(0)
    return a.through(_raised(x, n), first, second)


def _raised(x: Any, n: int) -> Any:
    return mp.inf if n < 0 and not x else x**n


def _mod(a: Any, b: Any) -> Any:
    return _minus(a, times(b, _floor(_divide(value_of(a), value_of(b)))))


def _chosen(sign: int) -> Function:
    def extreme(a: Any, b: Any) -> Any:
        order = sign * compare(a, b)
        return times(plus(a, b), HALF) if not order else (a if order > 0 else b)

    return extreme


maximum, minimum = _chosen(1), _chosen(-1)


def _sign(a: Any) -> Any:
    return Fraction(compare(a, 0))


def _absolute(a: Any) -> Any:
    return times(a, _sign(a))


def _stepped(exact: Callable[[Any], Any], rough: Callable[[Any], Any]) -> Function:
    def apply(a: Any) -> Any:
        x = value_of(a)
        if isinstance(x, (bool, Fraction)) and is_exact(x):
            return Fraction(exact(Fraction(x)))
        near = rounded(x) * 2
        if abs(near - mp.nint(near)) < mp.mpf("1e-7"):
            raise Fragile(f"{x} may be a step")
        return Fraction(int(rough(rounded(x))))

    return apply


_floor = _stepped(lambda x: x.__floor__(), mp.floor)


def _where(condition: Any, a: Any, b: Any) -> Any:
    return a if _truth(condition) else b


def _truth(a: Any) -> bool:
    return not is_equal(a, Fraction(0))


def sigmoid(a: Any) -> Any:
    """``1 / (1 + exp(-a))``."""
    return reciprocal(plus(exp(times(a, -ONE)), ONE))


def _clipped(a: Any, most: int) -> Any:
    if compare(a, 0) <= 0:
        return Fraction(0)
    return a if compare(a, most) < 0 else Fraction(most)


def _softplus(a: Any) -> Any:
    return log(plus(exp(a), ONE))


def _gelu(a: Any) -> Any:
    root = 1 / mp.sqrt(2)
    return times(times(a, HALF), plus(erf(times(a, root)), ONE))


def _gelu_tanh(a: Any) -> Any:
    inner = times(a, plus(times(times(a, a), mp.mpf("0.044715")), ONE))
    return times(times(a, HALF), plus(tanh(times(inner, mp.sqrt(2 / mp.pi))), ONE))


def _real(x: Any) -> Any:
    return x.real if isinstance(x, mp.mpc) else x


FUNCTIONS: dict[str, Function] = {
    "add": plus,
    "subtract": _minus,
    "multiply": times,
    "divide": _divide,
    "power": power,
    "mod": _mod,
    "negative": lambda a: times(a, -ONE),
    "max": maximum,
    "min": minimum,
    "abs": _absolute,
    "sign": _sign,
    "floor": _floor,
    "ceil": _stepped(lambda x: x.__ceil__(), mp.ceil),
    "round": _stepped(round, mp.nint),
    "square": lambda a: times(a, a),
    "reciprocal": reciprocal,
    "conj": lambda a: on_parts(a, lambda x: mp.conj(x) if isinstance(x, mp.mpc) else x),
    "real": lambda a: on_parts(a, _real),
    "less": lambda a, b: compare(a, b) < 0,
    "less_equal": lambda a, b: compare(a, b) <= 0,
    "greater": lambda a, b: compare(a, b) > 0,
    "greater_equal": lambda a, b: compare(a, b) >= 0,
    "equal": is_equal,
    "not_equal": lambda a, b: not is_equal(a, b),
    "logical_and": lambda a, b: _truth(a) and _truth(b),
    "logical_or": lambda a, b: _truth(a) or _truth(b),
    "logical_not": lambda a: not _truth(a),
    "where": _where,
    "exp": exp,
    "expm1": lambda a: plus(exp(a), -ONE),
    "log": log,
    "log1p": lambda a: log(plus(a, ONE)),
    "sqrt": sqrt,
    "rsqrt": lambda a: reciprocal(sqrt(a)),
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "arctan": arctan,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "erf": erf,
    "erfc": lambda a: plus(times(erf(a), -ONE), ONE),
    "logaddexp": lambda a, b: log(plus(exp(a), exp(b))),
    "sigmoid": sigmoid,
    "softplus": _softplus,
    "log_sigmoid": lambda a: times(_softplus(times(a, -ONE)), -ONE),
    "relu": lambda a: a if compare(a, 0) > 0 else Fraction(0),
    "relu6": lambda a: _clipped(a, 6),
    "leaky_relu": lambda a, b: a if compare(a, 0) > 0 else times(a, b),
    "elu": lambda a: a if compare(a, 0) > 0 else plus(exp(a), -ONE),
    "silu": lambda a: times(a, sigmoid(a)),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "stop_gradient": value_of,
}
