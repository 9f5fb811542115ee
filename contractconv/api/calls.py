"""What every call of something derived begins with: checking the forward operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index as as_integer
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

from contractconv.aside import enter
from contractconv.errors import AlgorithmError, MemoryLimitError, OperandError, ShapeError
from contractconv.notation.keywords import meant
from contractconv.notation.problem import Problem, Shape, as_shape
from contractconv.notation.spec import Spec
from contractconv.planning.setting import ALGORITHMS

if TYPE_CHECKING:
    from contractconv.api.contraction import Contraction


@dataclass(frozen=True, slots=True)
class Call:
    """The forward operands of a call, checked.

    Attributes:
        operands: what :func:`contractconv.arrays.operands.as_operand` made of them.
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
    from contractconv.arrays.operands import as_operand

    count = len(forward._spec.inputs)
    if len(operands) != count:
        wanted = f"{count} operand{'s' * (count != 1)}"
        expected, found = (
            " and ".join(filter(None, [beside, number])) for number in (wanted, str(len(operands)))
        )
        raise OperandError(f"{what} of '{forward}' is called with {expected}, not with {found}")
    arrays = tuple(as_operand(operand, n) for n, operand in enumerate(operands))
    shapes = tuple(map(shape_of, arrays))
    problem = _problem(forward, shapes, extents, cotangent, output_shape)
    concrete = forward._concrete(shapes, extents, problem.result_shape)
    return Call(arrays, shapes, problem, concrete)


def _problem(
    forward: Contraction,
    shapes: Sequence[Shape],
    extents: dict[str, int],
    cotangent: Any,
    output_shape: Sequence[int] | None,
) -> Problem:
    """The forward problem, as the forward call would find it; a cotangent has to fit it."""
    if cotangent is None:
        return forward._problem(shapes, extents, output_shape)
    given = shape_of(cotangent)
    problem = forward._problem(
        shapes, extents, output_shape, given if output_shape is None else None
    )
    if problem.result_shape != given:
        raise ShapeError(
            f"the cotangent has shape {given}, the result of '{forward}' has {problem.result_shape}"
        )
    return problem


def shape_of(operand: Any) -> Shape:
    """The shape of an array; a number has none."""
    return getattr(operand, "shape", ())


def enter_execution() -> None:
    """Import what carries contractions out, all of it at once."""
    enter("contractconv.execution.compiled")
    enter("contractconv.arrays.conversion")
    enter("contractconv.execution.autotune")


def as_result_shape(shape: Sequence[int], spec: Spec) -> Shape:
    """The shape of the result that a caller asked for.

    Raises:
        ShapeError: it is not a sequence of sizes.
    """
    try:
        return as_shape(shape)
    except ShapeError as error:
        raise ShapeError(f"{error}{meant('output_shape', shape, spec.indices)}") from None


def checked_algorithm(algorithm: str, spec: Spec) -> str:
    """An algorithm that a caller asked for.

    Raises:
        AlgorithmError: there is no such algorithm.
    """
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        hint = meant("algorithm", algorithm, spec.indices)
        raise AlgorithmError(f"unknown algorithm {algorithm!r}: choose one of {known}{hint}")
    return algorithm


def as_bytes(limit: Any) -> int:
    """A limit in bytes, as a whole number of any kind: ``2**20`` or ``1e6``.

    Raises:
        MemoryLimitError: it is no such number, or negative.
    """
    if isinstance(limit, bool) or not isinstance(limit, (SupportsIndex, SupportsFloat)):
        raise MemoryLimitError(f"memory_limit is a number of bytes, not {limit!r}")
    if not isinstance(limit, SupportsIndex):
        number = float(limit)
        if not number.is_integer():
            raise MemoryLimitError(f"memory_limit is a number of bytes, not {limit!r}")
        limit = int(number)
    if as_integer(limit) < 0:
        raise MemoryLimitError(f"memory_limit is a number of bytes, not {limit!r}")
    return as_integer(limit)
