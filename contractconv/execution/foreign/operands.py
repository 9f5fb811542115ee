"""Taking operands of which some are another library's: all become arrays of that library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.operands import as_operand
from contractconv.arrays.precision import NUMBERS
from contractconv.engines.portable.libraries import is_foreign, library_of
from contractconv.errors import OperandError


def has_foreign(arrays: Sequence[Any]) -> bool:
    """Whether there is an array of another library than numpy among some."""
    return any(is_foreign(type(array)) for array in arrays)


def taken(arrays: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """What a caller passed, as arrays of the one library that is not numpy.

    Args:
        arrays: what the caller passed; one of them is another library's.
        names: what messages call each.

    Raises:
        OperandError: there are two other libraries, or something is not an array of numbers.
    """
    like = _like(arrays, names)
    return [_taken(array, like, name) for array, name in zip(arrays, names, strict=True)]


def _like(arrays: Sequence[Any], names: Sequence[str]) -> Any:
    """The first array that is not numpy's, where no two are of different libraries."""
    found = [(a, name) for a, name in zip(arrays, names, strict=True) if is_foreign(type(a))]
    like, first = found[0]
    library, _ = library_of([like])
    for array, name in found:
        other, _ = library_of([array])
        if other is not library:
            raise OperandError(
                f"{first} is a {library.name} array and {name} is one of {other.name}: "
                f"convert them to one library"
            )
    return like


def _taken(given: Any, like: Any, name: str) -> Any:
    if is_foreign(type(given)):
        return given
    operand = as_operand(given, name)
    library, _ = library_of([like])
    if type(operand) in NUMBERS:
        return library.array(np.asarray(operand), like)
    return library.array(operand, like)
