"""Taking operands: what a caller may pass, and the dtype and shapes in which operands meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.precision import NUMBERS, is_number
from contractconv.arrays.views import Array
from contractconv.errors import OperandError
from contractconv.notation.problem import Problem, shape_of


def as_operand(operand: Any, which: int | str) -> Any:
    """Take what a caller passed as a numpy array, without copying; Python numbers stay.

    Args:
        operand: what the caller passed.
        which: its position among the operands, or what messages call it.

    Returns:
        An array of numbers of any shape, or a Python number.

    Raises:
        OperandError: it is not an array of numbers.

    Example:
        >>> as_operand([[1, 2], [3, 4]], 0).shape
        (2, 2)
    """
    if type(operand) is np.ndarray and is_number(operand.dtype):
        return operand
    if type(operand) in (float, complex) or (type(operand) is int and abs(operand) < 2**63):
        return operand
    name = which if isinstance(which, str) else f"operand {which}"
    library = type(operand).__module__.partition(".")[0]
    if library in ("torch", "jax", "jaxlib", "cupy", "dask", "tensorflow"):
        raise OperandError(
            f"{name} is a {library} array ({type(operand).__name__}); pass numpy.asarray(operand)"
        )
    if isinstance(operand, np.ma.MaskedArray):
        raise OperandError(f"{name} is a masked array: fill it first, as its mask would be lost")
    try:
        array = np.asarray(operand)
    except ValueError as error:
        reason = "its rows differ in length" if "inhomogeneous" in str(error) else str(error)
        raise OperandError(f"{name} is not an array: {reason}") from None
    if not is_number(array.dtype):
        raise OperandError(
            f"{name} is not an array of numbers: its dtype is {array.dtype} "
            f"(it is of type {type(operand).__name__})"
        )
    return array


def held(operand: Any, dtype: np.dtype[Any] | None, what: str) -> Array:
    """Something as an array of a dtype, if there is one.

    Raises:
        OperandError: it is a Python number larger than the dtype can hold.
    """
    try:
        return np.asarray(operand, dtype)
    except OverflowError:
        raise OperandError(f"{what} is {operand}, which {dtype} cannot hold") from None


def prepared(problem: Problem, operands: Sequence[Any], dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """Split compositions and convert to the common dtype.

    Args:
        operands: what :func:`as_operand` returned for each, compositions not yet split.
        dtype: in what they meet.

    Returns:
        Arrays with one axis for each access of the problem, views where that is possible.

    Raises:
        OperandError: a Python number is larger than the dtype can hold.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i j) -> j i"), [(6,)], {"i": 2})
        >>> prepared(problem, [np.arange(6)], np.dtype(float))[0].shape
        (2, 3)
    """
    return tuple(np.asarray(array, dtype) for array in split(problem, operands, dtype))


def split(problem: Problem, operands: Sequence[Any], dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """Split compositions; arrays keep their dtype, and are views of what the caller passed.

    Raises:
        OperandError: a Python number is larger than the dtype can hold.
    """
    arrays = []
    for number, operand in enumerate(operands):
        kind = dtype if type(operand) in NUMBERS else None
        array = held(operand, kind, f"operand {number}")
        arrays.append(array.reshape(shape_of(problem.operands[number])))
    return tuple(arrays)
