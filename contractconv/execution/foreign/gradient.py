"""Running what is derived from a contraction on arrays of another library.

The same functions as :mod:`contractconv.execution.gradient` has, for numpy's arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.engines.portable.libraries import Library, library_of
from contractconv.execution.foreign import contractions
from contractconv.execution.foreign.contractions import contracted
from contractconv.execution.foreign.local_derivatives import local_derivative
from contractconv.execution.foreign.numbers import (
    accumulator,
    is_rounded,
    met,
    name_of,
    settled,
    towards,
)
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import (
    backward,
    examples_of,
    extents_of,
    numbers_of,
    recipe_problem,
)
from contractconv.planning.options import DEFAULTS, Options
from contractconv.reductions.table import REDUCTIONS

if TYPE_CHECKING:
    from contractconv.calculus.derived_strings import Recipe


def gradient(
    forward: Spec,
    operand: int,
    problem: Problem,
    cotangent: Any,
    operands: Sequence[Any],
    options: Options = DEFAULTS,
    derived: Problem | None = None,
) -> Any:
    """Contract a cotangent back to one operand.

    Args:
        forward: the contraction, with parameters bound and the ellipsis spelled out.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result, of the result's shape.
        operands: all forward operands, arrays of one library.
        options: who chooses the order of operands.
        derived: another contraction of what the backward one takes, such as a phase of it.

    Returns:
        An array of the operand's shape, and of its dtype unless that is of integers.

    Raises:
        OperandError: the cotangent is complex, but the result is real.
    """
    library, _ = library_of([cotangent, *operands])
    numbers = met(library, operands, problem.reduce)
    given = [towards(library, cotangent, numbers, "the cotangent")]
    if not REDUCTIONS[problem.reduce].is_sum:
        given.append(local_derivative(library, problem, operands, numbers))
    arrays = _summable(library, operands)
    given += [array for n, array in enumerate(arrays) if n != operand]
    whole = derived or backward(forward, operand, problem, _shapes_of(operands))
    made = contracted(whole, given, options)
    return settled(library, made, name_of(library, operands[operand]))


def ready(
    forward: Spec, operand: int, problem: Problem, arrays: Sequence[Any]
) -> Callable[[Sequence[Any]], Any] | None:
    """What contracts cotangents back; ``None`` if more than that has to be done.

    Args:
        forward: the contraction, as above.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        arrays: a cotangent and the forward operands, as others will follow.
    """
    library, _ = library_of(arrays)
    (numbers, *others) = {name_of(library, array) for array in arrays}
    simple = REDUCTIONS[problem.reduce].is_sum and accumulator(numbers) == numbers
    if others or not simple or not is_rounded(numbers):
        return None
    whole = backward(forward, operand, problem, _shapes_of(arrays[1:]))
    work = contractions.ready(whole, library, numbers, alike=True)
    return lambda given: work([a for n, a in enumerate(given) if n != operand + 1])


def run_recipe(
    recipe: Recipe,
    problem: Problem,
    given: Mapping[str, Any],
    operands: Sequence[Any],
    operand: int,
    output_shape: Shape | None = None,
    options: Options = DEFAULTS,
) -> Any:
    """Carry out a recipe.

    Args:
        recipe: the recipe, derived from a contraction without parameters and ellipsis.
        problem: the forward contraction with its shapes.
        given: an array for each role, the forward operands included.
        operands: all forward operands, in order.
        operand: the position of the one that is differentiated by.
        output_shape: the shape of the result, where the rules should not choose it.
        options: who chooses the order of operands.

    Returns:
        A new array, of the operand's dtype if it is like it, otherwise of the result's.

    Raises:
        OperandError: what is complex belongs to real numbers.
    """
    from contractconv.calculus.letters import ONES

    library, like = library_of([*given.values(), *operands])
    extents, dtype = extents_of(recipe, problem), met(library, operands, problem.reduce)
    own = name_of(library, operands[operand])
    arrays = dict(zip(given, _summable(library, list(given.values())), strict=True)) | {
        role: towards(library, given[role], wanted, name)
        for role, (wanted, name) in numbers_of(given, own, dtype).items()
    }
    for local in set(recipe.roles).difference(arrays, [ONES]):
        arrays[local] = local_derivative(library, problem, operands, dtype)
    if ONES in recipe.roles:
        one = library.number(1, accumulator(dtype), like)
        arrays[ONES] = library.broadcast(one, [extents[name] for name in recipe.ones])
    taken = [arrays[role] for role in recipe.roles]
    made = contracted(
        recipe_problem(recipe, problem, _shapes_of(taken), output_shape), taken, options
    )
    if recipe.scale:
        made = made / examples_of(recipe, extents)
    return settled(library, made, own if recipe.like == ("operand",) else dtype)


def summed_recipes(
    parts: Sequence[Recipe],
    problem: Problem,
    given: Mapping[str, Any],
    operands: Sequence[Any],
    operand: int,
    by: str,
    options: Options = DEFAULTS,
) -> Any:
    """Carry out recipes whose results add up to a second derivative.

    Args:
        parts: the recipes; none if it is zero almost everywhere.
        problem: the forward contraction with its shapes.
        given: an array for each role, the forward operands and ``V`` included.
        operands: all forward operands, in order.
        operand: the position of the one that was differentiated by first.
        by: the role of what is differentiated by then.
        options: who chooses the order of operands.

    Returns:
        A new array, of the shape and the dtype of what is differentiated by.
    """
    from contractconv.calculus.letters import CHANGE, TANGENT

    library, like = library_of([*given.values(), *operands])
    numbers, shape = met(library, operands, problem.reduce), tuple(given[by].shape)
    arrays = dict(given)
    if any(CHANGE in part.roles for part in parts):
        moved = [*operands[:operand], given[TANGENT], *operands[operand + 1 :]]
        arrays[CHANGE] = local_derivative(library, problem, operands, numbers, moved)
    made = [run_recipe(p, problem, arrays, operands, operand, shape, options) for p in parts]
    nothing = library.broadcast(library.number(0, numbers, like), shape)
    total = sum(made[1:], made[0]) if made else nothing
    return settled(library, total, name_of(library, given[by]))


def _summable(library: Library, operands: Sequence[Any]) -> list[Any]:
    """Operands in numbers that can be summed, each by itself."""
    names = [name_of(library, operand) for operand in operands]
    return [
        library.cast(operand, accumulator(name)) if is_rounded(name) else operand
        for operand, name in zip(operands, names, strict=True)
    ]


def _shapes_of(arrays: Sequence[Any]) -> tuple[Shape, ...]:
    return tuple(tuple(array.shape) for array in arrays)
