"""Weights as tests compare them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def channels_last(array: Array) -> Array:
    """An array of images whose channels come first, as they lie here."""
    return np.moveaxis(np.asarray(array), 1, -1)


def same_bits(first: Any, second: Any) -> bool:
    """Whether two nested dicts hold the same bytes of the same dtypes."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            same_bits(first[name], second[name]) for name in first
        )
    first, second = np.asarray(first), np.asarray(second)
    same = first.dtype == second.dtype and first.shape == second.shape
    return bool(same and first.tobytes() == second.tobytes())
