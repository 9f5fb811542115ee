"""Contractions that are derived from another one, and what they are called with.

A :class:`Recipe` is a string whose operands have roles: a forward operand by its name, the tangent
``V``, the cotangent ``G``, a root ``R`` of a Hessian, the local derivative of a reduction. Here are
the forward derivative and the Jacobian; :mod:`contractconv.calculus.curvature_strings` has more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from contractconv.calculus.backward import (
    COTANGENT,
    RESULT,
    TANGENT,
    Places,
    Shares,
    fixed_indices,
    forward_equation,
    places_of,
    roles_of,
    shares_of,
)
from contractconv.calculus.conditions import simplified
from contractconv.calculus.deltas import eliminate
from contractconv.calculus.equation import Equation
from contractconv.calculus.symbols import operand_names
from contractconv.calculus.textbook import textbook
from contractconv.errors import SpecError
from contractconv.notation.spec import SUM, Spec
from contractconv.reductions.table import REDUCTIONS

ONES = "1"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A derived contraction.

    Attributes:
        result: what it makes, in formulas.
        like: whose axes the result has: those of the forward ``"result"``, of the ``"operand"``,
            of both one after the other; nothing if the string says it all.
        spec: the string; indices that the forward contraction has keep their extents.
        roles: what to pass for each operand of the string.
        copies: indices that run over the range of another one, as ``(copy, original)``.
        result_axes: indices that run over an axis of the forward result, as ``(index, axis)``.
        scale: the indices by whose extents the result is divided, with repetition.
        ones: the indices whose extents are the shape of an operand of ones.
        shares: operands that are one over the extents of some indices.
        named: after what the sizes of the roles' axes are called.
    """

    result: str
    like: tuple[str, ...]
    spec: Spec
    roles: tuple[str, ...]
    copies: tuple[tuple[str, str], ...] = ()
    result_axes: tuple[tuple[str, int], ...] = ()
    scale: tuple[str, ...] = ()
    ones: tuple[str, ...] = ()
    shares: Shares = ()
    named: Places = ()

    @property
    def equation(self) -> Equation:
        """What it makes, with every delta solved that can be; the roles have their names."""
        return textbook(self.said)

    @property
    def said(self) -> Equation:
        """The string as an equation."""
        like = [{"result": COTANGENT, "operand": TANGENT}[part] for part in self.like]
        string = forward_equation(self.spec, self.result, self.roles, self.shares, self.named, like)
        return simplified(replace(string, scale=self.scale))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is derived from a contraction, and by which operand.

    Attributes:
        forward: the contraction.
        operand: the position of the operand that it is about.
        name: what it is, for messages.
        takes: the roles of what it is called with before the operands.
        derive: makes the recipe for a spec and an operand.
        batch: the indices that number examples; ``None`` for the result's first one.
        kind: of Kronecker factors.
    """

    forward: Spec
    operand: int
    name: str
    takes: tuple[str, ...]
    derive: Callable[[Spec, int], Recipe]
    batch: tuple[str, ...] | None = None
    kind: str = ""

    @property
    def recipe(self) -> Recipe:
        """The recipe for the contraction as it is.

        Raises:
            ContractionError: it cannot be derived.
        """
        return self.derive(self.forward, self.operand)


def jvp(forward: Spec, n: int) -> Recipe:
    """The change of the result for a change ``V`` of operand ``n``: Jacobian times vector."""
    terms = roles_of(forward)
    target = operand_names(len(forward.inputs))[n]
    roles = tuple(TANGENT if name == target else name for name in terms)
    spec = Spec(tuple(terms.values()), forward.output, SUM, forward.parameters)
    named = places_of(forward, n)
    return Recipe(f"d{RESULT}", ("result",), spec, roles, shares=shares_of(forward), named=named)


def jacobian(forward: Spec, n: int) -> Recipe:
    """The derivative of every element of the result by every element of operand ``n``.

    Indices that result and operand share stand twice in the output: those are the deltas.

    Raises:
        SpecError: the contraction has an ellipsis.
    """
    refuse_dots(forward)
    terms = roles_of(forward)
    target = terms.pop(operand_names(len(forward.inputs))[n])
    terms = terms or {ONES: ()}
    spec = Spec(tuple(terms.values()), (*forward.output, *target), SUM, forward.parameters)
    like, named = ("result", "operand"), places_of(forward, n)
    return Recipe("J", like, spec, tuple(terms), shares=shares_of(forward), named=named)


def refuse_dots(forward: Spec) -> None:
    """Raise an error for an ellipsis, whose axes would need names of their own."""
    if forward.has_dots:
        raise SpecError(
            f"write the axes of '{forward}' out: each of them takes part twice, "
            f"and those of an ellipsis have no names"
        )


def gathered(forward: Spec) -> Spec | None:
    """The same contraction with every axis of the result held by an index of its own.

    Returns:
        ``None`` if the scatter in its output has no such form.
    """
    equation = forward_equation(forward)
    if not equation.deltas:
        return forward
    done = eliminate(equation, fixed_indices(forward))
    last = done[-1].equation if done else equation
    return None if last.deltas or not REDUCTIONS[forward.reduce].is_sum else last.spec
