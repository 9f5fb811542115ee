"""Sizes as sums of texts, with which the notation computes as it does with numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isinf

from contractconv.display.source_code.text import Part, grouped, total


@dataclass(frozen=True, slots=True)
class Quantity:
    """A sum of multiples of texts, and what is known of its value.

    Example:
        >>> size, extent = Quantity.of("H"), Quantity.of("K", least=1)
        >>> str((size + extent - 3) // 2), str((1 - size).positive()), str((extent - 1).positive())
        ('(H + K - 3) // 2', 'max(0, 1 - H)', 'K - 1')
    """

    parts: tuple[Part, ...]
    least: float
    most: float

    @staticmethod
    def of(text: str, least: float = 0, most: float = inf) -> Quantity:
        """A text between two numbers."""
        return Quantity(((1, text),), least, most)

    @staticmethod
    def number(number: int) -> Quantity:
        """A number; a negative one stays visible, as the padding that it is."""
        part = (number, "") if number >= 0 else (-1, str(-number))
        return Quantity((part,), number, number)

    def __add__(self, other: Quantity | int) -> Quantity:
        more = Quantity(((other, ""),), other, other) if isinstance(other, int) else other
        return Quantity(self.parts + more.parts, self.least + more.least, self.most + more.most)

    __radd__ = __add__

    def __neg__(self) -> Quantity:
        return Quantity(tuple((-n, text) for n, text in self.parts), -self.most, -self.least)

    def __sub__(self, other: Quantity | int) -> Quantity:
        return self + -other

    def __rsub__(self, other: int) -> Quantity:
        return -self + other

    def __rmul__(self, factor: int) -> Quantity:
        if factor < 0:
            return -(-factor * self)
        parts = self.parts if factor == 1 else ((factor, grouped(str(self))),)
        return Quantity(parts, factor * self.least, factor * self.most)

    def __floordiv__(self, divisor: int) -> Quantity:
        if divisor == 1 or self.least == self.most == 0:
            return self
        text = f"{grouped(str(self))} // {divisor}"
        least, most = (n if isinf(n) else n // divisor for n in (self.least, self.most))
        return Quantity.of(text, least, most)

    def positive(self) -> Quantity:
        """Itself where it is above zero, else zero."""
        if self.least >= 0:
            return self
        return Quantity.of(f"max(0, {self})", 0, self.most) if self.most > 0 else Quantity.number(0)

    def __str__(self) -> str:
        return total(self.parts)
