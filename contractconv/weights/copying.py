"""Elements go from one array to another as a string says: bits are moved, and nothing is computed.

What is contracted are the bits, as unsigned integers: so signs of zeros, payloads of NaNs and kinds
of numbers that numpy does not add up arrive as they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.api.contract import contract

Array = NDArray[Any]

_NAME = re.compile(r"[A-Za-z_]\w*")


def copied(
    text: str, array: Array, extents: Mapping[str, int], shape: tuple[int, ...] | None = None
) -> Array:
    """Copy an array as a string of one operand says.

    Args:
        text: the string; each point of the result is met at most once.
        array: what is copied.
        extents: the sizes of the indices.
        shape: the shape of the result, where the string leaves it open; nobody's elements are 0.

    Returns:
        A new array of the same dtype.

    Raises:
        SpecError: the string is none.
        ShapeError: it does not fit.

    Example:
        >>> copied("o c -> c o", np.array([[1, -0.0]], np.float16), {})
        array([[ 1.],
               [-0.]], dtype=float16)
    """
    terms, result = text.split("->")
    bits = as_bits(array)
    spec = f"{terms.rstrip()} ... -> {result.strip()} ..."
    wanted = None if shape is None else (*shape, bits.shape[-1])
    named = {name: extents[name] for name in _NAME.findall(text) if name in extents}
    moved = contract(spec, bits, output_shape=wanted, extents=named)
    return as_numbers(moved, array.dtype)


def as_bits(array: Array) -> Array:
    """The bits of an array as unsigned integers, with an axis of words behind the others."""
    size = array.dtype.itemsize
    word = next(w for w in (8, 4, 2, 1) if size % w == 0)
    solid = np.ascontiguousarray(array).reshape(*array.shape, 1)
    return solid.view(f"u{word}")


def as_numbers(bits: Array, dtype: np.dtype[Any]) -> Array:
    """The numbers that bits are."""
    return np.ascontiguousarray(bits).view(dtype)[..., 0]
