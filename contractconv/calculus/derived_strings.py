"""Contractions that are derived from another one, and what they are called with.

A :class:`Recipe` is a string whose operands have roles: a forward operand by its name, the tangent
``V``, the cotangent ``G``, a root ``R`` of a Hessian, the local derivative of a reduction. Here are
the forward derivative and the Jacobian; :mod:`contractconv.calculus.curvature_strings` has more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contractconv.calculus.backward import (
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
from contractconv.calculus.known_axes import knowing
from contractconv.calculus.letters import (
    ONES,
    SHARE,
    Letter,
    array_of,
    change,
    tangent,
    unused,
)
from contractconv.calculus.symbols import PRIME, distinct, index
from contractconv.calculus.textbook import textbook
from contractconv.errors import SpecError
from contractconv.notation.spec import SUM, Spec
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True, slots=True)
class Recipe:
    """A derived contraction.

    Attributes:
        result: what it makes: ``"JV"``, ``"J"``, ``"HV"``, ``"D"``, ``"A"``, ``"B"``, or a
            gradient.
        like: whose axes the result has: those of the forward ``"result"``, of the ``"operand"``,
            of both one after the other; nothing if the string says it all.
        spec: the string; indices that the forward contraction has keep their extents.
        roles: what to pass for each operand of the string.
        forward: the contraction that it was derived from.
        operand: the position of the operand that it is about.
        copies: indices that run over the range of another one, as ``(copy, original)``; formulas
            call them by that with a prime.
        result_axes: indices that run over an axis of the forward result, as ``(index, axis)``.
        scale: the indices by whose extents the result is divided, with repetition.
        ones: the indices whose extents are the shape of an operand of ones.
        rank: the index of the columns of a root.
        called: what the result is called in formulas, if not so.
    """

    result: str
    like: tuple[str, ...]
    spec: Spec
    roles: tuple[str, ...]
    forward: Spec
    operand: int
    copies: tuple[tuple[str, str], ...] = ()
    result_axes: tuple[tuple[str, int], ...] = ()
    scale: tuple[str, ...] = ()
    ones: tuple[str, ...] = ()
    rank: str = "r"
    called: str = ""

    @property
    def shares(self) -> Shares:
        """Operands that are one over the extents of some indices."""
        return shares_of(self.forward)

    @property
    def equation(self) -> Equation:
        """What it makes, with every delta solved that can be; the roles have their names."""
        return textbook(self.said)

    @property
    def said(self) -> Equation:
        """The string as an equation."""
        arrays = tuple(map(array_of, self.roles)) if self.forward.is_tied else ()
        spec, named = replace(self._told, names=arrays), (*self._named, (ONES, self.ones))
        made = self.called or self.result
        string = forward_equation(spec, made, self.roles, self.shares, named, self._alike)
        return simplified(_primed(replace(string, scale=self.scale), self.copies))

    @property
    def _told(self) -> Spec:
        """The string, which knows which axes no point leaves."""
        return knowing(self.spec, self.roles, self.forward, copies=self.copies)

    @property
    def _named(self) -> Places:
        """After what the sizes of the roles' axes are called."""
        return places_of(self.forward, self.operand, self.rank)

    @property
    def _alike(self) -> tuple[str, ...]:
        """The roles whose axes, one after the other, the result has."""
        if isinstance(self.result, Letter):
            return (self.result.of,)
        letters = {role.meaning: role for role, _ in self._named if isinstance(role, Letter)}
        meanings = {"result": "cotangent", "operand": "tangent"}
        return tuple(letters[meanings[part]] for part in self.like)

    @property
    def spoken(self) -> Spec:
        """The string, whose operands are called by their roles; what comes twice has numbers."""
        names: list[str] = []
        for role in self.roles:
            stem = role if role.isidentifier() else "ones" if role == ONES else SHARE
            taken = names.count(stem) + sum(name.startswith(f"{stem}_") for name in names)
            names.append(f"{stem}_{taken + 1}" if taken else stem)
        return replace(self._told, names=tuple(names), result=self.called or self.result)


def _primed(equation: Equation, copies: Sequence[tuple[str, str]]) -> Equation:
    """The equation whose copies of indices are called after these, with as few primes as can be."""
    taken, names = {*equation.names}, dict[Any, Any]()
    for copy, original in copies:
        name = distinct(original + PRIME, taken)
        taken.add(name)
        names[index(copy)] = index(name)
    return equation.renamed(names)


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
    names, terms = zip(*roles_of(forward), strict=True)
    place = n - len(forward.inputs)
    moved = tangent(forward, names[place])
    roles = (*names[:place], moved, *names[place:][1:])
    spec = Spec(terms, forward.output, SUM, forward.parameters)
    called = change(forward, names[place])
    return Recipe("JV", ("result",), spec, roles, forward, n, called=called)


def jacobian(forward: Spec, n: int) -> Recipe:
    """The derivative of every element of the result by every element of operand ``n``.

    Indices that result and operand share stand twice in the output: those are the deltas.

    Raises:
        SpecError: the contraction has an ellipsis.
    """
    refuse_dots(forward)
    pairs = roles_of(forward)
    _, target = pairs.pop(n - len(forward.inputs))
    names, terms = zip(*(pairs or [(ONES, ())]), strict=True)
    spec = Spec(terms, (*forward.output, *target), SUM, forward.parameters)
    called = unused(forward, "J")
    return Recipe("J", ("result", "operand"), spec, names, forward, n, called=called)


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
