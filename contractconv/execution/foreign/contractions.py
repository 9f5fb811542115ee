"""Any contraction on the arrays of one library, by the library's own operations.

Operands meet in the order that the planner says; how each step is carried out is decided once for
a problem, a library and a kind of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from contractconv.cache_register import kept
from contractconv.engines.portable.interpreter import Arithmetic, joined
from contractconv.engines.portable.libraries import Library, library_of
from contractconv.execution.foreign.ways import Work, prepared
from contractconv.execution.local_weights import landing_points
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.options import DEFAULTS, Options
from contractconv.planning.plan import order_of, steps_of
from contractconv.reductions.table import REDUCTIONS

Carry = Callable[[Sequence[Any], Any], Any]
"""Of the operands as they come, and an array of the library, makes the result."""


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
    library, like = library_of(operands)
    if library.contraction is not None:
        return library.contraction(problem, operands, options)
    arrays = joined(operands, library, like)
    search = _kept if isinstance(options.optimize, Hashable) else _prepared
    return search(problem, library, library.promoted(arrays), options.optimize)(arrays, like)


def ready(
    problem: Problem, library: Library, dtype: str, alike: bool
) -> Callable[[Sequence[Any]], Any]:
    """What carries out a contraction, of operands that all are arrays of a library.

    Args:
        problem: the contraction.
        library: whose arrays the operands are.
        dtype: the name of the dtype in which they meet.
        alike: whether it is that of each of them.
    """
    if library.contraction is not None:
        return partial(library.contraction, problem)
    carry = _kept(problem, library, dtype, DEFAULTS.optimize, alike)
    return lambda operands: carry(operands, operands[0])


@kept(most=1024)
def _kept(
    problem: Problem, library: Library, common: str, optimize: Any, alike: bool = False
) -> Carry:
    return _prepared(problem, library, common, optimize, alike)


def _prepared(
    problem: Problem, library: Library, common: str, optimize: Any, alike: bool = False
) -> Carry:
    """Decide, once for operands that meet in a dtype, what carries a contraction out."""
    arithmetic = Arithmetic.of(library, common, problem.reduce)
    shapes, shape = [*map(shape_of, problem.operands)], problem.result_shape
    work, count = _steps(problem, arithmetic, optimize), _divisor(problem)
    numbers, result, cast = arithmetic.numbers, arithmetic.result, library.cast

    straight = alike and common == numbers

    def taken(array: Any, sizes: Shape) -> Any:
        array = array if straight else cast(array, numbers)
        return array if len(array.shape) == len(sizes) else array.reshape(sizes)

    def carry(arrays: Sequence[Any], like: Any) -> Any:
        made = work([taken(a, n) for a, n in zip(arrays, shapes, strict=True)], like)
        if count is not None:
            made = made / cast(library.array(count, like), numbers)
        if len(made.shape) != len(shape):
            made = made.reshape(shape)
        return made if result == numbers else cast(made, result)

    return carry


def _divisor(problem: Problem) -> Any:
    """By what the sum of a mean is divided; one where no point lands."""
    if not REDUCTIONS[problem.reduce].averages:
        return None
    return np.maximum(landing_points(problem), 1)


def _steps(problem: Problem, arithmetic: Arithmetic, optimize: Any) -> Work:
    """One step after the other; each takes some of what is there, and its result is put behind."""
    record = REDUCTIONS[problem.reduce]
    if record.averages:
        problem = replace(problem, reduce=SUM)
    steps = [
        (positions, prepared(step, arithmetic)[1])
        for positions, step in steps_of(problem, order_of(problem, optimize))
    ]
    if len(steps) == 1:
        return steps[0][1]

    def work(given: Sequence[Any], like: Any) -> Any:
        held = list(given)
        for positions, step in steps:
            taken = [held[n] for n in positions]
            held = [array for n, array in enumerate(held) if n not in positions]
            held.append(step(taken, like))
        (made,) = held
        return made

    return work
