"""By what a mean is divided, and what the backward contraction of a reduction meets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.operands import prepared
from contractconv.arrays.precision import accumulator, common_dtype
from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array
from contractconv.engines.numpy.reducing import local_derivative
from contractconv.execution.stages import in_turn
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.cost import is_direct
from contractconv.planning.plan import plan
from contractconv.reductions.table import REDUCTIONS

# Bytes for each element of a mean whose points are counted.
BYTES_COUNTED = 40
# Bytes for each point of a local derivative, while it is made.
_BYTES_DERIVED = 120
# The same where operands move, too, and for each cell of a table of points by elements.
_BYTES_MOVED, _BYTES_A_CELL = 400, 200


def divide(total: Array, count: Array) -> None:
    """Divide a sum by the number of points that land on each element, boundary included."""
    if count.all():  # asking at every element takes longer than dividing
        np.divide(total, count, out=total, casting="same_kind")
        return
    some = np.broadcast_to(count != 0, total.shape)
    np.divide(total, count, out=total, where=some, casting="same_kind")


def as_divisor(count: Array, dtype: np.dtype[Any]) -> Array:
    """A count in numbers that hold it exactly, those of a dtype if they do."""
    narrow = count.astype(np.finfo(dtype).dtype)
    return narrow if (narrow == count).all() else count.astype(np.float64)


def landing_points(problem: Problem) -> Array:
    """How many index points land on each output element, broadcastable to the output.

    They are counted in integers, whatever is reduced.
    """
    repeats = np.asarray(prod(problem.extents[name] for name in problem.reduced), np.int64)
    if is_direct(problem):
        return repeats
    # Along an axis of its own an index lands once everywhere; only the other axes need counting.
    uses = Counter(name for access in problem.output for name in access.names)
    counted = [a for a in problem.output if not _lands_once(a, problem, uses)]
    sizes = tuple((n, size) for n, size in problem.sizes if any(n in a.names for a in counted))
    landing = Problem(((),), tuple(counted), sizes, SUM, shape_of(tuple(counted)))
    point = (np.ones((), np.int64),)
    count = trace.aside(lambda: in_turn(plan(landing), point, point[0].dtype).carry(point))
    shape = [access.size if access in counted else 1 for access in problem.output]
    return repeats * count.reshape(shape)


def _lands_once(access: Access, problem: Problem, uses: Counter[str]) -> bool:
    name = access.plain
    return name is not None and uses[name] == 1 and problem.extents[name] == access.size


def derivative_weights(
    problem: Problem, operands: Sequence[Any], moved: Sequence[Any] | None = None
) -> Array:
    """The local derivative of a reduction: what its backward contraction meets.

    Args:
        problem: the forward contraction.
        operands: the forward operands.
        moved: the same with a direction in the place of one operand, if it is not the derivative
            that is wanted, but how that changes.

    Returns:
        For a mean, one over the number of points (a scalar, or one value for each output element);
        otherwise one value for each point, with axes as in ``problem.indices``.

    Raises:
        ReductionError: the reduction has no such derivative.
    """
    return trace.run("numpy", problem, lambda: _weights(problem, operands, moved))


def _weights(problem: Problem, operands: Sequence[Any], moved: Sequence[Any] | None) -> Array:
    dtype = accumulator(common_dtype([*operands, *(moved or ())], problem.reduce))
    if REDUCTIONS[problem.reduce].averages:
        count = as_divisor(landing_points(problem), dtype)
        shares = np.divide(1, count, out=np.zeros_like(count), where=count != 0)
        weights = shares.astype(dtype)
        if is_direct(problem):
            return weights
        return np.broadcast_to(weights, problem.output_sizes).reshape(problem.result_shape)
    shape = tuple(size for _, size in problem.sizes)
    arrays = prepared(problem, operands, dtype)
    if 0 in shape or any(0 in array.shape for array in arrays):
        return np.zeros(shape, dtype)
    return local_derivative(
        problem, arrays, None if moved is None else prepared(problem, moved, dtype)
    )


def weights_bytes(problem: Problem) -> int:
    """Bytes that :func:`derivative_weights` takes at most."""
    entry = REDUCTIONS[problem.reduce]
    if entry.is_sum or (entry.averages and is_direct(problem)):
        return 0
    if entry.averages:
        return 2 * BYTES_COUNTED * prod(problem.output_sizes)
    return _BYTES_DERIVED * problem.points


def change_bytes(problem: Problem) -> int:
    """Bytes that it takes at most where operands move, too."""
    # Of a scatter all points may land on one element: then its tables have a row for each.
    rows = prod(problem.output_sizes) if not is_direct(problem) else 1
    return (_BYTES_MOVED + _BYTES_A_CELL * rows) * problem.points
