"""A contraction as a caller asks for it: operands converted, the result ended, and put in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from contractconv.arrays.conversion import Conversion
from contractconv.arrays.epilogue import Ending, ending
from contractconv.arrays.mapped import in_file
from contractconv.arrays.precision import accumulator, common_dtype
from contractconv.arrays.views import Array
from contractconv.execution.run import carry_out
from contractconv.notation.problem import Problem
from contractconv.planning.options import Options
from contractconv.progress import Progress


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
    dtype = None if wanted is None else wanted.dtype
    if wanted is not None:
        for n, operand in enumerate(operands):
            wanted.check(operand, f"operand {n}")
        kind = common_dtype(operands, problem.reduce) if dtype is None else dtype
        wanted.check_result(kind, problem.result_shape)
    limit = resident_limit(problem, operands, options)
    if limit is not None:
        return _by_files(problem, operands, options, dtype, limit)
    # Within a limit they are converted part by part.
    if dtype is not None and wanted is not None and options.memory_limit is None:
        operands = [wanted.converted(o, f"operand {n}") for n, o in enumerate(operands)]
        dtype = None
    finish = _ending(problem, operands, options, dtype)
    made = shown(options, lambda: carry_out(problem, operands, options, dtype, finish))
    return made if wanted is None else wanted.filled(made)


def resident_limit(problem: Problem, operands: Sequence[Any], options: Options) -> int | None:
    """The bytes within which arrays in files are contracted block by block, if they are."""
    if not any(map(in_file, (*operands, options.out))):
        return None
    from contractconv.execution.files.calls import limit_of

    return limit_of(problem, operands, options)


def shown(options: Options, work: Callable[[], Array]) -> Array:
    """Do something that is one step, with a bar if that is asked for."""
    if not options.progress:
        return work()
    with Progress(True, "block", lines=True) as progress:
        progress.begin(1)
        made = work()
        progress.step()
    return made


def _by_files(
    problem: Problem,
    operands: Sequence[Any],
    options: Options,
    dtype: np.dtype[Any] | None,
    limit: int,
) -> Array:
    from contractconv.execution.files.calls import contracted

    finish = _ending(problem, operands, options, dtype)
    return contracted(problem, operands, options, dtype, finish, limit)


def _ending(
    problem: Problem, operands: Sequence[Any], options: Options, dtype: np.dtype[Any] | None
) -> Ending | None:
    """The bias and the activation of the result."""
    if options.bias is options.activation is None:
        return None
    numbers = common_dtype(operands, problem.reduce) if dtype is None else dtype
    wanted = "the last axis of the result needs"
    return ending(options, problem.result_shape, accumulator(numbers), wanted)
