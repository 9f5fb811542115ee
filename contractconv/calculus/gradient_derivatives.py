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

from contractconv.calculus.backward import Formulas, derive
from contractconv.calculus.derived_strings import Recipe
from contractconv.calculus.letters import (
    CHANGE,
    Letter,
    cotangent,
    gradient,
    result,
    said,
    second,
    tangent,
    unused,
)
from contractconv.notation.spec import Spec
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True, slots=True, repr=False)
class Second:
    """The derivative of a gradient by something that it is made of.

    Attributes:
        by: what it is differentiated by: ``G``, ``W``, ...
        called: what it is called: ``∂⟨V, dX⟩/∂W``.
        parts: the contractions that add up to it; none if it is zero.
        same_as: what it is, ``Y`` or ``dW``; ``None`` for contractions of its own.
        roles: who plays which role in that, where it is not the same array: ``(("X", "V"),)``.
    """

    by: str
    called: Letter
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
            swapped = ", ".join(f"{said(new)} in place of {said(old)}" for old, new in self.roles)
            return f"{said(self.same_as)} with {swapped}"
        if not self.parts:
            return "0 almost everywhere"
        return "  +  ".join(str(part.spec) for part in self.parts)


def second_derivatives(formulas: Formulas) -> tuple[Second, ...]:
    """Differentiate a gradient by everything it is made of, the cotangent first.

    A sum and a mean are linear, and do not have the operand itself in their gradient.
    """
    return seconds_of(formulas.forward, (formulas.operand,))


def seconds_of(forward: Spec, places: tuple[int, ...]) -> tuple[Second, ...]:
    """The same of an array that is several operands."""
    return tuple(
        second_by(forward, places, None if by is None else forward.places_of(by))
        for by in what_seconds_are_by(forward, places)
    )


def what_seconds_are_by(forward: Spec, places: tuple[int, ...]) -> tuple[int | None, ...]:
    """The arrays by which a gradient can be differentiated; ``None`` is the cotangent."""
    alone = len(places) == 1 and not _changes(forward)
    left_out = forward.called[places[0]] if alone else None
    arrays = (n for n, name in enumerate(forward.arrays) if name != left_out)
    return (None, *arrays)


def second_by(forward: Spec, places: tuple[int, ...], terms: tuple[int, ...] | None) -> Second:
    """The derivative of a gradient by one array, or by the cotangent.

    Args:
        forward: the contraction.
        places: the operands that the array is by which it was differentiated first.
        terms: those by which it is differentiated then; ``None`` for the cotangent.
    """
    linear = not _changes(forward)
    name = forward.called[places[0]]
    moved = tangent(forward, name)
    by = cotangent(forward) if terms is None else forward.called[terms[0]]
    parts = tuple(part for m in (terms or (None,)) for part in _parts(forward, places, moved, m))
    called = second(forward, name, by)
    if not linear or len(places) > 1 or len(terms or ()) > 1:
        return Second(by, called, parts)
    known = result(forward) if terms is None else gradient(by)
    return Second(by, called, parts, known, ((name, moved),))


def _changes(forward: Spec) -> bool:
    """Whether the local derivative is made of the operands."""
    return not REDUCTIONS[forward.reduce].linear


def _parts(forward: Spec, places: tuple[int, ...], moved: str, m: int | None) -> Iterator[Recipe]:
    """The contractions by one operand, or by the cotangent."""
    made = gradient(cotangent(forward) if m is None else forward.called[m])
    for n in places:
        if m != n:
            yield _beside(derive(forward, n), made, moved, m)
    if m is not None and _changes(forward) and not REDUCTIONS[forward.reduce].chooses:
        changed = derive(forward, m)
        found = [factor.name for factor in changed.derivative.factors]
        found[1] = unused(forward, CHANGE)  # in the place of the local derivative
        yield Recipe(made, (), changed.scatter, tuple(found), forward, places[0])


def _beside(formulas: Formulas, made: str, moved: str, m: int | None) -> Recipe:
    """What stands beside the local derivative of a gradient, differentiated."""
    roles = [factor.name for factor in formulas.derivative.factors]
    place = 0 if m is None else _place(formulas, m)
    again = derive(formulas.scatter, place)
    taken = (moved, *(role for k, role in enumerate(roles) if k != place))
    return Recipe(made, (), again.scatter, taken, formulas.forward, formulas.operand)


def _place(formulas: Formulas, m: int) -> int:
    """Where an operand of the forward contraction stands in the gradient by another one."""
    first = len(formulas.derivative.factors) - (len(formulas.forward.inputs) - 1)
    return first + m - (m > formulas.operand)
