"""What there is to write in an equation, in any script."""

from __future__ import annotations

from math import isfinite

from contractconv.calculus.collected import Collected
from contractconv.calculus.equation import Delta, Divides, Element, Equation, Guard
from contractconv.calculus.gradient_derivatives import Second
from contractconv.calculus.letters import CHANGE, ONES, said, unused
from contractconv.calculus.local_formula import LocalFormula
from contractconv.calculus.summed_steps import second_equation
from contractconv.calculus.symbols import is_word
from contractconv.display import names
from contractconv.display.collected_formulas import CollectedWriter
from contractconv.display.formula_writers import HANDS, Hand
from contractconv.display.powers import multiplied
from contractconv.notation.affine import ONE, Affine, Polynomial, positive_first
from contractconv.notation.spec import SUM, Composition, Spec
from contractconv.reductions.table import REDUCTIONS


def write(equation: Equation | Collected, script: str) -> str:
    """Write an equation as ``"text"``, ``"latex"`` or ``"mathml"``."""
    return _writer(equation, script).equation()


def sides(equation: Equation | Collected, script: str) -> tuple[str, str, list[str]]:
    """Write an equation in its parts: left side, right side, conditions."""
    return _writer(equation, script).sides()


def _writer(equation: Equation | Collected, script: str) -> Writer | CollectedWriter:
    if isinstance(equation, Collected):
        return CollectedWriter(equation, HANDS[script], Writer)
    return Writer(equation, HANDS[script])


def write_local(local: LocalFormula, script: str) -> str:
    """Write what the local derivative of a reduction is."""
    return HANDS[script].stated(*local_sides(local, script))


def local_sides(local: LocalFormula, script: str) -> tuple[str, str, list[str]]:
    """Write what the local derivative of a reduction is, in its parts."""
    hand, point = HANDS[script], Writer(local.point, HANDS[script])
    other, template = Writer(local.other, hand), getattr(local.template, script)
    parts = {
        "point": point.product(),
        "other": other.product(),
        "result": point.element(local.result),
        "indices": hand.tuple_of(point.names()),
        "another": hand.tuple_of(other.names()),
        "others": hand.row % hand.between.join(other.names()),
        "count": point.count() if local.point.counts_points else "",
    }
    right = hand.row % (template % parts)
    if not local.point.summed:  # the only point there is
        right = hand.row % (hand.number % 1)
    return point.element(local.left), right, _conditions(local, template, point, other)


def _conditions(local: LocalFormula, template: str, point: Writer, other: Writer) -> list[str]:
    """Under which conditions the elements in a local derivative are read."""
    if not local.point.summed:
        return []
    if "%(other)s" in template:
        return other.meetings(local)
    return [point.guard(guard) for guard in local.there] if "%(point)s" in template else []


def second_remark(second: Second, forward: Spec) -> str:
    """What a letter in a second derivative stands for, if it needs to be said."""
    letter = unused(forward, CHANGE)
    if not any(letter in part.roles for part in second.parts):
        return ""
    local, moved = REDUCTIONS[forward.reduce].local, said(second.called.pair[0])
    return f"{letter} being {local.changed or f'the change along {moved} of {local.meaning}'}"


def write_second(second: Second, forward: Spec) -> str:
    """Write what a second derivative of a contraction is, as text."""
    written = write(second_equation(second, forward), "text")
    return ", ".join(filter(None, [written, second_remark(second, forward)]))


class Writer:
    """Writes one equation.

    Args:
        equation: the equation.
        hand: knows the script.
    """

    def __init__(self, equation: Equation, hand: Hand) -> None:
        self.source = equation
        self.hand = hand

    def equation(self) -> str:
        """The equation with its conditions."""
        return self.hand.stated(*self.sides())

    def sides(self) -> tuple[str, str, list[str]]:
        """The left side, the right side, and the conditions."""
        conditions = [*self.conditions(), *self.otherwise()]
        return self.element(self.source.left), self.right(), conditions

    def right(self) -> str:
        """The right side."""
        source, hand, record = self.source, self.hand, REDUCTIONS[self.source.reduce]
        if source.empty:
            return self.nothing()
        parts = [self.element(factor) for factor in self.factors()]
        if source.multiplies_deltas:
            parts += [self.delta(delta) for delta in source.deltas]
        right = multiplied(hand, parts)
        if source.summed or not record.keeps_one:
            right = hand.big(record, self.names(), right)
        return self.divided(right)

    def factors(self) -> list[Element]:
        """What is multiplied; neither ones nor what is divided by."""
        return [f for f in self.source.factors if f.over is None and f.name != ONES]

    def nothing(self) -> str:
        """What is made of nothing: the identity of the reduction."""
        identity = REDUCTIONS[self.source.reduce].identity
        shown = self.hand.number % int(abs(identity)) if isfinite(identity) else self.hand.infinity
        return self.hand.signed([(identity < 0, shown)])

    def product(self) -> str:
        """The elements that are multiplied."""
        return self.hand.multiplied([self.element(factor) for factor in self.factors()])

    def count(self) -> str:
        """How many points land on an element, or one."""
        hand, deltas = self.hand, [self.delta(delta) for delta in self.source.deltas]
        found = hand.big(REDUCTIONS[SUM], self.names(), hand.multiplied(deltas))
        return hand.at_least_one % found

    def counted(self) -> Writer:
        """The writer of the count beside a sum: conditions are about that sum's indices alone."""
        return Writer(self.source.primed, self.hand)

    def meetings(self, local: LocalFormula) -> list[str]:
        """When this point lands where another one does, and what it must fulfil."""
        ties = [
            self.hand.equal
            % (
                self.axis(self.source.written(there.expression)),
                self.axis(self.source.written(here.expression)),
            )
            for there, here in zip(local.other.deltas, local.point.deltas, strict=True)
        ]
        return [*ties, *(self.guard(guard) for guard in local.other.guards)]

    def conditions(self) -> list[str]:
        """The conditions under which a point contributes."""
        source = self.source
        if source.empty:
            return []
        ties = [self.tie(d) for d in source.deltas if not source.multiplies_deltas]
        return [*ties, *(self.guard(guard) for guard in source.guards)]

    def otherwise(self) -> list[str]:
        """What an element is to which nothing contributes, if no sign over indices says it."""
        source = self.source
        is_said = source.summed or not REDUCTIONS[source.reduce].identity
        return [] if is_said or not self.conditions() else [self.hand.otherwise % self.nothing()]

    def names(self) -> list[str]:
        """The reduced indices."""
        return [self.hand.symbol(index.name) for index in self.source.summed]

    def divided(self, body: str) -> str:
        """What is reduced, divided by the numbers of points that are averaged."""
        source, hand = self.source, self.hand
        if source.counts_points:
            return hand.mean % (self.counted().count(), body)
        sizes = [name for factor in source.factors for name in factor.over or ()]
        if REDUCTIONS[source.reduce].averages:
            sizes += [index.name for index in source.summed]
        sizes += source.scale
        return hand.mean % (self.sizes(sizes), body) if sizes else body

    def sizes(self, names: list[str]) -> str:
        """A product of extents, to divide by."""
        return self.hand.sizes([self.size(f"N_{name}") for name in names])

    def element(self, element: Element) -> str:
        """An element of an array; it is told from an index of its name by its axes."""
        written = names.element(self.hand, element.name, self.positions(element))
        like_index = not element.axes and element.name in self.source.letters
        return self.hand.scalar % written if like_index else written

    def positions(self, element: Element) -> list[str]:
        """Where an element is read, axis by axis."""
        remaining = iter(element.axes)
        axes: list[str] = []
        for axis in element.like:
            if isinstance(axis, Composition):
                names = [self.axis(self.source.written(next(remaining))) for _ in axis.names]
                axes.append(self.hand.composed(names))
            else:
                axes.append(self.axis(self.source.written(next(remaining))))
        return axes

    def delta(self, delta: Delta) -> str:
        """A delta."""
        position, expression = map(self.source.written, (delta.position, delta.expression))
        return self.hand.delta % (self.axis(position), self.axis(expression))

    def tie(self, delta: Delta) -> str:
        """What a position is tied to."""
        position, expression = map(self.source.written, (delta.position, delta.expression))
        return self.hand.equal % (self.axis(position), self.axis(expression, inline=False))

    def guard(self, guard: Guard) -> str:
        """A condition."""
        if isinstance(guard, Divides):
            divisor, number = map(self.source.written, (guard.divisor, guard.number))
            return self.hand.divides % (self.axis(divisor), self.axis(number))
        position, end = self.source.written(guard.position), self.size(guard.size.name)
        certain = not position.terms and (position.offset.constant or 0) >= 0
        template = self.hand.below if certain else self.hand.inside
        return template % (self.axis(position, inline=False), end)

    def size(self, name: str) -> str:
        """The size of an axis, by the name of its symbol."""
        return self.hand.size % self.hand.symbol(name.removeprefix("N_"))

    def axis(self, axis: Affine, inline: bool = True) -> str:
        """An expression of indices; inline within a subscript."""
        above = _parts_of(axis)
        if axis.divisor == ONE:
            return self.sum(above)
        below = _parts(axis.divisor)
        if self.hand.fraction and not inline:
            return self.hand.fraction % (self.sum(above), self.sum(below))
        return self.hand.quotient % (self._grouped(above), self._grouped(below, products=True))

    def _grouped(self, parts: Parts, products: bool = False) -> str:
        """A part of a fraction on one line; in brackets if it is a sum, or a product."""
        several = len(parts) > 1 or any(value < 0 for value, _ in parts)
        factors = (len(symbols) + (abs(value) != 1) for value, symbols in parts)
        grouped = several or (products and max(factors, default=0) > 1)
        return self.hand.group % self.sum(parts) if grouped else self.sum(parts)

    def sum(self, parts: Parts) -> str:
        """A sum of products."""
        wide = len(parts) > 1 and any(is_word(name) for _, names in parts for name in names)
        return self.hand.signed(
            [(value < 0, self.hand.product(abs(value), names)) for value, names in parts], wide
        )


Parts = list[tuple[int, tuple[str, ...]]]
"""The summands of an expression: numbers, and the symbols that each is multiplied by."""


def _parts_of(axis: Affine) -> Parts:
    """The numerator, a positive summand first."""
    parts = [part for name, number in axis.terms for part in _parts(number, name)]
    return positive_first(parts + _parts(axis.offset))


def _parts(number: Polynomial, *index: str) -> Parts:
    return [(value, (*monomial, *index)) for monomial, value in number.terms]
