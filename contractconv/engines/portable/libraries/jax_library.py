"""JAX's arrays, traced ones too."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from contractconv.engines.portable.libraries.jax_windows import convolve, pool
from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Library, Runs
from contractconv.maps.record import MapRecord


def library() -> Library:
    """The record."""
    return replace(
        numpy_like(jnp, name="jax"),
        promoted=lambda arrays: jnp.result_type(*arrays).name,
        # Without 64 bits jax would warn of every dtype that it narrows.
        cast=lambda array, name: array.astype(jax.dtypes.canonicalize_dtype(name)),
        einsum=lambda string, *arrays: jnp.einsum(string, *arrays, precision="highest"),
        take=lambda array, positions, axis: jnp.take(array, positions, axis=axis, mode="clip"),
        function=_function,
        number=lambda value, dtype, like: np.asarray(value, jax.dtypes.canonicalize_dtype(dtype)),
        added=_added,
        compiled=jax.jit,
        convolve=convolve,
        pool=pool,
        most_windows=16,
        signature=_signature,
        runs=Runs(_sliced, _spread, lambda array, axis: lax.rev(array, (axis,))),
    )


# Numbers of the program are numpy's: an array that is made while something is traced is of that.
def _function(record: MapRecord) -> Callable[..., Any] | None:
    return attrgetter(record.jax)(jax) if record.jax else None


def _added(matrix: Any, places: Any, count: int) -> Any:
    return jax.ops.segment_sum(matrix, places, num_segments=count)


def _signature(array: Any) -> Hashable:
    # In which numbers two arrays meet depends on the last two.
    return array.shape, array.dtype, array.aval.weak_type, jax.config.jax_enable_x64


def _sliced(array: Any, axis: int, first: int, step: int, count: int) -> Any:
    return lax.slice_in_dim(array, first, first + step * (count - 1) + 1, step, axis)


def _spread(array: Any, axis: int, first: int, step: int, size: int) -> Any:
    margins = [(0, 0, 0)] * array.ndim
    margins[axis] = (first, size - 1 - first - step * (array.shape[axis] - 1), step - 1)
    return lax.pad(array, jnp.zeros((), array.dtype), margins)
