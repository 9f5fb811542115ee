"""Contractions of symbols, as nodes are made of them: a size is a text, a number a polynomial."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contractconv.display.source_code.sizes import Sizes
from contractconv.engines.portable.nodes import names_of
from contractconv.engines.portable.translation import Contraction
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Composition, Place, Term


@dataclass(frozen=True, slots=True)
class Met:
    """An axis of the forward contraction, and the expression that it is met at.

    Attributes:
        affine: the expression.
        place: the axis.
        inside: whether every element that is met certainly is there.
        unit: whether the axis has the one element that is met, and no other.
    """

    affine: Affine
    place: Place
    inside: bool = False
    unit: bool = False

    @property
    def plain(self) -> str | None:
        """The index, if it stands alone."""
        return self.affine.plain

    @property
    def names(self) -> tuple[str, ...]:
        """The indices, in the order in which they are written."""
        return self.affine.names

    def whole(self) -> bool:
        """Whether an index stands alone: then all sizes are made to agree with its extent."""
        return self.plain is not None

    def leaves(self) -> bool:
        """Whether a point may lie outside."""
        return not self.plain and (self.affine.fractional or not self.inside)


def contraction(
    sizes: Sizes,
    operands: Iterable[tuple[int, Term]],
    output: tuple[int, Term],
    reduce: str,
    natural: bool = False,
) -> Contraction:
    """What is translated to nodes.

    Terms come with the numbers of forward ones that have their sizes. The axes of a ``natural``
    result have the sizes that they ask for.
    """
    read = tuple((number, met(sizes, number, term)) for number, term in operands)
    placed = met(sizes, *output, natural)
    named = names_of(tuple(axis for _, axes in read for axis in axes))
    reduced = tuple(name for name in named if name not in names_of(placed))
    return Contraction(read, placed, reduced, reduce, str, Met.whole, Met.leaves)


def met(sizes: Sizes, number: int, term: Term, natural: bool = False) -> tuple[Met, ...]:
    """The axes of a term, each index of a composition with one of its own."""
    axes: list[Met] = []
    for position, axis in enumerate(term):
        place = (number, position)
        if isinstance(axis, Composition):
            axes += [Met(Affine.index(name), place) for name in axis.names]
        elif isinstance(axis, Affine):
            inside = not axis.plain and sizes.holds(place, axis)
            axes.append(Met(axis, place, inside, natural and not axis.terms and not axis.offset))
    return tuple(axes)
