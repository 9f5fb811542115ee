"""Where a contraction is cut, so that its parts read blocks of the operands as they lie.

An index that stands alone is cut where its axis is; of a window the longest index is cut, where the
middle of the window goes from one block to the next, so that halos are as long on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from contractconv.notation.problem import Access, Problem
from contractconv.notation.reach import reach

Sizes = tuple[int, ...]
"""The sizes of the blocks along an axis."""
Grid = tuple[Sizes, ...]
"""The same along each axis of an array."""
Cuts = Mapping[str, Sizes]
"""For each index that is cut the values at which a part begins, but for the first one."""


class _Wish(NamedTuple):
    """Where an axis would have an index cut.

    Attributes:
        halo: how many values of it two parts may share there.
        name: the index.
        at: the values.
    """

    halo: int
    name: str
    at: list[int]


def cuts_of(problem: Problem, grids: Sequence[Grid]) -> dict[str, Sizes]:
    """Where the indices of a contraction are cut.

    Args:
        problem: the contraction.
        grids: the blocks of each operand, compositions split.

    Returns:
        The values at which parts begin, for each index that is cut at all.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k-1) c, k c -> i"), [(12, 4), (3, 4)], {})
        >>> cuts_of(problem, [((6, 4, 2), (4,)), ((3,), (2, 2))])
        {'c': (2,), 'i': (3, 5)}
    """
    found: dict[str, set[int]] = {}
    # What stands alone comes first: a window does not cut a sliver off beside it.
    for halo, name, at in sorted(_wishes(problem, grids), key=lambda wish: wish.halo):
        known = found.get(name, set())
        inside = {n for n in at if 0 < n < problem.extents[name]}
        apart = {n for n in inside if all(abs(n - other) > halo for other in known)}
        found[name] = known | apart
    return {name: tuple(sorted(at)) for name, at in found.items() if at}


def _wishes(problem: Problem, grids: Sequence[Grid]) -> Iterator[_Wish]:
    for term, grid in zip(problem.operands, grids, strict=True):
        for access, sizes in zip(term, grid, strict=True):
            name = carrier(access, problem)
            if name is not None:
                middle, halo = _middle(access, name, problem.extents)
                step = dict(access.terms)[name]
                at = [_first(step, middle, end * access.divisor) for end in _ends(sizes)]
                yield _Wish(halo, name, at)


def carrier(access: Access, problem: Problem, cuts: Cuts | None = None) -> str | None:
    """The index along which blocks of an axis lie: the one that goes furthest.

    Args:
        access: the axis.
        problem: the contraction.
        cuts: those that are cut, which go first.
    """

    def rank(name: str, step: int) -> tuple[bool, int]:
        return name in (cuts or ()), abs(step) * (problem.extents[name] - 1)

    ranked = [(rank(*term), term[0]) for term in access.terms]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _middle(access: Access, name: str, extents: Mapping[str, int]) -> tuple[int, int]:
    """What is added to an index in the middle of its window, and how many values of it that is."""
    others = [(c, extents[n] - 1) for n, c in access.terms if n != name]
    low, high = reach(access.offset, others)
    return (low + high) // 2, (high - low) // abs(dict(access.terms)[name])


def _first(step: int, middle: int, end: int) -> int:
    """The first value whose window has its middle beyond the end of a block."""
    return -((middle - end) // step) if step > 0 else (middle - end) // -step + 1


def _ends(sizes: Sizes) -> list[int]:
    """Where blocks meet."""
    return [*accumulate(sizes)][:-1]


def result_grid(problem: Problem, cuts: Cuts) -> Grid:
    """The blocks of the result, compositions split.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i, k -> (2*i+k)"), [(6,), (3,)], {})
        >>> result_grid(problem, {"i": (3,)})
        ((7, 6),)
    """
    return tuple(_sizes(access, problem, cuts) for access in problem.output)


def _sizes(access: Access, problem: Problem, cuts: Cuts) -> Sizes:
    name = carrier(access, problem, cuts)
    at = () if name is None else cuts.get(name, ())
    places = {_place(access, str(name), n, problem.extents) for n in at}
    inside = sorted(place for place in places if 0 < place < access.size)
    return tuple(stop - start for start, stop in pairwise((0, *inside, access.size)))


def _place(access: Access, name: str, value: int, extents: Mapping[str, int]) -> int:
    """Where a block of an axis begins, or ends, of which an index has its values from one on."""
    step = dict(access.terms)[name]
    middle, _ = _middle(access, name, extents)
    numerator = step * value + middle
    return -(-numerator // access.divisor) if step > 0 else numerator // access.divisor + 1


def ranges_of(cuts: Sizes, extent: int) -> list[range]:
    """The values of an index in each part.

    Example:
        >>> ranges_of((2,), 5)
        [range(0, 2), range(2, 5)]
    """
    return [range(*pair) for pair in pairwise((0, *cuts, extent))]
