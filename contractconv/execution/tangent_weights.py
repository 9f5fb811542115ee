"""How a local derivative changes along a tangent: what a second derivative meets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.precision import accumulator, common_dtype
from contractconv.arrays.views import Array
from contractconv.execution.gradient import summable
from contractconv.execution.run import carry_out
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.cost import is_direct

# Bytes for each point, and for each cell of a table of points by elements.
_BYTES_A_POINT, _BYTES_A_CELL = 400, 200


def change_of_local(problem: Problem, operands: Sequence[Any], n: int, tangent: Any) -> Array:
    """The change of the local derivative of a product or a logsumexp.

    Args:
        problem: the forward contraction.
        operands: the forward operands.
        n: the operand that moves.
        tangent: the direction, of its shape.

    Returns:
        One value for each point, with axes as in ``problem.indices``; zero where none contributes.
    """
    dtype = accumulator(common_dtype([*operands, tangent], problem.reduce))
    *operands, tangent = summable([*operands, tangent])
    moved = [tangent if m == n else operand for m, operand in enumerate(operands)]
    values, changes = (_at_points(problem, arrays, dtype) for arrays in (operands, moved))
    element = _elements(problem)
    element[~_inside(problem)] = 0
    cells = _lined_up(element)
    table = (int(cells[1].max(initial=-1)) + 1, prod(problem.output_sizes))
    places = (cells[1], element[cells[0]] - 1)
    lined, lined_changes = np.zeros((2, *table), dtype)
    open_ = np.zeros(table, bool)
    lined[places], lined_changes[places], open_[places] = values[cells[0]], changes[cells[0]], True
    result = np.zeros(problem.points, dtype)
    result[cells[0]] = _CHANGES[problem.reduce](lined, lined_changes, open_)[places]
    return result.reshape([size for _, size in problem.sizes])


def change_bytes(problem: Problem) -> int:
    """Bytes that :func:`change_of_local` takes at most."""
    # Of a scatter all points may land on one element: then its tables have a row for each.
    rows = prod(problem.output_sizes) if not is_direct(problem) else 1
    return (_BYTES_A_POINT + _BYTES_A_CELL * rows) * problem.points


def _over_points(problem: Problem, operands: tuple[Accesses, ...]) -> Problem:
    """A contraction that keeps every index: the product of what each point reads."""
    shape = tuple(size for _, size in problem.sizes)
    output = tuple(Access.along(name, size) for name, size in problem.sizes)
    return replace(problem, operands=operands, output=output, reduce="sum", result_shape=shape)


def _at_points(problem: Problem, arrays: Sequence[Any], dtype: np.dtype[Any]) -> Array:
    made = carry_out(_over_points(problem, problem.operands), list(arrays))
    return np.asarray(made, dtype).ravel()


def _elements(problem: Problem) -> Array:
    """The number of the element that each point lands on, from 1; 0 where it lands on none."""
    numbers = np.arange(1, prod(problem.output_sizes) + 1).reshape(problem.output_sizes)
    landed = carry_out(_over_points(problem, (problem.output,)), [numbers])
    return np.array(landed, np.int64).ravel()


def _inside(problem: Problem) -> Array:
    """Whether each point reads inside every operand."""
    sizes = ([access.size for access in accesses] for accesses in problem.operands)
    ones = [np.ones(shape, np.int64) for shape in sizes]
    return np.asarray(_at_points(problem, ones, np.dtype(np.int64)) > 0)


def _lined_up(element: Array) -> tuple[Array, Array]:
    """The points that land somewhere, and how many of the same element come before each."""
    order = np.argsort(element, kind="stable")
    order = order[element[order] > 0]
    ordered = element[order]
    return order, np.arange(len(order)) - np.searchsorted(ordered, ordered, side="left")


# -- one entry for each reduction whose local derivative changes ---------------------------------
# Tables of values, of their changes, and of what there is; a column holds one element's points.


def _of_other_points(values: Array, changes: Array, there: Array) -> Array:
    """The products of all others, changed: running products of both ends and their changes."""
    values = np.where(there, values, 1)
    before, after = _running(values, changes), _running(values[::-1], changes[::-1])
    (left, left_change), (right, right_change) = before, [part[::-1] for part in after]
    return np.asarray(left_change * right + left * right_change)


def _running(values: Array, changes: Array) -> tuple[Array, Array]:
    """The product of all rows before each one, and its change."""
    product, change = np.ones_like(values), np.zeros_like(values)
    for row in range(1, len(values)):
        change[row] = change[row - 1] * values[row - 1] + product[row - 1] * changes[row - 1]
        product[row] = product[row - 1] * values[row - 1]
    return product, change


def _of_softmax(values: Array, changes: Array, there: Array) -> Array:
    shown = np.where(there, values, -np.inf)
    top = shown.max(axis=0, initial=-np.inf)
    weights = np.exp(shown - np.where(np.isfinite(top), top, 0))
    weights /= np.maximum(weights.sum(axis=0), np.finfo(weights.dtype).tiny)
    return np.asarray(weights * (changes - (weights * changes).sum(axis=0)))


_CHANGES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "prod": _of_other_points,
    "logsumexp": _of_softmax,
}
