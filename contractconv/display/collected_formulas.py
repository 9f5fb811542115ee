"""Writing a sum of formulas: what its terms share stands in front, the rest in brackets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any

from contractconv.calculus.collected import Collected, element_key
from contractconv.calculus.equation import Element, Equation
from contractconv.display.formula_writers import Hand
from contractconv.display.powers import collapsed
from contractconv.notation.spec import SUM
from contractconv.reductions.table import REDUCTIONS

if TYPE_CHECKING:
    from contractconv.display.equations import Writer

PLUS = {"text": " + ", "latex": " + ", "mathml": "<mo>+</mo>"}
BRACKETS = {
    "text": "(%s)",
    "latex": r"\left(%s\right)",
    "mathml": "<mrow><mo>(</mo><mrow>%s</mrow><mo>)</mo></mrow>",
}
# One where a condition holds, zero elsewhere.
_INDICATOR = {
    "text": "1[%s]",
    "latex": r"\mathbf{1}[%s]",
    "mathml": "<mrow><mn>1</mn><mo>[</mo>%s<mo>]</mo></mrow>",
}


@dataclass(frozen=True, slots=True)
class _Factor:
    """A factor of a term: how it is written, and the symbols in it."""

    key: Any
    text: str
    symbols: frozenset[Any]


class CollectedWriter:
    """Writes a sum of formulas.

    Args:
        source: the sum.
        hand: knows the script.
        writer: what writes an equation by itself.
    """

    def __init__(
        self, source: Collected, hand: Hand, writer: Callable[[Equation, Hand], Writer]
    ) -> None:
        self.source, self.hand = source, hand
        self.numbers = [number for number, _ in source.terms]
        self.writers = [writer(term, hand) for _, term in source.terms]
        divided = {(_over(term), term.scale) for _, term in source.terms}
        summed = {frozenset(term.summed) for _, term in source.terms}
        self.is_one_sum = len(summed) == len(divided) == 1
        self.stands_alone = summed == {frozenset()} and divided == {((), ())}
        self.conditions = self._shared_conditions()
        self.factors = [self._factors(one) for one in self.writers]

    def equation(self) -> str:
        """The equation with the conditions that all terms have."""
        return self.hand.stated(*self.sides())

    def sides(self) -> tuple[str, str, list[str]]:
        """The left side, the right side, and the conditions that all terms have."""
        first = self.writers[0]
        left = first.element(self.source.left)
        return left, self.right(), [first.guard(guard) for guard in self.conditions]

    def right(self) -> str:
        """The right side."""
        terms = [term for _, term in self.source.terms]
        if terms[0].empty:
            return self.writers[0].nothing()
        if self.is_one_sum:
            return self.writers[0].divided(self._together())
        parts = [
            writer.divided(self._product(number, factors, writer.source.summed))
            for number, writer, factors in zip(
                self.numbers, self.writers, self.factors, strict=True
            )
        ]
        return self.hand.row % PLUS[self.hand.script].join(parts)

    def _shared_conditions(self) -> list[Any]:
        """The conditions of every term: the others stand beside what they are about.

        So does what is said of the indices of one sum among several.
        """
        first, *others = (term for _, term in self.source.terms)
        shared = [g for g in first.guards if all(g in other.guards for other in others)]
        bound = {symbol for term in (first, *others) for symbol in term.summed}
        return [g for g in shared if self.is_one_sum or bound.isdisjoint(g.sympy.free_symbols)]

    def _factors(self, writer: Writer) -> list[_Factor]:
        source = writer.source
        found = [_Factor(element_key(f), writer.element(f), _symbols(f)) for f in writer.factors()]
        found += [_Factor(d, writer.delta(d), d.sympy.free_symbols) for d in source.deltas]
        own = [g for g in source.guards if g not in self.conditions]
        if own:
            said = self.hand.comma.join(map(writer.guard, own))
            symbols = frozenset(symbol for g in own for symbol in g.sympy.free_symbols)
            found.append(_Factor(tuple(own), _INDICATOR[self.hand.script] % said, symbols))
        return found

    def _together(self) -> str:
        """Terms that sum over the same indices: one sum."""
        counts = [Counter(factor.key for factor in factors) for factors in self.factors]
        common = counts[0].copy()
        for count in counts[1:]:
            common &= count
        shared, rests = [], []
        for factors in self.factors:
            left, rest = common.copy(), []
            for factor in factors:
                if left[factor.key] > 0:
                    left[factor.key] -= 1
                else:
                    rest.append(factor)
            rests.append(rest)
        most = gcd(*self.numbers)
        different = self._different(rests, most)
        if self.stands_alone and most == 1 and not common and len(rests) > 1:
            return self.hand.row % different.text
        left, brackets = common.copy(), self._brackets(different) if len(rests) > 1 else None
        for factor in self.factors[0]:
            if left[factor.key] > 0:
                left[factor.key] -= 1
                shared.append(factor)
            elif brackets is not None and brackets not in shared:
                shared.append(brackets)
        if brackets is not None and brackets not in shared:
            shared.append(brackets)
        return self._product(most, shared, self.writers[0].source.summed)

    def _different(self, rests: Sequence[Sequence[_Factor]], most: int) -> _Factor:
        """What the terms do not have in common, added."""
        parts = [
            self._multiplied(number // most, [factor.text for factor in rest])
            for number, rest in zip(self.numbers, rests, strict=True)
        ]
        symbols = frozenset(s for rest in rests for factor in rest for s in factor.symbols)
        return _Factor(None, PLUS[self.hand.script].join(parts), symbols)

    def _brackets(self, different: _Factor) -> _Factor:
        return replace(different, text=BRACKETS[self.hand.script] % different.text)

    def _product(self, number: int, factors: Sequence[_Factor], summed: Sequence[Any]) -> str:
        """A number, what does not depend on the summed indices, and the sum over the rest."""
        bound = set(summed)
        before = [f.text for f in factors if bound.isdisjoint(f.symbols)]
        inside = [f.text for f in factors if not bound.isdisjoint(f.symbols)]
        hand = self.hand
        if not bound:
            return self._multiplied(number, before)
        names = [hand.symbol(index.name) for index in summed]
        body = hand.big(REDUCTIONS[SUM], names, hand.multiplied(collapsed(hand, inside)))
        if not before and number == 1:
            return body
        return self._multiplied(number, before, body)

    def _multiplied(self, number: int, factors: Sequence[str], *last: str) -> str:
        parts = [*([self.hand.number % number] * (number != 1)), *collapsed(self.hand, factors)]
        return self.hand.multiplied([*parts, *last])


def _over(term: Equation) -> tuple[Any, ...]:
    return tuple(factor.over for factor in term.factors if factor.over is not None)


def _symbols(element: Element) -> frozenset[Any]:
    return frozenset(symbol for axis in element.axes for symbol in axis.free_symbols)
