"""The body of a generated function: operands are read, products placed, everything contracted.

Every boundary is met in one way. The positions at which an axis is read are an array of integers;
those beyond the axis are sent to a slice that is appended to it, which holds the identity of the
reduction. What is left is an einsum over plain indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isinf

from contractconv.display.sources.dialects import Dialect
from contractconv.display.sources.lines import Lines
from contractconv.display.sources.naming import Letters
from contractconv.display.sources.positions import Indices, Positions, both, called
from contractconv.display.sources.sizes import Sizes
from contractconv.display.sources.text import indexed, operators, product
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Composition, Place, Term
from contractconv.reductions.record import Record

_SLICES = {0.0: "zeros", 1.0: "ones"}


@dataclass(frozen=True, slots=True)
class Factor:
    """An array in the generated code: its text, and the index of each of its axes."""

    text: str
    indices: Indices

    def among(self, indices: Indices) -> str:
        """The array, broadcastable to one with all of some indices in the same order."""
        first = min((indices.index(name) for name in self.indices), default=len(indices))
        behind = indices[first:]
        return indexed(self.text, [":" if name in self.indices else "None" for name in behind])


@dataclass(frozen=True, slots=True)
class Slot:
    """One axis of a result after compositions are split.

    Attributes:
        index: the index along the axis; ``None`` for an axis of size one that holds everything.
        affine: where products are put along the axis, if it is not just the index.
        place: the axis in the forward contraction.
    """

    index: str | None
    affine: Affine | None
    place: Place


class Body:
    """What a function does, written from top to bottom.

    Args:
        dialect: what it is written in.
        lines: where it is written.
        letters: the letters of the indices.
        sizes: the sizes of everything.

    Attributes:
        positions: the arrays of positions.
        fill: the reduction whose identity stands outside; ``None`` for a zero.
        masks: for products of several operands, where they count; ``None`` if zeros suffice.
        outside: whether anything may be read outside.
    """

    def __init__(self, dialect: Dialect, lines: Lines, letters: Letters, sizes: Sizes) -> None:
        self.dialect = dialect
        self.lines = lines
        self.letters = letters
        self.sizes = sizes
        self.positions = Positions(dialect, lines, sizes)
        self.fill: Record | None = None
        self.masks: list[Factor] | None = None
        self.outside = False
        self._split: set[str] = set()
        self._identities: dict[str, str] = {}

    def identity(self, record: Record, like: str) -> str:
        """What an element holds on which nothing lands, as a short text."""
        text = self.dialect.number(record.identity)
        if isinf(record.identity) and record.exact:
            text = self.dialect.bound(record.identity, like)
        if operators(text) and like not in self._identities:
            self._identities[like] = self.lines.new("worst", text)
        return self._identities.get(like, text)

    # -- reading -------------------------------------------------------------------------------

    def read(self, array: str, number: int, term: Term) -> Factor:
        """Read an array at every point.

        Args:
            array: its variable, which is assigned to.
            number: of its term in the forward contraction.
            term: how it is read: as forward, or what a derivation has made of it.

        Returns:
            The array, with a plain index on each axis.
        """
        axes = self.split(array, number, term)
        count = sum(1 for affine, _ in axes if affine.terms and not affine.plain)
        wishes = iter(called(count))
        keys = [self._key(affine, place, wishes) for affine, place in axes]
        padded = [int(outside) for _, outside in keys]
        text = self._padded(array, padded) if any(padded) else array
        affines = [affine for affine, _ in axes]
        self.lines.chain(array, text, *_subscripts(affines, [key for key, _ in keys]))
        return Factor(array, tuple(n for a in affines for n in self.positions.indices(a)))

    def split(self, array: str, number: int, term: Term) -> list[tuple[Affine, Place]]:
        """Give every index of a composition an axis of its own."""
        axes: list[tuple[Affine, Place]] = []
        for position, axis in enumerate(term):
            parts = map(Affine.index, axis.names) if isinstance(axis, Composition) else [axis]
            axes += [(part, (number, position)) for part in parts if isinstance(part, Affine)]
        if len(axes) > len(term) and array not in self._split:
            self._split.add(array)
            sizes = [self._split_size(affine, place) for affine, place in axes]
            self.lines.assign(array, f"{array}.reshape({', '.join(sizes)})")
        return axes

    def _split_size(self, affine: Affine, place: Place) -> str:
        return self.sizes.extent(affine.plain) if affine.plain else self.sizes.size(place)

    def _padded(self, array: str, padded: Sequence[int]) -> str:
        """The array with what is read outside behind it."""
        self.outside = True
        fill = "0" if self.fill is None else self.identity(self.fill, array)
        held, slices = array, "zeros"
        if self.fill is not None:
            number = self.fill.identity
            slices = _SLICES.get(number, "infinities" if isinf(number) else f"{number:g}")
            if self.fill.needs_infinity:
                held = self.dialect.floating(array)
        self.lines.comment(f"Positions outside read the appended slice of {slices}.")
        return self.dialect.padded(held, padded, fill)

    def _key(self, affine: Affine, place: Place, wishes: Iterator[str]) -> tuple[str, bool]:
        """What to read an axis with, and whether that may lie outside."""
        if affine.plain:
            return ":", False
        if not affine.terms:
            return self._constant(affine, place)
        at = self.positions.array(affine, place, next(wishes))
        conditions = self.positions.conditions(affine, place, at)
        if not conditions:
            return at, False
        inside = both(conditions)
        if self.masks is not None:
            inside = self.lines.new(f"in_{at}", inside)
            self.masks.append(Factor(inside, self.positions.indices(affine)))
        whole = self.positions.whole(affine, at)
        self.lines.assign(at, self.dialect.call("where", inside, whole, self.sizes.size(place)))
        return at, True

    def _constant(self, affine: Affine, place: Place) -> tuple[str, bool]:
        at = self.positions.constant(affine)
        conditions = self.positions.conditions(affine, place, at)
        if not conditions:
            return at, False
        if self.masks is not None:
            inside = self.dialect.call("asarray", " and ".join(conditions))
            self.masks.append(Factor(inside, ()))
        size = self.sizes.size(place)
        if len(conditions) == 1:
            return f"min({at}, {size})", True
        return f"{self.positions.whole(affine, at)} if {' and '.join(conditions)} else {size}", True

    # -- placing -------------------------------------------------------------------------------

    def slots(self, number: int, term: Term, natural: bool = False) -> list[Slot]:
        """Find an index for every axis of a result.

        Args:
            number: of the term in the forward contraction.
            term: where products are put.
            natural: whether its axes have the sizes that the term asks for.
        """
        slots: list[Slot] = []
        seen: set[str] = set()
        for position, axis in enumerate(term):
            place = (number, position)
            if isinstance(axis, Composition):
                slots += [self._slot(Affine.index(n), place, seen, natural) for n in axis.names]
            elif isinstance(axis, Affine):
                slots.append(self._slot(axis, place, seen, natural))
        return slots

    def _slot(self, affine: Affine, place: Place, seen: set[str], natural: bool) -> Slot:
        if affine.plain and affine.plain not in seen:
            seen.add(affine.plain)
            return Slot(affine.plain, None, place)
        if natural and not affine.terms and not affine.offset:
            return Slot(None, affine, place)
        position = self.letters.position()
        if affine.plain:
            self.sizes.alias(position, affine.plain)
        else:
            self.sizes.name_position(position, place)
        return Slot(position, affine, place)

    def place(self, slots: Sequence[Slot], kind: Callable[[str], str] = str) -> list[Factor]:
        """Find out where the position on an axis is what the axis says.

        Args:
            slots: of the result.
            kind: makes of a condition what is wanted.

        Returns:
            An array for each axis on which not just an index stands.
        """
        placed = [
            (slot.index, slot.affine, slot.place)
            for slot in slots
            if slot.affine is not None and slot.index is not None
        ]
        factors = []
        for (position, affine, place), wish in zip(placed, called(len(placed)), strict=True):
            condition = self._condition(position, affine, place, wish)
            name = f"place_{self.letters[position]}" if len(placed) > 1 else "place"
            factors.append(replace(condition, text=self.lines.new(name, kind(condition.text))))
        return factors

    def _condition(self, position: str, affine: Affine, place: Place, wish: str) -> Factor:
        indices = (position, *self.positions.ordered(affine.names))
        if self.positions.order is not None and position in self.positions.order:
            indices = self.positions.ordered(indices)
        spread = self.positions.spread(position, indices)
        left = product([self.positions.divisor(affine), spread])
        text = self.positions.numerator(affine, indices)
        if indices[0] == position and not affine.fractional:
            text = self.positions.numerator(affine, indices[1:])
            if operators(text) or self.positions.known(affine, place):
                text = self.positions.array(affine, place, wish)
        elif operators(text):
            text = self.lines.new(wish, text)
        return Factor(f"{left} == {text}", indices)

    # -- the result ----------------------------------------------------------------------------

    def contracted(self, factors: Sequence[Factor], out: Indices, like: str) -> str:
        """An einsum over plain indices; nothing at all where none is needed."""
        present = {name for factor in factors for name in factor.indices}
        if missing := tuple(name for name in out if name not in present):
            sizes = [self.sizes.extent(name) for name in missing]
            factors = [*factors, Factor(self.dialect.ones(sizes, like), missing)]
        if len(factors) == 1 and factors[0].indices == out:
            return factors[0].text
        words = ",".join(self.letters.word(factor.indices) for factor in factors)
        string = f"{words}->{self.letters.word(out)}"
        return self.dialect.einsum(string, [factor.text for factor in factors])

    def finish(self, value: str, number: int, array: str | None, slots: Sequence[Slot]) -> None:
        """Give the result its shape and return it.

        Args:
            value: the result, compositions split.
            number: of its term in the forward contraction.
            array: the operand that has its shape, if one does.
            slots: its axes.
        """
        term = self.sizes.spec.terms[number]
        if any(isinstance(axis, Composition) for axis in term):
            shape = f"{array}.shape"
            if array is None or array in self.lines.changed:
                shape = ", ".join(self._result_size(number, n, slots) for n in range(len(term)))
            self.lines.give(value, f".reshape({shape})")
        else:
            units = ["None" if slot.index is None else ":" for slot in slots]
            self.lines.give(value, indexed("", units))

    def _result_size(self, number: int, position: int, slots: Sequence[Slot]) -> str:
        place = (number, position)
        unit = any(slot.place == place and slot.index is None for slot in slots)
        return "1" if unit else self.sizes.size(place)


def _subscripts(affines: Sequence[Affine], keys: Sequence[str]) -> list[str]:
    """Constants at once, then one array of positions after another."""
    constants = [":" if a.terms else key for a, key in zip(affines, keys, strict=True)]
    texts = [indexed("", constants)]
    before = 0
    for affine, key in zip(affines, keys, strict=True):
        if affine.terms:
            texts.append(indexed("", [":"] * before + [key]))
            before += len(affine.terms)
    return [text for text in texts if text]
