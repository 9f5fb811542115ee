"""The schemes of kernel calls for results, and for gradients that are results of other strings.

Two ways lead to a result: block after block of tiles where the transformed kernel stays in cache,
or panel after panel of columns where the transformed tiles do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import product_loops as multiply
from contractconv.engines.llvm.kernels.epilogue_code import Finish
from contractconv.engines.llvm.program import Calls, Place, Program
from contractconv.engines.llvm.tile_kernels.layer_roles import Layer
from contractconv.engines.llvm.tile_kernels.scheme import LINE, SCRATCH, Panel, Scheme
from contractconv.machine.work_sharing import evenly

# In how many parts panels are worked on, and which part of the scratch: the quickest ways first.
_CUTS = ((1, 1), (1, 2), (2, 2), (2, 3), (4, 4))
# Likewise how many tiles at least, channels of the kernel, and vectors of a panel at most.
_DEEP_CUTS = ((1 << 30, 64, 4), (64, 64, 4), (64, 64, 2))
# Channels that are summed in one line.
_LINE = 512
# Channels of the kernel that are transformed at once.
_CHUNK = 64
# How many times a transformed kernel passes through memory that is written, and read in another
# stage; and bytes of transformed tiles that stay in some cache meanwhile.
_PASSES, _NEAR = 3, 8 << 20
# Bytes of scratch where the products of all tiles lie beside transformed channels of the kernel.
_DEEP = 1 << 20


# Bytes to the first number of data, of the other operand and of the result.
Sides = tuple[int, int, int]
# Makes pieces of work of a group, for one value of the batch, with what is shared at a place.
Pieces = Callable[[range, Sides, int], Iterable[Calls]]


class Result(Scheme):
    """What both ways to a result share: the windows meet the taps of the other operand."""

    group: int

    def __init__(self, layer: Layer, accumulate: bool, threads: int, finish: Finish) -> None:
        super().__init__(layer, accumulate, threads, finish)
        self.channels, self.columns = layer.channels.size, layer.columns.size
        self.channel_bytes = self.up(self.channels)
        self.blank = max(self.channel_bytes, self.up(self.columns)) + LINE
        self.batches = list(layer.batches())

    def stages(self, whole: int, step: int, shared: Pieces, passing: Pieces) -> list[list[Calls]]:
        """What threads share, a group of it at a time, and then what passes by that."""
        found: list[list[Calls]] = []
        for start in range(0, whole, self.group):
            group = range(start, min(start + self.group, whole))
            for work in (shared, passing):
                made = (
                    work(group, sides, n * self.layer.products * step)
                    for n, sides in enumerate(self.batches)
                )
                found.append(list(chain(*made)))
        return found

    def wide(self, most: int) -> None:
        """Cut the columns into panels of so many vectors at most."""
        self.panels = self.panels_of(self.columns, most)
        self.panel_bytes = self.panels[0].lanes * self.number.size

    def spread_kernel(
        self, calls: Calls, base: int, panel: Panel, channels: range, products: Place, step: int
    ) -> None:
        """Transform the kernel for some channels and one panel of columns."""
        place = Place(self.layer.other.region, base + panel.first * self.layer.columns.first)
        steps = step, self.panel_bytes
        self.transform(calls, "c", place, channels, panel.columns, products, steps)

    def spread_data(
        self, calls: Calls, base: int, tiles: range, products: Place, step: int
    ) -> None:
        """Transform some tiles."""
        place, steps = Place(self.layer.data.region, base), (step, self.channel_bytes)
        self.transform(calls, "a", place, tiles, self.channels, products, steps)

    def collect(
        self, calls: Calls, base: int, panel: Panel, tiles: range, products: Place, step: int
    ) -> None:
        """Transform products back into some tiles of the result."""
        moved = panel.first * self.layer.columns.second
        self.transform(
            calls, "b", Place("out", base + moved), tiles, panel.columns,
            products, (step, self.panel_bytes), adding=self.accumulate, finish=self.finish,
            bias=Place("bias", moved) if self.finish.bias else 0,
        )  # fmt: skip


class Forward(Result):
    """Many tiles: the kernel is transformed once, then block after block of tiles."""

    def build(self) -> Program:
        """First the kernel's products, then the results; for all panels, or for some at a time."""
        layer, n = self.layer, self.layer.products
        self.wide(multiply.widest_tile())
        self._fit(len(self.batches))
        stages = self.stages(len(self.panels), self.weight_step, self._kernels, self._results)
        scratch = n * (self.product_in + self.product_out)
        shared = n * self.weight_step * len(self.batches)
        # What becomes of the kernel does not depend on where data and result lie.
        common = (
            layer.tensor("c").tiles.tobytes(), layer.channels, layer.columns, layer.parts,
            self.panels[0].tile, self.group, tuple(other for _, other, _ in self.batches),
        )  # fmt: skip
        return Program(stages, shared, scratch, self.blank, common=common)

    def _fit(self, batches: int) -> None:
        """How many panels of the kernel are transformed at once, and how many tiles: what fits.

        Fewer panels mean that tiles are transformed more often, smaller blocks that the kernel is
        read more often. Where nothing fits, the layer is so small that it is no matter.
        """
        n, high = self.layer.products, self.panels[0].tile.rows
        a_tile = n * (self.channel_bytes + self.panel_bytes)
        a_panel = n * batches * self.channels * self.panel_bytes
        for parts, part in (*_CUTS, (1, 1)):
            self.group = -(-len(self.panels) // parts)
            self.block = self.block_of(self.layer.tiles, a_tile, high, part)
            if self.group * a_panel + self.threads * self.block * a_tile <= self.room:
                break
        self.weight_step = self.group * self.channels * self.panel_bytes + LINE

    @property
    def product_in(self) -> int:
        """Bytes of a matrix of transformed tiles."""
        return self.block * self.channel_bytes + LINE

    @property
    def product_out(self) -> int:
        """Bytes of a matrix of products."""
        return self.block * self.panel_bytes + LINE

    def _kernels(self, panels: range, sides: Sides, place: int) -> Iterator[Calls]:
        """Transform the kernel: a piece for each panel and part of the channels."""
        chunk = max(16, -(-self.channels * len(panels) // (4 * self.threads)))
        for n, panel in enumerate(self.panels[panels.start : panels.stop]):
            for start in range(0, self.channels, chunk):
                calls = Calls()
                row = n * self.channels + start
                products = Place("shared", place + row * self.panel_bytes)
                channels = range(start, min(start + chunk, self.channels))
                self.spread_kernel(calls, sides[1], panel, channels, products, self.weight_step)
                yield calls

    def _results(self, panels: range, sides: Sides, place: int) -> Iterator[Calls]:
        """Go through blocks of tiles: a piece for some blocks that follow each other."""
        blocks = -(-self.layer.tiles // self.block)
        steps = self.product_in, self.weight_step, self.product_out
        tables = self.matrices(steps, self.block, (self.channel_bytes, self.panel_bytes))
        whole = self.layer.tiles // self.block

        def make(calls: Calls, block: int) -> None:
            self._block(calls, panels, sides, place, block * self.block, tables)

        for piece in evenly(blocks, 4 * self.threads):
            calls = Calls()
            calls.each(make, range(piece.start, min(piece.stop, whole)))
            calls.each(make, range(max(piece.start, whole), piece.stop))
            yield calls

    def _block(
        self,
        calls: Calls,
        panels: range,
        sides: Sides,
        place: int,
        first: int,
        tables: dict[str, Array],
    ) -> None:
        tiles = range(first, min(first + self.block, self.layer.tiles))
        sums = Place("scratch", self.layer.products * self.product_in)
        self.spread_data(calls, sides[0], tiles, Place("scratch"), self.product_in)
        for n, panel in enumerate(self.panels[panels.start : panels.stop]):
            weights = place + n * self.channels * self.panel_bytes
            for start in range(0, self.channels, _LINE):
                self.multiply(
                    calls, panel.tile, scalars=Place("scratch", start * self.number.size),
                    vectors=Place("shared", weights + start * self.panel_bytes),
                    out=sums, batch=self.layer.products, row_stop=len(tiles), lanes=panel.lanes,
                    run=min(_LINE, self.channels - start), run_scalars=self.number.size,
                    run_vectors=self.panel_bytes, accumulate=int(start > 0), **tables,
                )  # fmt: skip
            self.collect(calls, sides[2], panel, tiles, sums, self.product_out)


class Deep(Result):
    """Few tiles of many channels: all tiles are transformed once, then panel after panel."""

    def __init__(self, layer: Layer, accumulate: bool, threads: int, finish: Finish) -> None:
        super().__init__(layer, accumulate, threads, finish)
        most = _DEEP // (layer.products * (layer.tiles + _CHUNK) * self.number.bytes)
        wide = -(-self.columns // self.number.lanes)
        self.fits = most > 0
        # Whether it pays must not depend on who shares it: the other way sums in another order.
        self._apart = -(-self.columns // (self.number.lanes * max(1, min(most, 4, wide // 2))))
        # A panel for every thread, if there are columns for that.
        most = min(most, 4, max(1, wide // threads))
        if self.fits:
            self.wide(most)

    @property
    def pays(self) -> bool:
        """Whether less is moved than by reading the whole transformed kernel for each block."""
        n, tiles = self.layer.products, self.layer.tiles
        block = max(1, SCRATCH // (n * (self.channel_bytes + 4 * self.number.bytes)))
        weights = self.channels * self.columns * self.number.size
        if not self.fits or n * weights <= SCRATCH:
            return False
        data = tiles * self.channel_bytes
        passes = _PASSES if n * data <= _NEAR else 1
        return data * self._apart < passes * weights * -(-tiles // block)

    def build(self) -> Program:
        """First the products of all tiles, or of some at a time, then the results."""
        n = self.layer.products
        self._fit(len(self.batches))
        self.data_step = self.group * self.channel_bytes + LINE
        self.weight_step = self.chunk * self.panel_bytes + LINE
        self.product_step = self.group * self.panel_bytes + LINE
        stages = self.stages(self.layer.tiles, self.data_step, self._tiles, self._results)
        scratch = n * (self.weight_step + self.product_step)
        shared = n * self.data_step * len(self.batches)
        return Program(stages, shared, scratch, self.blank)

    def _fit(self, batches: int) -> None:
        """How many tiles are transformed at once, how many channels of the kernel: what fits.

        Fewer tiles mean that the kernel is transformed more often. Where nothing fits, the layer
        is so small that it is no matter.
        """
        n, tiles = self.layer.products, self.layer.tiles
        wide = self.panels[0].tile.vectors
        for least, chunk, vectors in (*_DEEP_CUTS, (tiles, _CHUNK, wide)):
            self.group, self.chunk = -(-tiles // max(1, tiles // least)), chunk
            self.wide(min(wide, vectors))
            shared = batches * self.group * self.channel_bytes
            scratch = (chunk + self.group) * self.panel_bytes
            if n * (shared + self.threads * scratch) <= self.room:
                break

    def _tiles(self, tiles: range, sides: Sides, place: int) -> Iterator[Calls]:
        """Transform the data: a piece for some tiles."""
        for part in evenly(len(tiles), 4 * self.threads):
            calls = Calls()
            products = Place("shared", place + part.start * self.channel_bytes)
            some = tiles[part.start : part.stop]
            self.spread_data(calls, sides[0], some, products, self.data_step)
            yield calls

    def _results(self, tiles: range, sides: Sides, place: int) -> Iterator[Calls]:
        """Go through the panels: a piece for each."""
        return (self._panel(panel, tiles, sides, place) for panel in self.panels)

    def _panel(self, panel: Panel, tiles: range, sides: Sides, place: int) -> Calls:
        """Transform the kernel for one panel and multiply, some channels at a time."""
        n, size = self.layer.products, self.number.size
        weights, sums = Place("scratch"), Place("scratch", n * self.weight_step)
        steps = self.data_step, self.weight_step, self.product_step
        tables = self.matrices(steps, len(tiles), (self.channel_bytes, self.panel_bytes))
        calls = Calls()
        for start in range(0, self.channels, self.chunk):
            channels = range(start, min(start + self.chunk, self.channels))
            self.spread_kernel(calls, sides[1], panel, channels, weights, self.weight_step)
            self.multiply(
                calls, panel.tile, scalars=Place("shared", place + start * size), vectors=weights,
                out=sums, batch=n, row_stop=len(tiles), lanes=panel.lanes, run=len(channels),
                run_scalars=size, run_vectors=self.panel_bytes, accumulate=int(start > 0),
                **tables,
            )  # fmt: skip
        self.collect(calls, sides[2], panel, tiles, sums, self.product_step)
        return calls
