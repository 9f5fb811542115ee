"""What reading costs because of where numbers lie: lines of the cache, and pages of memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contractconv.machine.placement import LINE

# Bytes of a page, and of how many the processor knows at once where they are.
_PAGE, _KNOWN_PAGES = 4096, 64
# Cycles, roughly: finding a page anew; bringing a line of vectors that are read once for each tile;
# a vector more that lies across two lines.
_FOUND, _BROUGHT, _ACROSS = 1.0, 0.3, 1.5

# How many values an index has, and the bytes from one to the next.
Steps = Iterable[tuple[int, int]]


class Read(NamedTuple):
    """What is read of one factor, by a tile for all that it sums, or by others.

    Attributes:
        steps: of all its indices but the lanes.
        bytes: that lie side by side for each of their values.
    """

    steps: Sequence[tuple[int, int]]
    bytes: int

    @classmethod
    def of(cls, names: Mapping[str, int], steps: Mapping[str, int], side_by_side: int) -> Read:
        """It, with so many values of each of some indices."""
        return cls([(count, steps.get(n, 0)) for n, count in names.items()], side_by_side)

    @property
    def lines(self) -> int:
        """How many lines of the cache it is in."""
        return _blocks(self.steps, self.bytes, LINE)

    @property
    def pages(self) -> int:
        """How many pages of memory it is in."""
        return _blocks(self.steps, self.bytes, _PAGE)

    def is_across(self, vector: int) -> bool:
        """Whether vectors of so many bytes lie across two lines here and there."""
        return any(count > 1 and step % min(vector, LINE) for count, step in self.steps)


def cycles_of_reads(scalars: Read, vectors: Read, loads: int, vector: int) -> float:
    """What a tile takes to read beside what its loads take if all is at hand.

    Args:
        loads: of vectors that are read for one product each; none where single numbers are.
        vector: bytes of a vector.
    """
    pages = scalars.pages + vectors.pages
    cycles = _FOUND * pages if pages > _KNOWN_PAGES else 0.0
    if loads:
        cycles += _BROUGHT * scalars.lines + _ACROSS * loads * scalars.is_across(vector)
    return cycles


def _blocks(steps: Steps, side_by_side: int, size: int) -> int:
    """How many blocks of so many bytes hold what is read."""
    run, apart = side_by_side, 1
    for count, step in sorted(((n, abs(s)) for n, s in steps if n > 1 and s), key=lambda s: s[1]):
        if apart == 1 and step <= max(run, size):
            run += step * (count - 1)
        else:
            apart *= count
    return apart * -(-run // size)
