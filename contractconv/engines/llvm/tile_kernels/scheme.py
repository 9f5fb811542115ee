"""Schemes of kernel calls: which tiles are transformed, multiplied and collected when.

A scheme turns a layer into a :class:`contractconv.engines.llvm.program.Program`. Products of tiles
lie in the scratch memory of a thread, one matrix for each point of the decomposition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native, tile_transforms
from contractconv.engines.llvm.kernels import product_loops as multiply
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.kernels.tile_transforms import Transform
from contractconv.engines.llvm.program import Calls, Place, offsets
from contractconv.engines.llvm.tile_kernels.layer_roles import Layer, Letter, Tensor

LINE = 64  # bytes between matrices of products, so that they do not share their place in cache
# Bytes of scratch that a thread works in: most of a second level of cache.
SCRATCH = 768 << 10
# Threads that share the work, as far as the order of sums depends on it.
SHARERS = 2
# Of the memory that all windows would take, written out, so much is taken at most: one in so many
# bytes, less what tables and code take.
_SHARE, _BESIDE = 10, 900 << 10


class Panel(NamedTuple):
    """Columns that are multiplied together.

    Attributes:
        first: the first of them.
        columns: how many there are.
        lanes: as many, in whole vectors.
        tile: the sums that stay in registers.
    """

    first: int
    columns: int
    lanes: int
    tile: multiply.Tile


class Scheme:
    """What all schemes share: sizes, transforms and calls."""

    def __init__(self, layer: Layer, accumulate: bool, threads: int, finish: Finish = RAW) -> None:
        self.layer, self.accumulate, self.threads = layer, accumulate, threads
        self.finish = finish
        self._tensors: dict[Letter, Tensor] = {}
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
        calls: Calls,
        letter: Letter,
        base: Place,
        tiles: range,
        lanes: int,
        products: Place,
        steps: tuple[int, int],
        **more: Any,
    ) -> None:
        """Append the call that applies one factor of the decompositions to some tiles.

        Those of an operand become products; those of the result come of products.

        Args:
            base: where the first lane lies.
            products: where products lie.
            steps: bytes from one matrix of them to the next, and from one tile to the next.
            more: of the result, whether it is ``adding``, its ``finish``, and its ``bias``.
        """
        tensor = self._tensor(letter)
        bias = more.pop("bias", 0)
        calls.call(
            tile_transforms.kernel(self.layer.dtype, self._form(letter, tensor, **more)),
            {
                tile_transforms.PLACES: base, tile_transforms.PRODUCTS: products,
                tile_transforms.LINES: tensor.lines, tile_transforms.TILES: tensor.tiles,
                tile_transforms.TILES_A_LINE: tensor.tiles_a_line,
                tile_transforms.FIRST: tiles.start, tile_transforms.COUNT: len(tiles),
                tile_transforms.LANES: lanes, tile_transforms.LANE_STEP: tensor.lane,
                tile_transforms.PRODUCT_STEP: steps[0], tile_transforms.TILE_STEP: steps[1],
                tile_transforms.BIAS: bias,
                tile_transforms.NOWHERE: Place("trash" if tensor.is_result else "zeros"),
            },
        )  # fmt: skip

    def _form(self, letter: Letter, tensor: Tensor, **more: Any) -> Transform:
        matrices = tuple(getattr(part, letter) for part in self.layer.parts)
        if not tensor.is_result:
            matrices = tuple(tuple(zip(*matrix, strict=True)) for matrix in matrices)
        size = self.number.size
        contiguous = tensor.lane == size
        turned = not contiguous and tensor.line == size and not tensor.is_result
        return Transform(matrices, tensor.is_result, contiguous, turned=turned, **more)

    def _tensor(self, letter: Letter) -> Tensor:
        if letter not in self._tensors:
            self._tensors[letter] = self.layer.tensor(letter)
        return self._tensors[letter]

    def panels_of(self, columns: int, most: int) -> list[Panel]:
        """Columns in panels of so many vectors at most."""
        first, found = 0, []
        vectors = -(-columns // self.number.lanes)
        for wide in multiply.even_panels(vectors, min(most, multiply.widest_tile())):
            lanes, tile = wide * self.number.lanes, multiply.fitting_tile(wide)
            found.append(Panel(first, min(lanes, columns - first), lanes, tile))
            first += lanes
        return found

    def multiply(self, calls: Calls, tile: multiply.Tile, **arguments: Any) -> None:
        """Append the products of matrices, one for each point, arguments by name."""
        given = {getattr(multiply, name.upper()): value for name, value in arguments.items()}
        fixed = {
            multiply.TAPS: 1, multiply.TAPS_AT_ONCE: 1, multiply.TAP_SCALARS: self.none,
            multiply.TAP_VECTORS: self.none, multiply.ROWS_AT_ONCE: arguments["row_stop"],
        }  # fmt: skip
        calls.call(multiply.kernel(self.layer.dtype, tile), fixed | given)

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
            bytes_a_tile: what one of them takes.
            high: the rows of a register tile.
            part: one in so many bytes of the scratch is enough.
        """
        most = max(1, SCRATCH // (part * bytes_a_tile))
        if most >= high:
            most -= most % high
        return max(1, min(tiles, most, 96))
