"""Dropout with a mask that the caller draws: a program holds no chance."""

from __future__ import annotations

from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ParameterError
from contractconv.functions.shares import rest_of


def dropout(x: Tensor, mask: Tensor, rate: float) -> Tensor:
    """Keep what a mask keeps, made greater by as much as is lost on average, ``x / (1 - rate)``.

    Args:
        x: any axes.
        mask: truth values, along axes of ``x`` or fewer: what is kept. Along an axis that it
            lacks, everything is kept or lost together.
        rate: the share that is lost, at least 0 and less than 1.

    Returns:
        A tensor with the axes of ``x``, with zeros where nothing is kept.

    Raises:
        ParameterError: the rate is not from 0 to 1.

    Example:
        >>> import contractconv as cc
        >>> dropout(cc.tensor("x", "b d"), cc.tensor("kept", "b d", "bool"), rate=0.1)
        <tensor b d>

    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10.
    """
    if not 0 <= rate < 1:
        raise ParameterError(f"rate={rate!r}: a share of at least 0 and less than 1 is lost")
    return applied("where", mask, x / rest_of(rate), 0)
