"""Options of ready-made layers, refused where they are given."""

from __future__ import annotations

from math import inf
from typing import Any

from contractconv.errors import ParameterError


def check_count(value: Any, what: str) -> None:
    """Refuse what is no positive integer.

    Raises:
        ParameterError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{what}={value!r}: a positive integer is wanted")


def check_number(value: Any, what: str, low: float, high: float = inf) -> None:
    """Refuse what is no number within bounds, which are allowed.

    Raises:
        ParameterError: it is none.
    """
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        to = " on" if high == inf else f" to {high:g}"
        raise ParameterError(f"{what}={value!r}: a number from {low:g}{to} is wanted")
