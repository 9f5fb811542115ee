"""Which index of a window is written out: the results along it share what is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import gcd
from typing import NamedTuple

from contractconv.engines.llvm.kernels.product_loops import Tile
from contractconv.engines.llvm.kernels.window_loops import Window, fitting
from contractconv.engines.llvm.loop_nest import Nest

# Neighbours are at most so many places apart, and so many taps are written out.
_MOST_APART, _MOST_TAPS = 4, 16


# Cycles, roughly, that a product of vectors takes in a tile without windows: one factor of each is
# loaded, in half a cycle if it is broadcast, in a whole one if it may lie across two lines.
_BROADCAST, _LOADED = 0.8, 1.2


class Along(NamedTuple):
    """A window along which a tile runs.

    Attributes:
        rows: the indices of a tile's rows: those of lines, then the one that moves the window.
        length: how many results lie along it.
        tap: the index inside it.
        bytes_a_place: from one place of the window to the next.
    """

    rows: tuple[str, ...]
    length: int
    tap: str
    tile: Tile
    window: Window
    bytes_a_place: int


def along(
    nest: Nest, extents: Mapping[str, int], scalars: Mapping[str, int], lanes: int
) -> Along | None:
    """Find the window that saves most.

    Args:
        nest: the loop nest; only where a tile needs a load for every product there is much to save.
        scalars: bytes from one value of each index to the next in the operand of the rows.

    Returns:
        ``None`` if results share nothing, or too little.
    """
    both = nest.tile.elementwise
    if not (both or nest.tile.vectors == 1):
        return None
    wide = -(-extents[nest.lane] // lanes)
    found = [
        one
        for row, tap in product(nest.rows, nest.summed)
        for line in (None, *(n for n in nest.rows if n != row))
        for one in _along(nest, extents, scalars, wide, (line, row, tap))
    ]
    enough = [f for f in found if f[0] < wide * (_LOADED if both else _BROADCAST)]
    if not enough:
        return None
    if both:
        # Vectors come from memory: places that are close together come together.
        return min(enough, key=lambda f: (abs(f[1].bytes_a_place), f[0]))[1]
    # Of two that cost the same, the one that leaves the longest run.
    return min(enough, key=lambda f: (f[0], -abs(f[1].bytes_a_place)))[1]


def _along(
    nest: Nest,
    extents: Mapping[str, int],
    scalars: Mapping[str, int],
    wide: int,
    names: tuple[str | None, str, str],
) -> Iterator[tuple[float, Along]]:
    """Tiles for one window, each with its cycles for one row and one tap."""
    line, row, tap = names
    apart, between = scalars.get(row, 0), scalars.get(tap, 0)
    if min(extents[row], extents[tap]) < 2 or not apart or not between:
        return
    bytes_a_place = gcd(apart, between) * (1 if apart > 0 else -1)
    places = apart // bytes_a_place, between // bytes_a_place
    if max(map(abs, places)) > _MOST_APART:
        return
    lines = 1 if line is None else extents[line]
    rows = (row,) if line is None else (line, row)
    for taps in (n for n in range(2, _MOST_TAPS + 1) if extents[tap] % n == 0):
        fit = fitting(extents[row], lines, taps, places, wide, nest.tile.elementwise)
        if fit is not None and (line is None or fit.window.lines > 1):
            cost = fit.cycles / (taps * extents[row] * lines)
            yield cost, Along(rows, extents[row], tap, fit.tile, fit.window, bytes_a_place)
