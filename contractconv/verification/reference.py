"""What all engines are compared with: the portable one, on the arrays of any library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contractconv.engines.portable.interpreter import run
from contractconv.engines.portable.translation import lowered
from contractconv.notation.problem import Problem


def reference(problem: Problem, arrays: Sequence[Any]) -> Any:
    """Carry out a contraction by what all array libraries have: no plan, no kernel.

    Args:
        problem: the contraction, of any number of operands.
        arrays: the operands, compositions not split, of the shapes that the problem was made for.

    Returns:
        An array of the operands' library, of shape ``problem.result_shape``. What the library
        can differentiate, trace or run on a device, it can here.

    Raises:
        OperandError: the arrays are of several libraries, or of an unknown one.
        ReductionError: the reduction needs an order and the numbers are complex.

    Example:
        >>> import numpy as np
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> window = resolve(parse("(i+k), k -> i"), [(4,), (2,)])
        >>> reference(window, [np.arange(4), np.array([1, -1])]).tolist()
        [-1, -1, -1]
    """
    return run(lowered(problem), problem, arrays)
