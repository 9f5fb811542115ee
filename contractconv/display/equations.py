"""What there is to write in an equation, in any script."""

from __future__ import annotations

from contractconv.calculus.equation import Delta, Divides, Element, Equation, Guard
from contractconv.calculus.gradient_derivatives import CHANGE, Second
from contractconv.display.formula_writers import HANDS, Hand
from contractconv.notation.affine import ONE, Affine, Polynomial, positive_first
from contractconv.notation.spec import SUM, Composition, Spec
from contractconv.reductions.table import REDUCTIONS


def write(equation: Equation, script: str) -> str:
    """Write an equation as ``"text"``, ``"latex"`` or ``"mathml"``."""
    return Writer(equation, HANDS[script]).equation()


def sides(equation: Equation, script: str) -> tuple[str, str, list[str]]:
    """Write an equation in its parts: left side, right side, conditions."""
    return Writer(equation, HANDS[script]).sides()


def write_second(second: Second, forward: Spec) -> str:
    """Write what a second derivative of a contraction is, as text, without its left side."""
    written = [write(part.equation, "text").partition(" = ")[2] for part in second.parts]
    said = ""
    if any(CHANGE in part.roles for part in second.parts):
        local = REDUCTIONS[forward.reduce].local
        said = f", {CHANGE} being {local.changed or f'the change along V of {local.meaning}'}"
    return (" + ".join(written) or "0") + said


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
        return self.element(self.source.left), self.right(), self.conditions()

    def right(self) -> str:
        """The right side."""
        source, hand, record = self.source, self.hand, REDUCTIONS[self.source.reduce]
        parts = [self.element(factor) for factor in source.factors if factor.over is None]
        if source.multiplies_deltas:
            parts += [self.delta(delta) for delta in source.deltas]
        right = hand.multiplied(parts)
        if source.summed or not record.keeps_one:
            right = hand.big(record, self.names(), right)
        return self.divided(right)

    def conditions(self) -> list[str]:
        """The conditions under which a point contributes."""
        source = self.source
        ties = [self.tie(d) for d in source.deltas if not source.multiplies_deltas]
        return [*ties, *(self.guard(guard) for guard in source.guards)]

    def names(self) -> list[str]:
        """The reduced indices."""
        return [self.hand.symbol(index.name) for index in self.source.summed]

    def divided(self, body: str) -> str:
        """What is reduced, divided by the numbers of points that are averaged."""
        source, hand = self.source, self.hand
        if source.counts_points:
            deltas = hand.multiplied([self.delta(delta) for delta in source.deltas])
            count = hand.at_least_one % hand.big(REDUCTIONS[SUM], self.names(), deltas)
            return hand.mean % (count, body)
        sizes = [name for factor in source.factors for name in factor.over or ()]
        if REDUCTIONS[source.reduce].averages:
            sizes += [index.name for index in source.summed]
        sizes += source.scale
        return hand.mean % (self.sizes(sizes), body) if sizes else body

    def sizes(self, names: list[str]) -> str:
        """A product of extents, to divide by."""
        return self.hand.sizes(names)

    def element(self, element: Element) -> str:
        """An element of an array."""
        return self.hand.met(self.hand.symbol(element.name), self.positions(element))

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
        position = self.source.written(guard.position)
        return self.hand.inside % (self.axis(position, inline=False), self.size(guard.size.name))

    def size(self, name: str) -> str:
        """The size of an axis, by the name of its symbol."""
        return self.hand.size % self.hand.symbol(name.removeprefix("N_"))

    def axis(self, axis: Affine, inline: bool = True) -> str:
        """An expression of indices; inline within a subscript."""
        number = self.sum(axis)
        if axis.divisor == ONE:
            return number
        return self.hand.divided(number, self.sum(Affine((), axis.divisor)), inline)

    def sum(self, axis: Affine) -> str:
        """The numerator."""
        parts = [part for name, number in axis.terms for part in _parts(number, name)]
        parts += _parts(axis.offset)
        return self.hand.signed(
            [
                (value < 0, self.hand.product(abs(value), list(map(self.hand.symbol, symbols))))
                for value, symbols in positive_first(parts)
            ]
        )


def _parts(number: Polynomial, *index: str) -> list[tuple[int, tuple[str, ...]]]:
    return [(value, (*monomial, *index)) for monomial, value in number.terms]
