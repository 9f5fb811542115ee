"""Second derivatives: a gradient, differentiated by what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contractconv.api.call_checks import THE_COTANGENT, Call, Called, shape_of
from contractconv.api.contraction import Contraction
from contractconv.api.sequences import Seconds
from contractconv.errors import ShapeError
from contractconv.markup.parts import article
from contractconv.markup.shown import Printed

if TYPE_CHECKING:
    from contractconv.calculus import gradient_derivatives
    from contractconv.calculus.derived_strings import Recipe


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
        'G · Q[i], Q being the change along V of the product of all other points'
        >>> square.grad(0).seconds[1](np.array([1, 0, 0]), np.array(1), np.array([2, 3, 5]))
        array([0, 5, 3])
    """

    takes, _title = ("V", THE_COTANGENT), "a second derivative"

    def __init__(self, forward: Contraction, operand: int, number: int) -> None:
        self.forward = forward
        self.operand = operand
        self._number = number
        found = _of(forward._spec, operand)[number]
        self.by = found.by
        self.same_as = found.same_as
        self.roles = found.roles
        self._found = found

    @property
    def contractions(self) -> tuple[Contraction, ...]:
        """The contractions that add up to it; none if it is zero almost everywhere."""
        return tuple(Contraction._of(part.spec) for part in self._found.parts)

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
        """The right-hand side in index notation, with what ``Q`` stands for."""
        from contractconv.display.equations import write_second

        return write_second(self._found, self.forward._spec)

    def _made(self, call: Call) -> Any:
        arrays = call.roles
        given, wanted = shape_of(arrays["V"]), call.shapes[self.operand]
        if given != wanted:
            raise ShapeError(
                f"V has shape {given}, operand {self.operand} of '{self.forward}' has {wanted}"
            )
        parts: tuple[Recipe, ...] = _of(call.concrete, self.operand)[self._number].parts
        return call.execution.summed_recipes(
            parts, call.problem, arrays, call.operands, self.operand, self.by, call.options
        )

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self.operand, self._number

    def __str__(self) -> str:
        return str(self._found)

    def __repr__(self) -> str:
        return repr(self._found)

    def _pretty(self) -> str:
        return f"{self!r}\n{self.formula}"

    def _repr_html_(self) -> str:
        from contractconv.display.html_sequences import second_parts

        return article(second_parts(self._found))


def seconds(forward: Contraction, operand: int) -> Seconds:
    """The derivatives of the gradient by one operand."""
    count = len(_of(forward._spec, operand))
    return Seconds(Second(forward, operand, number) for number in range(count))


def _of(spec: Any, operand: int) -> tuple[gradient_derivatives.Second, ...]:
    from contractconv.calculus.backward import derive
    from contractconv.calculus.gradient_derivatives import second_derivatives

    return second_derivatives(derive(spec, operand))
