"""Results in an array and a dtype that the caller chooses, as in :func:`numpy.einsum`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from contractconv.arrays.precision import common_dtype, result_dtype
from contractconv.arrays.views import Array
from contractconv.errors import OperandError, ShapeError
from contractconv.notation.keywords import Casting, meant
from contractconv.notation.problem import Problem

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
    """What a result is converted to.

    Attributes:
        out: the array that is filled, if there is one.
        dtype: the dtype of operands and result, if it is not theirs.
        casting: what may be converted into what; see :func:`numpy.can_cast`.
    """

    out: Array | None
    dtype: np.dtype[Any] | None
    casting: Casting

    @staticmethod
    def of(problem: Problem, out: Any, dtype: Any, casting: Any) -> Conversion:
        """Take what a caller asks for.

        Raises:
            OperandError: it is no array that can be filled, no dtype, or no rule of casting.
            ShapeError: the array has not the result's shape.
        """
        if casting not in get_args(Casting):
            known = ", ".join(get_args(Casting))
            hint = meant("casting", casting, problem.indices)
            raise OperandError(f"unknown casting {casting!r}: choose one of {known}{hint}")
        if out is not None:
            _check_out(problem, out)
        made = None if dtype is None else as_dtype(dtype, problem.indices)
        if made is not None and result_dtype(problem.reduce, made) != made:
            raise OperandError(
                f"reduce={problem.reduce!r} makes {result_dtype(problem.reduce, made)} of {made}: "
                f"choose another dtype"
            )
        return Conversion(out, made, casting)

    def operands(self, problem: Problem, operands: Sequence[Any]) -> list[Any]:
        """Convert the operands.

        Raises:
            OperandError: an operand, or the result, may not be converted.
        """
        converted = [self._operand(n, operand) for n, operand in enumerate(operands)]
        made = common_dtype(converted, problem.reduce)
        if self.out is not None and not np.can_cast(made, self.out.dtype, self.casting):
            raise OperandError(
                f"the result is {made}, which casting={self.casting!r} does not convert to the "
                f"{self.out.dtype} of out"
            )
        return converted

    def _operand(self, number: int, operand: Any) -> Any:
        if self.dtype is None:
            return operand
        kinds = _KINDS.get(type(operand))
        allowed = self.casting == "unsafe" or (
            self.dtype.kind in kinds
            if kinds
            else np.can_cast(operand.dtype, self.dtype, self.casting)
        )
        if not allowed:
            kind = type(operand).__name__ if kinds else operand.dtype
            raise OperandError(
                f"operand {number} is {kind}, which casting={self.casting!r} does not convert to "
                f"dtype={self.dtype}"
            )
        try:
            return np.asarray(operand, self.dtype)
        except OverflowError:
            message = f"operand {number} is {operand}, which {self.dtype} cannot hold"
            raise OperandError(message) from None

    def filled(self, result: Array) -> Array:
        """Put the result where the caller wants it."""
        if self.out is None:
            return result
        np.copyto(self.out, result, self.casting)
        return self.out


def _check_out(problem: Problem, out: Any) -> None:
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise OperandError(
            f"out is a numpy array, not {type(out).__name__}{meant('out', out, problem.indices)}"
        )
    if out.shape != problem.result_shape:
        raise ShapeError(f"out has shape {out.shape}, the result has {problem.result_shape}")
    if not out.flags.writeable:
        raise OperandError("out is read-only")
