"""From one step of a plan to pieces that strided views can express.

A *leaf* is a problem whose every output axis holds at most one index, inside its bounds, and
whose input axes need no division and little padding. Scatters and fractional axes become leaves by
holding the taps of their windows fixed, one value at a time, and by letting the one index that is
left run over the arithmetic progression on which the axis is a whole number inside its bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from math import gcd

from contractconv.notation.contributing import inside
from contractconv.notation.problem import Access, Problem
from contractconv.planning.cost import is_direct, volume
from contractconv.planning.trimming import out_of_proportion, trimmed

# Sums over at most this many taps are done by adding slices, beyond that by one reduction.
MOST_TAPS = 64


def leaves(problem: Problem) -> Iterator[Problem]:
    """Split a problem into leaves; together they make exactly its contributing points."""
    whole = trimmed(problem)
    if whole is None:
        return
    taps = tap_indices(whole)
    for values in product(*(range(whole.extents[name]) for name in taps)):
        fixed = whole.fixed(dict(zip(taps, values, strict=True))) if taps else whole
        leaf = _inside_bounds(fixed)
        if leaf is not None:
            yield leaf


def tap_indices(problem: Problem) -> tuple[str, ...]:
    """The indices to hold fixed: all but the longest one of every scatter or division.

    Likewise those of windows that would be padded far beyond what they read.
    """
    return _all_but_longest((*_constrained(problem), *out_of_proportion(problem)), problem)


def tied_indices(problem: Problem) -> tuple[str, ...]:
    """The indices that scatters and divisions tie to a longer one."""
    return _all_but_longest(_constrained(problem), problem)


def _all_but_longest(accesses: Iterable[Access], problem: Problem) -> tuple[str, ...]:
    taps: dict[str, None] = {}
    for access in accesses:
        names = sorted(access.names, key=lambda name: problem.extents[name])
        taps.update(dict.fromkeys(names[:-1]))
    return tuple(name for name in problem.indices if name in taps)


def _constrained(problem: Problem) -> Iterator[Access]:
    """The accesses that a leaf must turn into a plain range of one index."""
    for access in (access for accesses in problem.operands for access in accesses):
        # A window that reaches outside is read from a padded copy; a single index is not.
        if access.divisor != 1 or (len(access.terms) <= 1 and not _spans(access, problem)):
            yield access
    for access in problem.output:
        name = access.plain
        if name is None or problem.extents[name] != access.size:
            yield access


def is_leaf(problem: Problem) -> bool:
    """Whether the problem is a leaf already and makes every output element exactly once."""
    return is_direct(problem) and next(_constrained(problem), None) is None


def is_tight(problem: Problem) -> bool:
    """Whether it is a leaf of which nothing can be left out, and that needs little padding."""
    # Not "is": what is kept of an earlier call belongs to an equal problem.
    return is_leaf(problem) and trimmed(problem) == problem and not out_of_proportion(problem)


def _inside_bounds(problem: Problem) -> Problem | None:
    restricted = _on_progressions(problem)
    return None if restricted is None else trimmed(restricted)


def _on_progressions(problem: Problem) -> Problem | None:
    # Each restriction changes the other accesses of its index, so look again after every one.
    while True:
        for access in _constrained(problem):
            if not access.names:
                if not _constant_inside(access):
                    return None
            elif not _spans(access, problem):
                name = access.names[0]
                start, count, step = progression(access, problem.extents[name])
                if not count:
                    return None
                problem = problem.restricted(name, start, count, step)
                break
        else:
            return problem


def _constant_inside(access: Access) -> bool:
    position, remainder = divmod(access.offset, access.divisor)
    return not remainder and 0 <= position < access.size


def _spans(access: Access, problem: Problem) -> bool:
    """Whether every value of the access is an element of its axis."""
    low, high = access.reach(problem.extents)
    return access.divisor == 1 and low >= 0 and high < access.size


def progression(access: Access, extent: int) -> tuple[int, int, int]:
    """Where ``access``, an expression in one index, is a whole number inside its axis.

    Returns:
        ``(start, count, step)``: the values of the index, which runs over ``0..extent-1``.
    """
    ((_, coefficient),) = access.terms
    offset, divisor = access.offset, access.divisor
    last = divisor * (access.size - 1)
    low, high = inside(coefficient, offset, offset - last)
    low, high = max(0, low), min(extent - 1, high)
    # Solve coefficient*i + offset = 0 modulo divisor; a divisor may be too large to try them all.
    common = gcd(coefficient, divisor)
    if offset % common:
        return low, 0, 1
    step = divisor // common
    first = -(offset // common) * pow(coefficient // common, -1, step) % step
    start = low + (first - low) % step
    return start, max(0, (high - start) // step + 1), step


def by_taps(problem: Problem) -> bool:
    """Whether a reduction of one operand goes tap by tap rather than in one sweep."""
    taps = volume(problem.reduced, problem.extents)
    windows = [a for a in problem.operands[0] if a.plain is None and a.terms]
    return taps <= MOST_TAPS and any(set(a.names) & set(problem.reduced) for a in windows)
