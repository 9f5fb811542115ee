"""Running recipes: contractions derived from a forward one, called with its operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.calculus.recipes import ONES, Recipe
from contractconv.execution.operands import common_dtype
from contractconv.execution.run import carry_out, derivative_weights
from contractconv.execution.views import Array
from contractconv.notation.extents import resolve
from contractconv.notation.problem import Problem, Shape


def run_recipe(
    recipe: Recipe,
    problem: Problem,
    given: Mapping[str, Any],
    operands: Sequence[Any],
    output_shape: Shape | None = None,
) -> Array:
    """Carry out a recipe.

    Args:
        recipe: the recipe, derived from a contraction without parameters and ellipsis.
        problem: the forward contraction with its shapes.
        given: an array for each role, the forward operands included.
        operands: all forward operands, in order.
        output_shape: the shape of the result, where the rules should not choose it.

    Returns:
        A new array.
    """
    extents = extents_of(recipe, problem)
    arrays = dict(given)
    missing = set(recipe.roles).difference(arrays, [ONES])
    if missing:
        (local,) = missing
        arrays[local] = derivative_weights(problem, operands)
    dtype = common_dtype(operands, problem.reduce)
    taken = [
        np.ones([extents[name] for name in recipe.ones], dtype) if role == ONES else arrays[role]
        for role in recipe.roles
    ]
    shapes = [getattr(array, "shape", ()) for array in taken]
    known = {name: size for name, size in extents.items() if name in recipe.spec.indices}
    result = carry_out(resolve(recipe.spec, shapes, known, output_shape), taken)
    if not recipe.scale:
        return result
    # Without examples nothing was added, and zero stays zero.
    return np.asarray(result / (prod(extents[name] for name in recipe.scale) or 1))


def extents_of(recipe: Recipe, problem: Problem) -> dict[str, int]:
    """The extents of a recipe's indices, from those of the forward contraction."""
    extents = dict(problem.sizes)
    extents |= {name: problem.result_shape[axis] for name, axis in recipe.result_axes}
    return extents | {copy: extents[original] for copy, original in recipe.copies}
