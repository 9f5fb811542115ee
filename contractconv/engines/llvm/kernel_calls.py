"""A block of a sum of products as a call of a kernel: which loops there are, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native, window_loops
from contractconv.engines.llvm.kernels import product_loops as kernel
from contractconv.engines.llvm.kernels.epilogue_code import Finish
from contractconv.engines.llvm.kernels.number_kinds import Number
from contractconv.engines.llvm.kernels.window_loops import Window
from contractconv.engines.llvm.loop_nest import Along, Nest, along
from contractconv.engines.llvm.program import Calls, Place
from contractconv.machine.placement import LINE
from contractconv.notation.contributing import inside
from contractconv.notation.problem import Access
from contractconv.planning.cost import volume

# Bytes of a panel of vectors: beside a small result it stays in the first level of cache,
# a larger result is read again for every panel, so the panel fills half of the second level.
_SMALL_PANEL, _LARGE_PANEL = 1 << 15, 1 << 18
# Bytes that rows read and write before the next panel of groups does.
_SOME_ROWS = 1 << 17
# Products that are summed in one line, beside a small result and a large one, whose sums are
# seldom long.
_SMALL_CHUNK, _LARGE_CHUNK = 512, 1024
# Steps of a run whose panel of vectors stays in cache.
_LONG_RUN = 256
# Vectors that are worth one more so that they begin at a line of the cache.
_LONG = 4
# Steps of a sum that are worth a read and a write of its result.
_FEW_STEPS = 64

# Returns the table of offsets for loops of some sizes and steps.
Tables = Callable[[tuple[tuple[int, int], ...]], Array]
# Its size, and the bytes that it steps by in the scalars and in the vectors.
Loop = tuple[int, int, int]


class Factor(NamedTuple):
    """Where an operand, or the result, lies.

    Attributes:
        place: of its first number.
        steps: bytes along each index.
        panel: numbers of the widest panel along the lanes, or along the last of the rows, if it is
            copied panel by panel; then its step there is that over whole panels, for each number.
    """

    place: Place
    steps: Mapping[str, int]
    panel: int = 0

    def moved(self, name: str, by: int) -> Factor:
        """The same, so many values of an index further on."""
        offset = self.place.offset + by * self.steps.get(name, 0)
        return self._replace(place=self.place._replace(offset=offset))


class Bounds(NamedTuple):
    """The axis along which a window runs, outside of which it reads nothing.

    Attributes:
        access: of the operand of the rows.
        stride: bytes from one place of the axis to the next.
    """

    access: Access
    stride: int

    def inside(self, window: Along) -> range:
        """The rows whose windows have all of their places inside."""
        steps, taps = dict(self.access.terms), window.window.taps
        ends = sorted((0, steps[window.tap] * (taps - 1)))
        low, high = (self.access.offset + end for end in ends)
        first, last = inside(steps[window.rows[-1]], low, high - self.access.size + 1)
        return range(max(0, first), max(0, first, last + 1))

    def leave_out(self, window: Along, start: int, rows: int) -> Window:
        """The window of a tile of so many rows, without the places that lie outside."""
        high = rows // window.window.lines
        moved = dict(self.access.terms)[window.rows[-1]] * (start % window.length)
        first = self.access.offset + moved
        step = window.bytes_a_place // self.stride
        count = sum(1 for _ in window.window.meetings(high))
        places = [first + step * (n - window.window.before) for n in range(count)]
        inside = [n for n, place in enumerate(places) if 0 <= place < self.access.size]
        early = inside[0] if inside else count
        late = count - 1 - inside[-1] if inside else 0
        return replace(window.window, early=early, late=late)


@dataclass(frozen=True, slots=True)
class Sums:
    """A block of sums of products.

    Attributes:
        bias: what is added along the last axis.
        bounds: outside of what a window reads nothing.
    """

    dtype: str
    nest: Nest
    extents: Mapping[str, int]
    scalars: Factor
    vectors: Factor
    out: Factor
    adding: bool
    finish: Finish
    bias: Place | int
    bounds: Bounds | None = None

    def append_to(self, calls: Calls, tables: Tables) -> None:
        """Append the calls that make them."""
        number = native.number(self.dtype)
        window = None
        if not (self.vectors.panel or self.scalars.panel):
            window = along(self.nest, self.extents, self.scalars.steps, number.lanes)
        for lanes in self._panels_alike(number) if window is None else [range(self._width)]:
            self._only(lanes)._append(calls, tables, window)

    @property
    def _width(self) -> int:
        return self.nest.width(self.extents)

    def _panels_alike(self, number: Number) -> list[range]:
        """The lanes, those together whose panels are equally wide."""
        tile = self.nest.tile
        if tile.varies:
            return [range(self._width)]
        return [lanes for lanes, _ in kernel.panels_of(self._width, number.lanes, tile.vectors)]

    def _only(self, lanes: range) -> Sums:
        """The sums of some of the lanes."""
        if len(lanes) == self._width:
            return self
        lane, size, start = self.nest.lane, native.number(self.dtype).size, lanes.start
        bias = self.bias
        if isinstance(bias, Place):
            bias = bias._replace(offset=bias.offset + start * size)
        return replace(
            self, extents={**self.extents, lane: len(lanes)}, bias=bias,
            vectors=self.vectors.moved(lane, start), out=self.out.moved(lane, start),
        )  # fmt: skip

    def _append(self, calls: Calls, tables: Tables, window: Along | None) -> None:
        number = native.number(self.dtype)
        tile = self._fitting(window, number)
        rows = self.nest.rows if window is None else window.rows
        outer = (*self.nest.batch, *(name for name in self.nest.rows if name not in rows))
        written = 1 if window is None else window.window.taps
        loops = taps_and_run(self._loops(window), tile.elementwise, _SMALL_CHUNK // written)
        arguments = {
            **self._places(outer, rows, tables),
            **self._panels(tile),
            **_summed(*loops, tables),
            kernel.TAPS_AT_ONCE: self._at_once(*loops, tile, window),
            kernel.ACCUMULATE: int(self.adding),
            kernel.BIAS: self.bias,
        }
        if window is None:
            calls.call(kernel.kernel(self.dtype, tile, self.finish), arguments)
            return
        arguments[kernel.WINDOW_SCALARS] = window.bytes_a_place
        arguments[kernel.WINDOW_VECTORS] = self.vectors.steps.get(window.tap, 0)
        every = range(arguments[kernel.ROW_STOP])
        whole = every if self.bounds is None else self.bounds.inside(window)
        for start, stop in _rows_at_once(every, whole, tile):
            form = window.window
            if self.bounds is not None and not (start in whole and stop - 1 in whole):
                form = self.bounds.leave_out(window, start, stop - start)
            function = window_loops.kernel(self.dtype, tile, form, self.finish)
            calls.call(function, {**arguments, kernel.ROW_START: start, kernel.ROW_STOP: stop})

    def _fitting(self, window: Along | None, number: Number) -> kernel.Tile:
        """A tile with vectors no wider than they have to be, and values where they lie."""
        tile, windowless = self.nest.tile if window is None else window.tile, window is None
        width = self._width
        if tile.spread is not None:
            step = self.scalars.steps[self.nest.lanes[0]] // number.size
            tile = replace(tile, spread=replace(tile.spread, step=step))
        else:  # at the edge of a result, or where panels are narrower
            own = kernel.fitting_tile(-(-width // number.lanes), tile.elementwise)
            if own.vectors < tile.vectors and (windowless or own.vectors * number.lanes >= width):
                tile = replace(tile, rows=own.rows, vectors=own.vectors)
        return replace(tile, halved=width <= number.lanes // 2 and not tile.elementwise)

    def _places(
        self, outer: tuple[str, ...], rows: tuple[str, ...], tables: Tables
    ) -> dict[int, Any]:
        """Where everything lies, and the loops over results."""

        def table(labels: Iterable[str], factor: Factor) -> Array:
            return tables(tuple((self.extents[n], factor.steps.get(n, 0)) for n in labels))

        return {
            kernel.SCALARS: self.scalars.place,
            kernel.VECTORS: self.vectors.place,
            kernel.OUT: self.out.place,
            kernel.BATCH: volume(outer, self.extents),
            kernel.BATCH_SCALARS: table(outer, self.scalars),
            kernel.BATCH_VECTORS: table(outer, self.vectors),
            kernel.BATCH_OUT: table(outer, self.out),
            kernel.ROW_STOP: volume(rows, self.extents),
            kernel.ROW_SCALARS: self._row_scalars(rows, tables),
            kernel.ROW_OUT: table(rows, self.out),
        }

    def _row_scalars(self, rows: tuple[str, ...], tables: Tables) -> Array:
        """The table of where rows begin."""
        loops = tuple((self.extents[n], self.scalars.steps.get(n, 0)) for n in rows)
        wide = self.scalars.panel
        if not wide:
            return tables(loops)
        (count, step), size = loops[-1], native.number(self.dtype).size
        within = tables(((-(-count // wide), wide * step), (wide, size)))[:count]
        return np.add.outer(tables(loops[:-1]), within).reshape(-1)

    def _panels(self, tile: kernel.Tile) -> dict[int, Any]:
        """The loop over the lanes."""
        lanes, rows = self.nest.width(self.extents), volume(self.nest.rows, self.extents)
        others = (step for name, step in self.scalars.steps.items() if name != self.nest.lane)
        number = native.number(self.dtype)
        long = lanes >= _LONG * number.lanes
        panel = self.vectors.panel
        step = self.vectors.steps[self.nest.lane] if panel else number.size
        return {
            kernel.ROWS_AT_ONCE: self._rows_a_panel(tile, rows),
            kernel.LANES: lanes,
            kernel.PANEL_VECTORS: step * (panel or tile.vectors * number.lanes),
            kernel.ALIGNED: int(tile.elementwise and long and not any(s % LINE for s in others)),
        }

    def _rows_a_panel(self, tile: kernel.Tile, rows: int) -> int:
        """How many rows one panel goes through before the next one does."""
        if tile.elementwise:
            # Nothing is used twice but by the next panel: it comes soon.
            return tile.rows
        if tile.spread is None:
            return rows
        # Groups of all panels lie side by side in a row: they stay in cache for the next one.
        size = native.number(self.dtype).size
        bytes_a_row = self.nest.width(self.extents) * size
        bytes_a_row += self.extents[self.nest.lanes[0]] * self.scalars.steps[self.nest.lanes[0]]
        return max(1, _SOME_ROWS // (bytes_a_row * tile.rows)) * tile.rows

    def _loops(self, window: Along | None) -> list[Loop]:
        """The summed indices as loops, without the taps that are written out."""
        loops: list[Loop] = []
        for name in self.nest.summed:
            taps = window.window.taps if window is not None and window.tap == name else 1
            first, second = (taps * f.steps.get(name, 0) for f in (self.scalars, self.vectors))
            # What is left of the window comes first: then lines that follow each other share
            # numbers.
            place = 0 if taps > 1 else len(loops)
            loops.insert(place, (self.extents[name] // taps, first, second))
        return loops or [(1, 0, 0)]

    def _at_once(self, taps: list[Loop], run: Loop, tile: kernel.Tile, window: Along | None) -> int:
        """How many taps are summed before the next panel begins."""
        number, lanes = native.number(self.dtype), self.nest.width(self.extents)
        wide = tile.vectors * number.bytes
        rows = volume(self.nest.rows, self.extents)
        is_small = rows * lanes * number.size <= _LARGE_PANEL
        panel = _SMALL_PANEL if is_small else _LARGE_PANEL
        written = 1 if window is None else window.window.taps
        short = (_SMALL_CHUNK if is_small else _LARGE_CHUNK) // (run[0] * written)
        taken = min(panel // (run[0] * wide), short)
        if tile.elementwise and not tile.uniform and taken * run[0] > _FEW_STEPS:
            # All lanes are met at some steps before the next ones: they are neighbours in memory.
            taken = min(_SMALL_PANEL // (run[0] * written * lanes * number.size), short)
        return max(1, taken)


def _summed(taps: list[Loop], run: Loop, tables: Tables) -> dict[int, Any]:
    """The loops over what is summed."""
    return {
        kernel.TAPS: prod(size for size, _, _ in taps),
        kernel.TAP_SCALARS: tables(tuple((size, step) for size, step, _ in taps)),
        kernel.TAP_VECTORS: tables(tuple((size, step) for size, _, step in taps)),
        kernel.RUN: run[0],
        kernel.RUN_SCALARS: run[1],
        kernel.RUN_VECTORS: run[2],
    }


def _rows_at_once(rows: range, whole: range, tile: kernel.Tile) -> Iterator[tuple[int, int]]:
    """Rows along a window that are gone through together: all, line by line as they lie in memory.

    Elementwise, tiles that are not ``whole``, as they reach outside, are written differently: each
    of them has a call.
    """
    if not tile.elementwise:
        yield 0, len(rows)
        return
    high, count = tile.rows, len(rows)
    first = min(-(-whole.start // high) * high, count)
    last = max(first, count if whole.stop >= count else whole.stop // high * high)
    for begin, end, step in ((0, first, high), (first, last, last - first), (last, count, high)):
        for start in range(begin, end, step or high):
            yield start, min(start + step, end)


def taps_and_run(
    loops: Iterable[Loop], nearest: bool = False, most: int = _SMALL_CHUNK
) -> tuple[list[Loop], Loop]:
    """Loops as those over the taps and the one inside them, the run.

    Neighbouring loops that go on where the inner one ends are one loop. The longest one is the
    run, or the ``nearest`` in memory; a very long one is cut, so that its panel of vectors stays
    in cache, and so that no more than ``most`` products are summed in one line.
    """
    merged: list[Loop] = []
    for size, first, second in loops:
        goes_on = merged and merged[-1][1:] == (first * size, second * size)
        merged.append((size * (merged.pop()[0] if goes_on else 1), first, second))
    # From sixteen steps on a run is long enough: then neighbours in memory are better.
    run = merged.pop(max(range(len(merged)), key=lambda n: (nearest or min(merged[n][0], 16), n)))
    return _shortened(merged, run, min(most, _LONG_RUN))


def _shortened(taps: list[Loop], run: Loop, most: int) -> tuple[list[Loop], Loop]:
    size, first, second = run
    short = next((n for n in range(most, 3, -1) if size % n == 0), size) if size > most else size
    if short == size:
        return taps, run
    return [*taps, (size // short, first * short, second * short)], (short, first, second)
