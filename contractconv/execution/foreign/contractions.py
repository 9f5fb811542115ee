"""Any contraction on the arrays of one library, by the library's own operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contractconv.engines.portable.interpreter import run
from contractconv.engines.portable.libraries import library_of
from contractconv.engines.portable.translation import lowered
from contractconv.notation.problem import Problem
from contractconv.planning.options import DEFAULTS, Options


def contracted(problem: Problem, operands: Sequence[Any], options: Options = DEFAULTS) -> Any:
    """Carry out a contraction on arrays of one library.

    Args:
        problem: the contraction.
        operands: an array for each; numpy's among them join the others. Compositions are not split.
        options: who chooses the order of operands.

    Returns:
        An array of the library, of shape ``problem.result_shape``, in the dtype in which the
        operands meet; of integers, means and logarithms are floats.

    Raises:
        OperandError: the arrays are of several libraries.
        ReductionError: the reduction needs an order and the numbers are complex.
    """
    library, _ = library_of(operands)
    if library.contraction is not None:
        return library.contraction(problem, operands, options)
    return run(lowered(problem), problem, operands)
