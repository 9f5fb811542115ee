"""What of an index space can contribute at all.

Padding is made for what is left, so it grows with the arrays, not with dilations and offsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from contractconv.cache_register import kept
from contractconv.notation.contributing import contributing
from contractconv.notation.problem import Access, Accesses, Problem, shape_of

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
    bounds = contributing(problem)
    if bounds is None:
        return None
    for name, (low, high) in bounds.items():
        if high - low + 1 < problem.extents[name]:
            problem = problem.restricted(name, low, high - low + 1)
    return problem


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
