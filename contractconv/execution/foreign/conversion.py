"""Results of another library in an array and a dtype that the caller chooses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from contractconv.arrays.conversion import as_dtype
from contractconv.engines.portable.libraries import Library, library_of
from contractconv.errors import AlgorithmError, OperandError, ShapeError
from contractconv.execution.foreign.numbers import accumulator, is_rounded, name_of, result_name
from contractconv.notation.keywords import Casting
from contractconv.planning.options import Options
from contractconv.programs.kinds import kind


@dataclass(frozen=True, slots=True)
class Conversion:
    """What operands and a result are converted to.

    Attributes:
        library: whose arrays they are.
        out: the array that is filled, if there is one.
        dtype: the name of the dtype of operands and result, if it is not theirs.
        casting: what may be converted into what; see :func:`numpy.can_cast`.
    """

    library: Library
    out: Any
    dtype: str | None
    casting: Casting

    @staticmethod
    def of(
        library: Library, options: Options, reduce: str, indices: Iterable[str]
    ) -> Conversion | None:
        """Take what a caller asks for; ``None`` if that is nothing.

        Raises:
            OperandError: it is no array that can be filled, or no dtype.
            AlgorithmError: it holds for numpy's arrays alone.
        """
        _check(library, options)
        if options.out is options.dtype is None:
            return None
        if options.out is not None:
            _check_out(library, options.out)
        made = None if options.dtype is None else _named(options.dtype, indices)
        if made is not None and result_name(reduce, made) != made:
            raise OperandError(
                f"reduce={reduce!r} makes {result_name(reduce, made)} of {made}: "
                f"choose another dtype"
            )
        return Conversion(library, options.out, made, options.casting)

    def converted(self, operand: Any, name: str) -> Any:
        """An operand in the dtype that was asked for.

        Raises:
            OperandError: it may not be converted.
        """
        if self.dtype is None:
            return operand
        found = name_of(self.library, operand)
        if not can_cast(found, self.dtype, self.casting):
            raise OperandError(
                f"{name} is {found}, which casting={self.casting!r} does not convert to "
                f"dtype={self.dtype}"
            )
        return self.library.cast(operand, self.dtype)

    def filled(self, result: Any) -> Any:
        """Put the result where the caller wants it.

        Raises:
            OperandError: the dtype of the array that is filled cannot hold it.
            ShapeError: it has another shape.
        """
        if self.out is None:
            return result
        if tuple(self.out.shape) != tuple(result.shape):
            raise ShapeError(
                f"out has shape {tuple(self.out.shape)}, the result has {tuple(result.shape)}"
            )
        found, wanted = name_of(self.library, result), name_of(self.library, self.out)
        if not can_cast(found, wanted, self.casting):
            raise OperandError(
                f"the result is {found}, which casting={self.casting!r} does not convert to the "
                f"{wanted} of out"
            )
        assert self.library.fill is not None
        return self.library.fill(self.out, result)


def can_cast(given: str, wanted: str, casting: Casting) -> bool:
    """Whether numbers of one dtype may become those of another; see :func:`numpy.can_cast`.

    Example:
        >>> can_cast("bfloat16", "float32", "safe"), can_cast("float32", "bfloat16", "safe")
        (True, False)
    """
    if given == wanted or casting == "unsafe":
        return True
    if "bfloat16" not in (given, wanted):
        return bool(np.can_cast(np.dtype(given), np.dtype(wanted), casting))
    if casting == "same_kind":
        return kind(given) <= kind(wanted)
    # It has the range of single precision, and digits for integers of eight bits.
    if given == "bfloat16":
        return bool(np.can_cast(np.float32, np.dtype(wanted), casting))
    return casting == "safe" and given in ("bool", "int8", "uint8")


def fitted(library: Library, array: Any, what: str, dtype: str, of: str) -> Any:
    """An array in numbers that are settled: rounding it is what a caller asks for.

    Args:
        library: whose array it is.
        array: the array.
        what: what messages call it.
        dtype: the name of what it is converted to.
        of: what messages call those numbers.

    Raises:
        OperandError: its numbers do not fit.
    """
    found = name_of(library, array)
    rule: Casting = "same_kind" if is_rounded(dtype) else "safe"
    if not can_cast(found, accumulator(dtype), rule):
        raise OperandError(f"{what} is {found}, {of} {dtype}")
    return library.cast(array, dtype)


def _check(library: Library, options: Options) -> None:
    """Refuse what only this library's own engines know, by which blocks are contracted, too."""
    if library.contraction is not None:
        return
    told = f"{library.name}'s own operations contract {library.name} arrays"
    if options.algorithm not in ("auto", "direct"):
        raise AlgorithmError(
            f"algorithm={options.algorithm!r} is for numpy arrays: {told}, so leave it out, or "
            f"pass numpy arrays"
        )
    if options.memory_limit is not None:
        raise AlgorithmError(
            f"memory_limit is for numpy arrays: {told}, in memory of its own; leave it out, pass "
            f"numpy arrays, or contract a part of an index at a time"
        )


def _check_out(library: Library, out: Any) -> None:
    other, _ = library_of([out])
    if other is not library:
        raise OperandError(f"out is an array of {other.name}, and the result one of {library.name}")
    if library.fill is None:
        raise OperandError(
            f"out cannot be filled, as {library.name} arrays never change: take what is returned"
        )


def _named(dtype: Any, indices: Iterable[str]) -> str:
    """The name of a dtype, numpy's or another library's: ``torch.bfloat16``."""
    text = str(dtype).rpartition(".")[2]
    if text == "bfloat16" or type(dtype).__module__ == "torch":
        return text
    return as_dtype(dtype, indices).name
