"""What of an index space can contribute at all, by the one boundary rule, in closed form.

An index is worth its values only where, for some values of the others, every axis that it stands
on is inside its array. Nothing here goes through positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.notation.reach import reach

Bounds = dict[str, tuple[int, int]]
"""The least and the greatest value of each index."""

# A round narrows each index by what the others have lost in the one before; one or two are usual.
_MOST_ROUNDS = 32


def contributing(problem: Problem, terms: Iterable[Accesses] | None = None) -> Bounds | None:
    """Between which values of each index some point can be inside every axis.

    Args:
        problem: any contraction, empty ones included.
        terms: the terms that are asked; all of them, the result's too, if none are named.

    Returns:
        ``None`` if no point is.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> far = resolve(parse("(i+1000*k-1000), k -> i"), [(9,), (3,)], {"i": 20})
        >>> contributing(far)
        {'i': (0, 8), 'k': (1, 1)}
    """
    asked = (*problem.operands, problem.output) if terms is None else terms
    accesses = [access for term in asked for access in term]
    if not problem.points or any(not access.size for access in accesses):
        return None
    bounds = {name: (0, extent - 1) for name, extent in problem.sizes}
    for _ in range(_MOST_ROUNDS):
        before = dict(bounds)
        if not all(_narrow(access, bounds) for access in accesses):
            return None
        if bounds == before:
            break
    return bounds


def span(access: Access, bounds: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """The least and the greatest numerator of an axis.

    Example:
        >>> span(Access((("i", 2), ("k", -1)), 1, 1, 9), {"i": (1, 3), "k": (0, 2)})
        (1, 7)
    """
    start = access.offset + sum(step * bounds[name][0] for name, step in access.terms)
    return reach(start, ((step, bounds[n][1] - bounds[n][0]) for n, step in access.terms))


def _narrow(access: Access, bounds: Bounds) -> bool:
    """Leave out values with which an axis is outside whatever the others are; whether any stay."""
    last = access.divisor * (access.size - 1)
    low, high = span(access, bounds)
    if not access.terms:
        return 0 <= low <= last and not low % access.divisor
    if low >= 0 and high <= last:
        return True
    for name, step in access.terms:
        first, final = bounds[name]
        least, most = sorted((step * first, step * final))
        found = inside(step, high - most, low - least - last)
        bounds[name] = max(first, found[0]), min(final, found[1])
        if bounds[name][0] > bounds[name][1]:
            return False
    return True


def inside(step: int, above: int, below: int) -> tuple[int, int]:
    """The first and the last ``n`` with ``step*n + above >= 0`` and ``step*n + below <= 0``.

    Example:
        >>> inside(2, 5, -9), inside(-2, 5, -9)
        ((-2, 4), (-4, 2))
    """
    if step > 0:
        return -(above // step), -below // step
    return -(-below // -step), above // -step
