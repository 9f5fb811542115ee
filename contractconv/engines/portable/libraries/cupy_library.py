"""CuPy's arrays, on devices of NVIDIA and AMD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cupy
import cupyx
from cupyx.scipy import special

from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Library
from contractconv.maps.record import MapRecord

# What cupy itself has not.
_FUNCTIONS = {"erf": special.erf, "erfc": special.erfc}


def library() -> Library:
    """The record."""
    base = numpy_like(cupy, name="cupy")

    def function(record: MapRecord) -> Callable[..., Any] | None:
        return _FUNCTIONS.get(record.name) or base.function(record)

    return replace(
        base,
        function=function,
        place=lambda array: f"cuda:{array.device.id}",
        numpy=cupy.asnumpy,
        fill=_fill,
        added=_added,
    )


def _fill(array: Any, values: Any) -> Any:
    array[...] = values
    return array


def _added(matrix: Any, places: Any, count: int) -> Any:
    made = cupy.zeros((count, matrix.shape[1]), matrix.dtype)
    cupyx.scatter_add(made, places, matrix)
    return made
