"""Where arrays are read and written: the conditions that the notation's one boundary rule makes.

An axis that holds more than an index is met at a computed position. A point contributes only if
that position is a whole number inside the axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from contractconv.cache_register import kept
from contractconv.calculus.equation import Divides, Guard, Inside, Size, size
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
def reads(
    spec: Spec, first: int = OUTPUT, lengths: tuple[tuple[Size, ...], ...] = ()
) -> tuple[Read, ...]:
    """The computed positions of a contraction, the operands' first, then the output's.

    Args:
        spec: the contraction.
        first: the operand that it is differentiated by, if any.
        lengths: the sizes of the operands' axes; by default as :func:`axis_sizes` calls them.
    """
    named, mine = places(spec, first), axis_sizes(spec, first)

    def length(term: int, number: int) -> Size:
        if term == OUTPUT:
            return size(named[term][number].name)
        return lengths[term][number] if lengths else mine[spec.called[term], number]

    return tuple(
        Read(term, _guards(axis, length(term, number)), _never_leaves(axis, term, spec))
        for term in (*range(len(spec.inputs)), OUTPUT)
        for number, axis in enumerate(split(spec.terms[term]))
        if axis.plain is None
    )


def axis_sizes(spec: Spec, first: int = OUTPUT) -> dict[tuple[str, int], Size]:
    """What the size of each axis of each array is called: after an index, if one stands there."""
    named, found = places(spec, first), dict[tuple[str, int], Size]()
    for plain in (True, False):
        for term, name in enumerate(spec.called):
            for number, axis in enumerate(split(spec.inputs[term])):
                if plain == (axis.plain is not None):
                    told = axis.plain or named[term][number].name
                    found.setdefault((name, number), size(told))
    return found


def _guards(axis: Affine, length: Size) -> tuple[Guard, ...]:
    formula = expression(axis)
    inside = Inside(formula, length)
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
    if term != OUTPUT and _is_fixed_elsewhere(axis, term, spec):
        return False
    if axis.fractional or any(value < 0 for number in numbers for _, value in number.terms):
        return False
    return term == OUTPUT or any(_holders(name, spec) == {axis} for name in axis.names)


def _is_fixed_elsewhere(axis: Affine, term: int, spec: Spec) -> bool:
    """Whether the array has that axis in another place, where something else is read of it."""
    number = split(spec.inputs[term]).index(axis)
    others = (
        t for name, t in zip(spec.called, spec.inputs, strict=True) if name == spec.called[term]
    )
    return any(len(split(t)) > number and split(t)[number] != axis for t in others)


def _holders(name: str, spec: Spec) -> set[Axis]:
    """The axes of operands that have a say in the extent of an index."""
    return {axis for term in spec.inputs for axis in term if name in axis.names}
