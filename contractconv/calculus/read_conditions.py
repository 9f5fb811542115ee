"""Where arrays are read and written: the conditions that the notation's one boundary rule makes.

An axis that holds more than an index is met at a computed position. A point contributes only if
that position is a whole number inside the axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from contractconv.cache_register import kept
from contractconv.calculus.equation import Divides, Guard, Inside, size
from contractconv.calculus.symbols import expression, fresh_names, positions, split
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Axis, Spec

OUTPUT = -1


@dataclass(frozen=True, slots=True)
class Read:
    """A computed position on an axis of one term.

    Attributes:
        term: the operand, or :data:`OUTPUT`.
        guards: its conditions: a whole number (for a fraction), inside the axis.
        idle: whether they hold at every point if the extents follow the notation's rule.
    """

    term: int
    guards: tuple[Guard, ...]
    idle: bool


@kept(most=1024)
def places(spec: Spec, first: int = OUTPUT) -> dict[int, tuple[sympy.Symbol, ...]]:
    """Name a position on every axis of every term, whose sizes are named after them.

    An axis has one name, whatever the contraction is differentiated by: those of the output are
    named first, then those of the operands. The positions of a differentiated operand ``first``
    are none of the sum's indices, so they have primes.
    """
    parameters = set(spec.parameters)
    fresh = fresh_names({*spec.indices, *parameters})
    order = (OUTPUT, *range(len(spec.inputs)))
    return {n: positions(split(spec.terms[n]), fresh, first != OUTPUT) for n in order}


@kept(most=1024)
def reads(spec: Spec, first: int = OUTPUT) -> tuple[Read, ...]:
    """The computed positions of a contraction, the operands' first, then the output's."""
    named = places(spec, first)
    return tuple(
        Read(term, _guards(axis, position), _never_leaves(axis, term, spec))
        for term in (*range(len(spec.inputs)), OUTPUT)
        for axis, position in zip(split(spec.terms[term]), named[term], strict=True)
        if axis.plain is None
    )


def _guards(axis: Affine, position: sympy.Symbol) -> tuple[Guard, ...]:
    formula = expression(axis)
    inside = Inside(formula, size(position.name))
    if not axis.fractional:
        return (inside,)
    number = expression(Affine(axis.terms, axis.offset))
    return Divides(expression(Affine((), axis.divisor)), number), inside


def _never_leaves(axis: Affine, term: int, spec: Spec) -> bool:
    """Whether the extent rule keeps every point of an axis inside it.

    An expression without a minus is never negative. Its other end is kept inside where nothing but
    this axis determines one of its indices, and where it determines its own size, as in the output.
    """
    numbers = (axis.offset, *(coefficient for _, coefficient in axis.terms))
    if axis.fractional or any(value < 0 for number in numbers for _, value in number.terms):
        return False
    return term == OUTPUT or any(_holders(name, spec) == {axis} for name in axis.names)


def _holders(name: str, spec: Spec) -> set[Axis]:
    """The axes of operands that have a say in the extent of an index."""
    return {axis for term in spec.inputs for axis in term if name in axis.names}
