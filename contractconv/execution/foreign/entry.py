"""A contraction of another library's arrays as a caller asks for it, with all options of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contractconv.execution.foreign.contractions import contracted
from contractconv.notation.problem import Problem
from contractconv.planning.options import Options


def called(problem: Problem, operands: Sequence[Any], options: Options) -> Any:
    """Carry out a contraction with all options of a call.

    Args:
        problem: the contraction.
        operands: what :func:`contractconv.execution.foreign.operands.taken` returned.
        options: those of the call.

    Returns:
        A new array of the operands' library, of shape ``problem.result_shape``.
    """
    return contracted(problem, operands, options)
