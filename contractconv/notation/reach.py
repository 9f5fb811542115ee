"""How far axes are met: the counts that follow from the boundary rule, for numbers and for symbols.

A symbol is whatever adds up, divides, and says by ``positive()`` what of it is above zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Steps = Iterable[tuple[int, Any]]
"""Coefficients of indices, each with the greatest value of the index."""


def reach(offset: Any, steps: Steps) -> tuple[Any, Any]:
    """The least and the greatest value of a sum.

    Example:
        >>> reach(-1, [(2, 3), (-1, 4)])
        (-5, 5)
    """
    low: Any = 0
    high: Any = 0
    for coefficient, last in steps:
        if coefficient < 0:
            low = low + coefficient * last
        else:
            high = high + coefficient * last
    return low + offset, high + offset


def places(size: Any, step: int, offset: Any, steps: Steps) -> Any:
    """How many values an index that takes a ``step`` has with which a window stays inside an axis.

    As much as reaches below zero may reach past the end; of what runs backwards, the reverse.

    Example:
        >>> places(8, 2, -1, [(1, 2)])
        4
    """
    low, high = reach(offset, steps)
    if step < 0:
        low, high = size - 1 - high, size - 1 - low
    return (size - 1 + _positive(-low) - high) // abs(step) + 1


def reached(offset: Any, divisor: int, steps: Steps) -> Any:
    """How many elements an axis of the result has: as many at its end stay away as below zero.

    Example:
        >>> reached(-1, 1, [(2, 3), (1, 2)])
        7
    """
    low, high = reach(offset, steps)
    return _positive(high // divisor + 1 - _positive(-low) // divisor)


def _positive(number: Any) -> Any:
    return max(0, number) if isinstance(number, int) else number.positive()
