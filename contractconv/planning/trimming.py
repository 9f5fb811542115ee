"""What of an index space can contribute at all.

An index is worth its values only where, for some values of the others, every axis that it stands
on is inside its array. Padding is made for what is left, so it grows with the arrays, not with
dilations and offsets. All of it is solved in closed form: nothing here goes through positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from contractconv.cache_register import kept
from contractconv.notation.problem import Access, Accesses, Problem, shape_of

# A round narrows each index by what the others have lost in the one before; one or two are usual.
_MOST_ROUNDS = 32
# A padded copy has at most so many times the numbers of operands and result, or so many.
_MOST_PADDING, _SMALL = 4, 1 << 12


@kept(most=1024)
def trimmed(problem: Problem) -> Problem | None:
    """Restrict every index to the values at which some point can contribute.

    Args:
        problem: any contraction, empty ones included.

    Returns:
        The problem itself if there is nothing to leave out; ``None`` if nothing contributes.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> far = resolve(parse("(i+1000*k-1000), k -> i"), [(9,), (3,)], {"i": 20})
        >>> print(trimmed(far), trimmed(far).extents)
        (i+1000*k), (k+1) -> i {'i': 9, 'k': 1}
    """
    accesses = [access for term in (*problem.operands, problem.output) for access in term]
    if not problem.points or any(not access.size for access in accesses):
        return None
    ranges = {name: (0, extent - 1) for name, extent in problem.sizes}
    for _ in range(_MOST_ROUNDS):
        before = dict(ranges)
        if not all(_narrow(access, ranges) for access in accesses):
            return None
        if ranges == before:
            break
    for name, (low, high) in ranges.items():
        if high - low + 1 < problem.extents[name]:
            problem = problem.restricted(name, low, high - low + 1)
    return problem


def _narrow(access: Access, ranges: dict[str, tuple[int, int]]) -> bool:
    """Leave out values with which an axis is outside whatever the others are; whether any stay."""
    last = access.divisor * (access.size - 1)
    low = high = access.offset
    for name, step in access.terms:
        least, most = sorted((step * ranges[name][0], step * ranges[name][1]))
        low, high = low + least, high + most
    if not access.terms:
        return 0 <= low <= last and not low % access.divisor
    if low >= 0 and high <= last:
        return True
    for name, step in access.terms:
        first, final = ranges[name]
        least, most = sorted((step * first, step * final))
        found = inside(step, high - most, low - least - last)
        ranges[name] = max(first, found[0]), min(final, found[1])
        if ranges[name][0] > ranges[name][1]:
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


def reaches_outside(access: Access, extents: Mapping[str, int]) -> bool:
    """Whether some values of its indices lead beyond either end of an axis, undivided."""
    low, high = access.reach(extents)
    return low < 0 or high >= access.size


def out_of_proportion(problem: Problem) -> tuple[Access, ...]:
    """The windows of which a padded copy would be much larger than operands and result.

    Indices that both stride may reach far beyond an axis, although each value of them meets it.
    """
    terms = (*problem.operands, problem.output)
    volumes = [prod(max(size, 1) for size in shape_of(term)) for term in terms]
    most = max(_MOST_PADDING * sum(volumes), _SMALL)
    return tuple(access for term in problem.operands for access in _too_far(term, problem, most))


def _too_far(term: Accesses, problem: Problem, most: int) -> list[Access]:
    """The windows of one operand to do without, those first that reach furthest."""
    reaches = [access.reach(problem.extents) for access in term]
    spans = [high - low + 1 for low, high in reaches]
    padded = prod(spans)
    if padded <= most:
        return []
    found = []
    windows = [n for n, a in enumerate(term) if len(a.terms) > 1 and spans[n] > a.size > 0]
    for n in sorted(windows, key=lambda n: -(spans[n] / term[n].size)):
        if padded > most:
            padded = padded * term[n].size // spans[n]
            found.append(term[n])
    return found
