"""Any contraction on the arrays of one library, by the library's own operations.

Operands meet in the order that the planner says; how each step is carried out is decided once for
a problem, a library and a kind of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from contractconv.cache_register import kept
from contractconv.engines.portable.interpreter import Arithmetic, joined
from contractconv.engines.portable.libraries import Library, library_of
from contractconv.execution.foreign.ways import Work, prepared
from contractconv.execution.local_weights import landing_points
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.options import DEFAULTS, Options
from contractconv.planning.path import Search
from contractconv.planning.plan import order_of, steps_of
from contractconv.reductions.table import REDUCTIONS


class Carry(Protocol):
    """Carries out a contraction."""

    def __call__(self, arrays: Sequence[Any], like: Any, alike: bool = False, /) -> Any:
        """Make the result.

        Args:
            arrays: the operands as they come.
            like: an array of the library.
            alike: whether all of them are of the dtype in which they meet.
        """


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
    prepare = _kept if isinstance(options.optimize, Hashable) else _prepared
    return prepare(problem, library, library.promoted(arrays), options.search)(arrays, like)


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
    whole = library.contraction
    if whole is not None:
        return lambda operands: whole(problem, operands, DEFAULTS)
    carry = _kept(problem, library, dtype, DEFAULTS.search)
    return lambda operands: carry(operands, operands[0], alike)


@kept(most=1024)
def _kept(problem: Problem, library: Library, common: str, search: Search) -> Carry:
    return _prepared(problem, library, common, search)


def _prepared(problem: Problem, library: Library, common: str, search: Search) -> Carry:
    """Decide, once for operands that meet in a dtype, what carries a contraction out."""
    arithmetic = Arithmetic.of(library, common, problem.reduce)
    shapes, shape = [*map(shape_of, problem.operands)], problem.result_shape
    work, count = _steps(problem, arithmetic, search), _divisor(problem)
    numbers, result, cast = arithmetic.numbers, arithmetic.result, library.cast
    copied = library.copied if _is_view(problem) else None

    def carry(arrays: Sequence[Any], like: Any, alike: bool = False) -> Any:
        if not (alike and common == numbers):
            arrays = [cast(array, numbers) for array in arrays]
        made = work([_split(a, sizes) for a, sizes in zip(arrays, shapes, strict=True)], like)
        if count is not None:
            made = made / cast(library.array(count, like), numbers)
        elif copied is not None:
            made = copied(made)
        if len(made.shape) != len(shape):
            made = made.reshape(shape)
        return made if result == numbers else cast(made, result)

    return carry


def _split(array: Any, sizes: Shape) -> Any:
    """An operand with its compositions split, of which there are if it has fewer axes."""
    return array if len(array.shape) == len(sizes) else array.reshape(sizes)


def _is_view(problem: Problem) -> bool:
    """Whether the result may be a part of the operand, where it lies."""
    return len(problem.operands) == 1 and not problem.reduced


def _divisor(problem: Problem) -> Any:
    """By what the sum of a mean is divided; one where no point lands."""
    if not REDUCTIONS[problem.reduce].averages:
        return None
    return np.maximum(landing_points(problem), 1)


def _steps(problem: Problem, arithmetic: Arithmetic, search: Search) -> Work:
    """One step after the other; each takes some of what is there, and its result is put behind."""
    record = REDUCTIONS[problem.reduce]
    if record.averages:
        problem = replace(problem, reduce=SUM)
    steps = [
        (positions, prepared(step, arithmetic)[1])
        for positions, step in steps_of(problem, order_of(problem, search))
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
