"""Running recipes: contractions derived from a forward one, called with its operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.precision import accumulator, common_dtype, settled, towards
from contractconv.arrays.views import Array
from contractconv.calculus.backward import COTANGENT
from contractconv.calculus.derived_strings import ONES, ROOT, TANGENT, Recipe
from contractconv.execution.gradient import beside_weights, dtype_of, left_over, summable
from contractconv.execution.run import carry_out
from contractconv.execution.weights import derivative_weights
from contractconv.notation.extents import resolve
from contractconv.notation.problem import Problem, Shape
from contractconv.planning.options import DEFAULTS, Options


def run_recipe(
    recipe: Recipe,
    problem: Problem,
    given: Mapping[str, Any],
    operands: Sequence[Any],
    operand: int,
    output_shape: Shape | None = None,
    options: Options = DEFAULTS,
) -> Array:
    """Carry out a recipe.

    Args:
        recipe: the recipe, derived from a contraction without parameters and ellipsis.
        problem: the forward contraction with its shapes.
        given: an array for each role, the forward operands included.
        operands: all forward operands, in order.
        operand: the position of the one that is differentiated by.
        output_shape: the shape of the result, where the rules should not choose it.
        options: by which algorithm, and within which limit.

    Returns:
        A new array, of the operand's dtype if it is like it, otherwise of the result's.

    Raises:
        OperandError: what is complex belongs to real numbers.
    """
    extents = extents_of(recipe, problem)
    dtype = common_dtype(operands, problem.reduce)
    arrays = _in_numbers(given, operands, operand, dtype)
    inner = left_over(options, given.values(), arrays.values())
    missing = set(recipe.roles).difference(arrays, [ONES])
    if missing:
        (local,), inner = missing, beside_weights(inner, problem)
        arrays[local] = derivative_weights(problem, operands)
    taken = [
        np.ones([extents[name] for name in recipe.ones], accumulator(dtype))
        if role == ONES
        else arrays[role]
        for role in recipe.roles
    ]
    shapes = [getattr(array, "shape", ()) for array in taken]
    indices = set(recipe.spec.indices)
    known = {name: size for name, size in extents.items() if name in indices}
    whole = resolve(recipe.spec, shapes, known, output_shape)
    result = carry_out(whole, taken, inner)
    if recipe.scale:
        # Without examples nothing was added, and zero stays zero.
        result = np.asarray(result / (prod(extents[name] for name in recipe.scale) or 1))
    like_operand = recipe.like == ("operand",)
    return settled(result, dtype_of(operands[operand], dtype) if like_operand else dtype)


def _in_numbers(
    given: Mapping[str, Any], operands: Sequence[Any], operand: int, dtype: np.dtype[Any]
) -> dict[str, Any]:
    """Everything in numbers that can be summed: tangents, cotangents, and forward operands."""
    arrays = dict(zip(given, summable(list(given.values())), strict=True))
    if TANGENT in given:
        own = dtype_of(operands[operand], dtype)
        arrays[TANGENT] = towards(given[TANGENT], own, f"the tangent {TANGENT}")
    for role, name in ((COTANGENT, "the cotangent"), (ROOT, "the root")):
        if role in given:
            arrays[role] = towards(given[role], dtype, f"{name} {role}")
    return arrays


def extents_of(recipe: Recipe, problem: Problem) -> dict[str, int]:
    """The extents of a recipe's indices, from those of the forward contraction."""
    extents = dict(problem.sizes)
    extents |= {name: problem.result_shape[axis] for name, axis in recipe.result_axes}
    return extents | {copy: extents[original] for copy, original in recipe.copies}
