"""The parts of which each block of a result is made, and the blocks of operands that they read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, product
from typing import NamedTuple

from contractconv.cache_register import kept
from contractconv.notation.contributing import contributing
from contractconv.notation.problem import Problem
from contractconv.notation.shift import Part, Ranges, result_block
from contractconv.notation.spec import SUM
from contractconv.planning.blocks.cuts import Cuts, Grid, Sizes, carrier, ranges_of, result_grid
from contractconv.reductions.table import REDUCTIONS


class Cut(NamedTuple):
    """A contraction, and how it is cut.

    Attributes:
        problem: the contraction.
        cuts: where its indices are.
        grid: the blocks of its result, compositions split.
        summed: the values of each index that is cut within blocks, in each part.
    """

    problem: Problem
    cuts: Cuts
    grid: Grid
    summed: tuple[tuple[str, tuple[range, ...]], ...]

    @staticmethod
    def of(problem: Problem, cuts: Cuts) -> Cut:
        """Cut the result along the indices that carry its axes, sums along the others."""
        carriers = {carrier(access, problem, cuts) for access in problem.output}
        inner = [(name, at) for name, at in cuts.items() if name not in carriers]
        summed = tuple((n, tuple(ranges_of(at, problem.extents[n]))) for n, at in inner)
        return Cut(problem, cuts, result_grid(problem, cuts), summed)

    def boxes(self) -> Iterator[tuple[tuple[int, ...], Ranges]]:
        """Each block of the result: which it is, and where it lies."""
        along = [list(enumerate(slices_of(sizes))) for sizes in self.grid]
        for chosen in product(*along):
            yield tuple(n for n, _ in chosen), tuple(at for _, at in chosen)

    def whole(self, box: Ranges) -> Part:
        """What makes a block of the result at once."""
        return result_block(self.problem, box)

    def parts(self, box: Ranges) -> list[Part]:
        """What makes a block of the result together; a mean's are to be divided in the end.

        There is one at least, which reads nothing if nothing contributes to the block.
        """
        if not self.summed:
            return [self.whole(box)]
        found = [result_block(problem, box) for problem in self._pieces()]
        return [part for part in found if contributing(part.problem) is not None] or [
            self.whole(box)
        ]

    def _pieces(self) -> Iterator[Problem]:
        summand = self.problem
        if REDUCTIONS[summand.reduce].averages:
            summand = replace(summand, reduce=SUM)
        for chosen in product(*(values for _, values in self.summed)):
            piece = summand
            for (name, _), values in zip(self.summed, chosen, strict=True):
                piece = piece.restricted(name, values.start, len(values))
            yield piece


class Read(NamedTuple):
    """What is read of one block of an operand.

    Attributes:
        block: which it is.
        at: where, within it.
        whole: whether that is all of it.
    """

    block: tuple[int, ...]
    at: Ranges
    whole: bool


def reads(place: Ranges, grid: Grid) -> tuple[tuple[int, ...], list[Read]]:
    """What is read of the blocks of an operand, in row-major order; none if it reads nothing.

    Args:
        place: what is read of the whole operand.
        grid: its blocks.

    Returns:
        How many blocks along each axis, and what is read of each of them.

    Example:
        >>> count, found = reads((slice(3, 8),), ((4, 4, 4),))
        >>> count, [(*read.block, *read.at, read.whole) for read in found]
        ((2,), [(0, slice(3, 4, None), False), (1, slice(0, 4, None), True)])
    """
    along = [_met(at, sizes) for at, sizes in zip(place, grid, strict=True)]
    found = []
    for chosen in product(*along):
        block, at = tuple(n for n, _, _ in chosen), tuple(s for _, s, _ in chosen)
        found.append(Read(block, at, all(whole for _, _, whole in chosen)))
    return tuple(map(len, along)), found


def _met(at: slice, sizes: Sizes) -> list[tuple[int, slice, bool]]:
    """The blocks along an axis that a slice meets."""
    starts = _starts(sizes)
    found = []
    for n in range(max(0, bisect_right(starts, at.start) - 1), bisect_left(starts, at.stop)):
        low, high = max(0, at.start - starts[n]), min(sizes[n], at.stop - starts[n])
        if low < high:
            found.append((n, slice(low, high), high - low == sizes[n]))
    return found


@kept(most=256)
def _starts(sizes: Sizes) -> Sizes:
    """Where each block along an axis begins."""
    return tuple(at.start for at in slices_of(sizes))


def slices_of(sizes: Sequence[int]) -> list[slice]:
    """Where each block along an axis lies.

    Example:
        >>> slices_of((2, 3))
        [slice(0, 2, None), slice(2, 5, None)]
    """
    return [slice(end - size, end) for end, size in zip(accumulate(sizes), sizes, strict=True)]
