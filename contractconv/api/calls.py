"""What every call of something derived begins with: checking the forward operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.aside import enter
from contractconv.errors import AlgorithmError, OperandError, ShapeError
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.setting import ALGORITHMS

if TYPE_CHECKING:
    from contractconv.api.contraction import Contraction


@dataclass(frozen=True, slots=True)
class Call:
    """The forward operands of a call, checked.

    Attributes:
        operands: what :func:`contractconv.execution.operands.as_operand` made of them.
        shapes: their shapes.
        problem: the forward contraction with these shapes.
        concrete: its spec with parameters bound and the ellipsis spelled out.
    """

    operands: tuple[Any, ...]
    shapes: tuple[Shape, ...]
    problem: Problem
    concrete: Spec


def forward_call(
    forward: Contraction,
    operands: Sequence[Any],
    extents: dict[str, int],
    *,
    what: str,
    beside: str = "",
    cotangent: Any = None,
    output_shape: Sequence[int] | None = None,
) -> Call:
    """Check the forward operands of something derived.

    Args:
        forward: the contraction.
        operands: what the caller passed for its operands.
        extents: what the caller passed by name.
        what: what is called, for messages: ``"a gradient"``.
        beside: what it takes before the operands: ``"the cotangent"``.
        cotangent: an array of the result's shape, if there is one.
        output_shape: the shape of the result, where the rules should not choose it.

    Raises:
        OperandError: the number of operands is wrong, or one is not an array of numbers.
        ShapeError: the shapes do not fit; the message says so if it is the cotangent's.
    """
    enter_execution()
    from contractconv.execution.operands import as_operand

    count = len(forward._spec.inputs)
    if len(operands) != count:
        wanted = f"{count} operand{'s' * (count != 1)}"
        expected, found = (
            " and ".join(filter(None, [beside, number])) for number in (wanted, str(len(operands)))
        )
        raise OperandError(f"{what} of '{forward}' is called with {expected}, not with {found}")
    arrays = tuple(as_operand(operand, n) for n, operand in enumerate(operands))
    shapes = tuple(map(shape_of, arrays))
    if cotangent is None:
        problem = forward._problem(shapes, extents, output_shape)
    else:
        problem = _problem(forward, shapes, extents, cotangent)
    concrete = forward._concrete(shapes, extents, problem.result_shape)
    return Call(arrays, shapes, problem, concrete)


def _problem(
    forward: Contraction, shapes: Sequence[Shape], extents: dict[str, int], cotangent: Any
) -> Problem:
    """The forward problem, whose result has the cotangent's shape."""
    try:
        return forward._problem(shapes, extents, shape_of(cotangent))
    except ShapeError:
        # Say what is wrong with the cotangent, unless the operands are wrong already.
        expected = forward._problem(shapes, extents, None).result_shape
        raise ShapeError(
            f"the cotangent has shape {shape_of(cotangent)}, the result of '{forward}' has "
            f"{expected}"
        ) from None


def shape_of(operand: Any) -> Shape:
    """The shape of an array; a number has none."""
    return getattr(operand, "shape", ())


def enter_execution() -> None:
    """Import what carries contractions out, all of it at once."""
    enter("contractconv.execution.compiled")
    enter("contractconv.execution.measuring")


def checked_algorithm(algorithm: str) -> str:
    """An algorithm that a caller asked for.

    Raises:
        AlgorithmError: there is no such algorithm.
    """
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise AlgorithmError(f"unknown algorithm {algorithm!r}: choose one of {known}")
    return algorithm
