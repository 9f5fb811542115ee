"""Where the elements of tiles lie: tables of offsets, for any stride and any boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contractconv.arrays.views import Array
from contractconv.notation.problem import Access

Letter = Literal["a", "b", "c"]
NOWHERE = -(1 << 60)


@dataclass(frozen=True, slots=True)
class Axis:
    """One window axis, cut into tiles.

    Attributes:
        result: the index that counts windows.
        tap: the index that counts the points of a window.
        data: how the data's axis is met: ``step*result + step*tap + offset`` or with a minus.
        outputs: values of ``result`` that a tile covers.
        taps: values of ``tap``.
        stride: bytes from one position on the data's axis to the next.
    """

    result: str
    tap: str
    data: Access
    outputs: int
    results: int
    taps: int
    stride: int

    @property
    def tiles(self) -> int:
        """How many tiles cover the results."""
        return -(-self.results // self.outputs)

    @property
    def flipped(self) -> bool:
        """Whether the window runs against its result: ``(i-k)``."""
        steps = dict(self.data.terms)
        return steps[self.tap] == -steps[self.result]

    def places(self, letter: Letter) -> Array:
        """Where the elements of tiles are on the axis that a factor applies to.

        Returns:
            A row for every tile, ``NOWHERE`` outside: positions on the data's axis, values of
            ``result``, or those of ``tap`` in the order in which every tile meets them.
        """
        if letter == "c":
            taps = np.arange(self.taps)
            return (taps[::-1] if self.flipped else taps).reshape(1, self.taps)
        first = np.arange(self.tiles) * self.outputs
        if letter == "b":
            places = np.add.outer(first, np.arange(self.outputs))
            return np.where(places < self.results, places, NOWHERE)
        element = np.arange(self.outputs + self.taps - 1) - self.flipped * (self.taps - 1)
        step = dict(self.data.terms)[self.result]
        places = step * np.add.outer(first, element) + self.data.offset
        return np.where((places >= 0) & (places < self.data.size), places, NOWHERE)

    def step(self, letter: Letter, steps: Mapping[str, int]) -> int:
        """Bytes from one of these places to the next, given those of the indices."""
        return self.stride if letter == "a" else steps[self.result if letter == "b" else self.tap]


def element_table(places: Sequence[Array], strides: Sequence[int]) -> Array:
    """Offsets in bytes of the elements of every tile: the tiles, then the elements of one.

    Args:
        places: for each window axis, rows of positions, one row for every tile along it.
        strides: for each window axis, bytes from one position to the next.
    """
    total = np.zeros((1, 1), np.int64)
    for rows, stride in zip(places, strides, strict=True):
        here = np.where(rows == NOWHERE, NOWHERE, rows * stride)
        both = total[:, None, :, None] + here[None, :, None, :]
        both = np.where(both < NOWHERE // 2, NOWHERE, both)
        total = both.reshape(total.shape[0] * rows.shape[0], -1)
    return np.ascontiguousarray(total).reshape(-1)
