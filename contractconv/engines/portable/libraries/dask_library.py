"""Dask's arrays, which are put together of blocks when they are asked for."""

from __future__ import annotations

import dask.array

from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Library


def library() -> Library:
    """The record."""
    return numpy_like(dask.array, name="dask", extra="dask")
