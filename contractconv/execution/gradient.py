"""Running derived gradients: from a cotangent to the gradient of one operand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.arrays.conversion import copied
from contractconv.arrays.precision import accumulator, common_dtype, settled, towards
from contractconv.arrays.views import Array
from contractconv.aside import enter
from contractconv.caches import kept
from contractconv.engines.llvm.kernels.native import UnfitError
from contractconv.engines.llvm.pooling.forward import FEW_POINTS
from contractconv.engines.llvm.pooling.gradient_kernel import pool_gradient
from contractconv.execution.run import carry_out, run
from contractconv.execution.weights import derivative_weights, weights_bytes
from contractconv.notation.affine import Affine
from contractconv.notation.extents import resolve
from contractconv.notation.problem import Problem, Shape, shape_of
from contractconv.notation.spec import Spec
from contractconv.planning.cost import is_direct, volume
from contractconv.planning.leaves import MOST_TAPS, tap_indices
from contractconv.planning.options import DEFAULTS, Options
from contractconv.planning.plan import Plan
from contractconv.reductions.table import REDUCTIONS

if TYPE_CHECKING:
    from contractconv.calculus.backward import Formulas
    from contractconv.calculus.gather_phases import Phase


def gradient(
    forward: Spec,
    operand: int,
    problem: Problem,
    cotangent: Any,
    operands: Sequence[Any],
    options: Options = DEFAULTS,
    steps: Plan | None = None,
) -> Array:
    """Contract a cotangent back to one operand.

    Args:
        forward: the contraction, with parameters bound and the ellipsis spelled out.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result, of the result's shape.
        operands: all forward operands.
        options: by which algorithm, and within which limit.
        steps: the plan of the backward contraction, if there is one already.

    Returns:
        An array of the operand's shape, and of its dtype unless that is of integers.

    Raises:
        OperandError: the cotangent is complex, but the result is real.
    """
    numbers, converted, arrays = _in_numbers(problem, cotangent, operands)
    inner = left_over(options, [cotangent, *operands], [converted, *arrays])
    made = _pooled(problem, converted, arrays)
    if made is None:
        inner = beside_weights(inner, problem)
        given = backward_operands(operand, problem, converted, arrays)
        if steps is not None and inner.memory_limit is None:
            made = run(steps, given)
        else:
            whole = backward(forward, operand, problem, _shapes(operands))
            made = carry_out(whole, given, inner)
    return settled(made, dtype_of(operands[operand], numbers))


def _in_numbers(
    problem: Problem, cotangent: Any, operands: Sequence[Any]
) -> tuple[np.dtype[Any], Any, list[Any]]:
    """The result's dtype, the cotangent in its numbers, and operands that can be summed."""
    numbers = common_dtype(operands, problem.reduce)
    return numbers, towards(cotangent, numbers, "the cotangent"), summable(operands)


def summable(operands: Sequence[Any]) -> list[Any]:
    """Operands in the accumulators of their dtypes, each by itself."""
    return [
        operand.astype(accumulator(operand.dtype), copy=False)
        if isinstance(operand, np.ndarray)
        else operand
        for operand in operands
    ]


def left_over(options: Options, given: Iterable[Any], converted: Iterable[Any]) -> Options:
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


def _pooled(problem: Problem, cotangent: Any, operands: Sequence[Any]) -> Array | None:
    """The gradient of pooling by a compiled kernel; ``None`` if there is none for it."""
    if len(operands) != 1 or problem.points < FEW_POINTS:
        return None
    array = np.asarray(operands[0])
    dtype = np.result_type(array, cotangent)
    array, given = (np.asarray(a).astype(dtype, copy=False) for a in (array, cotangent))
    if not array.size:
        return None
    split = array.reshape(shape_of(problem.operands[0]))
    made = None
    with suppress(UnfitError):
        made = pool_gradient(problem, split, given.reshape(problem.output_sizes))
    return None if made is None else made.reshape(array.shape)


def phase_gradient(
    phase: Phase,
    formulas: Formulas,
    problem: Problem,
    cotangent: Any,
    operands: Sequence[Any],
    options: Options = DEFAULTS,
) -> Array:
    """Contract a cotangent back to one operand, but only the points of one phase.

    Args:
        phase: one of the phases of the derivation's gather.
        formulas: the derivation, without parameters.
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result, of the result's shape.
        operands: all forward operands.
        options: by which algorithm, and within which limit.

    Returns:
        An array of the operand's shape.
    """
    shapes = _shapes(operands)
    whole = backward_problem(formulas.gather, formulas, problem, shapes)
    inputs = backward_shapes(formulas, problem, shapes)
    extents = phase.extents(whole.extents)
    part = resolve(phase.spec, inputs, extents, output_shape=shapes[formulas.operand])
    numbers, converted, arrays = _in_numbers(problem, cotangent, operands)
    inner = left_over(options, [cotangent, *operands], [converted, *arrays])
    inner = beside_weights(inner, problem)
    made = carry_out(part, backward_operands(formulas.operand, problem, converted, arrays), inner)
    return settled(made, dtype_of(operands[formulas.operand], numbers))


def _shapes(operands: Sequence[Any]) -> tuple[Shape, ...]:
    return tuple(getattr(operand, "shape", ()) for operand in operands)


def backward_operands(
    operand: int, problem: Problem, cotangent: Any, operands: Sequence[Any]
) -> list[Any]:
    """What a backward string takes: cotangent, local derivative, the other operands."""
    summed = REDUCTIONS[problem.reduce].is_sum
    weights = [] if summed else [derivative_weights(problem, operands)]
    return [cotangent, *weights, *(o for n, o in enumerate(operands) if n != operand)]


@kept(most=1024)
def backward(forward: Spec, operand: int, problem: Problem, shapes: tuple[Shape, ...]) -> Problem:
    """The backward contraction of one operand, in the form that is cheaper to run."""
    # Deriving takes sympy, which takes as long to import as many a contraction takes to run.
    enter("contractconv.calculus.backward")
    from contractconv.calculus.backward import derive

    formulas = derive(forward, operand)
    scatter = backward_problem(formulas.scatter, formulas, problem, shapes)
    if volume(tap_indices(scatter), scatter.extents) > MOST_TAPS and not _divides(formulas.gather):
        return backward_problem(formulas.gather, formulas, problem, shapes)
    return scatter


def backward_problem(
    spec: Spec, formulas: Formulas, problem: Problem, shapes: Sequence[Shape]
) -> Problem:
    """Put shapes into a backward string.

    Args:
        spec: the scatter or the gather form, or one derived from it.
        formulas: the derivation.
        problem: the forward contraction with its shapes.
        shapes: the shapes of all forward operands.
    """
    inputs = backward_shapes(formulas, problem, shapes)
    indices = set(spec.indices)
    known = {name: size for name, size in problem.sizes if name in indices}
    return resolve(spec, inputs, known, output_shape=shapes[formulas.operand])


def backward_shapes(
    formulas: Formulas, problem: Problem, shapes: Sequence[Shape]
) -> tuple[Shape, ...]:
    """The shapes of what a backward string takes."""
    summed = REDUCTIONS[formulas.forward.reduce].is_sum
    weights = [] if summed else [_weights_shape(formulas.forward, problem)]
    others = [shape for n, shape in enumerate(shapes) if n != formulas.operand]
    return (problem.result_shape, *weights, *others)


def simplified(formulas: Formulas, problem: Problem, shapes: tuple[Shape, ...]) -> Spec:
    """The scatter form for these shapes, windows that do not overlap written as compositions."""
    from contractconv.calculus.compositions import composed

    scatter = backward_problem(formulas.scatter, formulas, problem, shapes)
    return composed(formulas.scatter, scatter, backward_shapes(formulas, problem, shapes))


def _weights_shape(forward: Spec, problem: Problem) -> Shape:
    if not REDUCTIONS[forward.reduce].linear:
        return tuple(size for _, size in problem.sizes)
    return () if is_direct(problem) else problem.result_shape


def _divides(spec: Spec) -> bool:
    axes = (axis for term in spec.terms for axis in term)
    return any(isinstance(axis, Affine) and axis.fractional for axis in axes)
