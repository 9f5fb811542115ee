"""What maps are, written down again: in mpmath's numbers, and in torch's functions.

What one can do:

- ``EXACT[name]``: the map of mpmath's numbers;
- ``in_torch(name)``, ``in_jax(name)``: the map of their arrays, for their autograd;
- ``points(name)``: where to look, away from kinks and inside of the domain;
- ``extremes(name)``: kinks, infinities, and no numbers;
- ``numbers(expression, variables)``: an expression in maps, carried out by numpy;
- ``exactly(expression, variables)``: the same in mpmath's numbers;
- ``back(name, arguments, g)``: what comes back to each argument of a map;
- ``pulled(expression, variables, g)``: what comes back to each variable of an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import product
from math import inf, nan
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

from contractconv.maps.derivatives import derivatives
from contractconv.maps.expression import Call, Expression, evaluate
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import MAPS

mp.dps = 50


def _round(a: Any) -> Any:
    below = mp.floor(a)
    if a - below == mpf(1) / 2:
        return below + (int(below) % 2)
    return mp.floor(a + mpf(1) / 2)


def _logistic(a: Any) -> Any:
    return 1 / (1 + mp.exp(-a))


def _normal(a: Any) -> Any:
    return mp.erfc(-a / mp.sqrt(2)) / 2


def _gelu_tanh(a: Any) -> Any:
    inner = mp.sqrt(2 / mp.pi) * (a + mpf("0.044715") * a**3)
    return a * (1 + mp.tanh(inner)) / 2


EXACT: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": mp.power,
    "mod": lambda a, b: a - b * mp.floor(a / b),
    "negative": lambda a: -a,
    "max": max,
    "min": min,
    "abs": abs,
    "sign": mp.sign,
    "floor": mp.floor,
    "ceil": mp.ceil,
    "round": _round,
    "square": lambda a: a * a,
    "reciprocal": lambda a: 1 / a,
    "conj": mp.conj,
    "real": mp.re,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "logical_and": lambda a, b: bool(a) and bool(b),
    "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_not": lambda a: not a,
    "where": lambda a, b, c: b if a else c,
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "sqrt": mp.sqrt,
    "rsqrt": lambda a: 1 / mp.sqrt(a),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "arctan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
    "sigmoid": _logistic,
    "softplus": lambda a: mp.log1p(mp.exp(a)),
    "log_sigmoid": lambda a: mp.log(_logistic(a)),
    "relu": lambda a: max(a, mpf(0)),
    "relu6": lambda a: min(max(a, mpf(0)), mpf(6)),
    "leaky_relu": lambda a, b: a if a > 0 else a * b,
    "elu": lambda a: a if a > 0 else mp.expm1(a),
    "silu": lambda a: a * _logistic(a),
    "gelu": lambda a: a * _normal(a),
    "gelu_tanh": _gelu_tanh,
    "stop_gradient": lambda a: a,
}


def named(library: Any, dotted: str) -> Callable[..., Any]:
    """What a library calls by a name."""
    function: Callable[..., Any] = reduce(getattr, dotted.split("."), library)
    return function


def in_torch(name: str) -> Callable[..., Any]:
    """The map in torch's own functions."""
    import torch

    if MAPS[name].torch:
        return named(torch, MAPS[name].torch)
    others: dict[str, Callable[..., Any]] = {
        "softplus": lambda a: torch.logaddexp(a, torch.zeros_like(a)),
        "leaky_relu": lambda a, b: torch.where(a > 0, a, a * b),
        "gelu_tanh": lambda a: torch.nn.functional.gelu(a, approximate="tanh"),
    }
    return others[name]


def in_jax(name: str) -> Callable[..., Any] | None:
    """The map as jax calls it, if it does."""
    import jax

    if not MAPS[name].jax:
        return None
    return named(jax, MAPS[name].jax)


POSITIVE = {"log", "sqrt", "rsqrt", "power"}


def points(name: str, count: int = 7) -> list[tuple[float, ...]]:
    """Arguments of a map, none of which are where it has a kink or a step."""
    random = np.random.default_rng(sum(name.encode()))
    arity = MAPS[name].arity
    drawn = random.uniform(0.1, 2.9, (count, arity)) * random.choice([-1, 1], (count, arity))
    if name in POSITIVE:
        drawn[:, 0] = abs(drawn[:, 0])
    if name == "log1p":
        drawn = abs(drawn) - 0.9
    conditions = MAPS[name].conditions
    return [(*(bool(n > 0) for n in row[:conditions]), *row[conditions:].tolist()) for row in drawn]


EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e4, -1e4, inf, -inf, nan]


def extremes(name: str) -> list[tuple[float, ...]]:
    """Arguments of a map, where it has kinks, and at the ends of the numbers."""
    record = MAPS[name]
    truths = [[True, False]] * record.conditions
    return list(product(*truths, *[EXTREMES] * (record.arity - record.conditions)))


def columns(name: str, rows: list[tuple[float, ...]], dtype: Any) -> tuple[Any, ...]:
    """The same as arrays, one for each argument; conditions are truth values."""
    conditions = MAPS[name].conditions
    given = enumerate(zip(*rows, strict=True))
    return tuple(np.array(column, bool if n < conditions else dtype) for n, column in given)


# -- expressions in maps ------------------------------------------------------------------------


def applied(name: str, given: tuple[Any, ...]) -> Any:
    """A map of numpy's arrays."""
    with np.errstate(all="ignore"):
        return np.asarray(MAPS[name].numpy(*given))[()]


def numbers(expression: Expression, variables: Mapping[str, Any]) -> Any:
    """An expression, carried out by numpy."""
    return evaluate(expression, variables, lambda number: number, applied)


def exactly(expression: Expression, variables: Mapping[str, Any]) -> Any:
    """An expression, carried out by mpmath."""

    def apply(name: str, given: tuple[Any, ...]) -> Any:
        return EXACT[name](*given)

    return evaluate(expression, variables, mpmath.mpmathify, apply)


def back(name: str, arguments: tuple[Any, ...], g: Any) -> list[Any]:
    """What comes back to each argument of a map of numpy's arrays."""
    variables = dict(zip(ARGUMENTS, arguments, strict=False))
    variables |= {"y": applied(name, arguments), "g": g}
    return [numbers(expression, variables) for expression in derivatives(name)]


def pulled(expression: Expression, variables: Mapping[str, Any], g: Any) -> dict[str, Any]:
    """What comes back to each variable of an expression, by what comes back through its maps."""
    if isinstance(expression, str):
        return {expression: g}
    if not isinstance(expression, Call):
        return {}
    given = tuple(numbers(argument, variables) for argument in expression.arguments)
    total: dict[str, Any] = {}
    for argument, part in zip(
        expression.arguments, back(expression.function, given, g), strict=True
    ):
        for name, more in pulled(argument, variables, part).items():
            total[name] = total.get(name, 0) + more
    return total
