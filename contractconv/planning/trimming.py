"""What of an index space can contribute at all, and how much of a box lies inside an axis.

An index is worth its values only where, for some values of the others, every axis that it stands
on is inside its array. Padding is made for what is left, so it grows with the arrays, not with
dilations and offsets. All of it is solved in closed form: nothing here goes through positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from contractconv.caches import kept
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
    volumes = [prod(map(_positive, shape_of(term))) for term in (*problem.operands, problem.output)]
    most = max(_MOST_PADDING * sum(volumes), _SMALL)
    return tuple(access for term in problem.operands for access in _too_far(term, problem, most))


def _positive(size: int) -> int:
    return max(size, 1)


def _too_far(term: Accesses, problem: Problem, most: int) -> list[Access]:
    """The windows of one operand to do without, those first that reach furthest."""
    spans = {n: high - low + 1 for n, (low, high) in enumerate(_reaches(term, problem))}
    padded = prod(spans.values())
    if padded <= most:
        return []
    found = []
    windows = [n for n, a in enumerate(term) if len(a.terms) > 1 and spans[n] > a.size > 0]
    for n in sorted(windows, key=lambda n: -(spans[n] / term[n].size)):
        if padded > most:
            padded = padded * term[n].size // spans[n]
            found.append(term[n])
    return found


def _reaches(term: Accesses, problem: Problem) -> list[tuple[int, int]]:
    return [access.reach(problem.extents) for access in term]


def points_inside(access: Access, extents: Mapping[str, int]) -> int:
    """How many values of the two indices of a window are inside its axis.

    Example:
        >>> points_inside(Access((("i", 1), ("k", 1)), -1, 1, 4), {"i": 4, "k": 3})
        10
    """
    sides, offset = [], access.offset
    for name, step in access.terms:
        sides.append((extents[name], abs(step)))
        offset += min(0, step * (extents[name] - 1))
    return _points_up_to(access.size - 1 - offset, *sides) - _points_up_to(-1 - offset, *sides)


def _points_up_to(most: int, first: tuple[int, int], second: tuple[int, int]) -> int:
    """How many points of a rectangle, given by sides and steps, have a sum up to ``most``."""
    count, step = second
    return _under(most, first, step) - _under(most - count * step, first, step)


def _under(most: int, first: tuple[int, int], step: int) -> int:
    """The same for a second side without end."""
    count, other = first
    if most < 0:
        return 0
    count = min(count, most // other + 1)
    return count + _floor_sum(count, step, other, most - other * (count - 1))


def _floor_sum(count: int, divisor: int, step: int, start: int) -> int:
    """``Σ (start + step*n) // divisor`` for ``n`` below ``count``.

    It counts lattice points below a line. Every round exchanges the axes, so there are as many as
    a gcd takes (Graham, Knuth and Patashnik, *Concrete Mathematics*, section 3.5).
    """
    total = 0
    while True:
        total += count * (count - 1) // 2 * (step // divisor) + count * (start // divisor)
        step, start = step % divisor, start % divisor
        height = step * count + start
        if height < divisor:
            return total
        count, start = divmod(height, divisor)
        divisor, step = step, divisor
