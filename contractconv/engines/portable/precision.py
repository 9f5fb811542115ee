"""In which numbers a contraction is carried out, by the names of dtypes that all libraries share."""

from __future__ import annotations

from math import inf

import numpy as np

from contractconv.errors import ReductionError

# Numbers too short to be summed in themselves, and in what they are summed.
ACCUMULATORS = {"float16": "float32", "bfloat16": "float32", "bool": "int64"}
# Reductions that need numbers with an order, and those that make floats of integers.
ORDERED = ("max", "min", "logsumexp")
FLOATING = ("mean", "logsumexp")


def result_dtype(reduce: str, dtype: str, floating: str) -> str:
    """The dtype of a result.

    Args:
        reduce: the reduction.
        dtype: in what the operands meet.
        floating: the library's usual floats.

    Raises:
        ReductionError: the reduction needs an order and the numbers are complex.

    Example:
        >>> result_dtype("mean", "int8", "float64"), result_dtype("max", "int8", "float64")
        ('float64', 'int8')
    """
    if reduce in ORDERED and dtype.startswith("complex"):
        raise ReductionError(f"reduce={reduce!r} needs numbers with an order; {dtype} has none")
    return floating if reduce in FLOATING and is_integer(dtype) else dtype


def is_integer(dtype: str) -> bool:
    """Whether nothing is rounded in numbers of a dtype."""
    return dtype.startswith(("bool", "int", "uint"))


def identity(reduce: str, dtype: str) -> float:
    """What an element of the result holds on which nothing lands.

    Example:
        >>> identity("max", "int8"), identity("max", "float32"), identity("prod", "int8")
        (-128, -inf, 1)
    """
    if reduce not in ORDERED:
        return int(reduce == "prod")
    if dtype == "bool":
        return int(reduce == "min")
    if is_integer(dtype):
        bounds = np.iinfo(dtype)
        return int(bounds.max if reduce == "min" else bounds.min)
    return inf if reduce == "min" else -inf
