"""Which elements of a result the pieces of a sum write."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import gcd, prod

from contractconv.notation.problem import Access, Problem

# More pairs than this are not compared.
_MOST_PIECES = 64


def disjoint(problems: Sequence[Problem]) -> bool:
    """Whether no two of some leaves write the same element of their common result.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> even, odd = (
        ...     resolve(parse(f"i -> (2*i+{n})"), [(4,)], output_shape=(8,)) for n in (0, 1)
        ... )
        >>> disjoint([even, odd]), complete([even, odd]), complete([even])
        (True, True, False)
    """
    if len(problems) > _MOST_PIECES:
        return False
    written = [_written(problem) for problem in problems]
    if any(axes is None for axes in written):
        return len(problems) < 2
    known = [axes for axes in written if axes is not None]
    return all(not all(map(_may_meet, *pair)) for pair in combinations(known, 2))


def complete(problems: Sequence[Problem]) -> bool:
    """Whether leaves that are :func:`disjoint` write every element of their common result."""
    if not problems or any(_written(problem) is None for problem in problems):
        return False
    count = sum(prod(p.extents[name] for name in p.kept) for p in problems)
    return count == prod(problems[0].output_sizes)


def _written(problem: Problem) -> list[range] | None:
    """Where a leaf writes along each axis; ``None`` if an axis is not simple."""
    if any(len(a.terms) > 1 or a.divisor != 1 for a in problem.output):
        return None
    names = [access.names for access in problem.output if access.names]
    if len(set(names)) < len(names):
        return None
    return [_along(access, problem) for access in problem.output]


def _along(access: Access, problem: Problem) -> range:
    low, high = access.reach(problem.extents)
    return range(low, high + 1, abs(access.terms[0][1]) if access.terms else 1)


def _may_meet(one: range, two: range) -> bool:
    """Whether a place may be of both; an answer of no is certain."""
    apart = one[-1] < two[0] or two[-1] < one[0]
    return not apart and (one[0] - two[0]) % gcd(one.step, two.step) == 0
