"""In which numbers everything is carried out: operands, sums, results and gradients.

Operands meet in numpy's promotion. Sums are made in the *accumulator* of that dtype, which has
digits enough for long ones, and are rounded once, when they are given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.cache_register import kept
from contractconv.errors import OperandError, ReductionError
from contractconv.notation.problem import Problem
from contractconv.planning.cost import is_direct
from contractconv.reductions.table import REDUCTIONS

# Numbers too short to be summed in themselves, and in what they are summed. numpy knows the
# second one from other packages only, so it goes by its name.
ACCUMULATORS = {"float16": "float32", "bfloat16": "float32"}
# Python's own numbers take part in numpy's promotion without a width of their own.
NUMBERS = (int, float, complex)


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is of numbers that can be contracted."""
    return dtype.kind in "biufc" or dtype.name in ACCUMULATORS


def is_rounded(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is of numbers that are rounded, so that it has gradients of its own."""
    return dtype.kind in "fc" or dtype.name in ACCUMULATORS


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """In what numbers of a dtype are summed.

    Example:
        >>> accumulator(np.dtype("float16")), accumulator(np.dtype("int8"))
        (dtype('float32'), dtype('int8'))
    """
    if dtype.kind in "fV" and dtype.itemsize == 2:
        return np.dtype(ACCUMULATORS[dtype.name])
    return dtype


@kept(most=1)
def _halves() -> Array:
    """Every number of half precision, by its bits."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def widened(array: Array) -> Array:
    """Numbers of half precision in single precision, looked up, as numpy's own way takes longer.

    Example:
        >>> widened(np.array([1.5, -np.inf], np.float16))
        array([ 1.5, -inf], dtype=float32)
    """
    return _halves().take(array.view(np.uint16), mode="wrap")


def working_dtype(problem: Problem, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """In what a contraction is carried out whose result is of a dtype.

    What moves numbers, or chooses among those of one array, rounds nothing as it is.
    """
    if len(problem.operands) == 1:
        record = REDUCTIONS[problem.reduce]
        copies = record.is_sum and not problem.reduced and is_direct(problem)
        if copies or record.chooses:
            return dtype
    return accumulator(dtype)


def result_dtype(reduce: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of a reduction's result for operands of one dtype.

    Raises:
        OperandError: it is not a dtype of numbers.
        ReductionError: the reduction needs an order and the numbers are complex.
    """
    record = REDUCTIONS[reduce]
    if not is_number(dtype):
        raise OperandError(f"{dtype} is not a dtype of numbers")
    if record.ordered and dtype.kind == "c":
        raise ReductionError(f"reduce={reduce!r} needs numbers with an order; {dtype} has none")
    if not record.exact and dtype.kind in "biu":
        return np.dtype(np.float64)
    return dtype


def common_dtype(operands: Sequence[Any], reduce: str) -> np.dtype[Any]:
    """The dtype in which operands meet: numpy's promotion, Python numbers being weak.

    Args:
        operands: what :func:`contractconv.arrays.operands.as_operand` returned for each.
        reduce: how they are reduced.

    Example:
        >>> common_dtype([np.ones(2, np.float32), 3.0], "sum")
        dtype('float32')
    """
    kinds = [operand if type(operand) in NUMBERS else operand.dtype for operand in operands]
    return result_dtype(reduce, _promoted(kinds) if kinds else np.dtype(np.float64))


def _promoted(kinds: Sequence[Any]) -> np.dtype[Any]:
    dtypes = [kind for kind in kinds if isinstance(kind, np.dtype)]
    if not any(dtype.kind == "V" for dtype in dtypes):
        return np.result_type(*kinds)
    # numpy's own numbers meet a foreign dtype in few ways, and Python's not as weak ones.
    try:
        dtype = np.result_type(*dtypes)
    except TypeError:
        dtype = np.result_type(*map(accumulator, dtypes))
    others = [kind for kind in kinds if not isinstance(kind, np.dtype)]
    if dtype.kind == "V" and complex not in map(type, others):
        return dtype
    return np.result_type(accumulator(dtype), *others)


def towards(given: Any, dtype: np.dtype[Any], what: str) -> Any:
    """A cotangent or a tangent in the numbers of the result, or the operand, that it belongs to.

    Args:
        given: what :func:`contractconv.arrays.operands.as_operand` made of it.
        dtype: that of the result or the operand.
        what: what messages call it.

    Raises:
        OperandError: it is complex, and what it belongs to is real.

    Example:
        >>> towards(np.ones(2), np.dtype("float16"), "the cotangent").dtype
        dtype('float32')
    """
    if dtype.kind != "c" and (type(given) is complex or _kind(given) == "c"):
        raise OperandError(
            f"{what} is complex, but it belongs to numbers of {dtype}, which are real: "
            f"pass its real part, or complex operands"
        )
    return np.asarray(given, accumulator(dtype)) if is_rounded(dtype) else given


def _kind(given: Any) -> str:
    return given.dtype.kind if isinstance(given, np.ndarray) else ""


def settled(made: Array, dtype: np.dtype[Any]) -> Array:
    """A derivative in the dtype of what it is the derivative by, or of.

    That is its only rounding. Of a real operand among complex ones it is the real part. Integers
    have no derivatives of their own: theirs are in the numbers that they were made in.

    Example:
        >>> settled(np.ones(2), np.dtype("float32")).dtype, settled(np.ones(2), np.dtype(int)).dtype
        (dtype('float32'), dtype('float64'))
    """
    dtype = dtype if dtype.isnative else dtype.newbyteorder("=")
    if made.dtype == dtype:
        return made
    if not is_rounded(dtype):
        return made.astype(np.result_type(made.dtype, dtype), copy=False)
    return rounded(made.real if dtype.kind != "c" else made, dtype)


def rounded(made: Array, dtype: np.dtype[Any]) -> Array:
    """Numbers of another dtype; what is too large for it becomes an infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return made.astype(dtype, copy=False)
