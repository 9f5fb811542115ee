"""Taking operands of which some are another library's: all become arrays of that library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.operands import as_operand
from contractconv.arrays.precision import NUMBERS
from contractconv.engines.portable.libraries import Library, is_foreign, library_of
from contractconv.errors import OperandError
from contractconv.execution.foreign.numbers import beside


def taken(arrays: Sequence[Any], names: Sequence[str]) -> tuple[Library, list[Any]]:
    """What a caller passed, as arrays of the one library that is not numpy.

    Args:
        arrays: what the caller passed; one of them is another library's. Numpy's arrays, lists and
            Python's numbers join it, the last ones in the numbers that they meet.
        names: what messages call each.

    Returns:
        The library, and an array of it for each.

    Raises:
        OperandError: there are two other libraries, arrays are in several places, or something is
            not an array of numbers.
    """
    library, like = _settled(arrays, names)
    held = [
        array if is_foreign(type(array)) else as_operand(array, name)
        for array, name in zip(arrays, names, strict=True)
    ]
    held = [library.array(a, like) if isinstance(a, np.ndarray) else a for a in held]
    common = library.promoted([array for array in held if type(array) not in NUMBERS])
    return library, [
        library.number(array, beside(array, common), like) if type(array) in NUMBERS else array
        for array in held
    ]


def _settled(arrays: Sequence[Any], names: Sequence[str]) -> tuple[Library, Any]:
    """The library of what is not numpy's, and the first of its arrays; all are in one place."""
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
        library.check(array, name)
        if library.place(array) != library.place(like):
            raise OperandError(
                f"{first} is on {library.place(like)} and {name} is on {library.place(array)}: "
                f"move them to one device"
            )
    return library, like
