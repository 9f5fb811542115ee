"""Which elements of a result the pieces of a sum write."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import gcd, prod
from typing import NamedTuple

from contractconv.notation.problem import Access, Problem

# More pairs than this are not compared.
_MOST_PIECES = 64


class _Progression(NamedTuple):
    """``start, start + step, ...``: so many places along an axis."""

    start: int
    step: int
    places: int

    @property
    def last(self) -> int:
        return self.start + (self.places - 1) * self.step

    def meets(self, other: _Progression) -> bool:
        """Whether a place may be of both; an answer of no is certain."""
        apart = self.last < other.start or other.last < self.start
        return not apart and (self.start - other.start) % gcd(self.step, other.step) == 0


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
    return all(
        any(not a.meets(b) for a, b in zip(*pair, strict=True)) for pair in combinations(known, 2)
    )


def complete(problems: Sequence[Problem]) -> bool:
    """Whether leaves that are :func:`disjoint` write every element of their common result."""
    if not problems or any(_written(problem) is None for problem in problems):
        return False
    count = sum(prod(p.extents[name] for name in p.kept) for p in problems)
    return count == prod(problems[0].output_sizes)


def _written(problem: Problem) -> list[_Progression] | None:
    """Where a leaf writes along each axis; ``None`` if an axis is not simple."""
    if any(len(a.terms) > 1 or a.divisor != 1 for a in problem.output):
        return None
    names = [access.names for access in problem.output if access.names]
    if len(set(names)) < len(names):
        return None
    return [_along(access, problem) for access in problem.output]


def _along(access: Access, problem: Problem) -> _Progression:
    if not access.terms:
        return _Progression(access.offset, 1, 1)
    ((name, step),) = access.terms
    count = problem.extents[name]
    start = access.offset + min(0, step * (count - 1))
    return _Progression(start, abs(step), count)
