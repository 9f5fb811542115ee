"""Running what is derived from a contraction: its gradients, and recipes of any other kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from contractconv.arrays.conversion import copied
from contractconv.arrays.precision import accumulator, common_dtype, settled, towards
from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels.native import UnfitError
from contractconv.engines.llvm.llvm_lowerings import UNPOOL
from contractconv.engines.llvm.pooling.gradient_kernel import gradient_program
from contractconv.execution.calibration import setting
from contractconv.execution.launches import Kernels, kernels_of
from contractconv.execution.local_weights import change_bytes, derivative_weights, weights_bytes
from contractconv.execution.run import carry_out, run
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import (
    backward,
    examples_of,
    extents_of,
    numbers_of,
    recipe_problem,
)
from contractconv.planning.lowerings import Lowering, gradient_lowering
from contractconv.planning.options import DEFAULTS, Options
from contractconv.planning.plan import Plan
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
    derived: Plan | Problem | None = None,
) -> Array:
    """Contract a cotangent back to one operand.

    Args:
        forward: the contraction, with parameters bound and the ellipsis spelled out.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result, of the result's shape.
        operands: all forward operands.
        options: by which algorithm, and within which limit.
        derived: the plan of the backward contraction, if there is one already; or another
            contraction of what it takes, such as a phase of it.

    Returns:
        An array of the operand's shape, and of its dtype unless that is of integers.

    Raises:
        OperandError: the cotangent is complex, but the result is real.
    """
    numbers = common_dtype(operands, problem.reduce)
    converted, arrays = towards(cotangent, numbers, "the cotangent"), _summable(operands)
    inner = _left_over(options, [cotangent, *operands], [converted, *arrays])
    made = _at_once(way_of(problem, numbers, derived), problem, converted, arrays)
    if made is None:
        inner = beside_weights(inner, problem)
        given = backward_operands(operand, problem, converted, arrays)
        if isinstance(derived, Plan) and inner.memory_limit is None:
            made = run(derived, given)
        else:
            whole = derived.problem if isinstance(derived, Plan) else derived
            whole = whole or backward(forward, operand, problem, _shapes_of(operands))
            made = carry_out(whole, given, inner)
    return settled(made, dtype_of(operands[operand], numbers))


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
    from contractconv.calculus.letters import ONES

    extents, dtype = extents_of(recipe, problem), common_dtype(operands, problem.reduce)
    own = dtype_of(operands[operand], dtype)
    arrays = dict(zip(given, _summable(list(given.values())), strict=True)) | {
        role: towards(given[role], wanted, name)
        for role, (wanted, name) in numbers_of(given, own, dtype).items()
    }
    inner = _left_over(options, given.values(), arrays.values())
    missing = set(recipe.roles).difference(arrays, [ONES])
    if missing:
        (local,), inner = missing, beside_weights(inner, problem)
        arrays[local] = derivative_weights(problem, operands)
    if ONES in recipe.roles:
        arrays[ONES] = np.ones([extents[name] for name in recipe.ones], accumulator(dtype))
    taken = [arrays[role] for role in recipe.roles]
    whole = recipe_problem(recipe, problem, _shapes_of(taken), output_shape)
    result = carry_out(whole, taken, inner)
    if recipe.scale:
        result = np.asarray(result / examples_of(recipe, extents))
    return settled(result, own if recipe.like == ("operand",) else dtype)


def summed_recipes(
    parts: Sequence[Recipe],
    problem: Problem,
    given: Mapping[str, Any],
    operands: Sequence[Any],
    operand: int,
    by: str,
    options: Options = DEFAULTS,
) -> Array:
    """Carry out recipes whose results add up to a second derivative.

    Args:
        parts: the recipes; none if it is zero almost everywhere.
        problem: the forward contraction with its shapes.
        given: an array for each role, the forward operands and ``V`` included.
        operands: all forward operands, in order.
        operand: the position of the one that was differentiated by first.
        by: the role of what is differentiated by then.
        options: by which algorithm, and within which limit.

    Returns:
        A new array, of the shape and the dtype of what is differentiated by.
    """
    from contractconv.calculus.letters import CHANGE, TANGENT

    numbers = common_dtype(operands, problem.reduce)
    shape, roles = np.shape(given[by]), {role for part in parts for role in part.roles}
    # The sum of the parts, and the part that is added to it.
    beside = 2 * (len(parts) > 1) * prod(shape) * numbers.itemsize
    beside += change_bytes(problem) if CHANGE in roles else 0
    inner = options.inside(beside, "what a second derivative is made of")
    arrays = dict(given)
    if CHANGE in roles:
        moved = [*operands[:operand], given[TANGENT], *operands[operand + 1 :]]
        arrays[CHANGE] = derivative_weights(problem, operands, moved)
    made = [run_recipe(p, problem, arrays, operands, operand, shape, inner) for p in parts]
    total = sum(made[1:], made[0]) if made else np.zeros(shape, numbers)
    return settled(total, dtype_of(given[by], numbers))


def _summable(operands: Sequence[Any]) -> list[Any]:
    """Operands in the accumulators of their dtypes, each by itself."""
    return [
        operand.astype(accumulator(operand.dtype), copy=False)
        if isinstance(operand, np.ndarray)
        else operand
        for operand in operands
    ]


def _left_over(options: Options, given: Iterable[Any], converted: Iterable[Any]) -> Options:
    """What is left of a limit beside copies in numbers that can be summed.

    Args:
        options: those of the call.
        given: what the caller passed.
        converted: the same in those numbers.

    Raises:
        MemoryLimitError: nothing is left.
    """
    # Sums of short numbers are as large as those copies until they are rounded.
    return options.inside(2 * copied(given, converted), "what is converted")


def beside_weights(options: Options, problem: Problem) -> Options:
    """What is left of a limit beside the local derivative of a reduction.

    Raises:
        MemoryLimitError: nothing is left.
    """
    return options.inside(weights_bytes(problem), "the local derivative")


def dtype_of(operand: Any, numbers: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of an operand's gradient; Python numbers take that of the result."""
    return operand.dtype if isinstance(operand, np.ndarray) else numbers


def _shapes_of(arrays: Sequence[Any]) -> tuple[Shape, ...]:
    """The shapes of some arrays; a number has none."""
    return tuple(getattr(array, "shape", ()) for array in arrays)


def backward_operands(
    operand: int, problem: Problem, cotangent: Any, operands: Sequence[Any]
) -> list[Any]:
    """What a backward string takes: cotangent, local derivative, the other operands."""
    summed = REDUCTIONS[problem.reduce].is_sum
    weights = [] if summed else [derivative_weights(problem, operands)]
    return [cotangent, *weights, *(o for n, o in enumerate(operands) if n != operand)]


def way_of(
    problem: Problem, numbers: np.dtype[Any], derived: Plan | Problem | None = None
) -> Lowering | None:
    """What carries out the whole gradient at once, as its plan says if there is one."""
    if derived is not None:
        return derived.at_once if isinstance(derived, Plan) else None
    kind = accumulator(numbers).name
    return gradient_lowering(problem, setting(problem.points, kind, "direct"))


class ReadyGradient(NamedTuple):
    """A gradient that is made at once, with nothing left to be decided.

    Attributes:
        carry: from a cotangent and the operand to the gradient; ``None`` if it cannot after all.
        size: bytes of the tables that it holds.
    """

    carry: Callable[[Array, Array], Array | None]
    size: int


def ready_gradient(
    problem: Problem, cotangent: Any, operands: Sequence[Any]
) -> ReadyGradient | None:
    """What makes the whole gradient at once, of arrays that lie in memory like these.

    Args:
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result.
        operands: the forward operands.

    Returns:
        ``None`` if there is more than one operand, if numbers have to be converted, or if there is
        no such way.
    """
    arrays = [one for one in (cotangent, *operands) if isinstance(one, np.ndarray) and one.size]
    dtypes = {array.dtype for array in arrays}
    if len(arrays) != 2 or len(operands) != 1 or len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    way = way_of(problem, dtype)
    if way is None or way.makes is None or accumulator(dtype) != dtype:
        return None
    shapes = shape_of(problem.operands[0]), problem.output_sizes
    given = operands[0].reshape(shapes[0]), cotangent.reshape(shapes[1])
    making, whole = way.makes(problem, given), operands[0].shape
    work = making.work

    def carry(cotangent: Array, array: Array) -> Array | None:
        made = work((array.reshape(shapes[0]), cotangent.reshape(shapes[1])))
        return None if made is None else made.reshape(whole)

    return ReadyGradient(carry, making.size)


def gradient_kernels(
    problem: Problem, cotangent: Array, operands: Sequence[Array]
) -> Kernels | None:
    """The kernels that make the whole gradient of such arrays: a cotangent, and the operand.

    Returns:
        ``None`` if there is more than one operand, or another way; see :func:`ready_gradient`.
    """
    shapes = problem.output_sizes, shape_of(problem.operands[0])
    if len(operands) != 1 or (cotangent.shape, operands[0].shape) != shapes:
        return None
    (array,), numbers = operands, cotangent.dtype
    if array.dtype != numbers or accumulator(numbers) != numbers or not array.size:
        return None
    if way_of(problem, numbers) is not UNPOOL:
        return None
    program = gradient_program(problem, array, cotangent)
    if program is None:
        return None
    return kernels_of(program, {"result": 0, "operand": 1}, array)


def _at_once(
    way: Lowering | None, problem: Problem, cotangent: Any, operands: Sequence[Any]
) -> Array | None:
    """The gradient without a backward contraction; ``None`` if that is not the way of these."""
    if way is None or way.makes is None:
        return None
    array = np.asarray(operands[0])
    dtype = np.result_type(array, cotangent)
    array, given = (np.asarray(a).astype(dtype, copy=False) for a in (array, cotangent))
    taken = array.reshape(shape_of(problem.operands[0])), given.reshape(problem.output_sizes)
    made = None
    if array.size:
        with suppress(UnfitError):
            made = way.makes(problem, taken).work(taken)
    return None if made is None else made.reshape(array.shape)
