"""The three hands that write formulas: plain text, LaTeX and presentation MathML.

A hand knows how symbols, sums, fractions and conditions look in its script; what there is to write,
:mod:`contractconv.display.equations` decides. LaTeX keeps to what KaTeX and matplotlib's mathtext
both understand; MathML, in which every template makes one element, to MathML Core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contractconv.calculus.symbols import is_word
from contractconv.display.formula_symbols import (
    COMMA,
    latex_symbol,
    mathml_symbol,
    text_power,
    text_symbol,
)
from contractconv.reductions.record import Record


@dataclass(frozen=True, slots=True)
class Hand:
    """How formulas look in one script; ``%s`` in a template is what stands there.

    Attributes:
        script: its name, as in the signs of reductions.
        symbol: writes an index, a parameter, or the name of an array.
        number: a number.
        row: several parts as one.
        plus, minus: the signs between the parts of a sum; ``wide_plus``, ``wide_minus`` where a
            name has several letters.
        times: stands between the symbols of a product: ``s·i``; ``wide_times`` where a name has
            several letters; ``scaled`` between a number and a symbol: ``2i``.
        dot: stands between the elements that are multiplied.
        comma, space: stand between the axes of an element, the indices of a composition.
        size: the size of the range of an index.
        beside: stands between sizes that are multiplied.
        power: a size, or an element, to a power.
        exponent: writes the number of a power.
        group: brackets around a part of a fraction.
        quotient: a fraction on one line.
        fraction: one of two lines; nothing where all fractions are on one.
        composition: several indices on one axis.
        element: an element of an array, its name and its axes.
        scalar: an array without axes that is called like an index.
        delta: one where both are equal, zero elsewhere.
        under: a sign over indices, and what it is about.
        between: stands between these indices.
        at_least_one: a number of points, or one if there are none.
        mean: one over a number of points, and what is divided by it.
        divides: ``divisor | number``.
        equal: ``left = right``.
        inside: ``0 ≤ position < size``; ``below`` is ``position < size``.
        infinity: what a maximum of nothing is.
        otherwise: what an element is where the conditions do not hold, behind them.
        equation: an equation: left, right, and the conditions under which a point contributes.
        where: these conditions; ``condition`` is one of them, ``also`` stands between two.
    """

    script: str
    symbol: Callable[[str], str]
    times: str
    wide_times: str
    dot: str
    comma: str
    space: str
    size: str
    beside: str
    power: str
    quotient: str
    element: str
    scalar: str
    delta: str
    under: str
    between: str
    at_least_one: str
    mean: str
    divides: str
    inside: str
    below: str
    infinity: str
    otherwise: str
    where: str
    also: str
    exponent: Callable[[int], str] = str
    scaled: str = ""
    number: str = "%s"
    row: str = "%s"
    plus: str = "+"
    minus: str = "-"
    wide_plus: str = ""
    wide_minus: str = ""
    group: str = "(%s)"
    fraction: str = ""
    composition: str = "(%s)"
    equal: str = "%s = %s"
    equation: str = "%s = %s%s"
    condition: str = "%s"

    def product(self, number: int, names: Sequence[str]) -> str:
        """A number times symbols, by name."""
        wide = len(names) > 1 and any(map(is_word, names))
        written = (self.wide_times if wide else self.times).join(map(self.symbol, names))
        return self.times_number(number, written)

    def times_number(self, number: int, written: str) -> str:
        """A number times something that is written already; nothing is the number alone."""
        if number == 1 and written:
            return self.row % written
        digits = self.number % number
        # A name that begins with an underscore would not be seen behind a number.
        between = self.times if written.startswith("_") else self.scaled
        return self.row % (between.join([digits, written]) if written else digits)

    def signed(self, parts: Sequence[tuple[bool, str]], wide: bool = False) -> str:
        """A sum of parts, each with whether it is negative; wide if they are of words."""
        plus, minus = self.plus, self.minus
        if wide and self.wide_plus:
            plus, minus = self.wide_plus, self.wide_minus
        text = "".join((minus if negative else plus) + part for negative, part in parts)
        if text.startswith(minus):
            text = self.minus + text.removeprefix(minus)
        return self.row % (text.removeprefix(plus) or self.number % 0)

    def composed(self, names: Sequence[str]) -> str:
        """Several indices on one axis."""
        return self.composition % self.space.join(names)

    def tuple_of(self, names: Sequence[str]) -> str:
        """Indices of one point; several in brackets."""
        listed = self.row % self.between.join(names)
        return listed if len(names) == 1 else self.group % listed

    def met(self, name: str, axes: Sequence[str]) -> str:
        """An element of an array; a scalar has no axes."""
        return self.element % (name, self.comma.join(axes)) if axes else name

    def multiplied(self, factors: Sequence[str]) -> str:
        """A product of elements."""
        return self.row % (self.dot.join(factors) or self.number % 1)

    def big(self, record: Record, indices: Sequence[str], body: str) -> str:
        """A reduction over indices."""
        body = getattr(record.inside, self.script) % body if record.inside else body
        if indices:
            sign = getattr(record.sign, self.script)
            body = self.under % (sign, self.between.join(indices), body)
        return self.row % (getattr(record.outside, self.script) % body if record.outside else body)

    def raised(self, written: str, times: int) -> str:
        """A factor that comes several times."""
        return written if times == 1 else self.power % (written, self.exponent(times))

    def sizes(self, sizes: Sequence[str]) -> str:
        """A product of written sizes, to divide by; one that comes again is raised to a power."""
        written = [self.raised(size, times) for size, times in Counter(sizes).items()]
        product = self.row % self.beside.join(written)
        return self.group % product if len(written) > 1 and not self.fraction else product

    def stated(self, left: str, right: str, conditions: Sequence[str]) -> str:
        """An equation with the conditions under which a point contributes."""
        said = self.also.join(self.condition % condition for condition in conditions)
        return self.equation % (left, right, self.where % said if conditions else "")


_SPACE = '<mspace width="0.2em"/>'

HANDS = {
    "text": Hand(
        "text",
        text_symbol,
        times="·",
        wide_times="·",
        exponent=text_power,
        beside=" ",
        power="%s%s",
        plus="+",
        minus="−",
        wide_plus=" + ",
        wide_minus=" − ",
        below="%s < %s",
        infinity="∞",
        otherwise="else %s",
        dot=" · ",
        comma=", ",
        space=" ",
        size="N_%s",
        quotient="%s/%s",
        element="%s[%s]",
        scalar="%s[]",
        delta="δ(%s, %s)",
        under="%s_{%s} %s",
        between=",",
        at_least_one="max(1, %s)",
        mean="1/%s · %s",
        divides="%s | %s",
        inside="0 ≤ %s < %s",
        where="   where %s",
        also=", ",
    ),
    "latex": Hand(
        "latex",
        latex_symbol,
        times=" ",
        wide_times=r" \, ",
        beside=r" \, ",
        power="%s^{%s}",
        below="%s < %s",
        infinity=r"\infty",
        otherwise=r"\mathrm{else} \ \ %s",
        dot=r" \, ",
        comma=", ",
        space=r" \, ",
        size="N_{%s}",
        quotient="%s / %s",
        fraction=r"\frac{%s}{%s}",
        element="%s_{%s}",
        scalar="%s_{()}",
        delta=r"\delta_{%s,\, %s}",
        under="%s_{%s} %s",
        between=", ",
        at_least_one=r"\max(1, %s)",
        mean=r"\frac{1}{%s} %s",
        divides=r"%s \mid %s",
        inside=r"0 \leq %s < %s",
        where=r" \quad \mathrm{where} \ \ %s",
        also=r",\ ",
    ),
    "mathml": Hand(
        "mathml",
        mathml_symbol,
        number="<mn>%s</mn>",
        row="<mrow>%s</mrow>",
        plus="<mo>+</mo>",
        minus="<mo>−</mo>",
        times="<mo>&#x2062;</mo>",
        wide_times='<mspace width="0.17em"/>',
        scaled="<mo>&#x2062;</mo>",
        beside='<mspace width="0.17em"/>',
        power="<msup>%s<mn>%s</mn></msup>",
        below="<mrow>%s<mo>&lt;</mo>%s</mrow>",
        infinity="<mi>∞</mi>",
        otherwise='<mrow><mtext>else</mtext><mspace width="0.5em"/>%s</mrow>',
        dot='<mspace width="0.15em"/>',
        comma=COMMA,
        space='<mspace width="0.25em"/>',
        size="<msub><mi>N</mi>%s</msub>",
        group="<mrow><mo>(</mo>%s<mo>)</mo></mrow>",
        quotient="<mrow>%s<mo>/</mo>%s</mrow>",
        fraction="<mfrac>%s%s</mfrac>",
        composition="<mrow><mo>(</mo>%s<mo>)</mo></mrow>",
        element="<msub>%s<mrow>%s</mrow></msub>",
        delta=f"<msub><mi>δ</mi><mrow>%s{COMMA}%s</mrow></msub>",
        scalar="<msub>%s<mrow><mo>(</mo><mo>)</mo></mrow></msub>",
        under=f"<munder>%s<mrow>%s</mrow></munder>{_SPACE}%s",
        between=COMMA,
        at_least_one=f"<mrow><mi>max</mi><mo>(</mo><mn>1</mn>{COMMA}%s<mo>)</mo></mrow>",
        mean=f"<mrow><mfrac><mn>1</mn>%s</mfrac>{_SPACE}%s</mrow>",
        divides='<mrow>%s<mo lspace="0.28em" rspace="0.28em">∣</mo>%s</mrow>',
        equal="<mrow>%s<mo>=</mo>%s</mrow>",
        inside="<mrow><mn>0</mn><mo>≤</mo>%s<mo>&lt;</mo>%s</mrow>",
        equation='<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
        "<mrow><mrow>%s<mo>=</mo>%s</mrow>%s</mrow></math>",
        where=f'<mspace width="1.5em"/><mtext>where</mtext>{_SPACE}<mtable>%s</mtable>',
        also="",
        condition="<mtr><mtd>%s</mtd></mtr>",
    ),
}
