"""Running derived gradients: from a cotangent to the gradient of one operand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from contractconv.calculus.derivation import Formulas, derive
from contractconv.execution.run import derivative_weights, run
from contractconv.execution.views import Array
from contractconv.notation.affine import Affine
from contractconv.notation.extents import resolve
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.cost import is_direct, volume
from contractconv.planning.lowering import MOST_TAPS, tap_indices
from contractconv.planning.plan import Plan, plan


def gradient(
    forward: Spec, operand: int, problem: Problem, cotangent: Any, operands: Sequence[Any]
) -> Array:
    """Contract a cotangent back to one operand.

    Args:
        forward: the contraction, with parameters bound and the ellipsis spelled out.
        operand: the position of the operand to differentiate by.
        problem: the forward contraction with its shapes.
        cotangent: the gradient with respect to the result, of the result's shape.
        operands: all forward operands.

    Returns:
        An array of the operand's shape.
    """
    shapes = tuple(getattr(o, "shape", ()) for o in operands)
    steps = gradient_plan(forward, operand, problem, shapes)
    factors = [cotangent]
    if forward.reduce != "sum":
        factors.append(derivative_weights(problem, operands))
    factors += [o for n, o in enumerate(operands) if n != operand]
    return run(steps, factors)


@lru_cache(maxsize=1024)
def gradient_plan(forward: Spec, operand: int, problem: Problem, shapes: tuple[Shape, ...]) -> Plan:
    """Plan the backward contraction of one operand, in the form that is cheaper to run."""
    formulas = derive(forward, operand)
    scatter = _backward(formulas.scatter, formulas, problem, shapes)
    if volume(tap_indices(scatter), scatter.extents) > MOST_TAPS and not _divides(formulas.gather):
        return plan(_backward(formulas.gather, formulas, problem, shapes))
    return plan(scatter)


def _backward(
    spec: Spec, formulas: Formulas, problem: Problem, shapes: tuple[Shape, ...]
) -> Problem:
    forward, operand = formulas.forward, formulas.operand
    inputs = [problem.result_shape]
    if forward.reduce != "sum":
        inputs.append(_weights_shape(forward, problem))
    inputs += [shape for n, shape in enumerate(shapes) if n != operand]
    known = {name: size for name, size in problem.sizes if name in spec.indices}
    return resolve(spec, inputs, known, output_shape=shapes[operand])


def _weights_shape(forward: Spec, problem: Problem) -> Shape:
    if forward.reduce != "mean":
        return tuple(size for _, size in problem.sizes)
    return () if is_direct(problem) else problem.result_shape


def _divides(spec: Spec) -> bool:
    axes = (axis for term in spec.terms for axis in term)
    return any(isinstance(axis, Affine) and axis.fractional for axis in axes)
