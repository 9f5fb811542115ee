"""Results in an array and a dtype that the caller chooses, as in :func:`numpy.einsum`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from contractconv.arrays.operands import as_operand, held
from contractconv.arrays.precision import accumulator, is_rounded, result_dtype, rounded
from contractconv.arrays.views import Array
from contractconv.errors import OperandError, ShapeError
from contractconv.notation.keywords import Casting, meant
from contractconv.notation.problem import Shape
from contractconv.planning.options import Options

# The kinds of Python's own numbers, which have no width.
_KINDS = {int: "iufc", float: "fc", complex: "c"}


def as_dtype(dtype: Any, indices: Iterable[str]) -> np.dtype[Any]:
    """Take a dtype that a caller passed to a contraction with these indices.

    Raises:
        OperandError: there is no such dtype.
    """
    try:
        made: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        # numpy knows it once the package that defines it has been imported.
        hint = (
            ": import ml_dtypes before" if dtype == "bfloat16" else meant("dtype", dtype, indices)
        )
        raise OperandError(f"dtype={dtype!r}: {error}{hint}") from None
    return made


@dataclass(frozen=True, slots=True)
class Conversion:
    """What operands and a result are converted to.

    Attributes:
        out: the array that is filled, if there is one.
        dtype: the dtype of operands and result, if it is not theirs.
        casting: what may be converted into what; see :func:`numpy.can_cast`.
    """

    out: Array | None
    dtype: np.dtype[Any] | None
    casting: Casting

    @staticmethod
    def of(options: Options, reduce: str, indices: Iterable[str]) -> Conversion | None:
        """Take what a caller asks for; ``None`` if that is nothing.

        Raises:
            OperandError: it is no array that can be filled, or no dtype.
        """
        if options.out is options.dtype is None:
            return None
        if options.out is not None:
            _check_out(options.out, indices)
        made = None if options.dtype is None else as_dtype(options.dtype, indices)
        if made is not None and result_dtype(reduce, made) != made:
            raise OperandError(
                f"reduce={reduce!r} makes {result_dtype(reduce, made)} of {made}: "
                f"choose another dtype"
            )
        return Conversion(options.out, made, options.casting)

    def check(self, operand: Any, name: str) -> None:
        """Refuse an operand that may not be converted.

        Raises:
            OperandError: it may not.
        """
        kinds = _KINDS.get(type(operand))
        if self.dtype is None or self.casting == "unsafe":
            return
        if kinds is None and np.can_cast(operand.dtype, self.dtype, self.casting):
            return
        if kinds is None or self.dtype.kind not in kinds:
            kind = operand.dtype if kinds is None else type(operand).__name__
            raise OperandError(
                f"{name} is {kind}, which casting={self.casting!r} does not convert to "
                f"dtype={self.dtype}"
            )

    def converted(self, operand: Any, name: str) -> Any:
        """An operand in the dtype that was asked for.

        Raises:
            OperandError: it may not be converted, or is a number too large for that.
        """
        self.check(operand, name)
        return operand if self.dtype is None else held(operand, self.dtype, name)

    def check_result(self, dtype: np.dtype[Any], shape: Shape) -> None:
        """Refuse an array that cannot hold the result.

        Raises:
            OperandError: its dtype cannot.
            ShapeError: it has another shape.
        """
        if self.out is None:
            return
        if self.out.shape != shape:
            raise ShapeError(f"out has shape {self.out.shape}, the result has {shape}")
        if not np.can_cast(dtype, self.out.dtype, self.casting):
            raise OperandError(
                f"the result is {dtype}, which casting={self.casting!r} does not convert to the "
                f"{self.out.dtype} of out"
            )

    def filled(self, result: Array) -> Array:
        """Put the result where the caller wants it, unless it was made there."""
        if result is self.out:
            return result
        self.check_result(result.dtype, result.shape)
        if self.out is None:
            return result
        np.copyto(self.out, result, self.casting)
        return self.out


def _check_out(out: Any, indices: Iterable[str]) -> None:
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise OperandError(
            f"out is a numpy array, not {type(out).__name__}{meant('out', out, indices)}"
        )
    if not out.flags.writeable:
        raise OperandError("out is read-only")


def copied(given: Iterable[Any], converted: Iterable[Any]) -> int:
    """Bytes of what was converted into new arrays."""
    pairs = zip(given, converted, strict=True)
    return sum(getattr(new, "nbytes", 0) for old, new in pairs if new is not old)


def fitted(operand: Any, what: str, shape: Shape, dtype: np.dtype[Any], of: str = "") -> Array:
    """Something in numbers that are settled: for a compiled contraction, or for a result.

    Args:
        operand: what a caller passed.
        what: what messages call it.
        shape: the shape that it must have.
        dtype: what it is converted to.
        of: what messages call those numbers.

    Raises:
        ShapeError: it has another shape.
        OperandError: its numbers do not fit.
    """
    if type(operand) is np.ndarray and operand.dtype == dtype and operand.shape == shape:
        return operand
    given = as_operand(operand, what)
    array = held(given, dtype if type(given) is int else None, what)
    if array.shape != shape:
        raise ShapeError(f"{what} has shape {array.shape}, {of} {shape}")
    # Rounding a float is what a caller asks for; wrapping an integer around is not.
    rule: Any = "same_kind" if is_rounded(dtype) else "safe"
    if not np.can_cast(array.dtype, accumulator(dtype), rule):
        raise OperandError(f"{what} is {array.dtype}, {of} {dtype}")
    return rounded(array, dtype)
