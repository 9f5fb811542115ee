"""Sums of formulas, collected as a textbook would: one sum, and in brackets what differs.

The gradient by an array that stands in several places is the sum of those by each of them. Each has
positions and indices of its own. Here they are renamed until the formulas have as many factors in
common as they can, which is allowed where the ranges are the same: the axes of one array are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import sympy
from sympy import Symbol

from contractconv.calculus.equation import Element, Equation, Guard, Inside, Size, size
from contractconv.calculus.symbols import PRIME, distinct, index
from contractconv.lazy import Value, remembered
from contractconv.notation.spec import Composition, Spec
from contractconv.notation.ties import same_extents

Renaming = dict[Any, Any]
# All ways to rename so many summed indices are tried; more of them keep their names.
_MOST_TRIED = 6


@dataclass(frozen=True)
class Collected(Value):
    """``left = number · term + ...``, each term with the indices of the first where it can.

    Attributes:
        left: what is defined.
        terms: how often each term comes, and what it is.
    """

    left: Element
    terms: tuple[tuple[int, Equation], ...]

    @remembered
    def sympy(self) -> sympy.Expr:
        """The right-hand side, a sum of what the terms are."""
        return sympy.Add(*(number * term.sympy for number, term in self.terms))

    @property
    def symbols(self) -> dict[str, Symbol]:
        """Every symbol by name."""
        found: dict[str, Symbol] = {}
        for _, term in self.terms:
            found |= term.symbols
        return found

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The conditions of all terms, each once."""
        return tuple(dict.fromkeys(g for _, term in self.terms for g in term.guards))

    @property
    def summed(self) -> tuple[Symbol, ...]:
        """The indices of the largest of the sums: of which a term is worked out that often."""
        return max((term.summed for _, term in self.terms), key=len)


def element_key(element: Element) -> Any:
    """What is the same of two elements that are one."""
    groups = tuple(len(a.names) if isinstance(a, Composition) else 0 for a in element.like)
    return str(element.name), element.axes, groups, element.over


def collected(equations: Sequence[Equation], forward: Spec) -> Collected:
    """Collect equations whose left sides are one array.

    Args:
        equations: of the parts; those that are empty add nothing.
        forward: the contraction, whose names say which axes are one.
    """
    equations = [one for one in equations if not one.empty] or equations[:1]
    first = max(equations, key=_plain_positions)
    same = same_extents(forward)
    terms: list[Equation] = []
    for equation in equations:
        one = _resized(equation, same)
        base = terms[0] if terms else one
        terms.append(_aligned(one, base, first.left, same))
    return Collected(first.left, tuple(_counted(terms)))


def _plain_positions(equation: Equation) -> int:
    return sum(position.name in equation.spec.indices for position in equation.left.axes)


def _resized(equation: Equation, same: Mapping[str, str]) -> Equation:
    """The equation in which extents that are the same have one name."""

    def called(symbol: Symbol) -> Size:
        name = symbol.name.removeprefix("N_")
        return size(same.get(name, name))

    guards = tuple(
        replace(guard, size=called(guard.size)) if isinstance(guard, Inside) else guard
        for guard in equation.guards
    )
    guards = tuple(dict.fromkeys(guards))
    factors = tuple(
        f if f.over is None else replace(f, over=tuple(same.get(n, n) for n in f.over))
        for f in equation.factors
    )
    scale = tuple(same.get(name, name) for name in equation.scale)
    return replace(equation, guards=guards, factors=factors, scale=scale)


def _aligned(
    equation: Equation, base: Equation, left: Element, same: Mapping[str, str]
) -> Equation:
    """The equation with the positions of ``left``, and as many factors of ``base`` as possible."""
    found = (_renamed(equation, left, names) for names in _renamings(equation, base, left, same))
    return max(found, key=lambda one: _likeness(one, base))


def _renamings(
    equation: Equation, base: Equation, left: Element, same: Mapping[str, str]
) -> Iterator[Renaming]:
    moved = dict(zip(equation.left.axes, left.axes, strict=True))
    back = {new: old for old, new in moved.items()}
    # A summed index whose name is now that of a position is a second one of the same range.
    taken = {str(symbol) for symbol in (*left.axes, *equation.summed)}
    yield moved | {i: index(distinct(i.name + PRIME, taken)) for i in equation.summed if i in back}
    if len(equation.summed) != len(base.summed) or len(base.summed) >= _MOST_TRIED:
        return

    def extent(symbol: Symbol) -> str:
        return same.get(symbol.name, symbol.name)

    for wanted in permutations(base.summed):
        pairs = list(zip(equation.summed, wanted, strict=True))
        if back.keys().isdisjoint(wanted) and all(extent(old) == extent(new) for old, new in pairs):
            yield moved | dict(pairs)


def _renamed(equation: Equation, left: Element, names: Renaming) -> Equation:
    return _unguarded(replace(equation.renamed(names), left=left))


def _unguarded(equation: Equation) -> Equation:
    """The equation without the conditions that its deltas say: a position is inside its axis."""
    said = {Inside(d.expression, size(d.position.name)) for d in equation.deltas}
    return replace(equation, guards=tuple(g for g in equation.guards if g not in said))


def _likeness(one: Equation, base: Equation) -> tuple[int, int]:
    common = _factors(one) & _factors(base)
    return common.total(), len(set(one.summed) & set(base.summed))


def _factors(equation: Equation) -> Counter[Any]:
    return Counter([*map(element_key, equation.factors), *equation.deltas, *equation.guards])


def _counted(terms: Sequence[Equation]) -> Iterator[tuple[int, Equation]]:
    """Each term once, with how often it comes."""
    keys = [(frozenset(_factors(t).items()), frozenset(t.summed), t.scale) for t in terms]
    for number, (key, term) in enumerate(zip(keys, terms, strict=True)):
        if keys.index(key) == number:
            yield keys.count(key), term
