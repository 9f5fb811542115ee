"""Second derivatives: a gradient, differentiated by what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from contractconv.api.call_checks import THE_COTANGENT, Call, Called, shape_of
from contractconv.api.contraction import Contraction
from contractconv.api.sequences import Seconds
from contractconv.errors import ShapeError
from contractconv.markup.parts import article
from contractconv.markup.shown import Printed
from contractconv.notation.carets import operand_label

if TYPE_CHECKING:
    from contractconv.calculus import gradient_derivatives


class Second(Called, Printed):
    """The derivative of ``⟨V, dX⟩`` by one of the arrays that a gradient ``dX`` is made of.

    ``print`` it to read what it is: a known contraction with ``V`` in another's place, or strings
    whose results add up.

    Attributes:
        by: what it is by: ``G`` the cotangent, or a forward operand.
        same_as: what it is, ``Y`` or ``dW``; ``None`` for contractions of its own.
        roles: who plays which role in that: ``(("X", "V"),)`` is ``V`` in place of ``X``.

    Example:
        >>> import numpy as np
        >>> square = Contraction("i -> ", reduce="prod")
        >>> for second in square.grad(0).seconds:
        ...     print("by", second.by, "it is", second)
        by G it is i, i ->
        by X it is , i -> i
        >>> square.grad(0).seconds[1].formula
        '∂⟨V, dX⟩/∂X[i] = G · Q[i], Q being the change along V of the product of all other points'
        >>> square.grad(0).seconds[1](np.array([1, 0, 0]), np.array(1), np.array([2, 3, 5]))
        array([0, 5, 3])
    """

    takes, _title = ("V", THE_COTANGENT), "a second derivative"

    def __init__(
        self, forward: Contraction, operand: int, places: tuple[int, ...], by: int | None
    ) -> None:
        self.forward, self.operand = forward, operand
        self._places, self._by = places, by
        self._found = _of(forward._named, places, by)
        self.by = self._found.by
        self.same_as = self._found.same_as
        self.roles = self._found.roles

    @property
    def contractions(self) -> tuple[Contraction, ...]:
        """The contractions that add up to it; none if it is zero almost everywhere."""
        return tuple(Contraction._of(part.spoken) for part in self._found.parts)

    @property
    def operands(self) -> tuple[tuple[str, ...], ...]:
        """What each contraction takes: ``V``, ``G``, forward operands, the local derivative.

        ``P`` is the local derivative of the reduction, ``Q`` how it changes along ``V``.
        """
        return tuple(part.roles for part in self._found.parts)

    @property
    def spec(self) -> Contraction:
        """The first of :attr:`contractions`.

        Raises:
            IndexError: it is zero almost everywhere.
        """
        return self.contractions[0]

    @property
    def formula(self) -> str:
        """The index notation, ``∂⟨V, dX⟩/∂W[k] = ...``, with what ``Q`` stands for."""
        from contractconv.display.equations import write_second

        return write_second(self._found, self.forward._named)

    def latex(self) -> str:
        """The formula in LaTeX, without dollar signs."""
        return self._written("latex")

    def mathml(self) -> str:
        """The formula in presentation MathML."""
        return self._written("mathml")

    def _written(self, script: str) -> str:
        from contractconv.calculus.summed_steps import second_equation
        from contractconv.display.equations import write

        return write(second_equation(self._found, self.forward._named), script)

    def _made(self, call: Call) -> Any:
        first = self._places[0]
        given, wanted = shape_of(call.given["V"]), call.shapes[first]
        if given != wanted:
            label = operand_label(self.forward._named, first)
            raise ShapeError(f"V has shape {given}, {label} of '{self.forward}' has {wanted}")
        made = [self._of_place(call, place) for place in self._places]
        return sum(made[1:], start=made[0])

    def _of_place(self, call: Call, place: int) -> Any:
        """What comes of the gradient by one place of the operand."""
        from contractconv.calculus.gradient_derivatives import second_by

        found = second_by(call.concrete, (place,), self._terms)
        return call.execution.summed_recipes(
            found.parts, call.problem, call.roles, call.operands, place, found.by, call.options
        )

    @property
    def _terms(self) -> tuple[int, ...] | None:
        """The operands by which it is; ``None`` for the cotangent."""
        return None if self._by is None else self.forward._named.places_of(self._by)

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self._places, self._by

    def __str__(self) -> str:
        return str(self._found)

    def __repr__(self) -> str:
        return repr(self._found)

    def _pretty(self) -> str:
        return f"{self!r}\n{self.formula}"

    def _repr_html_(self) -> str:
        from contractconv.display.html_sequences import second_parts

        return article(second_parts(self._found, self.forward._named))


def seconds(forward: Contraction, operand: int, places: Sequence[int]) -> Seconds:
    """The derivatives of the gradient by one array, which is so many operands."""
    from contractconv.calculus.gradient_derivatives import what_seconds_are_by

    arrays = what_seconds_are_by(forward._named, tuple(places))
    return Seconds(Second(forward, operand, tuple(places), by) for by in arrays)


def _of(spec: Any, places: tuple[int, ...], by: int | None) -> gradient_derivatives.Second:
    from contractconv.calculus.gradient_derivatives import second_by

    return second_by(spec, places, None if by is None else spec.places_of(by))
