"""What every call of something derived begins with: checking what it is called with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.aside import enter
from contractconv.errors import OperandError, ShapeError
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.options import Options

if TYPE_CHECKING:
    from contractconv.api.contraction import Contraction
    from contractconv.arrays.conversion import Conversion
    from contractconv.arrays.views import Array

# Who takes a cotangent calls it one of these.
_COTANGENTS = ("G", "the cotangent")


@dataclass(frozen=True, slots=True)
class Call:
    """What something derived is called with, checked.

    Attributes:
        given: what it takes before the forward operands, by name.
        operands: the forward operands as :func:`contractconv.arrays.operands.as_operand` or
            a conversion made them.
        problem: the forward contraction with their shapes.
        concrete: its spec with parameters bound and the ellipsis spelled out.
        options: by which algorithm it is carried out, and within which limit.
    """

    given: dict[str, Any]
    operands: tuple[Any, ...]
    problem: Problem
    concrete: Spec
    options: Options
    _conversion: Conversion | None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the forward operands."""
        return tuple(map(shape_of, self.operands))

    def finished(self, made: Array) -> Array:
        """The result as the caller wants it."""
        return made if self._conversion is None else self._conversion.filled(made)


def forward_call(
    forward: Contraction, takes: Sequence[str], arrays: Sequence[Any], options: Options, what: str
) -> Call:
    """Check what something derived is called with.

    Args:
        forward: the contraction.
        takes: what it takes before the forward operands, as messages call it.
        arrays: what the caller passed for these and for the operands.
        options: those of the call.
        what: what is called, for messages: ``"a gradient"``.

    Raises:
        OperandError: the number of operands is wrong, or one is not an array of numbers.
        ShapeError: the shapes do not fit; the message says so if it is the cotangent's.
    """
    enter_execution()
    from contractconv.arrays.conversion import Conversion, copied
    from contractconv.arrays.operands import as_operand

    count = len(takes)
    _check_count(forward, takes, len(arrays) - count, what)
    names = (*takes, *(f"operand {n}" for n in range(len(arrays) - count)))
    given = [as_operand(array, name) for array, name in zip(arrays, names, strict=True)]
    shapes = tuple(map(shape_of, given[count:]))
    cotangents = [g for name, g in zip(takes, given, strict=False) if name in _COTANGENTS]
    problem = _problem(forward, shapes, options, *cotangents)
    concrete = forward._concrete(shapes, options, problem.result_shape)
    conversion = Conversion.of(options, problem.reduce, forward.indices)
    inner, taken = options, given
    if conversion is not None:
        taken = [conversion.converted(a, name) for a, name in zip(given, names, strict=True)]
        inner = options.inside(copied(given, taken), "what is converted")
    roles = dict(zip(takes, taken, strict=False))
    return Call(roles, tuple(taken[count:]), problem, concrete, inner, conversion)


def _check_count(forward: Contraction, takes: Sequence[str], given: int, what: str) -> None:
    count = len(forward._spec.inputs)
    if given == count:
        return
    wanted = f"{count} operand{'s' * (count != 1)}"
    expected, found = (" and ".join([*takes, number]) for number in (wanted, str(max(given, 0))))
    raise OperandError(f"{what} of '{forward}' is called with {expected}, not with {found}")


def _problem(
    forward: Contraction, shapes: Sequence[Shape], options: Options, cotangent: Any = None
) -> Problem:
    """The forward problem, as the forward call would find it; a cotangent has to fit it."""
    if cotangent is None:
        return forward._problem(shapes, options)
    given = shape_of(cotangent)
    problem = forward._problem(shapes, options, given if options.output_shape is None else None)
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
    enter("contractconv.execution.calls")
    enter("contractconv.execution.calibration")
