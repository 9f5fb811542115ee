"""A formula as products of matrices, where it is one: ``G (A + Aᵀ) x``.

An array with two axes is a matrix, with one a vector, without axes a number. A term is a product of
them if its indices chain: from the first axis of the result, each summed index leads from one
array to the next, until the second axis of the result or a vector ends it. A matrix that is passed
from its second axis to its first is transposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any, NamedTuple

from contractconv.calculus.collected import Collected
from contractconv.calculus.equation import Element, Equation
from contractconv.display.collected_formulas import BRACKETS, PLUS
from contractconv.display.formula_writers import HANDS
from contractconv.display.names import array
from contractconv.display.powers import collapsed

_TRANSPOSED = {"text": "%sᵀ", "latex": r"%s^{\top}", "mathml": "<msup>%s<mo>⊤</mo></msup>"}
_BESIDE = {"text": " ", "latex": r" \, ", "mathml": '<mspace width="0.15em"/>'}


class _Link(NamedTuple):
    """A matrix or a vector of a product, and whether it is transposed."""

    name: str
    transposed: bool


class _Chain(NamedTuple):
    """A product: how often it comes, its numbers, and what is multiplied in order."""

    number: int
    scalars: tuple[str, ...]
    links: tuple[_Link, ...]


def matrix_form(formula: Equation | Collected, script: str) -> str | None:
    """Write a formula as products of matrices; ``None`` where it is none.

    Example:
        >>> from contractconv.calculus.backward import derive
        >>> from contractconv.notation.parser import parse
        >>> matrix_form(derive(parse("i k, k j -> i j"), 0).collected, "text")
        'dX = G Wᵀ'
    """
    terms = formula.terms if isinstance(formula, Collected) else ((1, formula),)
    chains = [_chain(number, term) for number, term in terms]
    found = [chain for chain in chains if chain is not None]
    if len(found) < len(chains) or not any(chain.links for chain in found):
        return None
    hand = HANDS[script]
    right = _Written(script).sum(found)
    return hand.equation % (array(hand, formula.left.name), right, "")


def _chain(number: int, term: Equation) -> _Chain | None:
    """The term as a product; ``None`` if it is none."""
    if term.deltas or term.guards or term.scale or not _is_matrix(term.left):
        return None
    if any(factor.over is not None or not _is_matrix(factor) for factor in term.factors):
        return None
    scalars = tuple(factor.name for factor in term.factors if not factor.axes)
    left = list(term.factors)
    links: list[_Link] = []
    at, end = (*term.left.axes, None, None)[:2]
    while factor := next((f for f in left if at is not None and at in f.axes), None):
        left.remove(factor)
        axes = factor.axes
        if len(axes) == 2 and axes[0] == axes[1]:
            return None
        turned = len(axes) == 2 and axes[0] != at
        links.append(_Link(factor.name, turned))
        at = None if len(axes) == 1 else axes[0 if turned else 1]
        if at is not None and at == end:
            break
    whole = not any(factor.axes for factor in left) and at == end
    return _Chain(number, scalars, tuple(links)) if whole else None


def _is_matrix(element: Element) -> bool:
    return (
        len(element.axes) <= 2
        and all(
            axis.is_Symbol and entry.plain is not None
            for axis, entry in zip(element.axes, element.like, strict=False)
        )
        and len(element.like) == len(element.axes)
    )


class _Written:
    """Writes sums of products in one script."""

    def __init__(self, script: str) -> None:
        self.script, self.hand = script, HANDS[script]

    def sum(self, chains: Sequence[_Chain]) -> str:
        """The sum, with what all products begin and end with outside of the brackets."""
        first = chains[0]
        alike = all(sorted(c.scalars) == sorted(first.scalars) for c in chains)
        if len(chains) == 1 or not alike:
            parts = [self.product(c.number, c.scalars, self.links(c.links)) for c in chains]
            return self.hand.row % PLUS[self.script].join(parts)
        most = gcd(*(chain.number for chain in chains))
        rows = [chain.links for chain in chains]
        head = _common(rows)
        tail = _common([row[len(head) :][::-1] for row in rows])[::-1]
        middles = [chain.links[len(head) : len(chain.links) - len(tail)] for chain in chains]
        inner = [
            self.product(chain.number // most, (), self.links(middle))
            for chain, middle in zip(chains, middles, strict=True)
        ]
        added = PLUS[self.script].join(inner)
        if not (head or tail or first.scalars) and most == 1:
            return self.hand.row % added
        brackets = BRACKETS[self.script] % added
        parts = [*self.links(head), brackets, *self.links(tail)]
        return self.product(most, first.scalars, parts)

    def links(self, links: Sequence[_Link]) -> list[str]:
        """Matrices and vectors as they are written."""
        return [
            _TRANSPOSED[self.script] % array(self.hand, link.name)
            if link.transposed
            else array(self.hand, link.name)
            for link in links
        ]

    def product(self, number: int, scalars: Sequence[str], parts: Sequence[str]) -> str:
        """A product; the number one is written where there is nothing else."""
        front = [self.hand.number % number] * (number != 1)
        front += collapsed(self.hand, [array(self.hand, name) for name in scalars])
        return self.hand.row % _BESIDE[self.script].join([*front, *parts] or [self.hand.number % 1])


def _common(rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """What all rows begin with."""
    length = 0
    while all(len(row) > length and row[length] == rows[0][length] for row in rows):
        length += 1
    return rows[0][:length]
