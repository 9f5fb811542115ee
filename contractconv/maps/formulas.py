"""Maps as sympy writes them, where that is more than one of its functions."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.logic.boolalg import Boolean

_CUBED = sympy.Rational(44715, 1000000)


class Round(sympy.Function):  # type: ignore[misc]
    """The nearest integer; the even one of two that are equally near."""

    @classmethod
    def eval(cls, number: Any) -> Any:
        """Round numbers, and nothing else."""
        if not (number.is_number and number.is_extended_real):
            return None
        below = sympy.floor(number)
        rest = number - below
        even = below + sympy.Mod(below, 2)
        return sympy.Piecewise(
            (below, rest < sympy.S.Half), (below + 1, rest > sympy.S.Half), (even, True)
        )

    def fdiff(self, argindex: int = 1) -> Any:
        """It is constant between the steps."""
        return sympy.S.Zero


def where(condition: Any, value: Any, otherwise: Any) -> Any:
    """One of two, as a condition says."""
    holds = condition if isinstance(condition, Boolean | bool) else sympy.Ne(condition, 0)
    return sympy.Piecewise((value, holds), (otherwise, True))


def relu(a: Any) -> Any:
    """The number, if it is positive."""
    return sympy.Max(a, 0)


def relu6(a: Any) -> Any:
    """The number, not below zero, and not above six."""
    return sympy.Min(sympy.Max(a, 0), 6)


def leaky_relu(a: Any, slope: Any) -> Any:
    """The number, times a slope where it is negative."""
    return where(a > 0, a, slope * a)


def elu(a: Any) -> Any:
    """The number, or an exponential that joins it smoothly."""
    return where(a > 0, a, sympy.exp(a) - 1)


def gelu(a: Any) -> Any:
    """The number, times the probability that a normal variable is less (Hendrycks 2016)."""
    return a * (1 + sympy.erf(a / sympy.sqrt(2))) / 2


def gelu_tanh(a: Any) -> Any:
    """Its approximation by a hyperbolic tangent (Hendrycks 2016)."""
    return a * (1 + sympy.tanh(sympy.sqrt(2 / sympy.pi) * (a + _CUBED * a**3))) / 2
