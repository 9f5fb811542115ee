"""Where arrays are read and written: the conditions that the notation's one boundary rule makes.

An axis that holds more than an index is met at a computed position. A point contributes only if
that position is a whole number inside the axis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sympy

from contractconv.cache_register import kept
from contractconv.calculus.equation import Divides, Guard, Inside, Size, size
from contractconv.calculus.symbols import expression, fresh_names, positions, split
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Axis, AxisPlace, Spec, Term

OUTPUT = -1


@dataclass(frozen=True, slots=True)
class Read:
    """A computed position on an axis of one term.

    Attributes:
        place: the operand, or :data:`OUTPUT`, and the axis of its term.
        guards: its conditions: a whole number (for a fraction), inside the axis.
    """

    place: AxisPlace
    guards: tuple[Guard, ...]

    @property
    def term(self) -> int:
        """The operand, or :data:`OUTPUT`."""
        return self.place[0]


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
        Read((term, at), _guards(axis, length(term, number)))
        for term in (*range(len(spec.inputs)), OUTPUT)
        for number, (at, axis) in enumerate(_split_places(spec.terms[term]))
        if axis.plain is None
    )


def _split_places(term: Term) -> Iterator[tuple[int, Affine]]:
    """Each axis of :func:`split`, and where it stands in the term."""
    return ((at, part) for at, axis in enumerate(term) for part in split((axis,)))


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


def never_left(spec: Spec, given: Collection[str] = ()) -> frozenset[AxisPlace]:
    """The computed axes whose conditions hold at every point: the extents see to it.

    A contraction that was derived from another one has its extents, whether or not it has the
    operands that determine them, so it knows these axes from there.

    Args:
        spec: the contraction.
        given: indices whose extents are given, or determined by what is none of its operands.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> never_left(parse("(i+k), k -> i")), never_left(parse("(i+k), k -> i"), given="i")
        (frozenset({(0, 0)}), frozenset())
    """
    return _own(spec, frozenset(given)) if spec.inside is None else spec.inside


@kept(most=1024)
def _own(spec: Spec, given: frozenset[str]) -> frozenset[AxisPlace]:
    return frozenset(
        (term, at)
        for term in (*range(len(spec.inputs)), OUTPUT)
        for at, axis in enumerate(spec.terms[term])
        if isinstance(axis, Affine) and axis.plain is None
        if _never_leaves(axis, (term, at), spec, given)
    )


def _never_leaves(axis: Affine, place: AxisPlace, spec: Spec, given: frozenset[str]) -> bool:
    """Whether the extent rule keeps every point of an axis inside it.

    An expression without a minus is never negative. Its other end is kept inside where nothing but
    this axis determines one of its indices, and where it determines its own size, as in the output.
    """
    numbers = (axis.offset, *(coefficient for _, coefficient in axis.terms))
    if axis.fractional or any(value < 0 for number in numbers for _, value in number.terms):
        return False
    if place[0] == OUTPUT:
        return True
    free = (name for name in axis.names if name not in given)
    return not _is_fixed_elsewhere(axis, place, spec) and any(
        _holders(name, spec) == {axis} for name in free
    )


def _is_fixed_elsewhere(axis: Affine, place: AxisPlace, spec: Spec) -> bool:
    """Whether the array has that axis in another place, where something else is read of it."""
    term, at = place
    others = (
        t for name, t in zip(spec.called, spec.inputs, strict=True) if name == spec.called[term]
    )
    return any(len(other) > at and other[at] != axis for other in others)


def _holders(name: str, spec: Spec) -> set[Axis]:
    """The axes of operands that have a say in the extent of an index."""
    return {axis for term in spec.inputs for axis in term if name in axis.names}
