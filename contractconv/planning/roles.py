"""Which index is batch, row, column or summed in a product of two operands, and which go together.

A product is ``out[batch, row, column] = Σ first[batch, row, summed] * second[batch, summed,
column]``, whatever the order in which its indices lie in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

Labels = tuple[str, ...]


class Roles(NamedTuple):
    """The indices of a product of two operands, each in the order in which it was given.

    Attributes:
        batch: those of both operands and of the result.
        rows: those of the first operand and of the result.
        columns: those of the second operand and of the result.
        summed: those that the result does not have.
    """

    batch: Labels
    rows: Labels
    columns: Labels
    summed: Labels


def roles(
    first: Collection[str], second: Collection[str], kept: Collection[str], order: Iterable[str]
) -> Roles:
    """Sort some indices by their roles; those that no operand has are left out.

    Args:
        first: the indices of one operand.
        second: those of the other one.
        kept: those of the result.
        order: the indices that are sorted.

    Example:
        >>> roles("bik", "bkj", "bij", "bijk")
        Roles(batch=('b',), rows=('i',), columns=('j',), summed=('k',))
    """
    found: dict[str, list[str]] = {role: [] for role in Roles._fields}
    for name in order:
        if name in first or name in second:
            found[_role(name in first, name in second, name in kept)].append(name)
    return Roles(**{role: tuple(names) for role, names in found.items()})


def _role(of_first: bool, of_second: bool, kept: bool) -> str:
    if not kept:
        return "summed"
    if of_first and of_second:
        return "batch"
    return "rows" if of_first else "columns"


def fused(
    terms: Sequence[Labels], follows: Callable[[str, str], bool] = lambda outer, inner: True
) -> tuple[Labels, ...]:
    """Runs of indices that lie side by side in every term that has one of them.

    Each run can be taken for one index: its role is the same everywhere.

    Args:
        terms: the indices of the operands and of the result, each once in a term.
        follows: whether two neighbours lie in memory like one axis, too.

    Example:
        >>> fused(["abij", "ijab"]), fused(["abi", "abj", "ij"])
        ((('a', 'b'), ('i', 'j')), (('a', 'b'), ('i',), ('j',)))
    """
    names = dict.fromkeys(name for term in terms for name in term)
    inner = {outer: name for term in terms for outer, name in pairwise(term)}
    joined = {
        (outer, name)
        for outer, name in inner.items()
        if all(_side_by_side(outer, name, term) for term in terms) and follows(outer, name)
    }
    begins = [name for name in names if all(name != second for _, second in joined)]
    return tuple(_run(name, dict(joined)) for name in begins)


def _side_by_side(outer: str, inner: str, term: Labels) -> bool:
    if outer not in term or inner not in term:
        return outer not in term and inner not in term
    return term.index(inner) == term.index(outer) + 1


def _run(name: str, inner: dict[str, str]) -> Labels:
    run = [name]
    while run[-1] in inner:
        run.append(inner[run[-1]])
    return tuple(run)
