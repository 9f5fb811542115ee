"""Dask's arrays, which are put together of blocks when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import dask.array

from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Library
from contractconv.lazy import late
from contractconv.maps.record import MapRecord


def library() -> Library:
    """The record."""
    base = numpy_like(dask.array, name="dask", extra="dask")
    blocks = "contractconv.execution.foreign.dask_blocks"
    return replace(
        base,
        function=_function,
        rows=None,
        numpy=lambda array: array.compute(),
        contraction=late(f"{blocks}.contractions:contracted"),
        derivative=late(f"{blocks}.derivatives:derivative"),
    )


def _function(record: MapRecord) -> Callable[..., Any]:
    """Numpy's own function, block by block."""
    return partial(dask.array.core.elemwise, record.ufunc)
