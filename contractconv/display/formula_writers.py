"""The three hands that write formulas: plain text, LaTeX and presentation MathML.

A hand knows how symbols, sums, fractions and conditions look in its script; what there is to write,
:mod:`contractconv.display.equations` decides. LaTeX keeps to what KaTeX and matplotlib's mathtext
both understand; MathML, in which every template makes one element, to MathML Core.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from contractconv.calculus.symbols import DOTS
from contractconv.reductions.record import Record


@dataclass(frozen=True, slots=True)
class Hand:
    """How formulas look in one script; ``%s`` in a template is what stands there.

    Attributes:
        script: its name, as in the signs of reductions.
        symbol: writes an index, a parameter, or the name of an array.
        number: a number.
        row: several parts as one.
        plus, minus: the signs between the parts of a sum.
        times: stands between the factors of a product that the notation writes: ``2*i``.
        dot: stands between the elements that are multiplied.
        comma, space: stand between the axes of an element, the indices of a composition.
        size: the size of the range of an index.
        group: brackets around a part of a fraction in which there is one of ``operators``.
        quotient: a fraction on one line.
        fraction: one of two lines; nothing where all fractions are on one.
        composition: several indices on one axis.
        element: an element of an array, its name and its axes.
        delta: one where both are equal, zero elsewhere.
        under: a sign over indices, and what it is about.
        between: stands between these indices.
        at_least_one: a number of points, or one if there are none.
        mean: one over a number of points, and what is divided by it.
        divides: ``divisor | number``.
        equal: ``left = right``.
        inside: ``0 ≤ position < size``.
        equation: an equation: left, right, and the conditions under which a point contributes.
        where: these conditions; ``condition`` is one of them, ``also`` stands between two.
    """

    script: str
    symbol: Callable[[str], str]
    times: str
    dot: str
    comma: str
    space: str
    size: str
    operators: str
    quotient: str
    element: str
    delta: str
    under: str
    between: str
    at_least_one: str
    mean: str
    divides: str
    inside: str
    where: str
    also: str
    number: str = "%s"
    row: str = "%s"
    plus: str = "+"
    minus: str = "-"
    group: str = "(%s)"
    fraction: str = ""
    composition: str = "(%s)"
    equal: str = "%s = %s"
    equation: str = "%s = %s%s"
    condition: str = "%s"

    def product(self, number: int, symbols: Sequence[str]) -> str:
        """A number times symbols."""
        numbers = [self.number % number] if number != 1 or not symbols else []
        return self.row % self.times.join([*numbers, *symbols])

    def signed(self, parts: Sequence[tuple[bool, str]]) -> str:
        """A sum of parts, each with whether it is negative."""
        text = "".join((self.minus if negative else self.plus) + part for negative, part in parts)
        return self.row % (text.removeprefix(self.plus) or self.number % 0)

    def divided(self, above: str, below: str, inline: bool) -> str:
        """A quotient; inline within a subscript."""
        if self.fraction and not inline:
            return self.fraction % (above, below)
        return self.quotient % (self._grouped(above), self._grouped(below))

    def _grouped(self, text: str) -> str:
        return self.group % text if re.search(self.operators, text) else text

    def composed(self, names: Sequence[str]) -> str:
        """Several indices on one axis."""
        return self.composition % self.space.join(names)

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

    def sizes(self, names: Sequence[str]) -> str:
        """A product of sizes, to divide by."""
        product = self.row % self.times.join(self.size % self.symbol(name) for name in names)
        return product if self.fraction else self._grouped(product)

    def stated(self, left: str, right: str, conditions: Sequence[str]) -> str:
        """An equation with the conditions under which a point contributes."""
        said = self.also.join(self.condition % condition for condition in conditions)
        return self.equation % (left, right, self.where % said if conditions else "")


def _text_symbol(name: str) -> str:
    return name.replace(DOTS, "…")


def _latex_symbol(name: str) -> str:
    stem = name.rstrip("'")
    primes = name[len(stem) :]
    if stem == DOTS:
        return r"\ldots" + primes
    if len(stem) == 1 and stem != "_":
        return stem + primes
    if len(stem) == 2 and stem[0] == "d" and stem[1].isupper():
        return rf"\mathrm{{d}}{stem[1]}{primes}"
    return rf"\mathrm{{{stem.replace('_', chr(92) + '_')}}}{primes}"


def _mathml_symbol(name: str) -> str:
    stem = name.rstrip("'")
    primes = len(name) - len(stem)
    shown = f"<mi>{'…' if stem == DOTS else escape(stem)}</mi>"
    return f"<msup>{shown}<mo>{'′' * primes}</mo></msup>" if primes else shown


_COMMA = '<mo separator="true">,</mo>'
_SPACE = '<mspace width="0.2em"/>'

HANDS = {
    "text": Hand(
        "text",
        _text_symbol,
        times="*",
        dot=" · ",
        comma=", ",
        space=" ",
        size="N_%s",
        operators=r"[-+*]",
        quotient="%s/%s",
        element="%s[%s]",
        delta="δ(%s, %s)",
        under="%s_{%s} %s",
        between=",",
        at_least_one="max(1, %s)",
        mean="1/%s %s",
        divides="%s | %s",
        inside="0 ≤ %s < %s",
        where="   where %s",
        also=", ",
    ),
    "latex": Hand(
        "latex",
        _latex_symbol,
        times=r" \, ",
        dot=r" \, ",
        comma=", ",
        space=r" \, ",
        size="N_{%s}",
        operators=r"[-+]|\\,",
        quotient="%s / %s",
        fraction=r"\frac{%s}{%s}",
        element="%s_{%s}",
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
        _mathml_symbol,
        number="<mn>%s</mn>",
        row="<mrow>%s</mrow>",
        plus="<mo>+</mo>",
        minus="<mo>−</mo>",
        times="<mo>&#x2062;</mo>",
        dot='<mspace width="0.15em"/>',
        comma=_COMMA,
        space='<mspace width="0.25em"/>',
        size="<msub><mi>N</mi>%s</msub>",
        operators="<mo>[+−]",
        group="<mrow><mo>(</mo>%s<mo>)</mo></mrow>",
        quotient="<mrow>%s<mo>/</mo>%s</mrow>",
        fraction="<mfrac>%s%s</mfrac>",
        composition="<mrow><mo>(</mo>%s<mo>)</mo></mrow>",
        element="<msub>%s<mrow>%s</mrow></msub>",
        delta=f"<msub><mi>δ</mi><mrow>%s{_COMMA}%s</mrow></msub>",
        under=f"<munder>%s<mrow>%s</mrow></munder>{_SPACE}%s",
        between=_COMMA,
        at_least_one=f"<mrow><mi>max</mi><mo>(</mo><mn>1</mn>{_COMMA}%s<mo>)</mo></mrow>",
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
