"""Which steps are small, or fit in cache, and where their points read and write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from contractconv.arrays.views import Array, Labels
from contractconv.engines.numpy.reducing import numerator
from contractconv.notation.problem import Accesses, Problem
from contractconv.planning.cost import AT_ONCE, laid_out

# Points that take less time than deciding what to do with them.
_FEW = 1 << 12
_are_told_apart = ContextVar("small steps are told apart", default=True)


def is_small(problem: Problem) -> bool:
    """Whether it has some points, but so few that calls take longer."""
    return _are_told_apart.get() and 0 < problem.points < _FEW


def fits(problem: Problem) -> bool:
    """Whether it has some points, and what is laid out as matrices stays in cache."""
    return _are_told_apart.get() and problem.points > 0 and laid_out(problem) <= AT_ONCE


@contextmanager
def as_large() -> Iterator[None]:
    """Make all steps ready as if they were large, as long as it lasts.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i ->"), [(5,)], {})
        >>> with as_large():
        ...     is_small(problem)
        False
    """
    token = _are_told_apart.set(False)
    try:
        yield
    finally:
        _are_told_apart.reset(token)


def places(accesses: Accesses, problem: Problem, names: Labels) -> tuple[Array, Array]:
    """For each point which number of an array without gaps it meets, and whether it meets one.

    Args:
        names: the indices, in the order of the axes that both tables have.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i+k-1) -> i"), [(3,)], {"i": 3, "k": 2})
        >>> number, meets = places(problem.operands[0], problem, ("i", "k"))
        >>> number.tolist(), meets[0].tolist()
        ([[-1, 0], [0, 1], [1, 2]], [False, True])
    """
    sizes = tuple(problem.extents[n] for n in names)
    number, meets = np.zeros((), np.intp), np.ones((), bool)
    for access in accesses:
        place, rest = np.divmod(numerator(access, problem, names), access.divisor)
        meets = meets & (rest == 0) & (place >= 0) & (place < access.size)
        number = number * access.size + place
    return np.broadcast_to(number, sizes), np.broadcast_to(meets, sizes)
