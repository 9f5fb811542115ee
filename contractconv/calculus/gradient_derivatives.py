"""The derivatives of a gradient, and what they are.

With ``V`` the cotangent of ``dX``, the number that is differentiated again is ``⟨V, dX⟩``. A sum or
a mean is linear in each operand, so this is ``⟨G, Y⟩`` with ``V`` in place of ``X``, and everything
that it can be differentiated by leads back to a contraction that is known: by ``G`` to ``Y``, by
``W`` to ``dW``, with ``V`` in place of ``X``. Nothing has to be searched for.

In other reductions ``dX`` has a local derivative ``P`` in it that is itself made of the operands.
The product rule then leaves two parts: what stands beside ``P`` is differentiated, and ``P`` is.
How ``P`` changes along ``V``, called ``Q``, is the rule's own formula; it takes the place of ``P``
in the gradient by the operand. Of an extreme that part is zero almost everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contractconv.calculus.backward import (
    COTANGENT,
    RESULT,
    TANGENT,
    Formulas,
    derive,
    places_of,
    shares_of,
)
from contractconv.calculus.derived_strings import Recipe
from contractconv.calculus.local_derivative import local_name
from contractconv.calculus.symbols import operand_names
from contractconv.notation.spec import Spec
from contractconv.reductions.table import REDUCTIONS

CHANGE = "Q"


@dataclass(frozen=True, slots=True, repr=False)
class Second:
    """The derivative of a gradient by something that it is made of.

    Attributes:
        by: what it is differentiated by: ``G``, ``W``, ...
        parts: the contractions that add up to it; none if it is zero.
        same_as: what it is, ``Y`` or ``dW``; ``None`` for contractions of its own.
        roles: who plays which role in that, where it is not the same array: ``(("X", "V"),)``.
    """

    by: str
    parts: tuple[Recipe, ...]
    same_as: str | None = None
    roles: tuple[tuple[str, str], ...] = ()

    @property
    def spec(self) -> Spec:
        """The string of the first part; its first operand is ``V``, or ``G`` if ``P`` changes."""
        return self.parts[0].spec

    def __repr__(self) -> str:
        return f"<by {self.by}: {self}>"

    def __str__(self) -> str:
        if self.same_as is not None:
            swapped = ", ".join(f"{new} in place of {old}" for old, new in self.roles)
            return f"{self.same_as} with {swapped}"
        if not self.parts:
            return "0 almost everywhere"
        return "  +  ".join(str(part.spec) for part in self.parts)


def second_derivatives(formulas: Formulas) -> tuple[Second, ...]:
    """Differentiate a gradient by everything it is made of, the cotangent first.

    A sum and a mean are linear, and do not have the operand itself in their gradient.
    """
    return tuple(_seconds(formulas))


def _seconds(formulas: Formulas) -> Iterator[Second]:
    forward, n = formulas.forward, formulas.operand
    names = operand_names(len(forward.inputs))
    roles = [factor.name for factor in formulas.derivative.factors]
    linear = not _changes(forward)
    for by in (COTANGENT, *names):
        if by == names[n] and linear:
            continue
        parts = list(_parts(formulas, roles, by))
        known = RESULT if by == COTANGENT else f"d{by}"
        if linear:
            yield Second(by, tuple(parts), known, ((names[n], TANGENT),))
        else:
            yield Second(by, tuple(parts))


def _changes(forward: Spec) -> bool:
    """Whether the local derivative is made of the operands."""
    return not REDUCTIONS[forward.reduce].linear


def _parts(formulas: Formulas, roles: list[str], by: str) -> Iterator[Recipe]:
    forward = formulas.forward
    shares, named = shares_of(forward), places_of(forward, formulas.operand)
    if by in roles:
        place = roles.index(by)
        again = derive(formulas.scatter, place)
        taken = (TANGENT, *(role for m, role in enumerate(roles) if m != place))
        yield Recipe(_name(by), (), again.scatter, taken, shares=shares, named=named)
    if by != COTANGENT and _changes(forward) and not REDUCTIONS[forward.reduce].chooses:
        changed = derive(forward, operand_names(len(forward.inputs)).index(by))
        made = [factor.name for factor in changed.derivative.factors]
        letter = local_name(forward)
        taken = tuple(CHANGE if role == letter else role for role in made)
        yield Recipe(_name(by), (), changed.scatter, taken, named=named)


def _name(by: str) -> str:
    """What a derivative of ``⟨V, dX⟩`` is called."""
    return f"d{by}"
