"""Affine index expressions: ``(2*i + k - 1)``, ``(s*i + d*k - p)``, ``((h - k + 1)/2)``.

Coefficients and offsets are integer polynomials in the declared parameters, so that a
stride may stay a symbol until it is bound. Everything here is exact and immutable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd
from operator import mul
from typing import Any, TypeVar

Monomial = tuple[str, ...]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Polynomial:
    """An integer polynomial in parameters.

    ``terms`` pairs each monomial (its parameters, sorted, with repetition) with a non-zero
    coefficient; it is sorted by falling degree, so equal polynomials compare equal.
    """

    terms: tuple[tuple[Monomial, int], ...] = ()

    @staticmethod
    def of(value: int) -> Polynomial:
        """Return a constant."""
        return Polynomial((((), value),) if value else ())

    @staticmethod
    def symbol(name: str) -> Polynomial:
        """Return the parameter ``name`` itself."""
        return Polynomial((((name,), 1),))

    @staticmethod
    def collect(terms: Iterable[tuple[Monomial, int]]) -> Polynomial:
        """Add up terms that may repeat a monomial."""
        total: dict[Monomial, int] = {}
        for monomial, coefficient in terms:
            total[monomial] = total.get(monomial, 0) + coefficient
        kept = [(monomial, value) for monomial, value in total.items() if value]
        return Polynomial(tuple(sorted(kept, key=lambda term: (-len(term[0]), term[0]))))

    @property
    def constant(self) -> int | None:
        """The value, if no parameter is left in it; otherwise ``None``."""
        if not self.terms:
            return 0
        monomial, value = self.terms[0]
        return None if monomial or len(self.terms) > 1 else value

    @property
    def number(self) -> int:
        """The value, once parameters are bound."""
        value = self.constant
        assert value is not None, "parameters are bound before numbers are asked for"
        return value

    @property
    def names(self) -> frozenset[str]:
        """The parameters that occur."""
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __add__(self, other: Polynomial) -> Polynomial:
        if not (self.terms and other.terms):  # as a rule nothing is added to
            return self if self.terms else other
        return Polynomial.collect(self.terms + other.terms)

    def __neg__(self) -> Polynomial:
        return Polynomial(tuple((monomial, -value) for monomial, value in self.terms))

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def __mul__(self, other: Polynomial) -> Polynomial:
        if ONE in (self, other):  # nearly every divisor is
            return other if self == ONE else self
        return Polynomial.collect(
            (tuple(sorted(left + right)), x * y)
            for left, x in self.terms
            for right, y in other.terms
        )

    def bind(self, values: Mapping[str, int]) -> Polynomial:
        """Replace parameters by integers; those not in ``values`` stay."""
        return Polynomial.collect(
            (
                tuple(name for name in monomial if name not in values),
                reduce(mul, (values[name] for name in monomial if name in values), value),
            )
            for monomial, value in self.terms
        )

    def divided(self, content: int, factor: Monomial) -> Polynomial:
        """Divide exactly by ``content * factor``, which must divide every term."""
        return Polynomial.collect(
            (_without(monomial, factor), value // content) for monomial, value in self.terms
        )

    def __str__(self) -> str:
        return join_signed((value, "*".join(monomial)) for monomial, value in self.terms)


ZERO, ONE = Polynomial.of(0), Polynomial.of(1)

# Sizes, strides and places of an array have at most 63 bits.
LARGEST_INTEGER = 10**18 - 1


def _without(monomial: Monomial, factor: Monomial) -> Monomial:
    rest = list(monomial)
    for name in factor:
        rest.remove(name)
    return tuple(rest)


def join_signed(parts: Iterable[tuple[int, str]]) -> str:
    """Write ``[(2, "i"), (-1, "k"), (3, "")]`` as ``2*i-k+3``; nothing at all is ``0``."""
    text = ""
    for value, symbol in parts:
        sign = "-" if value < 0 else "+" if text else ""
        size = abs(value)
        body = symbol if symbol and size == 1 else f"{size}*{symbol}" if symbol else str(size)
        text += sign + body
    return text or "0"


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """One axis: ``(sum of coefficient * index + offset) / divisor``.

    Build it with :meth:`of`, which merges equal indices, cancels common factors and keeps the
    divisor positive. Terms stay in the order in which they were written; it means nothing, so
    axes that only differ in it are equal.
    """

    terms: tuple[tuple[str, Polynomial], ...]
    offset: Polynomial = ZERO
    divisor: Polynomial = ONE

    @staticmethod
    def index(name: str) -> Affine:
        """Return the axis on which ``name`` stands alone."""
        return Affine(((name, ONE),))

    @staticmethod
    def of(
        terms: Iterable[tuple[str, Polynomial]],
        offset: Polynomial = ZERO,
        divisor: Polynomial = ONE,
    ) -> Affine:
        """Return the axis in lowest terms, its indices in the order of first mention."""
        merged: dict[str, Polynomial] = {}
        for name, coefficient in terms:
            merged[name] = merged.get(name, ZERO) + coefficient
        kept = {name: coefficient for name, coefficient in merged.items() if coefficient}
        if divisor == ONE:
            return Affine(tuple(kept.items()), offset)
        content, factor = _common([*kept.values(), offset, divisor])
        if divisor.terms[0][1] < 0:
            content = -content
        return Affine(
            tuple((name, value.divided(content, factor)) for name, value in kept.items()),
            offset.divided(content, factor),
            divisor.divided(content, factor),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Affine):
            return NotImplemented
        if (self.offset, self.divisor) != (other.offset, other.divisor):
            return False
        # An index occurs in one term only.
        return self.terms == other.terms or (
            len(self.terms) == len(other.terms) and set(self.terms) == set(other.terms)
        )

    def __hash__(self) -> int:
        return hash((frozenset(self.terms), self.offset, self.divisor))

    @property
    def plain(self) -> str | None:
        """The index, if it stands alone on the axis; otherwise ``None``."""
        # Polynomials are compared by their terms, as every axis is asked.
        if len(self.terms) != 1 or self.offset.terms or self.divisor.terms != ONE.terms:
            return None
        name, coefficient = self.terms[0]
        return name if coefficient.terms == ONE.terms else None

    @property
    def fractional(self) -> bool:
        """Whether a division is left."""
        return self.divisor != ONE

    @property
    def names(self) -> tuple[str, ...]:
        """The indices, in the order in which they are written."""
        return tuple(name for name, _ in self.terms)

    @property
    def largest(self) -> int:
        """The greatest magnitude of a number in it."""
        parts = (self.offset, self.divisor, *(coefficient for _, coefficient in self.terms))
        return max((abs(number) for part in parts for _, number in part.terms), default=0)

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that occur in coefficients, offset or divisor."""
        found = self.offset.names | self.divisor.names
        return found.union(*(coefficient.names for _, coefficient in self.terms))

    def __add__(self, other: Affine) -> Affine:
        return Affine.of(
            [(n, c * other.divisor) for n, c in self.terms]
            + [(n, c * self.divisor) for n, c in other.terms],
            self.offset * other.divisor + other.offset * self.divisor,
            self.divisor * other.divisor,
        )

    def __sub__(self, other: Affine) -> Affine:
        return self + other.scaled(-ONE)

    def scaled(self, factor: Polynomial) -> Affine:
        """Multiply by a number."""
        return Affine.of(
            [(n, c * factor) for n, c in self.terms], self.offset * factor, self.divisor
        )

    def over(self, divisor: Polynomial) -> Affine:
        """Divide by a non-zero number."""
        return Affine.of(self.terms, self.offset, self.divisor * divisor)

    def bind(self, values: Mapping[str, int]) -> Affine:
        """Replace parameters by integers; the divisor must not become zero."""
        return Affine.of(
            [(n, c.bind(values)) for n, c in self.terms],
            self.offset.bind(values),
            self.divisor.bind(values),
        )

    def ordered(self, rank: Callable[[str], Any]) -> Affine:
        """Return the same axis with its indices sorted by their ``rank``."""
        terms = sorted(self.terms, key=lambda term: rank(term[0]))
        return Affine(tuple(terms), self.offset, self.divisor)

    def renamed(self, names: Mapping[str, str]) -> Affine:
        """Return the axis with indices renamed; those not in ``names`` stay."""
        return Affine.of([(names.get(n, n), c) for n, c in self.terms], self.offset, self.divisor)

    def __str__(self) -> str:
        if (name := self.plain) is not None:
            return name
        if self.divisor == ONE:
            return f"({_numerator(self.terms, self.offset)})"
        numerator = _numerator(self.terms, self.offset)
        return f"({_grouped(numerator)}/{_grouped(str(self.divisor), '+-*')})"


def _common(polynomials: list[Polynomial]) -> tuple[int, Monomial]:
    """The greatest integer and monomial that divide every term of every polynomial."""
    terms = [term for polynomial in polynomials for term in polynomial.terms]
    content = gcd(*(value for _, value in terms))
    shared, _ = min(terms, key=lambda term: len(term[0]))
    factor: list[str] = []
    for name in sorted(set(shared)):
        factor += [name] * min(monomial.count(name) for monomial, _ in terms)
    return content, tuple(factor)


def _numerator(terms: tuple[tuple[str, Polynomial], ...], offset: Polynomial) -> str:
    parts: list[tuple[int, str]] = []
    for name, coefficient in terms:
        if len(coefficient.terms) == 1:
            ((monomial, value),) = coefficient.terms
            parts.append((value, "*".join((*monomial, name))))
        else:
            parts.append((1, f"({coefficient})*{name}"))
    parts += [(value, "*".join(monomial)) for monomial, value in offset.terms]
    return join_signed(positive_first(parts))


def positive_first(parts: Sequence[tuple[int, Part]]) -> list[tuple[int, Part]]:
    """A leading minus reads badly: put the first positive part in front, as in (5-i)."""
    lead = next((n for n, (value, _) in enumerate(parts) if value > 0), 0)
    return [*parts[lead : lead + 1], *parts[:lead], *parts[lead + 1 :]]


def _grouped(text: str, operators: str = "+-") -> str:
    return f"({text})" if any(op in text[1:] for op in operators) or text[0] == "-" else text
