"""Nodes as source code: one short rule for each kind of node.

Every boundary is met in one way. The positions at which an axis is read are an array of integers;
those beyond the axis are sent to a slice that is appended to it, which holds the identity of the
reduction. Where something lands on an axis, a factor is one. What is left is an einsum over plain
indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isinf
from typing import Any

from contractconv.display.source_code.dialects import Dialect
from contractconv.display.source_code.lines import Lines, fits
from contractconv.display.source_code.meetings import Met
from contractconv.display.source_code.naming import Letters
from contractconv.display.source_code.pointwise import Writer
from contractconv.display.source_code.positions import Array, Positions, both, called
from contractconv.display.source_code.sizes import Sizes
from contractconv.display.source_code.text import indexed, operators
from contractconv.engines.portable import nodes
from contractconv.engines.portable.nodes import Axes, Labels, Node
from contractconv.reductions.record import Record
from contractconv.reductions.table import REDUCTIONS

_SLICES = {0.0: "zeros", 1.0: "ones"}


class Printer:
    """Writes a function from top to bottom.

    Attributes:
        arrays: the variables of the operands, by number.
        like: the array whose dtype the result gets.
    """

    def __init__(
        self,
        dialect: Dialect,
        lines: Lines,
        letters: Letters,
        sizes: Sizes,
        arrays: Mapping[int, str],
        like: str,
    ) -> None:
        self.dialect, self.lines, self.sizes, self.like = dialect, lines, sizes, like
        self.positions = Positions(dialect, lines, sizes)
        self.arrays = {**arrays}
        self._letters = letters
        self._split: set[str] = set()
        self._values: dict[Node, Array] = {}
        self._slots: dict[Axes, tuple[str | None, ...]] = {}
        self._placed: dict[Axes, list[Array]] = {}
        self._inside: dict[Met, Array | None] = {}
        self._identities: dict[str, str] = {}

    # -- nodes ---------------------------------------------------------------------------------

    def value(self, node: Node) -> Array:
        """Write a node, and all that it reads, unless that is written already."""
        if node not in self._values:
            self._values[node] = RULES[type(node)](self, node)
        return self._values[node]

    def factors(self, node: Node) -> list[Array]:
        """What is multiplied and summed; ones are left to the einsum that needs them."""
        if isinstance(node, nodes.Einsum):
            return [
                f for s in node.sources if not isinstance(s, nodes.Full) for f in self.factors(s)
            ]
        if isinstance(node, nodes.Reduce) and REDUCTIONS[node.reduce].linear:
            return self.factors(node.source)
        return [self.value(node)]

    def contracted(self, factors: Sequence[Array], labels: Iterable[str]) -> Array:
        """An einsum over plain indices; nothing at all where none is needed."""
        out = tuple(labels)
        present = {name for factor in factors for name in factor.labels}
        if missing := tuple(name for name in out if name not in present):
            like = factors[0].text if factors and factors[0].text.isidentifier() else self.like
            ones = self.dialect.ones([self.sizes.extent(name) for name in missing], like)
            factors = [*factors, Array(ones, missing)]
        if [factor.labels for factor in factors] == [out]:
            return factors[0]
        words = ",".join(self._letters.word(factor.labels) for factor in factors)
        string = f"{words}->{self._letters.word(out)}"
        return Array(self.dialect.einsum(string, [factor.text for factor in factors]), out)

    def variable(self, array: Array) -> Array:
        """The array in a variable, each of its indices once."""
        text = self.contracted([array], dict.fromkeys(array.labels))
        if text.text.isidentifier():
            return text
        return replace(text, text=self.lines.new("values", text.text))

    # -- reading -------------------------------------------------------------------------------

    def split(self, array: str, axes: Sequence[Met]) -> None:
        """Give every index of a composition an axis of its own."""
        if len({axis.place for axis in axes}) < len(axes) and array not in self._split:
            self._split.add(array)
            sizes = [
                self.sizes.extent(a.plain) if a.plain else self.sizes.size(a.place) for a in axes
            ]
            self.lines.assign(array, f"{array}.reshape({', '.join(sizes)})")

    def key(self, axis: Met, wishes: Iterator[str]) -> str:
        """What to read an axis with."""
        if axis.plain:
            return ":"
        at = self.positions.array(axis, next(wishes) if axis.names else "")
        if not axis.leaves():
            return at
        conditions = self.positions.conditions(axis, at)
        size, whole = self.sizes.size(axis.place), self.positions.whole(axis, at)
        inside = both(conditions) if axis.names else " and ".join(conditions)
        if axis in self._inside:
            inside = self.lines.new(f"in_{at}", inside) if axis.names else inside
            text = inside if axis.names else self.dialect.call("asarray", inside)
            self._inside[axis] = Array(text, self.positions.ordered(axis.names))
        if not axis.names:
            return f"{whole} if {inside} else {size}"
        return self.lines.assign(at, self.dialect.call("where", inside, whole, size))

    def padded(self, array: str, padded: Sequence[int], record: Record) -> str:
        """The array with what is read outside behind it."""
        number = record.identity
        held = self.dialect.floating(array) if record.needs_infinity else array
        fill = self.identity(record, array)
        slices = _SLICES.get(number, "infinities" if isinf(number) else f"{number:g}")
        self.lines.comment(f"Positions outside read the appended slice of {slices}.")
        return self.dialect.padded(held, padded, fill)

    def identity(self, record: Record, like: str) -> str:
        """What an element holds on which nothing lands, as a short text."""
        text = self.dialect.number(record.identity)
        if isinf(record.identity) and record.exact:
            text = self.dialect.bound(record.identity, like)
        if operators(text) and like not in self._identities:
            self._identities[like] = self.lines.new("worst", text)
        return self._identities.get(like, text)

    def asked(self, axes: Axes) -> None:
        """Have the conditions of some axes at hand, once they are read."""
        self._inside |= dict.fromkeys(axes)

    def inside(self, axes: Axes) -> list[Array]:
        """Where axes are met inside."""
        return [mask for axis in axes if (mask := self._inside.get(axis))]

    def masked(
        self, factors: Sequence[Array], masks: Sequence[Array], labels: Labels, record: Record
    ) -> Array:
        """The products of all points; the identity where one does not count."""
        # A mask that has an index of its own repeats the products along it.
        own = {name for mask in masks for name in mask.labels}
        own -= {name for factor in factors for name in factor.labels}
        product = self.contracted(factors, (name for name in labels if name not in own))
        values = self.variable(product)
        if not masks:
            return values
        identity = self.identity(record, values.text)
        mask = self.mask(masks, labels, values.text)
        text = self.dialect.call("where", mask, values.among(labels), identity)
        kept = product.text.isidentifier()
        write = self.lines.new if kept else self.lines.assign
        return Array(write("values" if kept else values.text, text), labels)

    def mask(self, masks: Sequence[Array], labels: Labels, like: str) -> str:
        """Where points count, to choose between elements of another array."""
        text = " & ".join(mask.among(labels) for mask in masks)
        if operators(text):
            text = self.lines.once("inside", text)
        return self.dialect.mask(text, like)

    # -- landing -------------------------------------------------------------------------------

    def slots(self, axes: Axes) -> tuple[str | None, ...]:
        """An index for every axis of a result; ``None`` for one that holds everything."""
        if axes not in self._slots:
            seen: set[str] = set()
            self._slots[axes] = tuple(self._slot(axis, seen) for axis in axes)
        return self._slots[axes]

    def _slot(self, axis: Met, seen: set[str]) -> str | None:
        if axis.unit:
            return None
        if axis.plain and axis.plain not in seen:
            seen.add(axis.plain)
            return axis.plain
        position = self._letters.position()
        self.sizes.name_position(position, axis.place, axis.plain)
        return position

    def out(self, axes: Axes) -> Labels:
        """The indices of a result."""
        return tuple(index for index in self.slots(axes) if index is not None)

    def landing(self, axes: Axes, kind: Callable[[str], str] = str) -> list[Array]:
        """Where the position on an axis is what the axis says, if not just an index stands there.

        A condition is made the kind of text that is wanted.
        """
        slots = zip(self.slots(axes), axes, strict=True)
        placed = [(index, axis) for index, axis in slots if index and index != axis.plain]
        arrays = []
        for (position, axis), wish in zip(placed, called(len(placed)), strict=True):
            condition = self.positions.landing(position, axis, wish)
            name = f"place_{self._letters[position]}" if len(placed) > 1 else "place"
            arrays.append(Array(self.lines.new(name, kind(condition.text)), condition.labels))
        return arrays

    def placed(self, axes: Axes) -> list[Array]:
        """Factors that put products where they belong."""
        if axes not in self._placed:
            self._placed[axes] = self.landing(axes, lambda c: self.dialect.truths(c, self.like))
        return self._placed[axes]

    def reduced(self, values: Array, gone: Sequence[str], record: Record) -> Array:
        """The reduction of some indices of a variable.

        Raises:
            ReductionError: the reduction has no source.
        """
        source = record.asked(record.source, "source")
        axes = tuple(n for n, name in enumerate(values.labels) if name in gone)
        rest = tuple(name for name in values.labels if name not in gone)
        return Array(str(source(Writer(self, record, values), values.text, axes)), rest)

    # -- the result ----------------------------------------------------------------------------

    def divided(self, value: str, axes: Axes, repeats: Sequence[str], units: bool = False) -> str:
        """Divide by the number of points of each element, among which indices may be repeated.

        A variable may have the axes of size one (``units``), and joined ones, of the result.
        """
        repeated = self.sizes.extents(repeats)
        placed = self.placed(axes)
        if not placed:
            return f"{value} / max(1, {repeated})" if repeated else value
        if units:
            self.split(value, axes)
        slots = self.slots(axes)
        labels = tuple(slot or str(n) for n, slot in enumerate(slots) if slot or units)
        counted = tuple(n for n in labels if any(n in factor.labels for factor in placed))
        count = self.contracted(placed, counted).text
        count = self.lines.new("count", f"{repeated} * {count}" if repeated else count)
        # Nothing lands on an element whose count is zero, so it holds zero already.
        divisor = Array(f"{count}.clip(1)", counted).among(labels)
        if not fits(f"return {value} / {divisor}"):
            value = self.lines.new("Y", value)
        return f"{value} / {divisor}"

    def finish(self, node: Node, axes: Axes, array: str | None) -> None:
        """Return a node with some axes in its shape, which may be that of an array."""
        value = self.contracted(self.factors(node), self.out(axes)).text
        slots = self.slots(axes)
        if len({axis.place for axis in axes}) == len(axes):
            self.lines.give(value, indexed("", ["None" if slot is None else ":" for slot in slots]))
            return
        shape = f"{array}.shape"
        if array is None or array in self.lines.changed:
            units = {axis.place for axis in axes if axis.unit}
            places = dict.fromkeys(axis.place for axis in axes)
            shape = ", ".join("1" if p in units else self.sizes.size(p) for p in places)
        self.lines.give(value, f".reshape({shape})")


# --- one rule for each kind ------------------------------------------------------------------


def _operand(printer: Printer, node: nodes.Operand) -> Array:
    array = printer.arrays[node.number]
    printer.split(array, node.axes)
    return Array(array, tuple(name for axis in node.axes for name in axis.names))


def _read(printer: Printer, node: nodes.Read) -> Array:
    array, axes = printer.value(node.source).text, node.axes
    wishes = iter(called(sum(1 for axis in axes if axis.names and not axis.plain)))
    keys = [printer.key(axis, wishes) for axis in axes]
    outside = [int(axis.leaves()) for axis in axes]
    padded = printer.padded(array, outside, REDUCTIONS[node.reduce]) if any(outside) else array
    printer.lines.chain(array, padded, *_subscripts(axes, keys))
    return Array(array, tuple(n for a in axes for n in printer.positions.ordered(a.names)))


def _subscripts(axes: Axes, keys: Sequence[str]) -> Iterator[str]:
    """One array of positions, or one constant, after another."""
    before = 0
    for axis, key in zip(axes, keys, strict=True):
        if not axis.plain:
            yield indexed("", [":"] * before + [key])
        before += len(axis.names)


def _einsum(printer: Printer, node: nodes.Einsum) -> Array:
    return printer.contracted(printer.factors(node), node.output)


def _where(printer: Printer, node: nodes.Where) -> Array:
    labels = tuple(sorted(node.labels, key=printer.sizes.spec.indices.index))
    printer.positions.order = labels
    printer.asked(node.axes)
    factors = printer.factors(node.source)
    masks = printer.inside(node.axes)
    return printer.masked(factors, masks, labels, REDUCTIONS[node.reduce])


def _reduce(printer: Printer, node: nodes.Reduce) -> Array:
    record = REDUCTIONS[node.reduce]
    if record.linear:
        rest = (name for name in node.labels if name not in node.gone)
        return printer.contracted(printer.factors(node.source), dict.fromkeys(rest))
    return printer.reduced(printer.variable(printer.value(node.source)), node.gone, record)


def _land(printer: Printer, node: nodes.Land) -> Array:
    axes, record = node.axes, REDUCTIONS[node.reduce]
    if record.linear:
        factors = printer.factors(node.source)
        return printer.contracted([*factors, *printer.placed(axes)], printer.out(axes))
    source, out = printer.variable(printer.value(node.source)), printer.out(axes)
    gone = tuple(name for name in source.labels if name not in out)
    printer.positions.order = (*out, *gone)
    values = printer.masked([source], printer.landing(axes), (*out, *gone), record)
    return printer.reduced(values, gone, record) if gone else values


def _divide(printer: Printer, node: nodes.Divide) -> Array:
    axes = node.axes
    out = printer.out(axes)
    value = printer.contracted(printer.factors(node.source), out).text
    return Array(printer.divided(value, axes, node.repeats), out)


RULES: dict[type[Node], Callable[[Printer, Any], Array]] = {
    nodes.Operand: _operand,
    nodes.Read: _read,
    nodes.Einsum: _einsum,
    nodes.Where: _where,
    nodes.Reduce: _reduce,
    nodes.Land: _land,
    nodes.Divide: _divide,
}
