"""How far an expression reaches, in terms of extents, none of which is zero.

Its coefficients are numbers. What symbols stand for is known only in a run, where it may have any
sign; there, the functions of :mod:`helpers` decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contractconv.display.sources.text import Part, Rename, multiples, negated, total
from contractconv.notation.affine import Affine, Polynomial


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the numerator of an axis reaches: from ``offset - down`` to ``offset + up``.

    Attributes:
        offset: the value where every index is zero.
        down: how much lower it gets.
        up: how much higher it gets.
        sign: of the offset.
    """

    offset: list[Part]
    down: list[Part]
    up: list[Part]
    sign: int

    def below(self) -> list[Part]:
        """How many elements below zero it reaches."""
        if self.sign > 0 and not self.down:
            return []
        parts = [*self.down, *negated(self.offset)]
        return parts if self.sign < 0 or not self.offset else [(1, f"max(0, {total(parts)})")]

    def both_sides(self) -> list[Part]:
        """The elements below zero, and as many again less the offset: a padding counts twice."""
        if self.sign < 0 and not self.down:
            ((value, _),) = self.offset
            return [(2, str(-value))]
        return [*self.below(), *negated(self.offset)]


def reach(axis: Affine, extent: Callable[[str], str], rename: Rename) -> Reach:
    """Find out how far an axis reaches.

    Args:
        axis: the axis; of a fraction, the numerator counts.
        extent: the text of an index's extent.
        rename: the text of a parameter.
    """
    down: list[Part] = []
    up: list[Part] = []
    for name, coefficient in axis.terms:
        span = _span(coefficient, extent(name), rename)
        if sign(coefficient) > 0:
            up += span
        else:
            down += negated(span)
    return Reach(multiples(axis.offset, rename), down, up, sign(axis.offset))


def sign(polynomial: Polynomial) -> int:
    """1 or -1 of a number (zero counts as 1), 0 if there are parameters, whose values decide it."""
    if polynomial.constant is None:
        return 0
    return 1 if polynomial.constant >= 0 else -1


def never_below(axis: Affine) -> bool:
    """Whether an axis certainly is never met below zero."""
    return all(sign(p) > 0 for p in (axis.divisor, axis.offset, *(c for _, c in axis.terms)))


def _span(coefficient: Polynomial, extent: str, rename: Rename) -> list[Part]:
    if coefficient.constant in (1, -1):
        return [(coefficient.constant, extent), (-coefficient.constant, "")]
    return multiples(coefficient, rename, f"({extent} - 1)")
