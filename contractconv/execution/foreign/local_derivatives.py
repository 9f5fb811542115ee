"""Local derivatives of reductions on arrays of any library: how a result changes with each point.

Points are lined up for each element of the result, in row-major order: where the result has an
index for each axis, by turning axes; where points are scattered, by tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.cache_register import weighed
from contractconv.engines.portable.interpreter import Arithmetic, Setting, inside
from contractconv.engines.portable.libraries import Library
from contractconv.engines.portable.tables import Arrivals, Positions
from contractconv.engines.portable.translation import leaving, products
from contractconv.execution.foreign.numbers import accumulator
from contractconv.execution.local_weights import derivative_weights
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.cost import is_direct
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS

OfPoints = Callable[..., Any]
"""From arrays whose last axis holds the points of an element to an array of as many."""


class _Lined(NamedTuple):
    """An array with an axis for each index, and what stands where an element has no more points."""

    array: Any
    end: Any


def local_derivative(
    library: Library,
    problem: Problem,
    operands: Sequence[Any],
    dtype: str,
    moved: Sequence[Any] | None = None,
) -> Any:
    """What the backward contraction of a reduction meets.

    Args:
        library: whose arrays they are.
        problem: the forward contraction.
        operands: the forward operands, compositions not split.
        dtype: the name of the dtype of the result.
        moved: the same with a direction in the place of one operand, if it is not the derivative
            that is wanted, but how that changes.

    Returns:
        For a mean, one over the number of points (a scalar, or one value for each output element);
        otherwise one value for each point, with axes as in ``problem.indices``; in numbers that can
        be summed.

    Raises:
        ReductionError: the reduction has no such derivative.
    """
    made, like, record = accumulator(dtype), operands[0], REDUCTIONS[problem.reduce]
    if record.averages:
        return library.cast(library.array(_shares(problem, made), like), made)
    if library.derivative is not None:
        return library.derivative(problem, operands, made, moved)
    known = record.local.portable if moved is None else record.local.portable_change
    work = record.asked(known, f"derivative on {library.name} arrays")
    shape = tuple(size for _, size in problem.sizes)
    terms = (*problem.operands, problem.output)
    if 0 in shape or any(0 in shape_of(term) for term in terms):
        return library.broadcast(library.number(0, made, like), shape)
    numbers = library.substitutes.get(made, made)
    setting = _setting(library, problem, operands, numbers, made)
    lined = _points(setting, problem)
    if moved is not None:
        lined.insert(1, _changes(_setting(library, problem, moved, numbers, made), problem, lined))
    lined_up = _turned if is_direct(problem) else _gathered
    return library.cast(lined_up(setting, problem, partial(work, library, numbers), lined), made)


def _setting(
    library: Library, problem: Problem, operands: Sequence[Any], numbers: str, dtype: str
) -> Setting:
    arrays = tuple(library.cast(operand, numbers) for operand in operands)
    return Setting(
        Arithmetic(library, numbers, np.dtype(dtype), dtype), arrays, arrays[0], problem.extents
    )


def _shares(problem: Problem, dtype: str) -> Any:
    """One over the numbers of points of a mean, which no operand says."""
    return derivative_weights(problem, [np.zeros((), dtype)])


def _points(setting: Setting, problem: Problem) -> list[_Lined]:
    """The product of the operands at each point, the identity where none counts; and which do."""
    library = setting.library
    values = setting.value(products(problem))
    mask = np.broadcast_to(inside(setting, leaving(problem), problem.indices), values.shape)
    valid = library.array(mask, setting.like)
    unit = identity(REDUCTIONS[problem.reduce], setting.arithmetic.dtype).item()
    nothing = library.number(unit, setting.arithmetic.numbers, values)
    no = library.number(False, "bool", values)
    return [_Lined(library.where(valid, values, nothing), nothing), _Lined(valid, no)]


def _changes(setting: Setting, problem: Problem, lined: Sequence[_Lined]) -> _Lined:
    """How the product of the operands changes at each point that counts."""
    values = setting.value(products(problem))
    zero = setting.library.number(0, setting.arithmetic.numbers, values)
    return _Lined(setting.library.where(lined[-1].array, values, zero), zero)


def _turned(setting: Setting, problem: Problem, work: OfPoints, lined: Sequence[_Lined]) -> Any:
    """Points that share an element lie along indices that the result lacks: those are turned."""
    library, reduced = setting.library, problem.reduced
    kept = [name for name in problem.indices if name not in reduced]
    order = [problem.indices.index(name) for name in (*kept, *reduced)]
    turned = [problem.extents[name] for name in (*kept, *reduced)]
    shape = (*turned[: len(kept)], prod(turned[len(kept) :]))
    made = work(*(library.transposed(one.array, order).reshape(shape) for one in lined))
    back = sorted(range(len(order)), key=order.__getitem__)
    return library.transposed(made.reshape(tuple(turned)), back)


def _gathered(setting: Setting, problem: Problem, work: OfPoints, lined: Sequence[_Lined]) -> Any:
    """Points that share an element lie anywhere: tables say where."""
    library = setting.library
    table, back = _tables(problem)

    def lined_up(one: _Lined) -> Any:
        flat = library.joined([one.array.reshape((problem.points,)), one.end.reshape((1,))], 0)
        return library.take(flat, table.ravel(), 0).reshape(table.shape)

    made = work(*map(lined_up, lined))
    zero = library.number(0, setting.arithmetic.numbers, made).reshape((1,))
    flat = library.joined([made.reshape((table.size,)), zero], 0)
    return library.take(flat, back, 0).reshape(tuple(size for _, size in problem.sizes))


@weighed(lambda tables: sum(table.nbytes for table in tables))
def _tables(problem: Problem) -> tuple[Any, Any]:
    """The points of each element that any point meets, and where each point is among those."""
    arrivals = Arrivals(Positions(problem.output, problem.sizes))
    table = arrivals.table.reshape(len(arrivals.met), arrivals.most)
    back = np.full(problem.points + 1, table.size)
    back[table.ravel()] = np.arange(table.size)
    back[arrivals.outside] = table.size
    return table, back[:-1]
