"""Dask's arrays, which are put together of blocks when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from typing import Any

import dask.array
import numpy as np
from dask.array.core import elemwise
from dask.base import tokenize

from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Library
from contractconv.errors import OperandError, ShapeError
from contractconv.lazy import late
from contractconv.maps.record import MapRecord


def library() -> Library:
    """The record."""
    base = numpy_like(dask.array, name="dask")
    blocks = "contractconv.execution.foreign.dask_blocks"
    return replace(
        base,
        function=_function,
        rows=None,
        check=_check,
        numpy=lambda array: array.compute(),
        contraction=late(f"{blocks}.contractions:contracted"),
        derivative=late(f"{blocks}.derivatives:derivative"),
    )


def _check(array: Any, name: str) -> None:
    """Refuse an array whose blocks have unknown sizes, or are not numpy's.

    Raises:
        ShapeError: the sizes are not known.
        OperandError: the blocks are another library's.
    """
    if any(isnan(size) for size in array.shape):
        raise ShapeError(
            f"{name} is a dask array with blocks of unknown sizes, {array.shape}: call its "
            f"compute_chunk_sizes() before"
        )
    if not isinstance(array._meta, np.ndarray) or isinstance(array._meta, np.ma.MaskedArray):
        raise OperandError(
            f"{name} is a dask array with blocks of {type(array._meta).__name__}: they have to be "
            f"arrays of numpy"
        )


def _function(record: MapRecord) -> Callable[..., Any]:
    """Numpy's own function, block by block."""

    def applied(*arrays: Any) -> Any:
        name = f"{record.name}-{tokenize(record.name, *arrays)}"
        return elemwise(record.ufunc, *arrays, name=name)

    return applied
