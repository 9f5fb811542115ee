"""Modules that have numpy's functions: numpy itself, cupy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from contractconv.engines.portable.libraries.record import Axes, Library


def numpy_like(xp: Any, name: str = "") -> Library:
    """The record of a module with numpy's functions.

    Args:
        xp: the module.
        name: what messages call it.

    Example:
        >>> numpy_like(np).promoted([np.ones(2, np.int8), np.ones(2, np.float32)])
        'float32'
    """

    def cast(array: Any, name: str) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is an infinity
            return xp.asarray(array).astype(name)  # numpy makes numbers of arrays without axes

    return Library(
        array=lambda value, like: xp.asarray(value),
        promoted=lambda arrays: np.result_type(*(array.dtype for array in arrays)).name,
        cast=cast,
        einsum=lambda string, *arrays: xp.einsum(string, *arrays, optimize=True),
        take=lambda array, positions, axis: xp.take(array, positions, axis=axis),
        joined=lambda arrays, axis: xp.concatenate(arrays, axis=axis),
        where=xp.where,
        reductions={
            "add": lambda array, axes: xp.sum(array, axis=axes, dtype=array.dtype),
            "multiply": lambda array, axes: xp.prod(array, axis=axes, dtype=array.dtype),
            "maximum": lambda array, axes: xp.max(array, axis=axes),
            "minimum": lambda array, axes: xp.min(array, axis=axes),
            "logaddexp": lambda array, axes: _logsumexp(xp, array, axes),
        },
        name=name,
        function=lambda record: getattr(xp, getattr(record.ufunc, "__name__", ""), None),
        number=lambda value, dtype, like: xp.full((), value, dtype=dtype),
        positions=lambda count, like: xp.arange(count),
        transposed=xp.transpose,
        broadcast=xp.broadcast_to,
        real=lambda array: array.real,
        exp=xp.exp,
        flipped=lambda array: array[..., ::-1],
        products=lambda array: xp.cumprod(array, axis=-1, dtype=array.dtype),
        first=lambda array: xp.argmax(array, axis=-1),
        numpy=np.asarray,
        rows=lambda matrix, places: xp.take(matrix, places, axis=0),
    )


def numpy_itself() -> Library:
    """The record of numpy: programs on its arrays, one map after the other."""

    def added(matrix: Any, places: Any, count: int) -> Any:
        made = np.zeros((count, matrix.shape[1]), matrix.dtype)
        np.add.at(made, places, matrix)
        return made

    base = numpy_like(np, name="numpy")
    return replace(base, function=lambda record: record.ufunc, added=added)


def _logsumexp(xp: Any, array: Any, axes: Axes) -> Any:
    """Without a logarithm of zero, whose derivative would be no number."""
    top = xp.max(array, axis=axes, keepdims=True)
    shift = xp.where(xp.isfinite(top), top, 0)
    with np.errstate(over="ignore"):
        total = xp.sum(xp.exp(array - shift), axis=axes, keepdims=True)
    some = xp.where(total == 0, 1, total)
    made = xp.where(total == 0, top, xp.log(some) + shift)
    return made.reshape([n for axis, n in enumerate(array.shape) if axis not in axes])
