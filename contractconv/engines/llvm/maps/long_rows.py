"""Short rows, some of which are walked as one.

Where an array varies along the last axis alone, as a bias does, rows are as long as that axis: a
few channels fill a part of a vector's lanes, and the way to the next row takes longer than the row.
Such an array is repeated, which is little to do, and lanes run along positions with their channels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.maps.layouts import Layout, Steps

# Elements of a group that are worth a repeated array, those of a row that is short, and of a long
# one, from which on the way to the next row does not matter.
_WORTH, _SHORT, LONG = 1 << 13, 128, 512

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LongRows:
    """A layout, and what has to be done to arrays that lie in it.

    Attributes:
        layout: the layout.
        times: how often an array is repeated, if it is.
        repeated: the numbers of these arrays.
    """

    layout: Layout
    times: int = 1
    repeated: tuple[int, ...] = ()

    def taken(self, arrays: Sequence[Array]) -> Sequence[Array]:
        """The arrays, those among them that are repeated as they are walked."""
        found = list(arrays)
        for n in self.repeated:
            if n < len(found):
                found[n] = self.repeat(found[n])
        return found

    def repeat(self, array: Array) -> Array:
        """A row, as often as it is walked as one."""
        whole = np.empty((self.times, array.size), array.dtype)
        whole[...] = array.reshape(-1)
        return whole


def may_be_longer(sizes: Shape) -> bool:
    """Whether rows of an array of some shape are too short, and there is something to be gained."""
    return len(sizes) > 1 and 1 < sizes[-1] <= _SHORT and prod(sizes) >= _WORTH


def long_rows(layout: Layout, itemsizes: Sequence[int], may: Collection[int]) -> LongRows:
    """Walk as many rows as one as are worth it, if the arrays allow that.

    Args:
        layout: where arrays lie.
        itemsizes: the bytes of an element of each.
        may: the numbers of the arrays that may be repeated.

    Example:
        >>> image, bias = (1200, 24, 4), (0, 0, 4)
        >>> long_rows(Layout((64, 50, 6), (image, bias)), (4, 4), (1,)).layout
        Layout(sizes=(64, 300), steps=((1200, 4), (0, 4)))
    """
    alone = LongRows(layout)
    if not may_be_longer(layout.sizes):
        return alone
    *outer, rows, count = layout.sizes
    times = max(n for n in range(1, LONG // count + 1) if rows % n == 0)
    repeated = tuple(n for n, steps in enumerate(layout.steps) if steps[-2] != steps[-1] * count)
    lone = all(_is_a_row(layout.steps[n], itemsizes[n]) for n in repeated)
    if times == 1 or not lone or not set(repeated) <= set(may):
        return alone
    steps = (
        (*one[:-2], 0 if n in repeated else one[-2] * times, one[-1])
        for n, one in enumerate(layout.steps)
    )
    longer = Layout.of((*outer, rows // times, times * count), list(steps))
    return LongRows(longer, times, repeated)


def _is_a_row(steps: Steps, itemsize: int) -> bool:
    """Whether an array is nothing but one row, without gaps."""
    return steps[-1] == itemsize and not any(steps[:-1])
