"""Which calls are carried out block by block, and these calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.conversion import Conversion
from contractconv.arrays.epilogue import Ending
from contractconv.arrays.mapped import Mapped, mapped, overlap
from contractconv.arrays.operands import split
from contractconv.arrays.precision import accumulator, common_dtype
from contractconv.arrays.views import Array
from contractconv.errors import UnfinishedError
from contractconv.execution.files import mark as marks
from contractconv.execution.files.stream import Job, carry_out_by_blocks
from contractconv.execution.gradient import backward_operands
from contractconv.machine.available_memory import available_memory
from contractconv.notation.problem import Problem
from contractconv.notation.spec import Spec
from contractconv.planning.cost import is_direct
from contractconv.planning.derived_problems import backward
from contractconv.planning.options import Options
from contractconv.reductions.table import REDUCTIONS


def limit_of(problem: Problem, operands: Sequence[Any], options: Options) -> int | None:
    """The bytes within which a call is carried out block by block; ``None`` if it is not.

    Arrays in files are never in memory as a whole if there is a limit, or if they are large.

    Args:
        problem: the contraction.
        operands: its operands.
        options: those of the call.
    """
    arrays = [*operands, options.out]
    files = [found for found in map(mapped, arrays) if found is not None]
    if not files or not problem.points or 0 in problem.output_sizes:
        return None
    if any(overlap(options.out, operand) for operand in operands):
        return None
    if options.memory_limit is not None:
        return options.memory_limit
    room = available_memory() // 2
    large = sum(file.array.nbytes for file in files) > room
    return room if large or _is_marked(mapped(options.out)) else None


def _is_marked(file: Mapped | None) -> bool:
    return file is not None and file.path is not None and marks.beside(file.path).exists()


def contracted(
    problem: Problem,
    operands: Sequence[Any],
    options: Options,
    dtype: np.dtype[Any] | None,
    ending: Ending | None,
    limit: int,
) -> Array:
    """Carry out a contraction block by block.

    Args:
        problem: the contraction, of at least one point.
        operands: what :func:`contractconv.arrays.operands.as_operand` returned for each.
        options: those of the call.
        dtype: what operands are converted to, if they are.
        ending: what is done to the result.
        limit: bytes that may be in memory.

    Returns:
        ``options.out``, or a new array in memory.

    Raises:
        UnfinishedError: an operand is not finished, or the result cannot be written.
    """
    meet = common_dtype(operands, problem.reduce) if dtype is None else dtype
    return _filled(problem, split(problem, operands, meet), options, (meet, meet), ending, limit)


def gradient(
    forward: Spec,
    operand: int,
    problem: Problem,
    cotangent: Any,
    operands: Sequence[Any],
    options: Options,
) -> Array | None:
    """Contract a cotangent back to one operand, block by block.

    Args:
        forward: the contraction, with parameters bound and the ellipsis spelled out.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result.
        operands: all forward operands.
        options: those of the call.

    Returns:
        ``options.out``, or a new array in memory; ``None`` if arrays do not lie in files, have
        different dtypes, or meet the local derivative of a reduction, which is as large as all
        points together.
    """
    record, given = REDUCTIONS[problem.reduce], [cotangent, *operands]
    dtypes = {getattr(array, "dtype", None) for array in given}
    simple = record.is_sum or (record.averages and is_direct(problem))
    if not simple or len(dtypes) != 1 or None in dtypes:
        return None
    whole = backward(forward, operand, problem, tuple(array.shape for array in operands))
    # The operand itself only has a shape.
    others = [array for n, array in enumerate(operands) if n != operand]
    limit = limit_of(whole, [cotangent, *others], options)
    if limit is None:
        return None
    dtype = common_dtype(operands, problem.reduce)
    if dtype != cotangent.dtype:
        return None
    taken = split(whole, backward_operands(operand, problem, cotangent, operands), dtype)
    wanted = Conversion.of(options, problem.reduce, whole.indices)
    if wanted is not None:
        wanted.check_result(dtype, whole.result_shape)
    return _filled(whole, taken, options, (accumulator(dtype), dtype), None, limit)


def _filled(
    problem: Problem,
    arrays: Sequence[Array],
    options: Options,
    dtypes: tuple[np.dtype[Any], np.dtype[Any]],
    ending: Ending | None,
    limit: int,
) -> Array:
    for n, array in enumerate(arrays):
        _check_finished(array, n)
    meet, result = dtypes
    out = np.empty(problem.result_shape, result) if options.out is None else options.out
    there = out.view(np.ndarray).reshape(problem.output_sizes)
    carry_out_by_blocks(Job(problem, tuple(arrays), there, meet, result, options, ending, limit))
    filled: Array = out
    return filled


def _check_finished(array: Array, position: int) -> None:
    found = marks.unfinished(array)
    if found is not None:
        raise UnfinishedError(
            f"operand {position} is not finished: {found}; make the call that makes it once more"
        )
