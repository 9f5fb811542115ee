"""Schemes of kernel calls: which tiles are transformed, multiplied and collected when.

A scheme turns a layer into a :class:`contractconv.engines.llvm.program.Program`. Products of tiles
lie in the scratch memory of a thread, one matrix for each point of the decomposition.
"""

from __future__ import annotations

from typing import Any

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native, transforms
from contractconv.engines.llvm.kernels import product_loops as multiply
from contractconv.engines.llvm.kernels.finish import RAW, Finish
from contractconv.engines.llvm.kernels.native import Native
from contractconv.engines.llvm.kernels.transforms import Transform
from contractconv.engines.llvm.program import Calls, offsets
from contractconv.engines.llvm.tiles.layer_roles import Layer, Side

LINE = 64  # bytes between matrices of products, so that they do not share their place in cache
# Bytes of scratch that a thread works in: most of a second level of cache.
SCRATCH = 768 << 10
# Threads that share the work, as far as the order of sums depends on it.
SHARERS = 2
# Of the memory that all windows would take, written out, so much is taken at most: one in so many
# bytes, less what tables and code take.
_SHARE, _BESIDE = 10, 900 << 10


class Scheme:
    """What all schemes share: sizes, transforms and calls.

    Args:
        layer: what is computed.
        accumulate: whether results are added to what is there.
        threads: how many threads share the work.
    """

    def __init__(self, layer: Layer, accumulate: bool, threads: int) -> None:
        self.layer = layer
        self.accumulate = accumulate
        self.threads = threads
        self.number = native.number(layer.dtype)
        self.none = offsets()

    @property
    def room(self) -> int:
        """Bytes that all threads should not exceed together."""
        return self.layer.windows * self.number.size // _SHARE - _BESIDE

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
    ) -> Native:
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

    def spread(self, calls: Calls, kernel: Native, **arguments: Any) -> None:
        """Append a call of a transform, its arguments by name."""
        given = {getattr(transforms, name.upper()): value for name, value in arguments.items()}
        calls.call(kernel, given)

    def multiply(self, calls: Calls, tile: multiply.Tile, **arguments: Any) -> None:
        """Append the products of matrices, one for each point, arguments by name."""
        given = {getattr(multiply, name.upper()): value for name, value in arguments.items()}
        fixed = {
            multiply.TAPS: 1, multiply.TAPS_AT_ONCE: 1, multiply.TAP_SCALARS: self.none,
            multiply.TAP_VECTORS: self.none, multiply.ROWS_AT_ONCE: arguments["row_stop"],
        }  # fmt: skip
        calls.call(multiply.kernel(self.layer.dtype, tile), fixed | given)

    def tables(self, side: Side, elements: Array) -> dict[str, Any]:
        """Where the tiles of one side lie."""
        return {
            "lines": offsets(*self.layer.loops(self.layer.lines, side)),
            "tiles": elements,
            "tiles_a_line": self.layer.tiles_a_line,
        }

    def matrices(
        self, steps: tuple[int, int, int], rows: int, row_steps: tuple[int, int]
    ) -> dict[str, Array]:
        """Where the matrices that :meth:`multiply` takes and their rows lie.

        Args:
            steps: bytes from one matrix to the next: of both factors and of the sums.
            rows: how many rows there are.
            row_steps: bytes from one row to the next: of the first factor and of the sums.
        """
        names = ("batch_scalars", "batch_vectors", "batch_out")
        points = self.layer.products
        batch = {name: offsets((points, step)) for name, step in zip(names, steps, strict=True)}
        return batch | {
            "row_scalars": offsets((rows, row_steps[0])),
            "row_out": offsets((rows, row_steps[1])),
        }

    def block_of(self, tiles: int, bytes_a_tile: int, high: int, part: int = 1) -> int:
        """How many tiles are worked on at once: what fits the scratch, in whole register tiles.

        Args:
            tiles: how many there are.
            bytes_a_tile: what one of them takes.
            high: the rows of a register tile.
            part: one in so many bytes of the scratch is enough.
        """
        most = max(1, SCRATCH // (part * bytes_a_tile))
        if most >= high:
            most -= most % high
        return max(1, min(tiles, most, 96))
