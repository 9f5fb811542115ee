"""Derivatives in the forward direction, Jacobians, and whatever else is called by roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contractconv.api.calls import Call, enter_execution, forward_call, shape_of
from contractconv.api.contraction import Contraction
from contractconv.api.shown import Shown
from contractconv.errors import ShapeError
from contractconv.notation.places import operand_position
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Spec

if TYPE_CHECKING:
    from contractconv.calculus.equation import Equation
    from contractconv.calculus.recipes import Recipe
    from contractconv.execution.views import Array


class Derived(Shown):
    """A contraction derived from another one, whose operands have roles.

    Attributes:
        forward: the contraction that it was derived from.
        operand: the position of the operand that it is about.
        name: what it is, for messages.
        takes: what it is called with before the forward operands: ``V`` a tangent of the
            operand's shape, ``G`` a cotangent of the result's shape, ``R`` a root of the loss's
            Hessian, with an axis for its columns in front of the result's.
    """

    def __init__(
        self,
        forward: Contraction,
        n: int,
        name: str,
        takes: tuple[str, ...],
        derive: Callable[[Spec, int], Recipe],
    ) -> None:
        self.forward = forward
        self.operand = operand_position(forward._spec, n)
        self.name = name
        self.takes = takes
        self._derive = derive

    def checked(self) -> Derived:
        """Return the object itself, or refuse what cannot be derived before it is called."""
        self._derive(self.forward._spec, self.operand)
        return self

    @property
    def _recipe(self) -> Recipe:
        return self._derive(self.forward._spec, self.operand)

    @property
    def contraction(self) -> Contraction:
        """The string as a contraction; its operands are :attr:`roles`."""
        return Contraction._of(self._recipe.spec)

    @property
    def roles(self) -> tuple[str, ...]:
        """What each operand of the string is: a forward operand by name, or a role."""
        return self._recipe.roles

    # Any: a checker takes ``**extents`` of integers for a candidate of every keyword.
    def __call__(self, /, *arrays: Any, output_shape: Any = None, **extents: int) -> Array:
        """Carry it out.

        Args:
            *arrays: what :attr:`takes` names, then all forward operands.
            output_shape: the shape of the forward result, if the forward call was given one.
            **extents: what the forward call was given.

        Returns:
            A new array.

        Raises:
            OperandError: the number of arrays is wrong, or one is not an array of numbers.
            ShapeError: the shapes do not fit.
        """
        enter_execution()
        from contractconv.calculus.symbols import operand_names
        from contractconv.execution.operands import as_operand
        from contractconv.execution.recipes import run_recipe

        count = len(self.takes)
        given = {r: as_operand(a, r) for r, a in zip(self.takes, arrays[:count], strict=False)}
        call = forward_call(
            self.forward,
            arrays[count:],
            extents,
            what=f"the {self.name}",
            beside=" and ".join(self.takes),
            cotangent=given.get("G"),
            output_shape=output_shape,
        )
        self._check(call, given)
        names = operand_names(len(call.operands))
        roles = given | dict(zip(names, call.operands, strict=True))
        recipe = self._derive(call.concrete, self.operand)
        return run_recipe(recipe, call.problem, roles, call.operands, self._shape(recipe, call))

    def _shape(self, recipe: Recipe, call: Call) -> Shape | None:
        shapes = {"result": call.problem.result_shape, "operand": call.shapes[self.operand]}
        known = [shapes[part] for part in recipe.like]
        return sum(known, ()) if known else None

    def _check(self, call: Call, given: dict[str, Any]) -> None:
        if "V" in given and shape_of(given["V"]) != call.shapes[self.operand]:
            raise ShapeError(
                f"the tangent V has shape {shape_of(given['V'])}, operand {self.operand} of "
                f"'{self.forward}' has {call.shapes[self.operand]}"
            )
        result = call.problem.result_shape
        root = shape_of(given.get("R"))
        if "R" in given and (not root or root[1:] != result):
            raise ShapeError(
                f"the root R has shape {shape_of(given['R'])}; it must have an axis for its "
                f"columns, then those of the result: (..., {', '.join(map(str, result))})"
            )

    def _shown_equation(self) -> Equation:
        return self._recipe.equation

    def _shown_spec(self) -> Spec:
        return self._recipe.spec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Derived) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self.operand, self.takes, self._derive

    def __str__(self) -> str:
        return str(self._recipe.spec)

    def __repr__(self) -> str:
        return f"<{self.name} of {self.forward!r} by operand {self.operand}>"


def forward_derivative(forward: Contraction, n: int) -> Derived:
    """The Jacobian of a contraction times a tangent, by operand ``n``."""
    from contractconv.calculus.recipes import jvp

    return Derived(forward, n, "forward derivative", ("V",), jvp)


def jacobian(forward: Contraction, n: int) -> Derived:
    """The Jacobian of a contraction by operand ``n``."""
    from contractconv.calculus.recipes import jacobian

    return Derived(forward, n, "Jacobian", (), jacobian).checked()
