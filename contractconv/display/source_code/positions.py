"""Where axes are met: arrays of integers, and the conditions under which they count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contractconv.display.source_code.dialects import Dialect
from contractconv.display.source_code.lines import Lines
from contractconv.display.source_code.meetings import Met
from contractconv.display.source_code.sizes import Sizes, never_below
from contractconv.display.source_code.text import (
    Part,
    grouped,
    indexed,
    multiples,
    operators,
    product,
    total,
)
from contractconv.engines.portable.nodes import Labels
from contractconv.notation.affine import Affine

# What arrays of positions are called, by their number in one operand.
_CALLED = {1: ["rows"], 2: ["rows", "cols"], 3: ["planes", "rows", "cols"]}


def called(count: int) -> list[str]:
    """Names for some arrays of positions."""
    return _CALLED.get(count, ["rows"] * count)


@dataclass(frozen=True, slots=True)
class Array:
    """An array in the generated code: its text, and the index of each of its axes."""

    text: str
    labels: Labels

    def among(self, labels: Labels) -> str:
        """The array, broadcastable to one with all of some indices in the same order."""
        first = min((labels.index(name) for name in self.labels), default=len(labels))
        behind = labels[first:]
        return indexed(self.text, [":" if name in self.labels else "None" for name in behind])


class Positions:
    """Arrays of positions along axes of the forward contraction.

    Attributes:
        order: the indices in the order in which arrays have them; ``None`` for the order of each
            expression.
    """

    def __init__(self, dialect: Dialect, lines: Lines, sizes: Sizes) -> None:
        self.dialect = dialect
        self.lines = lines
        self.sizes = sizes
        self.order: Labels | None = None
        self._known: dict[tuple[Met, Labels], str] = {}

    def ordered(self, names: Iterable[str]) -> Labels:
        """Some indices in the order in which arrays have them."""
        found = tuple(names)
        return found if self.order is None else tuple(sorted(found, key=self.order.index))

    def array(self, axis: Met, wish: str) -> str:
        """The variable that holds the numerators of an axis."""
        # Axes are equal in any order of their summands, which is that of the array's axes.
        labels = self.ordered(axis.names)
        if (axis, labels) not in self._known:
            text = self._numerator(axis.affine, labels)
            self._known[axis, labels] = self.lines.new(wish, text) if axis.names else grouped(text)
        return self._known[axis, labels]

    def whole(self, axis: Met, at: str) -> str:
        """The position that belongs to a numerator which the divisor divides."""
        return f"{at} // {self._divisor(axis.affine)}" if axis.affine.fractional else at

    def conditions(self, axis: Met, at: str) -> list[str]:
        """When a position counts: where it is whole and inside, unless that is certain."""
        affine, divisor = axis.affine, self._divisor(axis.affine)
        whole = [f"{at} % {divisor} == 0"] * affine.fractional
        if axis.inside:
            return whole
        size = self.sizes.size(axis.place)
        if affine.divisor.constant is None:  # it may be negative
            at, divisor = self.whole(axis, at), ""
        low = [f"0 <= {at}"] * (not never_below(affine))
        return [*whole, *low, f"{at} < {product([divisor, size])}"]

    def landing(self, position: str, axis: Met, wish: str) -> Array:
        """Where the position on an axis is what the axis says."""
        affine = axis.affine
        indices = (position, *self.ordered(affine.names))
        if self.order is not None and position in self.order:
            indices = self.ordered(indices)
        spread = self._spread(position, indices)
        left = product([self._divisor(affine), spread])
        text = self._numerator(affine, indices)
        if indices[0] == position and not affine.fractional:
            text = self._numerator(affine, indices[1:])
            if affine.terms and (
                operators(text) or (axis, self.ordered(axis.names)) in self._known
            ):
                text = self.array(axis, wish)
        elif operators(text):
            text = self.lines.new(wish, text)
        return Array(f"{left} == {text}", indices)

    def _divisor(self, affine: Affine) -> str:
        """The divisor of an axis; nothing for one."""
        if not affine.fractional:
            return ""
        text = total(multiples(affine.divisor, self.sizes.rename))
        return grouped(text, (" + ", " - ", " * "))

    def _numerator(self, affine: Affine, indices: Labels) -> str:
        """The numerator of an axis, as an array with one axis for each index."""
        parts: list[Part] = []
        for name, coefficient in affine.terms:
            parts += multiples(coefficient, self.sizes.rename, self._spread(name, indices))
        return total([*parts, *multiples(affine.offset, self.sizes.rename)])

    def _spread(self, name: str, indices: Labels) -> str:
        """The values of one index, along its axis among others."""
        values = self.dialect.call("arange", self.sizes.extent(name))
        behind = len(indices) - 1 - indices.index(name)
        return f"{values}[:{', None' * behind}]" if behind else values


def both(conditions: Sequence[str]) -> str:
    """All of some conditions on arrays."""
    return conditions[0] if len(conditions) == 1 else " & ".join(f"({c})" for c in conditions)
