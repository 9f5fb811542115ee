"""Where axes are met: arrays of integers, and the conditions under which they count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contractconv.display.sources.dialects import Dialect
from contractconv.display.sources.lines import Lines
from contractconv.display.sources.reaches import never_below
from contractconv.display.sources.sizes import Sizes
from contractconv.display.sources.text import Part, grouped, multiples, product, total
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Place

Indices = tuple[str, ...]

# What arrays of positions are called, by their number in one operand.
_CALLED = {1: ["rows"], 2: ["rows", "cols"], 3: ["planes", "rows", "cols"]}


def called(count: int) -> list[str]:
    """Names for some arrays of positions."""
    return _CALLED.get(count, ["rows"] * count)


class Positions:
    """Arrays of positions along axes of the forward contraction.

    Args:
        dialect: what they are written in.
        lines: where they are written.
        sizes: the sizes of everything.

    Attributes:
        order: the indices in the order in which arrays have them; ``None`` for the order of each
            expression.
    """

    def __init__(self, dialect: Dialect, lines: Lines, sizes: Sizes) -> None:
        self.dialect = dialect
        self.lines = lines
        self.sizes = sizes
        self.order: Indices | None = None
        self._known: dict[tuple[Place, Affine], str] = {}

    def ordered(self, names: Iterable[str]) -> Indices:
        """Some indices in the order in which arrays have them."""
        found = tuple(names)
        return found if self.order is None else tuple(sorted(found, key=self.order.index))

    def indices(self, affine: Affine) -> Indices:
        """The indices that an axis has once it is read."""
        return (affine.plain,) if affine.plain else self.ordered(affine.names)

    def constant(self, affine: Affine) -> str:
        """The numerator of an axis without indices."""
        return grouped(total(multiples(affine.offset, self.sizes.rename)))

    def divisor(self, affine: Affine) -> str:
        """The divisor of an axis; nothing for one."""
        if not affine.fractional:
            return ""
        text = total(multiples(affine.divisor, self.sizes.rename))
        return grouped(text, (" + ", " - ", " * "))

    def whole(self, affine: Affine, at: str) -> str:
        """The position that belongs to a numerator which the divisor divides."""
        return f"{at} // {self.divisor(affine)}" if affine.fractional else at

    def numerator(self, affine: Affine, indices: Indices) -> str:
        """The numerator of an axis, as an array with one axis for each index."""
        parts: list[Part] = []
        for name, coefficient in affine.terms:
            parts += multiples(coefficient, self.sizes.rename, self.spread(name, indices))
        return total([*parts, *multiples(affine.offset, self.sizes.rename)])

    def spread(self, name: str, indices: Indices) -> str:
        """The values of one index, along its axis among others."""
        values = self.dialect.call("arange", self.sizes.extent(name))
        behind = len(indices) - 1 - indices.index(name)
        return f"{values}[:{', None' * behind}]" if behind else values

    def array(self, affine: Affine, place: Place, wish: str) -> str:
        """The variable that holds the numerators of an axis."""
        if not self.known(affine, place):
            text = self.numerator(affine, self.indices(affine))
            self._known[place, affine] = self.lines.new(wish, text)
        return self._known[place, affine]

    def known(self, affine: Affine, place: Place) -> bool:
        """Whether there is such a variable already."""
        return (place, affine) in self._known

    def conditions(self, affine: Affine, place: Place, at: str) -> list[str]:
        """When a position counts: where it is whole and inside, unless that is certain."""
        divisor = self.divisor(affine)
        whole = [f"{at} % {divisor} == 0"] * affine.fractional
        if _same(affine, self.sizes.axis(place)) and self.sizes.fits(place):
            return whole
        size = self.sizes.size(place)
        if affine.divisor.constant is None:  # it may be negative
            at, divisor = self.whole(affine, at), ""
        low = [f"0 <= {at}"] * (not never_below(affine))
        return [*whole, *low, f"{at} < {product([divisor, size])}"]


def both(conditions: Sequence[str]) -> str:
    """All of some conditions on arrays."""
    return conditions[0] if len(conditions) == 1 else " & ".join(f"({c})" for c in conditions)


def _same(affine: Affine, axis: object) -> bool:
    """Whether two axes are equal but for the order of their summands."""
    if not isinstance(axis, Affine) or dict(affine.terms) != dict(axis.terms):
        return False
    return (affine.offset, affine.divisor) == (axis.offset, axis.divisor)
