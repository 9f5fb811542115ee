"""One piece of memory for all arrays that a program makes on its way, each at a planned place.

What is planned is checked as it goes: memory that somebody still leads into when its time is over
is not lent to anybody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.machine.placement import LINE, Place, Placement

Array = NDArray[Any]


class Arena:
    """Memory that is laid out for the steps of a program; one run at a time uses it.

    Args:
        placement: the places.
        raw: memory of an earlier placement, if it is large enough.

    Attributes:
        placement: the places.
        raw: the memory.
        spoiled: whether something leads into it that should not; then it is left alone.
        astray: whether some array may lie elsewhere than at its place.
    """

    def __init__(self, placement: Placement, raw: Array | None = None) -> None:
        self.placement = placement
        self.raw = np.empty(placement.size + LINE, np.uint8) if raw is None else raw
        self.spoiled = self.astray = False
        begin = -int(self.raw.__array_interface__["data"][0]) % LINE
        pieces = [_Piece(place, self.raw, begin) for place in placement.places]
        self._begins = _by_step(placement, ((piece.place.first, piece) for piece in pieces))
        self._ends = _by_step(placement, ((piece.place.last, piece) for piece in pieces))
        for together in self._begins:
            _meet(together)
        self._left: list[_Piece] = []

    def begin(self, step: int) -> None:
        """Lend the places of a step from now on."""
        self._left = self._begins[step].copy()

    def lent(self, size: int, scratch: bool) -> Array | None:
        """The next place of the step for so many bytes; ``None`` if there is none, or not yet."""
        for n, piece in enumerate(self._left):
            if piece.place.size == size and piece.place.scratch == scratch and not self.spoiled:
                if any(other.is_read for other in piece.rivals):
                    self.astray = True
                    return None
                del self._left[n]
                return piece.raw
        return None

    def end(self, step: int) -> None:
        """See to it that nobody reads what had its place until the end of a step."""
        for piece in self._ends[step]:
            if getrefcount(piece.raw) > _UNREAD:
                self.spoiled = self.astray = True


class _Piece:
    """A place as an array, which everything leads to that leads into it.

    Attributes:
        place: the place.
        raw: the array.
        rivals: the pieces that are asked for in the same step and share memory with it: some for
            one stage of the step, some for another.
    """

    __slots__ = ("place", "raw", "rivals")

    def __init__(self, place: Place, raw: Array, begin: int) -> None:
        start = begin + place.offset
        self.place = place
        self.rivals: list[_Piece] = []
        # A view of an array would lead to the array whose memory it is.
        self.raw = np.frombuffer(raw.data[start : start + place.size], np.uint8)

    @property
    def is_read(self) -> bool:
        """Whether anybody else has it."""
        return getrefcount(self.raw) > _UNREAD


def _by_step(placement: Placement, numbered: Iterable[tuple[int, _Piece]]) -> list[list[_Piece]]:
    found: list[list[_Piece]] = [[] for _ in range(placement.steps)]
    for step, piece in numbered:
        found[step].append(piece)
    return found


def _meet(pieces: list[_Piece]) -> None:
    """Tell the pieces of a step which of the others share memory with them."""
    for piece in pieces:
        piece.rivals = [o for o in pieces if o is not piece and _overlap(o.place, piece.place)]


def _overlap(one: Place, two: Place) -> bool:
    return one.offset < two.offset + two.size and two.offset < one.offset + one.size


def _unread() -> int:
    """How many references there are to the array of a piece that nobody else has."""
    piece = _Piece(Place(1, 0, 0, 0), np.empty(1, np.uint8), 0)
    return getrefcount(piece.raw)


_UNREAD = _unread()
