"""Short rows of a window as one long lane, with what lies between them.

A row of results of a padded image reads as many numbers from one row of it, and the next one begins
a few numbers behind: along both of them a loop runs without beginning anew, and what it made of the
numbers in between is left out in the end.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.lib.stride_tricks import as_strided

from contractconv.arrays.views import Labelled, Labels

# Numbers that a loop takes as long for as for beginning, and how many times as long as rows alone a
# lane may be.
_BEGIN = 64
MOST = 3


class ShortRows(NamedTuple):
    """So many rows along ``lane``, of which one begins ``pitch`` numbers behind the other."""

    rows: str
    lane: str
    number: int
    pitch: int
    length: int

    def as_lane(self, view: Labelled) -> Labelled:
        """See rows, and what lies between them, as one index."""
        n, m = view.labels.index(self.rows), view.labels.index(self.lane)
        shape, strides = list(view.array.shape), list(view.array.strides)
        shape[m] += (self.number - 1) * self.pitch
        del shape[n], strides[n]
        labels = tuple(label for label in view.labels if label != self.rows)
        return Labelled(as_strided(view.array, shape, strides), labels)

    def as_rows(self, view: Labelled) -> Labelled:
        """See a lane as rows again, without what lies between them."""
        m = view.labels.index(self.lane)
        shape, strides = list(view.array.shape), list(view.array.strides)
        step = strides[m]
        shape[m : m + 1], strides[m : m + 1] = (self.number, self.length), (self.pitch * step, step)
        labels = (*view.labels[:m], self.rows, *view.labels[m:])
        return Labelled(as_strided(view.array, shape, strides), labels)


def short_rows(lane: str, big: Labelled, small: Labelled, kept: Labels) -> ShortRows | None:
    """The rows along a lane, if what lies between them takes less time than they do.

    Args:
        lane: the index along which elements of the larger operand are neighbours.
        big: that operand.
        small: the other one; it has numbers for whole rows only.
        kept: the indices of the result.
    """
    steps, sizes = big.steps, big.sizes
    if lane not in kept or lane in small.labels or not steps[lane]:
        return None
    for name in kept:
        if name != lane and name in steps and name not in small.labels and sizes[name] > 1:
            length, (pitch, rest) = sizes[lane], divmod(steps[name], steps[lane])
            if not rest and length < pitch <= min(MOST * length, length + _BEGIN):
                return ShortRows(name, lane, sizes[name], pitch, length)
    return None
