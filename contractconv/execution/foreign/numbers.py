"""In which numbers arrays of another library meet, are summed, and are given back.

Dtypes go by their names, since numpy does not know all of them: ``"bfloat16"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.precision import ACCUMULATORS
from contractconv.engines.portable.libraries import Library
from contractconv.errors import OperandError, ReductionError
from contractconv.programs.kinds import kind
from contractconv.reductions.table import REDUCTIONS

_FLOAT, _COMPLEX = kind("float64"), kind("complex128")


def name_of(library: Library, array: Any) -> str:
    """The name of the dtype of an array."""
    return library.promoted([array])


def is_complex(name: str) -> bool:
    """Whether numbers of a dtype have an imaginary part."""
    return kind(name) == _COMPLEX


def is_rounded(name: str) -> bool:
    """Whether numbers of a dtype are rounded.

    Example:
        >>> is_rounded("bfloat16"), is_rounded("int64")
        (True, False)
    """
    return kind(name) >= _FLOAT


def accumulator(name: str) -> str:
    """In what numbers of a dtype are summed.

    Example:
        >>> accumulator("bfloat16"), accumulator("int8")
        ('float32', 'int8')
    """
    return ACCUMULATORS.get(name, name)


def result_name(reduce: str, name: str) -> str:
    """The dtype of a reduction's result for operands of one dtype.

    Raises:
        ReductionError: the reduction needs an order and the numbers are complex.
    """
    record = REDUCTIONS[reduce]
    if record.ordered and is_complex(name):
        raise ReductionError(f"reduce={reduce!r} needs numbers with an order; {name} has none")
    return name if record.exact or is_rounded(name) else "float64"


def met(library: Library, operands: Sequence[Any], reduce: str) -> str:
    """The dtype of a reduction's result for some operands."""
    return result_name(reduce, library.promoted(operands))


def beside(number: complex, name: str) -> str:
    """The dtype in which a number of Python's meets numbers of a dtype; it has no width.

    Example:
        >>> beside(2.5, "bfloat16"), beside(2, "int8"), beside(2.5, "int8")
        ('bfloat16', 'int8', 'float64')
    """
    if accumulator(name) == "float32":
        return "complex64" if isinstance(number, complex) else name
    return np.result_type(np.dtype(name), number).name


def towards(library: Library, given: Any, name: str, what: str) -> Any:
    """A cotangent or a tangent in the numbers of the result, or the operand, that it belongs to.

    Raises:
        OperandError: it is complex, and what it belongs to is real.
    """
    if is_complex(name_of(library, given)) and not is_complex(name):
        raise OperandError(
            f"{what} is complex, but it belongs to numbers of {name}, which are real: "
            f"pass its real part, or complex operands"
        )
    return library.cast(given, accumulator(name)) if is_rounded(name) else given


def settled(library: Library, made: Any, name: str) -> Any:
    """A derivative in the dtype of what it is the derivative by, or of; its only rounding.

    Of a real operand among complex ones it is the real part. Integers have no derivatives of their
    own: theirs are in the numbers that they were made in.
    """
    found = name_of(library, made)
    if found == name:
        return made
    if not is_rounded(name):
        return library.cast(made, np.result_type(found, name).name)
    real = is_complex(found) and not is_complex(name)
    return library.cast(library.real(made) if real else made, name)
