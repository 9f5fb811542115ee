"""Local derivatives of reductions on arrays of any library: how a result changes with each point.

Points are lined up for each element of the result, in row-major order: where the result has an
index for each axis, by turning axes; where points are scattered, by tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.cache_register import weighed
from contractconv.engines.portable.interpreter import Setting, inside
from contractconv.engines.portable.libraries import Library
from contractconv.engines.portable.tables import Arrivals, Positions
from contractconv.engines.portable.translation import leaving, products
from contractconv.execution.foreign.numbers import accumulator
from contractconv.execution.local_weights import derivative_weights
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.cost import is_direct
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS

Derivative = Callable[[Any, Any], Any]
"""From values whose last axis holds the points of an element, and which count, to as many."""


def local_derivative(
    library: Library, problem: Problem, operands: Sequence[Any], dtype: str
) -> Any:
    """What the backward contraction of a reduction meets.

    Args:
        library: whose arrays they are.
        problem: the forward contraction.
        operands: the forward operands, compositions not split.
        dtype: the name of the dtype of the result.

    Returns:
        For a mean, one over the number of points (a scalar, or one value for each output element);
        otherwise one value for each point, with axes as in ``problem.indices``; in numbers that can
        be summed.

    Raises:
        ReductionError: the reduction has no such derivative.
    """
    made = accumulator(dtype)
    numbers = library.substitutes.get(made, made)
    record, like = REDUCTIONS[problem.reduce], operands[0]
    if record.averages:
        return library.cast(library.array(_shares(problem, made), like), made)
    derivative = record.asked(record.local.portable, f"derivative on {library.name} arrays")
    shape = tuple(size for _, size in problem.sizes)
    terms = (*problem.operands, problem.output)
    if 0 in shape or any(0 in shape_of(term) for term in terms):
        return library.broadcast(library.number(0, made, like), shape)
    arrays = tuple(library.cast(operand, numbers) for operand in operands)
    setting = Setting(library, arrays, like, numbers, np.dtype(made), problem.extents)
    values, valid = _points(setting, problem)

    def of_points(values: Any, valid: Any) -> Any:
        return derivative(library, numbers, values, valid)

    lined_up = _turned if is_direct(problem) else _gathered
    return library.cast(lined_up(setting, problem, of_points, values, valid), made)


def _shares(problem: Problem, dtype: str) -> Any:
    """One over the numbers of points of a mean, which no operand says."""
    return derivative_weights(problem, [np.zeros((), dtype)])


def _points(setting: Setting, problem: Problem) -> tuple[Any, Any]:
    """The product of the operands at each point, the identity where none counts; and which do."""
    library = setting.library
    values = setting.value(products(problem))
    mask = np.broadcast_to(inside(setting, leaving(problem), problem.indices), values.shape)
    valid = library.array(mask, setting.like)
    nothing = identity(REDUCTIONS[problem.reduce], setting.dtype).item()
    return library.where(valid, values, library.number(nothing, setting.numbers, values)), valid


def _turned(
    setting: Setting, problem: Problem, derivative: Derivative, values: Any, valid: Any
) -> Any:
    """Points that share an element lie along indices that the result lacks: those are turned."""
    library, reduced = setting.library, problem.reduced
    kept = [name for name in problem.indices if name not in reduced]
    order = [problem.indices.index(name) for name in (*kept, *reduced)]
    turned = [problem.extents[name] for name in (*kept, *reduced)]
    lined = (*turned[: len(kept)], prod(turned[len(kept) :]))
    made = derivative(
        *(library.transposed(array, order).reshape(lined) for array in (values, valid))
    )
    back = sorted(range(len(order)), key=order.__getitem__)
    return library.transposed(made.reshape(turned), back)


def _gathered(
    setting: Setting, problem: Problem, derivative: Derivative, values: Any, valid: Any
) -> Any:
    """Points that share an element lie anywhere: tables say where."""
    library = setting.library
    table, back = _tables(problem)
    nothing = identity(REDUCTIONS[problem.reduce], setting.dtype).item()

    def lined_up(array: Any, end: Any) -> Any:
        flat = library.joined([array.reshape((-1,)), end.reshape((1,))], 0)
        return library.take(flat, table.ravel(), 0).reshape(table.shape)

    ends = library.number(nothing, setting.numbers, values), library.number(False, "bool", values)
    made = derivative(lined_up(values, ends[0]), lined_up(valid, ends[1]))
    zero = library.number(0, setting.numbers, values).reshape((1,))
    flat = library.joined([made.reshape((-1,)), zero], 0)
    return library.take(flat, back, 0).reshape(tuple(size for _, size in problem.sizes))


@weighed(lambda tables: sum(table.nbytes for table in tables))
def _tables(problem: Problem) -> tuple[Any, Any]:
    """The points of each element that any point meets, and where each point is among those."""
    arrivals = Arrivals(Positions(problem.output, problem.sizes))
    table = arrivals.table.reshape(-1, arrivals.most)
    back = np.full(problem.points + 1, table.size)
    back[table.ravel()] = np.arange(table.size)
    back[arrivals.outside] = table.size
    return table, back[:-1]
