"""The scheme of kernel calls for the gradient of a kernel.

Tiles of both operands are transformed and multiplied; the products are summed over the tiles
before they are transformed back, to taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contractconv.engines.llvm.kernels import product_loops as multiply
from contractconv.engines.llvm.kernels.product_loops import Panels
from contractconv.engines.llvm.program import Calls, Place, Program
from contractconv.engines.llvm.tile_kernels.scheme import LINE, SHARERS, Scheme
from contractconv.lazy import remembered
from contractconv.machine.work_sharing import evenly

# Tiles that are worked on at once.
_MOST_TILES = 32
# Blocks of tiles whose products are added one after the other, and copies of a small result.
_FEW_BLOCKS, _COPIES = 32, 16
# Bytes of columns that tiles are transformed for at once.
_WIDE = 256
# Channels of the result that are summed at once, and the part of the scratch that is worked in: the
# quickest ways first.
_CUTS = ((64, 1), (64, 2), (64, 4), (32, 2), (32, 4))


@dataclass(frozen=True, slots=True)
class _Part:
    """Some channels and columns of the result.

    Attributes:
        data: bytes to the first channel of the data.
        other: bytes to the first column of the other operand.
        out: bytes to the first number of the result.
        channels: how many there are.
        columns: likewise.
        panels: the columns in whole vectors, as they are multiplied.
    """

    data: int
    other: int
    out: int
    channels: int
    columns: int
    panels: Panels


class WeightGradient(Scheme):
    """Weight gradients: products are summed over the tiles before they are transformed back."""

    def build(self) -> Program:
        """A piece for each part of the result, or several if there are few parts."""
        self._cut()
        parts = self._parts()
        # Few parts of the result: each of several copies is summed over some of the tiles, as
        # many whoever shares them, so that sums are the same.
        copies = 1 if len(parts) > 1 else self._copies()
        pieces = tuple(self._piece(part, copy, copies) for part in parts for copy in range(copies))
        scratch = self.layer.products * sum(self.steps)
        return Program((pieces,), 0, scratch, max(self.row_in, self.row_out) + LINE, copies)

    def _copies(self) -> int:
        blocks = self.layer.tiles // _MOST_TILES
        return max(1, min(2, blocks), min(_COPIES, blocks // 8))

    def _cut(self) -> None:
        """Cut channels, columns and tiles into what fits registers, scratch and room.

        Smaller parts mean that tiles are transformed more often. Where nothing fits, the layer is
        so small that it is no matter.
        """
        layer = self.layer
        for channels, part in (*_CUTS, _CUTS[0]):
            self.part = min(layer.channels.size, channels)
            self.row_in, self.row_out = self.up(self.part), self.up(len(self._columns[0]))
            a_tile = layer.products * (self.row_in + self.row_out)
            self.block = min(self.block_of(layer.tiles, a_tile, 8, part), _MOST_TILES)
            sums = layer.products * self.part * self.row_out
            if SHARERS * (self.block * a_tile + sums) <= self.room:
                break
        self.steps = (
            self.block * self.row_in + LINE,
            self.block * self.row_out + LINE,
            self.part * self.row_out + LINE,
        )
        places = (0, self.steps[0], self.steps[0] + self.steps[1])
        self.data, self.other, self.sums = (
            Place("scratch", layer.products * place) for place in places
        )

    @remembered
    def _columns(self) -> list[range]:
        """The columns, those together that tiles are transformed for at once."""
        size, lanes = self.layer.columns.size, self.number.lanes
        wide = multiply.panels_of(size, lanes, _WIDE // self.number.bytes)
        starts = ((start, width) for part, width in wide for start in part[::width])
        return [range(start, min(start + width, size)) for start, width in starts]

    def _parts(self) -> list[_Part]:
        channels, columns = self.layer.channels, self.layer.columns
        lanes, widest = self.number.lanes, multiply.widest_tile()
        return [
            _Part(
                data + c * channels.first,
                other + some.start * columns.first,
                out + c * channels.second + some.start * columns.second,
                min(self.part, channels.size - c),
                len(some),
                multiply.panels_of(-(-len(some) // lanes) * lanes, lanes, widest),
            )
            for data, other, out in self.layer.batches()
            for c in range(0, channels.size, self.part)
            for some in self._columns
        ]

    def _piece(self, part: _Part, copy: int, copies: int) -> Calls:
        """Sum a part of the result over one of ``copies`` shares of the tiles."""
        share = evenly(self.layer.tiles, copies)[copy]
        start, stop = share.start, share.stop
        # Sums of some tiles are added to the result, not all tiles to one sum.
        together = self.block * max(_FEW_BLOCKS, -(-(stop - start) // (self.block * _FEW_BLOCKS)))
        calls = Calls()
        for begin in range(start, stop, together):
            self._sums(calls, part, begin, min(begin + together, stop))
            self._collect(calls, part, copy, accumulate=begin > start)
        return calls

    def _sums(self, calls: Calls, part: _Part, begin: int, end: int) -> None:
        """Sum the products of some tiles; of each block they are the same calls, further on."""

        def make(calls: Calls, first: int) -> None:
            tiles = range(first, min(first + self.block, end))
            self._transform(calls, part, tiles)
            self._add_products(calls, part, len(tiles), accumulate=first > begin)

        # The first block begins the sums, and the last one may be short.
        second, whole = min(begin + self.block, end), end - (end - begin) % self.block
        for firsts in (range(begin, second), range(second, whole), range(max(second, whole), end)):
            calls.each(make, firsts[:: self.block])

    def _transform(self, calls: Calls, part: _Part, tiles: range) -> None:
        """Transform some tiles of both operands."""
        data, other = (
            Place(self.layer.data.region, part.data),
            Place(self.layer.other.region, part.other),
        )
        self.transform(
            calls, "a", data, tiles, part.channels, self.data, (self.steps[0], self.row_in)
        )
        self.transform(
            calls, "b", other, tiles, part.columns, self.other, (self.steps[1], self.row_out)
        )

    def _add_products(self, calls: Calls, part: _Part, count: int, *, accumulate: bool) -> None:
        """Add the products of some tiles to the sums."""
        for lanes, width in part.panels:
            tile, first = multiply.fitting_tile(width // self.number.lanes), lanes.start
            self.multiply(
                calls, tile, scalars=self.data, vectors=self._behind(self.other, first),
                out=self._behind(self.sums, first), batch=self.layer.products,
                row_stop=part.channels, lanes=len(lanes), panel_vectors=width * self.number.size,
                run=count, run_scalars=self.row_in, run_vectors=self.row_out,
                accumulate=int(accumulate), **self._matrices,
            )  # fmt: skip

    def _behind(self, place: Place, lanes: int) -> Place:
        return place._replace(offset=place.offset + lanes * self.number.size)

    def _collect(self, calls: Calls, part: _Part, copy: int, *, accumulate: bool) -> None:
        """Transform sums back into the taps of a part of the result, or of a copy of it."""
        self.transform(
            calls, "c", Place(f"out{copy or ''}", part.out), range(part.channels),
            part.columns, self.sums, (self.steps[2], self.row_out),
            adding=accumulate or (self.accumulate and copy == 0),
        )  # fmt: skip

    @remembered
    def _matrices(self) -> dict[str, Any]:
        return self.matrices(self.steps, self.part, (self.number.size, self.row_out))
