"""A contraction as a caller asks for it: operands converted, the result ended, and put in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from contractconv.arrays.conversion import Conversion
from contractconv.arrays.epilogue import ending
from contractconv.arrays.precision import accumulator, common_dtype
from contractconv.arrays.views import Array
from contractconv.execution.run import carry_out
from contractconv.notation.problem import Problem
from contractconv.planning.options import Options


def called(
    problem: Problem, operands: Sequence[Any], options: Options, indices: Iterable[str]
) -> Array:
    """Carry out a contraction with all options of a call.

    Args:
        problem: the contraction.
        operands: what :func:`contractconv.arrays.operands.as_operand` returned for each.
        options: those of the call.
        indices: names that messages explain.

    Returns:
        A new array of shape ``problem.result_shape``, or ``options.out``.
    """
    wanted = Conversion.of(options, problem.reduce, indices)
    if wanted is None:
        return _ended(problem, operands, options, None)
    dtype = wanted.dtype
    for n, operand in enumerate(operands):
        wanted.check(operand, f"operand {n}")
    # Within a limit they are converted part by part.
    if options.memory_limit is None:
        operands = [wanted.converted(o, f"operand {n}") for n, o in enumerate(operands)]
        dtype = None
    made = common_dtype(operands, problem.reduce) if dtype is None else dtype
    wanted.check_result(made, problem.result_shape)
    return wanted.filled(_ended(problem, operands, options, dtype))


def _ended(
    problem: Problem, operands: Sequence[Any], options: Options, dtype: np.dtype[Any] | None
) -> Array:
    """The result with its bias and its activation."""
    if options.bias is options.activation is None:
        return carry_out(problem, operands, options, dtype)
    numbers = common_dtype(operands, problem.reduce) if dtype is None else dtype
    wanted = "the last axis of the result needs"
    finish = ending(options, problem.result_shape, accumulator(numbers), wanted)
    return carry_out(problem, operands, options, dtype, finish)
