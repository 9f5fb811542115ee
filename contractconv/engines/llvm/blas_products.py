"""Products of matrices by a BLAS, in all threads: each multiplies parts of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product as combinations
from math import prod
from typing import NamedTuple

from contractconv.arrays.views import Array
from contractconv.cache_register import weighed
from contractconv.engines.llvm.kernels import foreign_calls as kernel
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.machine import blas
from contractconv.machine.kept_bytes import weight
from contractconv.machine.memory import code_of
from contractconv.machine.threads import get_num_threads
from contractconv.machine.work_sharing import evenly

# Multiplications of the smallest part that another thread takes.
_PART = 1 << 19
# Rows or columns of the smallest part: a BLAS packs the whole of the other factor for each.
_NARROW = 48
# Parts, however many threads there are: so the same product is rounded the same way every time, and
# whoever comes late finds something to do.
_PARTS = 8
# Matrices of a stack, of which each is listed.
_MOST = 1 << 12

Numbers = tuple[int, ...]


def multiply(left: Array, right: Array, out: Array) -> bool:
    """Write the product of matrices, or of stacks of them.

    Args:
        left: of shape ``(..., rows, depth)``.
        right: of shape ``(..., depth, columns)``; what lies before is broadcast.
        out: of shape ``(..., rows, columns)``.

    Returns:
        Whether it was done; if not, no BLAS can read the matrices as they lie.
    """
    if not left.dtype == right.dtype == out.dtype:
        return False
    if out.strides[-1] > out.strides[-2]:  # of what is turned the factors are, too
        left, right, out = (array.swapaxes(-1, -2) for array in (right, left, out))
    arrays = left, right, out
    shapes, strides = tuple(a.shape for a in arrays), tuple(a.strides for a in arrays)
    known = _prepared(shapes, strides, out.dtype.name, get_num_threads())
    if known is None or not all(array.flags.aligned for array in arrays):
        return False
    known.run({"left": left, "right": right}, out)
    return True


@weighed(weight)
def _prepared(
    shapes: tuple[Numbers, ...], strides: tuple[Numbers, ...], dtype: str, threads: int
) -> Prepared | None:
    """Make a product ready for factors and a result of these shapes and strides."""
    found = blas.product(dtype) if native.available() else None
    if found is None or min(shapes[2][-2:]) < 2 or prod(shapes[2][:-2]) > _MOST:
        return None
    size = native.number(dtype).size
    found_to_lie = (_lying(s, t, size) for s, t in zip(shapes, strides, strict=True))
    lie = [one for one in found_to_lie if one is not None]
    if len(lie) < len(shapes) or lie[2].turned:
        return None
    work = _Work(found, dtype, shapes, strides, lie)
    return Prepared(Program([list(work.pieces(_PARTS))], alone=True))


class _Matrix(NamedTuple):
    """How a matrix lies in memory: whether it is turned, and bytes from row (or column) to row."""

    turned: bool
    row: int

    def start(self, row: int, column: int, size: int) -> int:
        """The bytes before some number."""
        first, second = (column, row) if self.turned else (row, column)
        return first * self.row + second * size


def _lying(shape: Numbers, strides: Numbers, size: int) -> _Matrix | None:
    """How a BLAS reads a matrix; ``None`` if it cannot."""
    (rows, columns), (down, along) = shape[-2:], strides[-2:]
    for turned, short, long, step, next_to in (
        (False, columns, rows, down, along),
        (True, rows, columns, along, down),
    ):
        row = step if long > 1 else short * size
        if (short == 1 or next_to == size) and row % size == 0 and row >= short * size:
            return _Matrix(turned, row)
    return None


class _Work:
    """The calls that carry out parts of a product."""

    def __init__(
        self,
        found: blas.Product,
        dtype: str,
        shapes: Sequence[Numbers],
        strides: Sequence[Numbers],
        lie: Sequence[_Matrix],
    ) -> None:
        self._function = kernel.product(dtype, found.bits)
        self._size, self._lie = native.number(dtype).size, lie
        self._rows, self._columns, depth = *shapes[2][-2:], shapes[0][-1]
        self._points = self._rows * self._columns * depth
        self._stack = shapes[2][:-2]
        self._steps = [
            _broadcast(s[:-2], t[:-2], len(self._stack))
            for s, t in zip(shapes, strides, strict=True)
        ]
        left, right, result = (one.row // self._size for one in lie)
        self._same = {
            kernel.FUNCTION: code_of(found.function), kernel.DEPTH: depth,
            kernel.LEFT_LIES: kernel.lies(lie[0].turned), kernel.LEFT_ROW: left,
            kernel.RIGHT_LIES: kernel.lies(lie[1].turned), kernel.RIGHT_ROW: right,
            kernel.RESULT_ROW: result,
        }  # fmt: skip

    def pieces(self, count: int) -> Iterator[Calls]:
        """The product as so many pieces of about the same size, or fewer."""
        count = max(1, min(count, prod(self._stack) * self._points // _PART))
        matrices = list(combinations(*map(range, self._stack)))
        cuts = list(self._cuts(-(-count // len(matrices))))
        parts = [(places, *cut) for places in matrices for cut in cuts]
        for some in evenly(len(parts), count):
            calls = Calls()
            for part in parts[some.start : some.stop]:
                calls.call(self._function, self._arguments(*part))
            yield calls

    def _cuts(self, count: int) -> Iterator[tuple[range, range]]:
        """The rows and the columns of the parts of each matrix."""
        rows, columns = range(self._rows), range(self._columns)
        most = max(1, min(count, max(self._rows, self._columns) // _NARROW))
        if self._rows >= self._columns:
            yield from ((some, columns) for some in evenly(self._rows, most))
        else:
            yield from ((rows, some) for some in evenly(self._columns, most))

    def _arguments(self, places: Numbers, rows: range, columns: range) -> dict[int, object]:
        corners = (rows.start, 0), (0, columns.start), (rows.start, columns.start)
        left, right, result = (
            sum(map(int.__mul__, places, steps)) + lie.start(*corner, self._size)
            for steps, lie, corner in zip(self._steps, self._lie, corners, strict=True)
        )
        return self._same | {
            kernel.ROWS: len(rows), kernel.COLUMNS: len(columns),
            kernel.LEFT: Place("left", left), kernel.RIGHT: Place("right", right),
            kernel.RESULT: Place("out", result),
        }  # fmt: skip


def _broadcast(shape: Numbers, strides: Numbers, rank: int) -> Numbers:
    """The bytes from matrix to matrix along each axis of the whole stack."""
    steps = (step if size > 1 else 0 for size, step in zip(shape, strides, strict=True))
    return (0,) * (rank - len(shape)) + tuple(steps)
