"""The gradient of a small pooling: where each window reads is looked up in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from contractconv.arrays.views import Array
from contractconv.arrays.workspace import Making
from contractconv.engines.numpy.small.few_points import is_small, places
from contractconv.notation.problem import Problem
from contractconv.planning.cost import volume
from contractconv.planning.workspace import Workspace
from contractconv.reductions.table import REDUCTIONS

# From an operand and a cotangent to the gradient.
Work = Callable[[Sequence[Array]], Array]
# Bytes of a place.
_PLACE = 8


def prepared(problem: Problem, array: Array) -> Making | None:
    """Make the gradient ready.

    Args:
        problem: a pooling, see :func:`contractconv.engines.numpy.pooling_gradient.is_pooling`.
        array: an operand that lies in memory like those to come.

    Returns:
        What makes the gradient of an operand and a cotangent; ``None`` if the pooling is not small,
        or an extremum is of a window that reads nothing at all.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> pooling = resolve(parse("(i+k) -> i", reduce="max"), [(4,)], {"k": 2})
        >>> x = np.array([1.0, 3.0, 3.0, 2.0])
        >>> prepared(pooling, x).work((x, np.ones(3)))
        array([0., 2., 1., 0.])
    """
    if not is_small(problem):
        return None
    record, taps = REDUCTIONS[problem.reduce], volume(problem.reduced, problem.extents)
    names = (*(access.names[0] for access in problem.output), *problem.reduced)
    tables = places(problem.operands[0], problem, names)
    met, inside = (table.reshape(-1, taps) for table in tables)
    if record.chooses:
        if not inside.any(axis=1).all():
            return None
        work = _of_extremes(met, inside, record.combine)
    else:
        work = _of_means(met, inside)
    table = problem.points * _PLACE
    beside = problem.points * array.itemsize + table + array.nbytes
    return Making(work, Workspace(beside=beside), size=2 * table)


def _of_extremes(met: Array, inside: Array, combine: str) -> Work:
    """A tap outside stands for the first one inside, which it neither outdoes nor precedes."""
    before = np.take_along_axis(met, inside.argmax(axis=1)[:, None], axis=1)
    met, every = np.where(inside, met, before), np.arange(len(met))
    first = np.argmin if combine == "minimum" else np.argmax

    def work(given: Sequence[Array]) -> Array:
        array, cotangent = given
        at = met[every, first(array.reshape(-1)[met], axis=1)]
        return _added(array, at, cotangent.reshape(-1))

    return work


def _of_means(met: Array, inside: Array) -> Work:
    """All taps have their share, those outside, too."""
    result, taps = np.nonzero(inside)[0], met.shape[1]
    at = met[inside]

    def work(given: Sequence[Array]) -> Array:
        array, cotangent = given
        return _added(array, at, (cotangent.reshape(-1) / cotangent.dtype.type(taps))[result])

    return work


def _added(array: Array, at: Array, cotangents: Array) -> Array:
    """Cotangents where they belong, in an array like the operand."""
    made = np.zeros(array.size, array.dtype)
    np.add.at(made, at, cotangents)
    return made.reshape(array.shape)
