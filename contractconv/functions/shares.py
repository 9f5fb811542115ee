"""Shares of a whole, as they are written."""

from __future__ import annotations

from decimal import Decimal
from typing import overload

from contractconv.api.tensor import Tensor


@overload
def rest_of(share: float) -> float: ...


@overload
def rest_of(share: Tensor) -> Tensor: ...


def rest_of(share: float | Tensor) -> float | Tensor:
    """One less a share: of 0.9 it is 0.1, and not 0.09999999999999998.

    Example:
        >>> rest_of(0.999)
        0.001
    """
    return 1 - share if isinstance(share, Tensor) else float(1 - Decimal(repr(float(share))))
