"""Real numbers of many decimal digits, in a context of their own: nobody else's precision moves."""

from __future__ import annotations

from typing import Any

from mpmath import MPContext

DIGITS = 60

MP = MPContext()
MP.dps = DIGITS


def difference_step(order: int) -> Any:
    """The step of central differences: their error is its square, and so is what rounding leaves.

    Args:
        order: how often a difference is taken of a difference.
    """
    return MP.mpf(10) ** -(DIGITS // (order + 2))


def certain_digits(order: int) -> int:
    """To how many digits such differences agree with what they are those of."""
    return 2 * (DIGITS // (order + 2)) - 10


STEP = difference_step(1)
EXACT_DIGITS, DECIMAL_DIGITS = certain_digits(1), 13
"""To how many digits numbers agree; and numbers that were written as Python's."""
