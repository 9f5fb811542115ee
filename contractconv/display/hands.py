"""The three hands that write formulas: plain text, LaTeX and presentation MathML.

A hand knows how symbols, sums, fractions and conditions look in its script; what there is to write,
:mod:`contractconv.display.equations` decides. LaTeX keeps to what KaTeX and matplotlib's mathtext
both understand; MathML to MathML Core.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from contractconv.calculus.symbols import DOTS
from contractconv.reductions.record import Record


class Text:
    """Unicode text for terminals."""

    separator = ", "

    def symbol(self, name: str) -> str:
        """An index, a parameter, or the name of an array."""
        return name.replace(DOTS, "…")

    def size(self, name: str) -> str:
        """The size of the range of an index."""
        return f"N_{self.symbol(name)}"

    def product(self, number: int, symbols: Sequence[str]) -> str:
        """A number times symbols, as the notation writes it: ``2*i``."""
        return "*".join(([str(number)] if number != 1 or not symbols else []) + list(symbols))

    def signed(self, parts: Sequence[tuple[bool, str]]) -> str:
        """A sum of parts, each with whether it is negative."""
        text = "".join(("-" if negative else "+") + part for negative, part in parts)
        return text.removeprefix("+") or "0"

    def fraction(self, above: str, below: str, inline: bool) -> str:
        """A quotient."""
        return f"{self._grouped(above)}/{self._grouped(below)}"

    def _grouped(self, text: str) -> str:
        return f"({text})" if any(sign in text for sign in "+-*") else text

    def composition(self, names: Sequence[str]) -> str:
        """Several indices on one axis."""
        return f"({' '.join(names)})"

    def element(self, name: str, axes: Sequence[str]) -> str:
        """An element of an array."""
        return f"{name}[{', '.join(axes)}]" if axes else name

    def delta(self, left: str, right: str) -> str:
        """One where both are equal, zero elsewhere."""
        return f"δ({left}, {right})"

    def times(self, factors: Sequence[str]) -> str:
        """A product of elements."""
        return " · ".join(factors) or "1"

    def big(self, record: Record, indices: Sequence[str], body: str) -> str:
        """A reduction over indices."""
        body = record.inside.text % body if record.inside else body
        if indices:
            body = f"{record.sign.text}_{{{','.join(indices)}}} {body}"
        return record.outside.text % body if record.outside else body

    def sizes(self, names: Sequence[str]) -> str:
        """A product of sizes."""
        return "*".join(map(self.size, names))

    def at_least_one(self, count: str) -> str:
        """A number of points, or one if there are none."""
        return f"max(1, {count})"

    def mean(self, count: str, body: str) -> str:
        """A quantity divided by a number of points."""
        return f"1/{self._grouped(count) if count[0] == 'N' else count} {body}"

    def divides(self, divisor: str, number: str) -> str:
        """``divisor | number``."""
        return f"{divisor} | {number}"

    def equal(self, left: str, right: str) -> str:
        """``left = right``."""
        return f"{left} = {right}"

    def inside(self, position: str, size: str) -> str:
        """``0 ≤ position < size``."""
        return f"0 ≤ {position} < {size}"

    def equation(self, left: str, right: str, conditions: Sequence[str]) -> str:
        """An equation with the conditions under which a point contributes."""
        where = f"   where {self.separator.join(conditions)}" if conditions else ""
        return f"{left} = {right}{where}"


class Latex(Text):
    """LaTeX, without the dollar signs around it."""

    separator = r",\ "

    def symbol(self, name: str) -> str:
        """An index, a parameter, or the name of an array."""
        stem = name.rstrip("'")
        primes = name[len(stem) :]
        if stem == DOTS:
            return r"\ldots" + primes
        if len(stem) == 1 and stem != "_":
            return stem + primes
        if len(stem) == 2 and stem[0] == "d" and stem[1].isupper():
            return rf"\mathrm{{d}}{stem[1]}{primes}"
        return rf"\mathrm{{{stem.replace('_', chr(92) + '_')}}}{primes}"

    def size(self, name: str) -> str:
        """The size of the range of an index."""
        return f"N_{{{self.symbol(name)}}}"

    def product(self, number: int, symbols: Sequence[str]) -> str:
        """A number times symbols."""
        return r" \, ".join(([str(number)] if number != 1 or not symbols else []) + list(symbols))

    def fraction(self, above: str, below: str, inline: bool) -> str:
        """A quotient; inline within a subscript."""
        if inline:
            return f"{self._grouped(above)} / {self._grouped(below)}"
        return rf"\frac{{{above}}}{{{below}}}"

    def _grouped(self, text: str) -> str:
        return f"({text})" if any(sign in text for sign in ("+", "-", r"\,")) else text

    def composition(self, names: Sequence[str]) -> str:
        """Several indices on one axis."""
        return "(" + r" \, ".join(names) + ")"

    def element(self, name: str, axes: Sequence[str]) -> str:
        """An element of an array, its axes as subscripts."""
        return f"{name}_{{{', '.join(axes)}}}" if axes else name

    def delta(self, left: str, right: str) -> str:
        """One where both are equal, zero elsewhere."""
        return rf"\delta_{{{left},\, {right}}}"

    def times(self, factors: Sequence[str]) -> str:
        """A product of elements."""
        return r" \, ".join(factors) or "1"

    def big(self, record: Record, indices: Sequence[str], body: str) -> str:
        """A reduction over indices."""
        body = record.inside.latex % body if record.inside else body
        if indices:
            body = f"{record.sign.latex}_{{{', '.join(indices)}}} {body}"
        return record.outside.latex % body if record.outside else body

    def sizes(self, names: Sequence[str]) -> str:
        """A product of sizes."""
        return r" \, ".join(map(self.size, names))

    def at_least_one(self, count: str) -> str:
        """A number of points, or one if there are none."""
        return rf"\max(1, {count})"

    def mean(self, count: str, body: str) -> str:
        """A quantity divided by a number of points."""
        return rf"\frac{{1}}{{{count}}} {body}"

    def divides(self, divisor: str, number: str) -> str:
        """``divisor | number``."""
        return rf"{divisor} \mid {number}"

    def inside(self, position: str, size: str) -> str:
        """``0 ≤ position < size``."""
        return rf"0 \leq {position} < {size}"

    def equation(self, left: str, right: str, conditions: Sequence[str]) -> str:
        """An equation with the conditions under which a point contributes."""
        where = rf" \quad \mathrm{{where}} \ \ {self.separator.join(conditions)}"
        return f"{left} = {right}{where if conditions else ''}"


class MathML:
    """Presentation MathML; every method returns one element."""

    def symbol(self, name: str) -> str:
        """An index, a parameter, or the name of an array."""
        stem = name.rstrip("'")
        primes = len(name) - len(stem)
        shown = _tag("mi", "…" if stem == DOTS else escape(stem))
        return f"<msup>{shown}{_tag('mo', '′' * primes)}</msup>" if primes else shown

    def size(self, name: str) -> str:
        """The size of the range of an index."""
        return f"<msub><mi>N</mi>{self.symbol(name)}</msub>"

    def product(self, number: int, symbols: Sequence[str]) -> str:
        """A number times symbols."""
        parts = ([_tag("mn", str(number))] if number != 1 or not symbols else []) + list(symbols)
        return _row(_TIMES.join(parts))

    def signed(self, parts: Sequence[tuple[bool, str]]) -> str:
        """A sum of parts, each with whether it is negative."""
        text = "".join(_tag("mo", "−" if negative else "+") + part for negative, part in parts)
        return _row(text.removeprefix("<mo>+</mo>") or "<mn>0</mn>")

    def fraction(self, above: str, below: str, inline: bool) -> str:
        """A quotient; inline within a subscript."""
        if inline:
            return _row(f"{_grouped(above)}<mo>/</mo>{_grouped(below)}")
        return f"<mfrac>{above}{below}</mfrac>"

    def composition(self, names: Sequence[str]) -> str:
        """Several indices on one axis."""
        return _row("<mo>(</mo>" + '<mspace width="0.25em"/>'.join(names) + "<mo>)</mo>")

    def element(self, name: str, axes: Sequence[str]) -> str:
        """An element of an array, its axes as subscripts."""
        return f"<msub>{name}{_row(_COMMA.join(axes))}</msub>" if axes else name

    def delta(self, left: str, right: str) -> str:
        """One where both are equal, zero elsewhere."""
        return f"<msub><mi>δ</mi>{_row(left + _COMMA + right)}</msub>"

    def times(self, factors: Sequence[str]) -> str:
        """A product of elements."""
        return _row('<mspace width="0.15em"/>'.join(factors) or "<mn>1</mn>")

    def big(self, record: Record, indices: Sequence[str], body: str) -> str:
        """A reduction over indices."""
        body = record.inside.mathml % body if record.inside else body
        if indices:
            under = _row(_COMMA.join(indices))
            body = f"<munder>{record.sign.mathml}{under}</munder>{_SPACE}{body}"
        return _row(record.outside.mathml % body if record.outside else body)

    def sizes(self, names: Sequence[str]) -> str:
        """A product of sizes."""
        return _row(_TIMES.join(map(self.size, names)))

    def at_least_one(self, count: str) -> str:
        """A number of points, or one if there are none."""
        return _row(f"<mi>max</mi><mo>(</mo><mn>1</mn>{_COMMA}{count}<mo>)</mo>")

    def mean(self, count: str, body: str) -> str:
        """A quantity divided by a number of points."""
        return _row(f"<mfrac><mn>1</mn>{count}</mfrac>{_SPACE}{body}")

    def divides(self, divisor: str, number: str) -> str:
        """``divisor | number``."""
        return _row(f'{divisor}<mo lspace="0.28em" rspace="0.28em">∣</mo>{number}')

    def equal(self, left: str, right: str) -> str:
        """``left = right``."""
        return _row(f"{left}<mo>=</mo>{right}")

    def inside(self, position: str, size: str) -> str:
        """``0 ≤ position < size``."""
        return _row(f"<mn>0</mn><mo>≤</mo>{position}<mo>&lt;</mo>{size}")

    def equation(self, left: str, right: str, conditions: Sequence[str]) -> str:
        """An equation, with the conditions on lines of their own."""
        body = _row(f"{left}<mo>=</mo>{right}")
        if conditions:
            lines = "".join(f"<mtr><mtd>{condition}</mtd></mtr>" for condition in conditions)
            body += f'<mspace width="1.5em"/><mtext>where</mtext>{_SPACE}<mtable>{lines}</mtable>'
        return (
            f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{_row(body)}</math>'
        )


_TIMES = "<mo>&#x2062;</mo>"
_COMMA = '<mo separator="true">,</mo>'
_SPACE = '<mspace width="0.2em"/>'


def _tag(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _row(content: str) -> str:
    return f"<mrow>{content}</mrow>"


def _grouped(content: str) -> str:
    if "<mo>+" not in content and "<mo>−" not in content:
        return content
    return _row(f"<mo>(</mo>{content}<mo>)</mo>")


Hand = Text | MathML
HANDS: dict[str, Hand] = {"text": Text(), "latex": Latex(), "mathml": MathML()}
