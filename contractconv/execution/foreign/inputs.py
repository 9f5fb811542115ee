"""The inputs of a program as arrays of another library, in the numbers that they meet in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contractconv.arrays.precision import NUMBERS
from contractconv.engines.portable.libraries import Library
from contractconv.errors import ShapeError
from contractconv.execution.foreign.conversion import fitted
from contractconv.execution.foreign.numbers import is_rounded
from contractconv.execution.foreign.operands import taken
from contractconv.notation.problem import Shape
from contractconv.programs.nodes import Input


def taken_inputs(
    inputs: Sequence[Input], given: Mapping[str, Any], dtype: np.dtype[Any] | None
) -> tuple[Library, dict[str, Any], str]:
    """Take what a caller passed to a program.

    Args:
        inputs: the inputs of the program.
        given: what was passed, by name; one of them is another library's array.
        dtype: of the inputs that do not say theirs, if that is settled.

    Returns:
        The library, an array of it for each name, and the name of the dtype of the inputs that do
        not say theirs.

    Raises:
        OperandError: there are two other libraries, or numbers do not fit.
    """
    names = [node.name for node in inputs]
    library, arrays = taken([given[name] for name in names], names)
    free = [
        array
        for array, node in zip(arrays, inputs, strict=True)
        if node.dtype is None and type(given[node.name]) not in NUMBERS
    ]
    numbers = _meeting(library, free) if dtype is None else dtype.name
    held = {
        node.name: fitted(library, array, node.name, node.dtype or numbers, "compiled for")
        for node, array in zip(inputs, arrays, strict=True)
    }
    return library, held, numbers


def settled_arrays(
    given: Sequence[Any],
    names: Sequence[str],
    shapes: Sequence[Shape],
    dtypes: Sequence[np.dtype[Any]],
) -> tuple[Library, list[Any]]:
    """Take what a caller passed to something that is compiled for some shapes and dtypes.

    Args:
        given: what was passed; one of them is another library's array.
        names: what messages call each.
        shapes: the shape that each must have.
        dtypes: what each is converted to.

    Returns:
        The library, and an array of it for each.

    Raises:
        ShapeError: one has another shape.
        OperandError: there are two other libraries, or numbers do not fit.
    """
    library, arrays = taken(given, names)
    for array, name, shape in zip(arrays, names, shapes, strict=True):
        if tuple(array.shape) != shape:
            raise ShapeError(f"{name} has shape {tuple(array.shape)}, compiled for {shape}")
    return library, [
        fitted(library, array, name, dtype.name, "compiled for")
        for array, name, dtype in zip(arrays, names, dtypes, strict=True)
    ]


def _meeting(library: Library, arrays: Sequence[Any]) -> str:
    """What arrays meet in; integers do as floating-point numbers."""
    found = library.promoted(arrays) if arrays else "float64"
    return found if is_rounded(found) else "float64"
