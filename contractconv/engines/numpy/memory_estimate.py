"""How many bytes numpy's way of carrying out a contraction takes beside operands and result.

All of them are upper bounds, found from extents alone. Nothing is shared among threads here: each
of them would have arrays of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from contractconv.engines.numpy import depthwise, reducing, shift_and_add, short_rows
from contractconv.engines.numpy.product_blocks import BLOCK
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.path import Pair
from contractconv.planning.roles import roles
from contractconv.planning.strided_leaves import is_leaf, tap_indices
from contractconv.reductions.table import REDUCTIONS

# Bytes of a position, and of what finding out whether it lies inside takes beside it.
_POSITION = 48


def peak(
    steps: Sequence[tuple[Pair, Problem]],
    converted: Collection[int],
    itemsize: int,
    adding: bool,
    compiled: bool = False,
) -> int:
    """Bytes of all temporary arrays that some steps need at once, tap by tap.

    Args:
        steps: which operands are taken out of the list, and how they are contracted.
        converted: the operands that are converted to another dtype when they are taken.
        adding: whether the last result is added to what is there.
        compiled: whether products are left out, which kernels may make with next to nothing.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i k, k j -> i j"), [(5, 4), (4, 2)], {})
        >>> steps = [((0, 1), problem)]
        >>> peak(steps, (), 8, adding=False), peak(steps, {0}, 8, adding=False)
        (0, 160)
    """
    count = 1 + sum(len(taken) - 1 for taken, _ in steps)
    alive, foreign, most = [0] * count, [n in converted for n in range(count)], 0
    for number, (taken, problem) in enumerate(steps):
        last = number == len(steps) - 1
        result = 0 if last else itemsize * prod(problem.output_sizes)
        terms = zip(taken, problem.operands, strict=True)
        copies = sum(itemsize * prod(shape_of(term)) for n, term in terms if foreign[n])
        multiplied = REDUCTIONS[problem.reduce].linear and len(taken) == 2
        work = 0 if compiled and multiplied else of_step(problem, itemsize, adding and last)
        most = max(most, sum(alive) + copies + result + work)
        alive = [size for n, size in enumerate(alive) if n not in taken] + [result]
        foreign = [there for n, there in enumerate(foreign) if n not in taken] + [False]
    return most


def of_step(problem: Problem, itemsize: int, adding: bool) -> int:
    """Bytes that one step takes, if its scatters and divisions are done tap by tap."""
    taps = () if is_leaf(problem) else tap_indices(problem)
    return _Leaf(problem, taps, adding or not is_leaf(problem)).bytes(itemsize)


def of_leaf(problem: Problem, itemsize: int, adding: bool) -> int:
    """Bytes that one leaf takes; whether it adds to what is there."""
    return _Leaf(problem, (), adding).bytes(itemsize)


class _Leaf:
    """One of the leaves of a step, with the taps held at any values."""

    def __init__(self, problem: Problem, taps: Sequence[str], adding: bool) -> None:
        self.problem, self.taps, self.adding = problem, taps, adding
        self.extents = problem.extents | dict.fromkeys(taps, 1)
        self.result = volume((n for n in problem.indices if n in problem.kept), self.extents)

    def bytes(self, itemsize: int) -> int:
        """What it takes."""
        problem = self.problem
        padded = itemsize * sum(map(self._padded, problem.operands))
        if not REDUCTIONS[problem.reduce].linear:
            return padded + self._reduced(itemsize)
        if len(problem.operands) == 1:
            return padded + 2 * itemsize * self.result * self._sums
        return padded + itemsize * self._multiplied()

    @property
    def _sums(self) -> bool:
        """Whether anything of a single operand is summed; if not, it is read where it lies."""
        names = labels_of(self.problem.operands)
        return any(n not in self.problem.kept for n in names)

    def _padded(self, accesses: Accesses) -> int:
        """Elements of a copy with what is read outside."""
        if not any(map(self._leaves, accesses)):
            return 0
        reaches = [access.reach(self.extents) for access in accesses]
        return prod(
            (high - low) // access.divisor + 1
            for access, (low, high) in zip(accesses, reaches, strict=True)
        )

    def _leaves(self, access: Access) -> bool:
        low, high = access.reach(self.problem.extents)
        return low < 0 or high >= access.size * access.divisor

    def _multiplied(self) -> int:
        """Elements that a product of two operands takes."""
        problem, extents = self.problem, self.extents
        names = [labels_of([accesses]) for accesses in problem.operands]
        views = [volume(labels, extents) for labels in names]
        long = [{n for n in labels if extents[n] > 1} for labels in names]
        _, rows, columns, gone = roles(long[0], long[1], problem.kept, problem.indices)
        summed = [n for n in gone if n in long[0] and n in long[1]]
        alone = [self._alone(*pair) for pair in (names, names[::-1])]
        # The larger operand of a product is packed in blocks, the other one whole; of one index a
        # side there is nothing to pack.
        packed = [
            view if max(len(summed), len(side)) > 1 else 0
            for view, side in zip(views, (rows, columns), strict=True)
        ]
        taken = sum(v for v, gone in zip(views, alone, strict=True) if gone)
        taken += sum(packed) - max(packed) + min(max(packed), BLOCK)
        # Arrays like the result that are there at once.
        missing = not problem.kept <= {*names[0], *names[1]}
        laid_out = self.adding or missing or max(len(rows), len(columns)) > 1
        taken += self.result * (missing + laid_out + (max(packed) > BLOCK))
        shared = [n in problem.kept for n in names[0] if n in names[1]]
        if any(shared) and not all(shared):
            # Perhaps no matrices: an operand is repeated, and lanes are summed in the end.
            taken += 2 * min(max(views), depthwise.BESIDE)
            # And sums of taps with what lies between short rows, of all taps and of one.
            taken += 2 * short_rows.MOST * min(self.result, depthwise.BESIDE)
        return taken + (0 if self.taps else shift_and_add.temporary_elements(problem))

    def _alone(self, mine: Sequence[str], other: Sequence[str]) -> bool:
        """Whether an operand is summed over something before it meets the other one."""
        return any(n not in other and n not in self.problem.kept for n in mine)

    def _of_one(self, every: int) -> int:
        """Elements that reducing a single operand takes beside arrays like the result."""
        if REDUCTIONS[self.problem.reduce].at_once is not None:
            # The logarithm of a sum has the shifted numbers and their exponentials.
            return 3 * every
        # One index after the other is reduced, from the last one on.
        gone = [self.extents[n] for n in self.problem.indices if n not in self.problem.kept]
        return 2 * every // gone[-1] if gone else every

    def _reduced(self, itemsize: int) -> int:
        """Bytes that any other reduction takes."""
        problem, result = self.problem, itemsize * self.result
        every = volume(problem.indices, self.extents)
        if len(problem.operands) == 1:
            return 6 * result + itemsize * self._of_one(every)
        longest = max((self.extents[n] for n in problem.kept), default=1)
        points = min(every, max(reducing.BLOCK, -(-every // longest)))
        positions = sum(
            volume(access.names, self.extents) for term in problem.operands for access in term
        )
        values = (5 * itemsize + 4) * points
        return 6 * result + values + _POSITION * min(positions, len(problem.operands) * points)
