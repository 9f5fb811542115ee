"""Toom-Cook by compiled kernels: tiles are transformed, multiplied and collected in cache.

The three roles of one decomposition share two schemes. For a result (or an input gradient, which
is a result of another string) the transformed kernel is multiplied with transformed tiles; for a
weight gradient transformed tiles of both operands are multiplied, and the products are summed over
the tiles before they are transformed back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from contractconv.calculus.decompositions import Decomposition, decomposition
from contractconv.execution.direct import KINDS
from contractconv.execution.sequence import Place, Program, offsets
from contractconv.execution.sequence import Sequence as Calls
from contractconv.execution.staging import steps_of
from contractconv.execution.threads import get_num_threads
from contractconv.execution.tiles import Axis, axes_of, element_table
from contractconv.execution.views import Array
from contractconv.kernels import native
from contractconv.kernels import products as multiply
from contractconv.kernels import transforms
from contractconv.kernels.finish import RAW, Finish
from contractconv.kernels.transforms import Transform
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.phases import Window

# Bytes of scratch that a thread works in: most of a second level of cache.
_SCRATCH = 768 << 10
_DEEP = 1 << 20
_LINE = 64  # bytes between matrices of products, so that they do not share their place in cache

Strides = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """An operand, or the result, as the kernels see it.

    Attributes:
        region: its name among the regions of memory.
        steps: for each index, bytes from one value to the next.
        start: bytes to its first point, where window axes begin at position 0.
    """

    region: str
    steps: Mapping[str, int]
    start: int


def prepared(
    problem: Problem,
    windows: Sequence[Window],
    outputs: Sequence[int],
    strides: tuple[Strides, Strides, Strides],
    dtype: np.dtype[Any],
    accumulate: bool,
    finish: Finish = RAW,
) -> Program | None:
    """Make a leaf ready to run.

    Args:
        problem: a leaf of two operands, summed; both steps of a window have one absolute value.
        windows: its windows, all of one operand, the data, and of one role.
        outputs: for each window how many results a tile covers.
        strides: of the operands in their order and of the result, in bytes.
        dtype: of all three.
        accumulate: whether results are added to what is there.
        finish: what is done to the result; a bias is along its last axis.

    Returns:
        What to run on the regions ``"data"`` and ``"other"``; ``None`` if there is no kernel for
        it.
    """
    name = KINDS.get(dtype)
    if name is None or not native.available():
        return None
    return _prepared(
        problem, tuple(windows), tuple(outputs), strides, name, accumulate, finish,
        get_num_threads(),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _prepared(
    problem: Problem,
    windows: tuple[Window, ...],
    outputs: tuple[int, ...],
    strides: tuple[Strides, Strides, Strides],
    dtype: str,
    accumulate: bool,
    finish: Finish,
    threads: int,
) -> Program | None:
    layer = _Layer.of(problem, windows, outputs, strides, dtype)
    if layer is None or (finish != RAW and not _finishes(problem, windows)):
        return None
    if windows[0].role == "kernel":
        return _WeightGradient(layer, accumulate, threads).build()
    deep = _Deep(layer, accumulate, threads, finish)
    return deep.build() if deep.pays else _Forward(layer, accumulate, threads, finish).build()


def _finishes(problem: Problem, windows: Sequence[Window]) -> bool:
    """Whether the channels of the result are its last axis, each tile being complete at once."""
    found = lanes(problem, windows)
    last = problem.output[-1].plain if problem.output else None
    return windows[0].role == "forward" and found is not None and found[1] == (last,)


@dataclass(frozen=True, slots=True)
class _Lane:
    """Channels: how many, and the bytes from one to the next on either side that has them."""

    size: int
    first: int
    second: int


@dataclass(frozen=True)
class _Layer:
    """A leaf whose indices have found their places."""

    problem: Problem
    axes: tuple[Axis, ...]
    parts: tuple[Decomposition, ...]
    data: _Side
    other: _Side
    out: _Side
    lines: tuple[str, ...]
    batch: tuple[str, ...]
    channels: _Lane  # of the data, and of what else has them
    columns: _Lane  # of the other operand, and of the result
    window_steps: tuple[int, ...]  # of the data: bytes from one position to the next
    dtype: str

    @staticmethod
    def of(
        problem: Problem,
        windows: tuple[Window, ...],
        outputs: tuple[int, ...],
        strides: tuple[Strides, Strides, Strides],
        dtype: str,
    ) -> _Layer | None:
        which = windows[0].operand
        data, other = problem.operands[which], problem.operands[1 - which]
        opened = {n for w in windows for n in (w.result, w.tap)}
        groups = _groups(problem, data, other, opened, windows[0].role)
        if groups is None:
            return None
        lines, batch, channels, columns = groups
        sides = [
            _Side(region, steps_of(term, stride), _start(term, stride, opened))
            for region, term, stride in (
                ("data", data, strides[which]),
                ("other", other, strides[1 - which]),
                ("out", problem.output, strides[2]),
            )
        ]
        meeting = sides[1] if windows[0].role == "forward" else sides[2]
        lanes = (
            _lane(channels, problem, sides[0].steps, meeting.steps),
            _lane(columns, problem, sides[1].steps, sides[2].steps),
        )
        if lanes[0] is None or lanes[1] is None or _pads(problem, windows):
            return None
        # What lies outside of an array is read from a row of zeros: channels must be neighbours.
        apart = [lanes[0].first, lanes[1].second]
        apart += [lanes[1].first] if windows[0].role == "kernel" else []
        sizes = [lanes[0].size, lanes[1].size, lanes[1].size]
        size = native.number(dtype).size
        if any(n > 1 and step != size for n, step in zip(sizes, apart, strict=False)):
            return None
        axes = axes_of(problem, which, [(w.axis, w.result, w.tap) for w in windows], outputs)
        parts = tuple(decomposition(a.outputs, a.taps) for a in axes)
        steps = tuple(strides[which][w.axis] for w in windows)
        return _Layer(problem, axes, parts, *sides, lines, batch, lanes[0], lanes[1], steps, dtype)

    @property
    def products(self) -> int:
        return prod(part.products for part in self.parts)

    @property
    def tiles_a_line(self) -> int:
        return prod(axis.tiles for axis in self.axes)

    def loops(self, labels: Sequence[str], side: _Side) -> list[tuple[int, int]]:
        return [(self.problem.extents[n], side.steps.get(n, 0)) for n in labels]

    @property
    def tiles(self) -> int:
        return self.tiles_a_line * prod(self.problem.extents[n] for n in self.lines)

    def data_table(self) -> Array:
        return element_table([axis.data_places() for axis in self.axes], self.window_steps)

    def result_table(self, side: _Side) -> Array:
        steps = [side.steps[axis.result] for axis in self.axes]
        return element_table([axis.result_places() for axis in self.axes], steps)

    def tap_table(self, side: _Side) -> Array:
        steps = [side.steps[axis.tap] for axis in self.axes]
        return element_table([axis.tap_places() for axis in self.axes], steps)

    def batches(self) -> Iterator[tuple[int, int, int]]:
        """For every value of the batch indices the bytes to add to each side."""
        tables = [offsets(*self.loops(self.batch, s)) for s in (self.data, self.other, self.out)]
        for a, b, c in zip(*tables, strict=True):
            yield self.data.start + int(a), self.other.start + int(b), self.out.start + int(c)


def _pads(problem: Problem, windows: Sequence[Window]) -> bool:
    """Whether an operand is read outside of itself along an axis that is not decomposed."""
    opened = {(w.operand, w.axis) for w in windows}
    for number, term in enumerate(problem.operands):
        for axis, access in enumerate(term):
            low, high = access.reach(problem.extents)
            if (number, axis) not in opened and (low < 0 or high >= access.size):
                return True
    return False


def lanes(
    problem: Problem, windows: Sequence[Window]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The indices that kernels run along: in the data, and in the result.

    Returns:
        Both; ``None`` if an index has no place in the scheme.
    """
    which = windows[0].operand
    data, other = problem.operands[which], problem.operands[1 - which]
    opened = {n for w in windows for n in (w.result, w.tap)}
    groups = _groups(problem, data, other, opened, windows[0].role)
    return None if groups is None else (groups[2], groups[3])


Groups = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _groups(
    problem: Problem, data: Accesses, other: Accesses, opened: set[str], role: str
) -> Groups | None:
    """The other indices by who has them: lines of tiles, batch, channels, columns."""
    of_data, of_other = _names(data) - opened, _names(other) - opened
    kept = problem.kept - opened
    lines, channels, columns, batch = set(), set(), set(), set()
    for name in (n for n in problem.indices if n not in opened):
        if name in of_data and name in of_other:
            summed = channels if role == "forward" else lines
            (batch if name in kept else summed).add(name)
        elif name in of_data and name in kept:
            (lines if role == "forward" else channels).add(name)
        elif name in of_other and name in kept:
            columns.add(name)
        else:
            return None
    order = [tuple(n for n in problem.indices if n in group) for group in
             (lines, batch, channels, columns)]  # fmt: skip
    return order[0], order[1], order[2], order[3]


def _names(term: Accesses) -> set[str]:
    return {name for access in term for name in access.names}


def _start(term: Accesses, strides: Strides, opened: set[str]) -> int:
    """Bytes to the first point; axes of the data that are opened begin at position 0."""

    def windowed(access: Access) -> bool:
        return len(access.terms) == 2 and set(access.names) <= opened

    return sum(a.offset * s for a, s in zip(term, strides, strict=True) if not windowed(a))


def _lane(
    labels: tuple[str, ...], problem: Problem, first: Mapping[str, int], second: Mapping[str, int]
) -> _Lane | None:
    """Several indices as one, if they lie in memory like one."""
    loops = [(problem.extents[n], first.get(n, 0), second.get(n, 0)) for n in labels]
    loops = sorted((loop for loop in loops if loop[0] > 1), key=lambda loop: abs(loop[1]))
    if not loops:
        return _Lane(1, *_single(labels, first, second))
    size, a, b = loops[0]
    for outer in loops[1:]:
        if outer[1:] != (a * size, b * size):
            return None
        size *= outer[0]
    return _Lane(size, a, b)


def _single(
    labels: tuple[str, ...], first: Mapping[str, int], second: Mapping[str, int]
) -> tuple[int, int]:
    return (first.get(labels[0], 0), second.get(labels[0], 0)) if labels else (0, 0)


class _Scheme:
    """What both schemes share: sizes, transforms and calls."""

    def __init__(self, layer: _Layer, accumulate: bool, threads: int) -> None:
        self.layer = layer
        self.accumulate = accumulate
        self.threads = threads
        self.number = native.number(layer.dtype)
        self.none = offsets()

    def up(self, lanes: int) -> int:
        """Bytes of so many lanes, in whole vectors."""
        return -(-lanes // self.number.lanes) * self.number.bytes

    def transform(
        self,
        factor: str,
        collecting: bool,
        step: int,
        adding: bool = False,
        lines: int = 0,
        finish: Finish = RAW,
    ) -> Any:
        """The kernel that applies one factor of the decompositions, or its transpose.

        Args:
            factor: ``"a"``, ``"b"`` or ``"c"``.
            collecting: whether it goes from products to elements.
            step: bytes from one channel to the next, where the tiles lie.
            adding: whether elements are added to.
            lines: bytes from one tile to the next, if every tile is a line of its own.
            finish: what is done to elements before they are stored.
        """
        matrices = tuple(getattr(part, factor) for part in self.layer.parts)
        if not collecting:
            matrices = tuple(tuple(zip(*matrix, strict=True)) for matrix in matrices)
        contiguous = step == self.number.size
        turned = not contiguous and not collecting and lines == self.number.size
        return transforms.kernel(
            self.layer.dtype, Transform(matrices, collecting, contiguous, adding, turned, finish)
        )

    def spread(self, calls: Calls, kernel: Any, **arguments: Any) -> None:
        given = {getattr(transforms, name.upper()): value for name, value in arguments.items()}
        calls.call(kernel, given)

    def multiply(self, calls: Calls, tile: multiply.Tile, **arguments: Any) -> None:
        given = {getattr(multiply, name.upper()): value for name, value in arguments.items()}
        fixed = {
            multiply.TAPS: 1, multiply.TAPS_AT_ONCE: 1, multiply.TAP_SCALARS: self.none,
            multiply.TAP_VECTORS: self.none, multiply.ROWS_AT_ONCE: arguments["row_stop"],
        }  # fmt: skip
        calls.call(multiply.kernel(self.layer.dtype, tile), fixed | given)

    def tables(self, side: _Side, elements: Array) -> dict[str, Any]:
        """Where the tiles of one side lie."""
        return {
            "lines": offsets(*self.layer.loops(self.layer.lines, side)),
            "tiles": elements,
            "tiles_a_line": self.layer.tiles_a_line,
        }

    def block_of(self, tiles: int, bytes_a_tile: int, high: int) -> int:
        """How many tiles are worked on at once: what fits the scratch, in whole register tiles."""
        most = max(1, _SCRATCH // bytes_a_tile)
        if most >= high:
            most -= most % high
        return max(1, min(tiles, most, 96))


class _Result(_Scheme):
    """What both ways to a result share: tables, and the calls that transform."""

    def __init__(self, layer: _Layer, accumulate: bool, threads: int, finish: Finish) -> None:
        super().__init__(layer, accumulate, threads)
        self.finish = finish
        self.channels, self.columns = layer.channels.size, layer.columns.size
        self.channel_bytes = self.up(self.channels)
        self.blank = max(self.channel_bytes, self.up(self.columns)) + _LINE

    def wide(self, tile: multiply.Tile) -> None:
        """Cut the columns into panels as wide as a tile of sums."""
        self.tile = tile
        self.panel = tile.vectors * self.number.lanes
        self.panels = -(-self.columns // self.panel)
        self.panel_bytes = self.panel * self.number.size

    def spread_kernel(
        self, calls: Calls, base: int, panel: int, start: int, count: int, products: Place,
        step: int,
    ) -> None:  # fmt: skip
        """Transform the kernel for some channels and one panel of columns."""
        layer = self.layer
        self.spread(
            calls,
            self.transform("c", False, layer.columns.first, lines=layer.channels.second),
            places=Place("other", base + panel * self.panel * layer.columns.first),
            products=products, lines=offsets((self.channels, layer.channels.second)),
            tiles=layer.tap_table(layer.other), tiles_a_line=1, first=start, count=count,
            lanes=min(self.panel, self.columns - panel * self.panel),
            lane_step=layer.columns.first, product_step=step, tile_step=self.panel_bytes,
            nowhere=Place("zeros"),
        )  # fmt: skip

    def spread_data(
        self, calls: Calls, base: int, first: int, count: int, products: Place, step: int
    ) -> None:
        """Transform some tiles."""
        layer = self.layer
        self.spread(
            calls, self.transform("a", False, layer.channels.first), places=Place("data", base),
            products=products, first=first, count=count, lanes=self.channels,
            lane_step=layer.channels.first, product_step=step, tile_step=self.channel_bytes,
            nowhere=Place("zeros"), **self.reads,
        )  # fmt: skip

    def collect(
        self, calls: Calls, base: int, panel: int, first: int, count: int, products: Place,
        step: int,
    ) -> None:  # fmt: skip
        """Transform products back into some tiles of the result."""
        layer, done = self.layer, panel * self.panel
        self.spread(
            calls,
            self.transform(
                "b", True, layer.columns.second, self.accumulate, finish=self.finish
            ),
            bias=Place("bias", done * layer.columns.second) if self.finish.bias else 0,
            places=Place("out", base + done * layer.columns.second), products=products,
            first=first, count=count, lanes=min(self.panel, self.columns - done),
            lane_step=layer.columns.second, product_step=step, tile_step=self.panel_bytes,
            nowhere=Place("trash"), **self.writes,
        )  # fmt: skip

    @cached_property
    def reads(self) -> dict[str, Any]:
        return self.tables(self.layer.data, self.layer.data_table())

    @cached_property
    def writes(self) -> dict[str, Any]:
        return self.tables(self.layer.out, self.layer.result_table(self.layer.out))


class _Forward(_Result):
    """Many tiles: the kernel is transformed once, then block after block of tiles."""

    def build(self) -> Program:
        layer, n = self.layer, self.layer.products
        self.wide(multiply.fitting_tile(-(-self.columns // self.number.lanes)))
        self.weight_step = self.panels * self.channels * self.panel_bytes + _LINE
        self.block = self.block_of(
            layer.tiles, n * (self.channel_bytes + self.panel_bytes), self.tile.rows
        )
        first, second = [], []
        batches = list(layer.batches())
        for g, (data, other, out) in enumerate(batches):
            place = g * n * self.weight_step
            first += self._kernels(other, place)
            second += self._results(data, out, place)
        scratch = n * (self.product_in + self.product_out)
        shared = n * self.weight_step * len(batches)
        return Program((tuple(first), tuple(second)), shared, scratch, self.blank, 1)

    @property
    def product_in(self) -> int:
        return self.block * self.channel_bytes + _LINE

    @property
    def product_out(self) -> int:
        return self.block * self.panel_bytes + _LINE

    def _kernels(self, base: int, place: int) -> Iterator[Calls]:
        """Transform the kernel: a piece for each panel and part of the channels."""
        chunk = max(16, -(-self.channels * self.panels // (4 * self.threads)))
        for panel in range(self.panels):
            for start in range(0, self.channels, chunk):
                calls = Calls()
                row = panel * self.channels + start
                products = Place("shared", place + row * self.panel_bytes)
                count = min(chunk, self.channels - start)
                self.spread_kernel(calls, base, panel, start, count, products, self.weight_step)
                yield calls.finish()

    def _results(self, data: int, out: int, place: int) -> Iterator[Calls]:
        layer, n, size = self.layer, self.layer.products, self.number.size
        sums = Place("scratch", n * self.product_in)
        tables = {
            "batch_scalars": offsets((n, self.product_in)),
            "batch_vectors": offsets((n, self.weight_step)),
            "batch_out": offsets((n, self.product_out)),
            "row_scalars": offsets((self.block, self.channel_bytes)),
            "row_out": offsets((self.block, self.panel_bytes)),
        }
        blocks = -(-layer.tiles // self.block)
        pieces = min(blocks, 4 * self.threads)
        for piece in range(pieces):
            calls = Calls()
            for b in range(blocks * piece // pieces, blocks * (piece + 1) // pieces):
                first = b * self.block
                count = min(self.block, layer.tiles - first)
                self.spread_data(calls, data, first, count, Place("scratch"), self.product_in)
                for panel in range(self.panels):
                    weights = place + panel * self.channels * self.panel_bytes
                    self.multiply(
                        calls, self.tile, scalars=Place("scratch"),
                        vectors=Place("shared", weights), out=sums, batch=n, row_stop=count,
                        panel_stop=1, lanes=self.panel, run=self.channels, run_scalars=size,
                        run_vectors=self.panel_bytes, **tables,
                    )  # fmt: skip
                    self.collect(calls, out, panel, first, count, sums, self.product_out)
            yield calls.finish()


class _Deep(_Result):
    """Few tiles of many channels: all tiles are transformed once, then panel after panel."""

    # Channels of the kernel that are transformed at once.
    _CHUNK = 64

    def __init__(self, layer: _Layer, accumulate: bool, threads: int, finish: Finish) -> None:
        super().__init__(layer, accumulate, threads, finish)
        most = _DEEP // (layer.products * (layer.tiles + self._CHUNK) * self.number.bytes)
        wide = -(-self.columns // self.number.lanes)
        # A panel for every thread, if there are columns for that.
        most = min(most, 4, max(1, wide // threads))
        self.fits = most > 0
        if self.fits:
            self.wide(multiply.fitting_tile(min(wide, most)))

    @property
    def pays(self) -> bool:
        """Whether less is moved than by reading the whole transformed kernel for each block."""
        n, tiles = self.layer.products, self.layer.tiles
        block = max(1, _SCRATCH // (n * (self.channel_bytes + 4 * self.number.bytes)))
        weights = self.channels * self.columns * self.number.size
        if not self.fits or n * weights <= 2 * _SCRATCH:
            return False
        return tiles * self.channel_bytes * self.panels < weights * -(-tiles // block)

    def build(self) -> Program:
        layer, n = self.layer, self.layer.products
        self.data_step = layer.tiles * self.channel_bytes + _LINE
        self.weight_step = self._CHUNK * self.panel_bytes + _LINE
        self.product_step = layer.tiles * self.panel_bytes + _LINE
        first, second = [], []
        batches = list(layer.batches())
        for g, (data, other, out) in enumerate(batches):
            place = g * n * self.data_step
            first += self._tiles(data, place)
            second += [self._panel(panel, other, out, place) for panel in range(self.panels)]
        scratch = n * (self.weight_step + self.product_step)
        shared = n * self.data_step * len(batches)
        return Program((tuple(first), tuple(second)), shared, scratch, self.blank, 1)

    def _tiles(self, base: int, place: int) -> Iterator[Calls]:
        tiles = self.layer.tiles
        pieces = min(tiles, 4 * self.threads)
        for piece in range(pieces):
            calls = Calls()
            first, stop = tiles * piece // pieces, tiles * (piece + 1) // pieces
            products = Place("shared", place + first * self.channel_bytes)
            self.spread_data(calls, base, first, stop - first, products, self.data_step)
            yield calls.finish()

    def _panel(self, panel: int, other: int, out: int, place: int) -> Calls:
        layer, n, size = self.layer, self.layer.products, self.number.size
        sums = Place("scratch", n * self.weight_step)
        tables = {
            "batch_scalars": offsets((n, self.data_step)),
            "batch_vectors": offsets((n, self.weight_step)),
            "batch_out": offsets((n, self.product_step)),
            "row_scalars": offsets((layer.tiles, self.channel_bytes)),
            "row_out": offsets((layer.tiles, self.panel_bytes)),
        }
        calls = Calls()
        for start in range(0, self.channels, self._CHUNK):
            count = min(self._CHUNK, self.channels - start)
            self.spread_kernel(
                calls, other, panel, start, count, Place("scratch"), self.weight_step
            )
            self.multiply(
                calls, self.tile, scalars=Place("shared", place + start * size),
                vectors=Place("scratch"), out=sums, batch=n, row_stop=layer.tiles, panel_stop=1,
                lanes=self.panel, run=count, run_scalars=size, run_vectors=self.panel_bytes,
                accumulate=int(start > 0), **tables,
            )  # fmt: skip
        self.collect(calls, out, panel, 0, layer.tiles, sums, self.product_step)
        return calls.finish()


class _WeightGradient(_Scheme):
    """Weight gradients: products are summed over the tiles before they are transformed back."""

    def build(self) -> Program:
        layer, sz = self.layer, self.number.size
        n, channels, columns = layer.products, layer.channels.size, layer.columns.size
        self.part = min(channels, 64)
        wide = min(-(-columns // self.number.lanes), 4)
        self.tile = multiply.fitting_tile(wide)
        self.panel = self.tile.vectors * self.number.lanes
        self.row_in, self.row_out = self.up(self.part), self.panel * sz
        self.block = self.block_of(layer.tiles, n * (self.row_in + self.row_out), 8)
        self.block = min(self.block, 32)
        self.steps = [
            rows * width + _LINE
            for rows, width in ((self.block, self.row_in), (self.block, self.row_out),
                                (self.part, self.row_out))
        ]  # fmt: skip
        parts = [
            (c, o) for c in range(0, channels, self.part) for o in range(0, columns, self.panel)
        ]
        groups = list(layer.batches())
        # Few parts of the result for many threads: each thread sums over some of the tiles.
        copies = 1 if len(parts) * len(groups) > 1 else min(self.threads, layer.tiles)
        pieces = tuple(
            self._piece(bases, c, o, copy, copies)
            for bases in groups
            for c, o in parts
            for copy in range(copies)
        )
        blank = max(self.row_in, self.row_out) + 64
        return Program((pieces,), 0, n * sum(self.steps), blank, copies)

    def _piece(self, bases: tuple[int, int, int], c: int, o: int, copy: int, copies: int) -> Calls:
        layer, sz, n = self.layer, self.number.size, self.layer.products
        channels = min(self.part, layer.channels.size - c)
        columns = min(self.panel, layer.columns.size - o)
        read = self.transform("a", False, layer.channels.first)
        also = self.transform("b", False, layer.columns.first)
        places = [0, n * self.steps[0], n * (self.steps[0] + self.steps[1])]
        reads = self.tables(layer.data, layer.data_table())
        others = self.tables(layer.other, layer.result_table(layer.other))
        tables = {
            "batch_scalars": offsets((n, self.steps[0])),
            "batch_vectors": offsets((n, self.steps[1])),
            "batch_out": offsets((n, self.steps[2])),
            "row_scalars": offsets((self.part, sz)),
            "row_out": offsets((self.part, self.row_out)),
        }
        calls = Calls()
        start, stop = layer.tiles * copy // copies, layer.tiles * (copy + 1) // copies
        for first in range(start, stop, self.block):
            count = min(self.block, stop - first)
            self.spread(
                calls, read, places=Place("data", bases[0] + c * layer.channels.first),
                products=Place("scratch", places[0]), first=first, count=count, lanes=channels,
                lane_step=layer.channels.first, product_step=self.steps[0],
                tile_step=self.row_in, nowhere=Place("zeros"), **reads,
            )  # fmt: skip
            self.spread(
                calls, also, places=Place("other", bases[1] + o * layer.columns.first),
                products=Place("scratch", places[1]), first=first, count=count, lanes=columns,
                lane_step=layer.columns.first, product_step=self.steps[1],
                tile_step=self.row_out, nowhere=Place("zeros"), **others,
            )  # fmt: skip
            self.multiply(
                calls, self.tile, scalars=Place("scratch", places[0]),
                vectors=Place("scratch", places[1]), out=Place("scratch", places[2]), batch=n,
                row_stop=channels, panel_stop=1, lanes=self.panel, run=count,
                run_scalars=self.row_in, run_vectors=self.row_out,
                accumulate=int(first > start), **tables,
            )  # fmt: skip
        adding = self.accumulate and copy == 0
        collect = self.transform("c", True, layer.columns.second, adding)
        where = bases[2] + c * layer.channels.second + o * layer.columns.second
        self.spread(
            calls, collect, places=Place(f"out{copy or ''}", where),
            products=Place("scratch", places[2]),
            lines=offsets((channels, layer.channels.second)), tiles=layer.tap_table(layer.out),
            tiles_a_line=1, first=0, count=channels, lanes=columns,
            lane_step=layer.columns.second, product_step=self.steps[2], tile_step=self.row_out,
            nowhere=Place("trash"),
        )  # fmt: skip
        return calls.finish()
