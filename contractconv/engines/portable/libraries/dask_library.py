"""Dask's arrays, which are put together of blocks when they are asked for."""

from __future__ import annotations

from dataclasses import replace

import dask.array

from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Library
from contractconv.lazy import late


def library() -> Library:
    """The record."""
    plain = numpy_like(dask.array, name="dask", extra="dask")
    blocks = "contractconv.execution.foreign.dask_blocks"
    return replace(plain, contraction=late(f"{blocks}.contractions:contracted"))
