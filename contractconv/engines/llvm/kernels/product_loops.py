"""Sums of products: the loop nest behind matrix products, windows and depthwise sums.

One kernel does ``out[row, lane] (+)= Σ_tap Σ_run scalars[row + tap + run] * vectors[tap + run]``.
Addresses of rows and taps come from tables, so that a window is read where it lies, whatever the
order of the axes, the stride or the dilation. A tile of ``rows x vectors`` sums stays in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import count, cycle
from math import lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish, finished
from contractconv.engines.llvm.kernels.native import Native, build, registers
from contractconv.machine.placement import LINE

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector

_next = count().__next__
# Places in the table of arguments.
SCALARS, VECTORS, OUT = _next(), _next(), _next()
BATCH, BATCH_SCALARS, BATCH_VECTORS, BATCH_OUT = _next(), _next(), _next(), _next()
ROW_START, ROW_STOP, ROWS_AT_ONCE, ROW_SCALARS, ROW_OUT = (_next() for _ in range(5))
LANES = _next()
# Bytes from one panel of the second factor to the next.
PANEL_VECTORS = _next()
# Whether panels begin at lines of the cache, where the first factor has a value for each lane.
ALIGNED = _next()
TAPS, TAPS_AT_ONCE, TAP_SCALARS, TAP_VECTORS = _next(), _next(), _next(), _next()
RUN, RUN_SCALARS, RUN_VECTORS = _next(), _next(), _next()
ACCUMULATE = _next()
BIAS = _next()  # the address of one number for each lane, if results are finished
# Bytes from one place of a window to the next, and between vectors from tap to tap.
WINDOW_SCALARS, WINDOW_VECTORS = _next(), _next()
ARGUMENTS = _next()
# Ranges of lanes whose panels are equally wide, the widest ones first, with that width.
Panels = tuple[tuple[range, int], ...]
# Vectors that are read whole for the sake of some of their numbers.
_MOST_WHOLE = 2


@dataclass(frozen=True, slots=True)
class Spread:
    """A value of the first factor for some neighbouring lanes each: groups share out the lanes.

    Attributes:
        each: how many lanes share a value; so many divide those of a panel.
        step: numbers from one value to the next, in memory.
    """

    each: int
    step: int

    def period(self, lanes: int) -> int:
        """After how many vectors lanes meet values as at the first one."""
        return lcm(self.each, lanes) // lanes

    def places(self, vector: int, lanes: int) -> list[int]:
        """For each lane of a vector of a panel how many numbers lie before its value."""
        first = vector * lanes
        return [(first + lane) // self.each * self.step for lane in range(lanes)]

    def is_read_whole(self, places: Sequence[int]) -> bool:
        """Whether vectors are read for the sake of some of their numbers; else one at a time."""
        vectors = _spanned(places)
        return vectors <= _MOST_WHOLE and vectors < len(set(places))

    def is_shared(self, vectors: int, lanes: int, further: int) -> bool:
        """Whether vectors of memory that are read whole have what lies so many numbers further."""
        every = (self.places(vector, lanes) for vector in range(vectors))
        return all(_spanned(one, further) <= _MOST_WHOLE for one in every)

    def loads(self, vectors: int, lanes: int) -> int:
        """How often memory is read for some vectors of a panel."""
        every = [self.places(vector, lanes) for vector in range(vectors)]
        return sum(_spanned(one) if self.is_read_whole(one) else len(set(one)) for one in every)


def _spanned(places: Sequence[int], further: int = 0) -> int:
    """How many vectors hold the numbers for the lanes of one, and those so much further on."""
    return (places[-1] + further - places[0]) // len(places) + 1


@dataclass(frozen=True, slots=True)
class Tile:
    """The sums that stay in registers.

    Attributes:
        vectors: vectors of the tile; a panel is as wide.
        elementwise: whether the first factor has a value for each lane, instead of one a row.
        spread: how the first factor has a value for some lanes each, if it has.
        uniform: whether the second factor has one value for all lanes; then the first one is
            elementwise.
        halved: whether vectors are half as wide as registers. Some processors multiply twice as
            many of these in the same time, so that lanes that nobody needs cost nothing.
    """

    rows: int
    vectors: int
    elementwise: bool = False
    halved: bool = False
    spread: Spread | None = None
    uniform: bool = False

    @property
    def varies(self) -> bool:
        """Whether lanes of a row differ in the first factor; if not, a single number is read."""
        return self.elementwise or self.spread is not None

    @property
    def form(self) -> str:
        """It, in a word."""
        ways = "e" * self.elementwise + "h" * self.halved + "u" * self.uniform
        shared = "" if self.spread is None else f"s{self.spread.each}by{self.spread.step}"
        return f"{self.rows}x{self.vectors}{ways}{shared}"


def fitting_tile(vectors: int, elementwise: bool = False) -> Tile:
    """The tile that uses the registers best for a result that is so many vectors wide."""
    available = registers()[0]
    wide = even_panels(vectors, widest_tile(elementwise))[0]
    # Beside the sums there are a row of vectors and what they are multiplied with.
    others = 2 * wide if elementwise else wide + 1
    # The address of each row takes a register of another kind, of which there are few.
    return Tile(min((available - others) // wide, 9 if elementwise else 8), wide, elementwise)


def even_panels(vectors: int, most: int) -> tuple[int, ...]:
    """How many vectors each panel has, if none has more than so many: all alike, or some one less.

    So nothing is multiplied in vain where the last panel would be half empty.

    Example:
        >>> even_panels(14, 4), even_panels(5, 4), even_panels(8, 4)
        ((4, 4, 3, 3), (3, 2), (4, 4))
    """
    panels = -(-vectors // most)
    each, wider = divmod(vectors, panels)
    return (each + 1,) * wider + (each,) * (panels - wider)


def panels_of(lanes: int, vector: int, most: int) -> Panels:
    """Lanes in panels of at most so many vectors: ranges whose panels are equally wide.

    Args:
        vector: lanes of one.

    Returns:
        Each range, the one with the widest panels first, and how many lanes one of its panels has.

    Example:
        >>> panels_of(50, vector=8, most=4)
        ((range(0, 32), 32), (range(32, 50), 24))
    """
    panels = even_panels(-(-lanes // vector), most)
    wide, narrow = panels[0] * vector, panels[-1] * vector
    end = min(lanes, panels.count(panels[0]) * wide)
    found = (range(end), wide), (range(end, lanes), narrow)
    return found if end < lanes else found[:1]


def widest_tile(elementwise: bool = False) -> int:
    """How many vectors a tile has at most."""
    return 2 if elementwise or registers()[0] == 16 else 4


@cache
def kernel(dtype: str, tile: Tile, finish: Finish = RAW) -> Native:
    """The kernel for one kind of numbers, one tile, and what is done to finished sums."""
    name = f"products_{tile.form}{finish.name}_{dtype}"
    return build(name, dtype, lambda emitter: Nest(emitter, tile, finish).write(), (tile, finish))


class Lanes(NamedTuple):
    """Where a vector of a panel lies.

    Attributes:
        offset: bytes behind where the panel begins.
        mask: of its lanes, if it has not all of them.
    """

    offset: Int | int
    mask: Any = None


class Nest:
    """Writes the loop nest: batch, taps, rows, panels, and a tile of sums in registers."""

    def __init__(self, emitter: Emitter, tile: Tile, finish: Finish) -> None:
        self.e = emitter
        if tile.halved:
            emitter.halve()
        self.tile = tile
        self.finish = finish
        self.arguments = [emitter.argument(place) for place in range(ARGUMENTS)]

    def write(self) -> None:
        """All products, one after the other."""
        a, e = self.arguments, self.e
        e.repeat(0, a[BATCH], lambda batch: self._chunks(self._bases(batch)))

    def _bases(self, batch: Int) -> list[Int]:
        a, e = self.arguments, self.e
        return [
            a[base] + e.entry_of(a[table], batch)
            for base, table in (
                (SCALARS, BATCH_SCALARS), (VECTORS, BATCH_VECTORS), (OUT, BATCH_OUT)
            )
        ]  # fmt: skip

    def _chunks(self, bases: list[Int]) -> None:
        """As many taps at once as keep a panel of vectors in cache; later ones add to the sums."""
        a, e = self.arguments, self.e

        def chunk(first: Int) -> None:
            last = (first + a[TAPS_AT_ONCE]).least(a[TAPS])
            fresh = e.builder.and_(first.equals(0), a[ACCUMULATE].equals(0))

            def rows(start: Int) -> None:
                stop = (start + a[ROWS_AT_ONCE]).least(a[ROW_STOP])
                self._panels(bases, (start, stop), (first, last), fresh)

            e.repeat(a[ROW_START], a[ROW_STOP], rows, a[ROWS_AT_ONCE])

        e.repeat(0, a[TAPS], chunk, a[TAPS_AT_ONCE])

    def _panels(
        self, bases: list[Int], rows: tuple[Int, Int], taps: tuple[Int, Int], fresh: Any
    ) -> None:
        a, e = self.arguments, self.e
        wide, skew = self.tile.vectors * e.number.lanes, self._skew(bases[0])

        def panel(place: Int) -> None:
            # The lanes before the first whole vector have a panel of their own.
            early = place < 0
            start = e.chosen(early, e.whole(0), skew + place * wide)
            left = e.chosen(early, skew, a[LANES] - start)
            here = [base + self._moved(n, place, start) for n, base in enumerate(bases)]
            here.append(a[BIAS] + start * e.number.size)
            if self.tile.spread is not None:  # lanes of groups fill all panels
                self._rows(here, rows, taps, fresh, self._whole())
                return
            e.when(
                left >= wide,
                lambda: self._rows(here, rows, taps, fresh, self._whole()),
                lambda: self._few_lanes(left, partial(self._rows, here, rows, taps, fresh)),
            )

        first = e.chosen(skew.equals(0), e.whole(0), e.whole(-1))
        e.repeat(first, (a[LANES] - skew + (wide - 1)) // wide, panel)

    def _whole(self) -> list[Lanes]:
        """The vectors of a panel that is full."""
        return [Lanes(self.e.number.bytes * vector) for vector in range(self.tile.vectors)]

    def _few_lanes(self, left: Int, work: Callable[[list[Lanes]], None]) -> None:
        """Do something for the vectors of a panel with so few lanes that it is not full."""
        number, whole = self.e.number, self._whole()
        masks = [self.e.first_lanes(left - number.lanes * n) for n in range(len(whole))]
        masked = [place._replace(mask=mask) for place, mask in zip(whole, masks, strict=True)]
        if number.has_masks or len(whole) == 1:
            work(masked)
            return
        # What does not fit in ends where the last one does: some lanes are made twice. All are read
        # before any is written.
        end = (left - number.lanes) * number.size
        within = [Lanes(end.least(n * number.bytes)) for n in range(len(whole))]
        self.e.when(left >= number.lanes, lambda: work(within), lambda: work(masked[:1]))

    def _moved(self, which: int, panel: Int, lane: Int) -> Int:
        """Bytes to a panel, and its lane, of the first factor, the second one, or the sums."""
        if which == 1 and self.tile.uniform:
            return self.e.whole(0)
        if which == 1 and not self.tile.elementwise:
            return panel * self.arguments[PANEL_VECTORS]
        if which > 0 or self.tile.elementwise:
            return lane * self.e.number.size
        spread = self.tile.spread
        if spread is None:
            return self.e.whole(0)
        return lane // spread.each * (spread.step * self.e.number.size)

    def _skew(self, address: Int) -> Int:
        """How many lanes lie before vectors that lie on one line of the cache, if that matters.

        They are fewer than a vector has, so that one panel has room for them.
        """
        if not self.tile.elementwise:
            return self.e.whole(0)
        size = self.e.number.size
        vector = size * self.e.number.lanes
        before = (self.e.whole(vector) - address % vector) % vector // size
        early = before.least(self.arguments[LANES])
        return self.e.chosen(self.arguments[ALIGNED].equals(0), self.e.whole(0), early)

    def _rows(
        self,
        bases: list[Int],
        rows: tuple[Int, Int],
        taps: tuple[Int, Int],
        fresh: Any,
        vectors: list[Lanes],
    ) -> None:
        e, high = self.e, self.tile.rows
        start, stop = rows
        edge = start + (stop - start) // high * high

        def tile(row: Int) -> None:
            self._fetch(bases[0], row + high, edge)
            self._tile(bases, (row, high), taps, fresh, vectors)

        e.repeat(start, edge, tile, high)
        for rest in self._remainders():
            with e.builder.if_then((stop - edge).equals(rest)):
                self._tile(bases, (edge, rest), taps, fresh, vectors)

    def _remainders(self) -> Sequence[int]:
        """How many rows the last tile may have, if it has fewer than the others."""
        return range(1, self.tile.rows)

    def _fetch(self, scalars: Int, row: Int, edge: Int) -> None:
        """Ask for the next tile's rows: without windows nothing has read them before."""
        e, a = self.e, self.arguments
        if self.tile.elementwise:
            return
        alone = e.builder.and_(a[TAPS].equals(1), a[RUN_SCALARS].equals(e.number.size))
        with e.builder.if_then(e.builder.and_(alone, row < edge)):
            bytes_a_row = a[RUN] * e.number.size
            for n in range(self.tile.rows):
                start = scalars + e.entry_of(a[ROW_SCALARS], row + n)
                self._fetch_row(start, bytes_a_row)

    def _fetch_row(self, start: Int, size: Int) -> None:
        self.e.repeat(0, size, lambda at: self.e.prefetch(start + at), LINE)

    def _tile(
        self,
        bases: list[Int],
        where: tuple[Int, int],
        taps: tuple[Int, Int],
        fresh: Any,
        vectors: list[Lanes],
    ) -> None:
        a, e = self.arguments, self.e
        row, rows = where
        scalars, panel, out, bias = bases
        starts = self._starts(scalars, row, rows)
        lines = [out + e.entry_of(a[ROW_OUT], row + n) for n in range(rows)]
        places = [line + vector.offset for line in lines for vector in vectors]
        masks = [vector.mask for vector in vectors] * rows
        sums = [e.zero() for _ in places]

        def tap(which: Int, sums: list[Vector]) -> list[Vector]:
            offset = e.entry_of(a[TAP_SCALARS], which)
            weights = panel + e.entry_of(a[TAP_VECTORS], which)
            carried: list[Int | Vector] = [offset, weights, *sums]
            return e.loop(0, a[RUN], carried, lambda _, c: self._step(starts, c, vectors))[2:]

        some = e.loop(*taps, sums, tap)
        # A chunk is summed by itself, then added: long sums round less than in one line.
        sums = e.either(
            fresh,
            lambda: some,
            lambda: [
                total + e.load(place, mask)
                for total, place, mask in zip(some, places, masks, strict=True)
            ],
        )
        if self.finish != RAW:
            last = taps[1].equals(a[TAPS])
            raw = list(sums)
            sums = e.either(last, lambda: self._finished(raw, bias, vectors), lambda: raw)
        for place, total, mask in zip(places, sums, masks, strict=True):
            e.store(total, place, mask)

    def _starts(self, scalars: Int, row: Int, rows: int) -> list[Int]:
        """Where the rows of a tile begin."""
        table = self.arguments[ROW_SCALARS]
        return [scalars + self.e.entry_of(table, row + n) for n in range(rows)]

    def _finished(self, sums: list[Vector], bias: Int, vectors: list[Lanes]) -> list[Vector]:
        return [
            finished(self.e, self.finish, total, bias + place.offset, place.mask)
            for total, place in zip(sums, cycle(vectors), strict=False)
        ]

    def _step(self, starts: list[Int], carried: list[Any], vectors: list[Lanes]) -> list[Any]:
        a, e = self.arguments, self.e
        offset, weights, *sums = carried
        wide = len(vectors)
        right = self._right(weights, vectors)
        for n, start in enumerate(starts):
            left = self._left(start + offset, vectors)
            for v in range(wide):
                sums[n * wide + v] = e.multiply_add(left[v], right[v], sums[n * wide + v])
        return [offset + a[RUN_SCALARS], weights + a[RUN_VECTORS], *sums]

    def _right(self, address: Int, vectors: list[Lanes]) -> list[Vector]:
        if self.tile.uniform:
            return [self.e.broadcast(address)] * len(vectors)
        return self._lanes(address, vectors)

    def _lanes(self, address: Int, vectors: list[Lanes]) -> list[Vector]:
        return [self.e.load(address + place.offset, place.mask) for place in vectors]

    def _left(self, address: Int, vectors: list[Lanes]) -> list[Vector]:
        if self.tile.elementwise:
            return self._lanes(address, vectors)
        spread, e = self.tile.spread, self.e
        if spread is None:
            return [e.broadcast(address)] * len(vectors)
        every = [spread.places(vector, e.number.lanes) for vector in range(len(vectors))]
        return [
            e.picked(address, [one])[0] if spread.is_read_whole(one) else e.collected(address, one)
            for one in every
        ]
