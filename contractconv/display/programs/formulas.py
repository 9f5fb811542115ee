"""What each line of a program says as a formula, in any script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from contractconv.calculus.letters import Letter
from contractconv.display.formula_writers import HANDS
from contractconv.display.names import element
from contractconv.display.programs.contraction_formulas import Contraction, contraction_of
from contractconv.display.programs.known_reads import Read, known_reads
from contractconv.display.programs.known_sizes import KnownSizes
from contractconv.display.programs.lines import Line, Lines
from contractconv.display.programs.map_formulas import Formula, applied
from contractconv.lazy import remembered
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Length,
    Map,
    Named,
    Node,
    Number,
    Position,
    Scalar,
)
from contractconv.programs.sizes import Extent, Size
from contractconv.programs.text.operators import PRODUCT, SUM
from contractconv.reductions.table import REDUCTIONS

At = Mapping[str, str]
"""Where a value is met: for each of its axes the written position."""

LEAVES = (Length, Number, Position)
_CALLS = {
    "text": "%s(%s)",
    "latex": r"\mathrm{%s}\left(%s\right)",
    "mathml": "<mrow><mi>%s</mi><mo>(</mo>%s<mo>)</mo></mrow>",
}
_WORDS = {"text": "%s", "latex": r"\mathrm{%s}", "mathml": "<mtext>%s</mtext>"}
_OF = {
    "text": "%s, of %s",
    "latex": r"%s \mathrm{,\ of\ } %s",
    "mathml": "<mrow>%s<mtext>,&#xa0;of&#xa0;</mtext>%s</mrow>",
}
_INFINITY = {"text": "inf", "latex": r"\infty", "mathml": "<mi>∞</mi>"}


class Written(NamedTuple):
    """A line as a formula.

    Attributes:
        left: the element that is defined.
        right: what it is; empty for what is given.
        conditions: under which a point contributes.
    """

    left: str
    right: str
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Formulas:
    """Writes the lines of a program.

    Args:
        lines: the lines.
        sizes: what is known of sizes.
        script: ``"text"``, ``"latex"`` or ``"mathml"``.
    """

    lines: Lines
    sizes: KnownSizes
    script: str

    def written(self, line: Line) -> Written:
        """Write a line."""
        node, hand = line.node, HANDS[self.script]
        name = self._letter(line.name)
        if isinstance(node, Contract) and not line.is_other:
            return self._contraction(name, contraction_of(node, self._known))
        at = {axis: hand.symbol(axis) for axis in node.axes}
        left = element(hand, name, list(at.values()))
        if line.is_input:
            return Written(left, "")
        return Written(left, (self._value if line.is_other else self._made)(node, at).text)

    def equation(self, line: Line) -> str:
        """A line as one equation; what is given is just its element."""
        left, right, conditions = self.written(line)
        hand = HANDS[self.script]
        return hand.stated(left, right, conditions) if right else left

    def aligned(self, line: Line) -> str:
        """A line of LaTeX, with a mark where it is defined."""
        left, right, conditions = self.written(line)
        return HANDS[self.script].stated(f"{left} &", right, conditions)

    def _letter(self, name: str) -> str:
        """A name; that of what comes back to a value is a gradient's."""
        back = name.startswith("d_") and name in self._back
        return Letter(name, "gradient", self._letter(name[2:])) if back else name

    @remembered
    def _known(self) -> frozenset[Read]:
        """What is read inside of arrays at every point."""
        return known_reads(line.node for line in self.lines.all())

    @remembered
    def _back(self) -> frozenset[str]:
        """The names of what comes back to values."""
        return frozenset(line.name for line in self.lines.all() if line.is_back)

    # -- contractions --------------------------------------------------------------------------

    def _contraction(self, name: str, source: Contraction) -> Written:
        hand, node = HANDS[self.script], source.node
        writer = source.written(hand, self._factor, self._size_of)
        right = writer.right()
        if node.local:
            meaning = REDUCTIONS[node.spec.reduce].local.meaning
            right = _OF[self.script] % (self._said(meaning), right)
        conditions = [*writer.conditions(), *self._ranges(source), *self._told(source)]
        conditions += [] if node.local else writer.otherwise()
        # Two operands may be read at one place.
        return Written(writer.left(name), right, tuple(dict.fromkeys(conditions)))

    def _said(self, words: str) -> str:
        # Formulas are not broken, and words in them neither.
        space = {"text": " ", "latex": r"\ ", "mathml": "&#xa0;"}[self.script]
        said = escape(words) if self.script == "mathml" else words
        return _WORDS[self.script] % said.replace(" ", space)

    def _factor(self, node: Node, positions: Sequence[str]) -> str:
        """An operand at positions; a sum among factors stands in parentheses."""
        at = dict(zip(node.axes, positions, strict=True))
        return self._value(node, at).within(PRODUCT, self.script)

    def _ranges(self, source: Contraction) -> Iterator[str]:
        """The ranges of reduced indices that no axis tells."""
        hand = HANDS[self.script]
        for name, size in source.node.extents:
            if name in source.reduced:
                yield hand.inside % (hand.symbol(name), self._size(size).text)

    def _told(self, source: Contraction) -> Iterator[str]:
        """The parameters that are no numbers."""
        hand = HANDS[self.script]
        for name, size in source.node.extents:
            if name in source.spec.parameters:
                yield hand.equal % (hand.symbol(name), self._size(size).text)

    # -- everything else -----------------------------------------------------------------------

    def _value(self, node: Node, at: At) -> Formula:
        """A value where it is read: its element, or how it is made."""
        hand = HANDS[self.script]
        name = self.lines.names.get(node)
        # A number stands where it is read, unless it is this very one that has a name.
        if name is None or (isinstance(node, LEAVES) and node.label != name):
            return self._made(node, at)
        return Formula(element(hand, self._letter(name), [at[axis] for axis in node.axes]))

    def _made(self, node: Node, at: At) -> Formula:
        match node:
            case Number():
                return self._number(node.value)
            case Length():
                return self._size(node.size)
            case Position():
                return Formula(at[node.axes[0]], SUM)
            case Named():
                places = (at[axis] for axis in node.axes)
                return self._value(node.source, dict(zip(node.source.axes, places, strict=True)))
            case Cast():
                return self._cast(node, at)
            case Map():
                given = [self._value(argument, at) for argument in node.arguments]
                return applied(node.function, given, self.script)
        raise TypeError(f"a {type(node).__name__} has a line of its own")

    def _cast(self, node: Cast, at: At) -> Formula:
        value = self._value(node.source, at)
        return (
            value if node.dtype is None else Formula(_CALLS[self.script] % (node.dtype, value.text))
        )

    def _number(self, value: Scalar) -> Formula:
        hand, text = HANDS[self.script], repr(value)
        digits = text.removeprefix("-")
        shown = _INFINITY[self.script] if digits == "inf" else hand.number % digits
        return Formula(hand.signed([(True, shown)]), SUM) if text != digits else Formula(shown)

    # -- sizes ---------------------------------------------------------------------------------

    def _size(self, size: Size) -> Formula:
        """A sum of sizes; a number, if all of them are known."""
        hand = HANDS[self.script]
        known = [self.sizes.of(extent) for extent, _ in size.terms]
        if None not in known:
            return self._number(size.value(lambda extent: self.sizes.of(extent) or 0))
        parts = [(c < 0, self._times(abs(c), extent)) for extent, c in size.terms]
        if size.offset:
            parts.append((size.offset < 0, hand.number % abs(size.offset)))
        alone = size.alone
        if alone is not None:
            return Formula(self._size_of(alone))
        return Formula(hand.signed(parts), SUM)

    def _times(self, c: int, extent: Extent) -> str:
        return HANDS[self.script].times_number(c, self._size_of(extent))

    def _size_of(self, extent: Extent) -> str:
        hand = HANDS[self.script]
        known = self.sizes.of(extent)
        return hand.size % hand.symbol(extent.name) if known is None else hand.number % known
