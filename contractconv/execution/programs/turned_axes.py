"""Contractions that do nothing but put the axes of an array in another order."""

from __future__ import annotations

from collections.abc import Callable

from contractconv.arrays.views import Array
from contractconv.notation.problem import Problem, shape_of


def turning(problem: Problem) -> Callable[[Array], Array]:
    """What turns an array; a composition is an axis on either side of that."""
    order, apart, together = _order(problem), shape_of(problem.operands[0]), problem.result_shape
    return lambda array: array.reshape(apart).transpose(order).reshape(together)


def as_view(problem: Problem, array: Array) -> Array | None:
    """An array that nobody reads, turned; ``None`` if compositions make it a copy."""
    turned: Array = array.reshape(shape_of(problem.operands[0])).transpose(_order(problem))
    try:
        turned.shape = problem.result_shape
    except AttributeError:
        return None
    return turned


def _order(problem: Problem) -> list[int]:
    """The axes of a contraction's only operand, in the order of the result."""
    held = [access.plain for access in problem.operands[0]]
    return [held.index(access.plain) for access in problem.output]
