"""Sums of products along a window: what is loaded once serves several results.

It is the loop nest of :mod:`~contractconv.engines.llvm.kernels.product_loops` with one index of
the window, the tap, written out. Results that are neighbours along the window meet the same
numbers at different taps: a tile reads each of them once, at the place ``unit * row + step * tap``.
Several such lines of results share the vectors of the taps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from contractconv.cache_register import kept
from contractconv.engines.llvm.kernels import product_loops
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.kernels.native import Native, build, registers
from contractconv.engines.llvm.kernels.product_loops import (
    WINDOW_SCALARS,
    WINDOW_VECTORS,
    Lanes,
    Tile,
)

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector

# Multiplications that are written out for one tile.
_MOST_WRITTEN = 320
# Sums that a processor needs at the same time to be busy: it begins two with every cycle, and each
# takes four.
_BUSY = 8


@dataclass(frozen=True, slots=True)
class Window:
    """What a tile reads.

    Attributes:
        taps: how many taps are written out.
        unit: places from one row to the next.
        step: places from one tap to the next, negative against the rows.
        lines: lines of results of a tile, its rows being shared out among them.
        rest: rows of the last tile, if it has fewer than the others; otherwise 0.
        early: places at the beginning of a tile that lie outside, where nothing is read.
        late: likewise at its end.
        beside: numbers from one line to the next, if a few of them lie in one vector, which is read
            once for all of them; otherwise 0.
    """

    taps: int
    unit: int
    step: int
    lines: int = 1
    rest: int = 0
    early: int = 0
    late: int = 0
    beside: int = 0

    def meetings(self, rows: int) -> Iterator[list[tuple[int, int]]]:
        """For each place in order the rows and taps that meet there."""
        places: dict[int, list[tuple[int, int]]] = {}
        for row in range(rows):
            for tap in range(self.taps):
                places.setdefault(self.unit * row + self.step * tap, []).append((row, tap))
        inside = range(min(places) + self.early, max(places) + 1 - self.late)
        return (
            places.get(place, []) if place in inside else []
            for place in range(min(places), max(places) + 1)
        )

    @property
    def before(self) -> int:
        """Places from the first one to that of the first row at the first tap."""
        return max(0, -self.step * (self.taps - 1))


class Reads(NamedTuple):
    """How the first factor is read.

    Attributes:
        lanes: numbers of a vector.
        beside: numbers from one line to the next, or 0 if they are far apart.
        first: cycles that a place takes beside those of the first level of cache, for the first
            line of a tile.
        other: the same for each other line.
    """

    lanes: int
    beside: int = 0
    first: float = 0.0
    other: float = 0.0


class Fit(NamedTuple):
    """A tile for a window, and roughly the cycles that all results take at its taps."""

    tile: Tile
    window: Window
    cycles: float


@kept(most=1024)
def fitting(
    rows: int,
    lines: int,
    taps: int,
    places: tuple[int, int],
    wide: int,
    like: Tile,
    reads: Reads,
) -> Fit | None:
    """The best tile of sums for a window.

    Args:
        rows: how many results lie along the window.
        lines: how many such lines of results there are; a tile has one, or a part of them.
        places: from one result to the next, and from one tap to the next.
        like: a tile that reads the first factor in the same way; if groups share out its lanes,
            they begin anew after its vectors.
        reads: how the first factor is read.

    Returns:
        ``None`` if none fits the registers.
    """
    found = []
    for vectors, high in product(range(1, min(wide, 4) + 1), range(2, min(rows, 16) + 1)):
        # Lanes of groups fill whole panels, of as many vectors as they begin anew after.
        if like.spread is not None and (vectors % like.vectors or wide % vectors):
            continue
        # Lines that end within a tile would begin anew within it.
        for together in _together(lines, reads) if high == rows else (1,):
            # Beside the sums there are the taps that rows share, and what they are multiplied with.
            others = min(high, taps) * (1 if like.uniform else vectors)
            others += vectors if like.varies else 1
            sums = high * together * vectors
            if sums + others >= registers()[0] or sums * taps > _MOST_WRITTEN:
                continue
            tile = replace(like, rows=high * together, vectors=vectors)
            near = reads.beside if _share_vectors(tile, together, reads) else 0
            window = Window(taps, *places, together, rows % high, beside=near)
            cycles = _cycles(rows, wide, tile, window, reads) * (lines // together)
            found.append(Fit(tile, window, cycles))
    return min(found, key=lambda fit: fit.cycles, default=None)


def _together(lines: int, reads: Reads) -> list[int]:
    """How many lines a tile may have: where they are neighbours, any part of them."""
    near = reads.other < reads.first
    return [n for n in range(1, lines + 1) if lines % n == 0 and (near or n in (1, lines))]


def _share_vectors(tile: Tile, lines: int, reads: Reads) -> bool:
    """Whether lines of a tile read the same one or two vectors of memory."""
    if tile.spread is None or lines == 1 or not reads.beside:
        return False
    return tile.spread.is_shared(tile.vectors, reads.lanes, (lines - 1) * reads.beside)


def _cycles(rows: int, wide: int, tile: Tile, window: Window, reads: Reads) -> float:
    """What some lines of results take."""
    full, rest = divmod(rows, tile.rows // window.lines)
    one = full * _cycles_of_tile(tile.rows // window.lines, tile, window, reads)
    return -(-wide // tile.vectors) * (one + _cycles_of_tile(rest, tile, window, reads))


def _cycles_of_tile(high: int, tile: Tile, window: Window, reads: Reads) -> float:
    if not high:
        return 0.0
    places = _places_met(high, window.taps, window.unit, window.step)
    # A vector that does not begin at a line of the cache takes two loads, of two in a cycle.
    left = (1 if window.beside else window.lines) * places * (tile.vectors if tile.varies else 0.5)
    loads = left + window.taps * (0.5 if tile.uniform else tile.vectors)
    sums = high * window.lines * tile.vectors
    products = sums * window.taps / min(1.0, sums / _BUSY)
    fetched = places * (reads.first + reads.other * (window.lines - 1))
    fetched *= tile.vectors if tile.spread is not None else 1
    return max(products / 2, loads, fetched) + 4.0


@cache
def _places_met(rows: int, taps: int, unit: int, step: int) -> int:
    """At how many places rows and taps meet: searches ask for the same few again and again."""
    return len({unit * row + step * tap for row in range(rows) for tap in range(taps)})


@cache
def kernel(dtype: str, tile: Tile, window: Window, finish: Finish = RAW) -> Native:
    """The kernel for one kind of numbers, one tile, and one window."""
    form = f"{tile.form}_{window.taps}x{window.lines}"
    form += f"_{window.early}to{window.late}" + f"by{window.beside}" * bool(window.beside)
    return build(
        f"window_{form}{finish.name}_{dtype}",
        dtype,
        lambda emitter: _Windows(emitter, tile, window, finish).write(),
        (tile, window, finish),
    )


class _Windows(product_loops.Nest):
    """Writes the loop nest with the taps of a window written out."""

    def __init__(self, emitter: Emitter, tile: Tile, window: Window, finish: Finish) -> None:
        super().__init__(emitter, tile, finish)
        self.window = window

    def _remainders(self) -> list[int]:
        return [self.window.rest] if self.window.rest else []

    def _starts(self, scalars: Int, row: Int, rows: int) -> list[Int]:
        a, e = self.arguments, self.e
        before = a[WINDOW_SCALARS] * self.window.before
        step = rows // self.window.lines
        return [
            scalars + e.entry_of(a[product_loops.ROW_SCALARS], row + n * step) - before
            for n in range(1 if self.window.beside else self.window.lines)
        ]

    def _lines(self, places: list[Int], vectors: list[Lanes]) -> list[list[Vector]]:
        """What the first factor has at a place, for each line."""
        spread, window, e = self.tile.spread, self.window, self.e
        if spread is None or not window.beside:
            return [self._left(place, vectors) for place in places]
        further = [line * window.beside for line in range(window.lines)]
        panel = [spread.places(vector, e.number.lanes) for vector in range(len(vectors))]
        found = [e.picked(places[0], [[p + f for p in one] for f in further]) for one in panel]
        return [list(line) for line in zip(*found, strict=True)]

    def _fetch(self, scalars: Int, row: Int, edge: Int) -> None:
        """Neighbours along a window have been read already."""

    def _step(self, starts: list[Int], carried: list[Any], vectors: list[Lanes]) -> list[Any]:
        a = self.arguments
        offset, weights, *sums = carried
        wide, lines = len(vectors), self.window.lines
        rows = len(sums) // wide // lines
        places = [start + offset for start in starts]
        right: dict[int, list[Vector]] = {}
        for met in self.window.meetings(rows):
            lefts = self._lines(places, vectors) if met else []
            for line, left in enumerate(lefts):
                for row, tap in met:
                    if tap not in right:
                        right[tap] = self._right(weights + a[WINDOW_VECTORS] * tap, vectors)
                    for v in range(wide):
                        n = (line * rows + row) * wide + v
                        sums[n] = self.e.multiply_add(left[v], right[tap][v], sums[n])
            places = [place + a[WINDOW_SCALARS] for place in places]
        return [
            offset + a[product_loops.RUN_SCALARS],
            weights + a[product_loops.RUN_VECTORS],
            *sums,
        ]
