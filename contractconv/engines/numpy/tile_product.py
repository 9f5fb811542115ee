"""Windows as products of tiles, whatever the transform: block after block, as matrix products.

Data and results are cut into tiles, so that a transform of few points serves an axis of any length.
The indices of no window make the product at every point a product of matrices::

    results[rows, columns] = data[rows, depth] · taps[depth, columns]

whose rows include the tiles. All of it happens block by block: transformed data never exist as a
whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import chain
from math import prod
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contractconv.arrays.index_boxes import boxes
from contractconv.arrays.summation import added, multiplied, summed
from contractconv.arrays.views import Array, Labelled, Labels, put
from contractconv.errors import ShapeError
from contractconv.machine.work_sharing import carried_out, evenly, portions
from contractconv.planning.roles import roles

# Elements of the transformed taps that are kept while the tiles pass by.
MOST_TAPS = 1 << 21
# Elements of a block of transformed tiles: enough rows for matrix products to run at full speed.
MOST_TILES = 1 << 20
# Elements of transformed taps that no thread minds reading by itself.
_FEW_TAPS = 1 << 18
# Rows beside which it is no matter that each thread reads all taps.
_ROWS = 256
# Products of rows that are added one after the other.
_FEW = 512
# Bytes of a buffer that is kept for the next product, and how many calls at once keep theirs.
MOST_KEPT = 4 * MOST_TAPS
_MOST_IDLE = 8

Letter = Literal["A", "B", "C"]
Block = dict[str, tuple[int, int]]
Combine = Callable[[Array, Array, Array], Any]

LETTERS: tuple[Letter, ...] = ("A", "B", "C")
_ONE = (0, 1)


class UnitWindow(NamedTuple):
    """A window that moves by one element: ``axis = result + tap``."""

    axis: str
    result: str
    tap: str


class Scratch:
    """Two buffers in turn: what reads the one writes the other.

    They are kept for other calls, for the system clears every new page, which takes longer than
    the arithmetic on it.
    """

    def __init__(self) -> None:
        self._buffers = [np.empty(0, np.uint8)] * 2

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array without values, which lives until the next but one is asked for."""
        size = prod(shape) * dtype.itemsize
        if size > MOST_KEPT:
            return np.empty(shape, dtype)
        self._buffers.reverse()
        if self._buffers[0].size < size:
            self._buffers[0] = np.empty(size, np.uint8)
        return self._buffers[0][:size].view(dtype).reshape(shape)


Scratches = dict[Letter, Scratch]
_idle: list[Scratches] = []


@contextmanager
def _scratches() -> Iterator[Scratches]:
    """Scratch for each letter, which belongs to a call as long as it lasts.

    Not to a thread: a signal handler, or whatever is finalised, may contract in the midst of it.
    """
    try:
        lent = _idle.pop()
    except IndexError:
        lent = {letter: Scratch() for letter in LETTERS}
    yield lent
    # Helpers of a call that was interrupted may still read its own.
    if len(_idle) < _MOST_IDLE:
        _idle.append(lent)


class Transform(Protocol):
    """What turns windows into products at ``points``: letter A for data, B results, C taps.

    Attributes:
        outputs: how many results a tile has, along each window.
        taps: how many taps each window has.
        points: how many products a tile takes.
        size: how many numbers of ``dtype`` a transformed tile takes.
    """

    outputs: tuple[int, ...]
    taps: tuple[int, ...]
    points: int
    size: int
    dtype: np.dtype[Any]

    def lift(self, letter: Letter, tiles: Array, scratch: Scratch) -> Array:
        """Transform ``(elements of a tile, rest)`` to ``(points, rest)``."""

    def lower(self, letter: Letter, products: Array, scratch: Scratch) -> Array:
        """Transform ``(points, rest)`` back to ``(elements of a tile, rest)``."""


class _Cut(NamedTuple):
    """An axis seen as tiles of ``size`` elements, one every ``step`` elements."""

    axis: str
    tiles: str
    step: int
    size: int

    def reach(self, block: Block) -> tuple[int, int]:
        """The elements below a block of tiles, as if its last tile were whole."""
        start, stop = block.get(self.tiles, _ONE)
        return start * self.step, (stop - 1) * self.step + self.size


def _cuts(transform: Transform, windows: Sequence[UnitWindow]) -> tuple[list[_Cut], ...]:
    """How data, results and taps are cut: results into tiles, taps into one tile."""
    sizes = list(zip(windows, transform.outputs, transform.taps, strict=True))
    return (
        [_Cut(w.axis, f"tiles of {w.result}", m, m + r - 1) for w, m, r in sizes],
        [_Cut(w.result, f"tiles of {w.result}", m, m) for w, m, _ in sizes],
        [_Cut(w.tap, f"tiles of {w.tap}", r, r) for w, _, r in sizes],
    )


def _extents(
    windows: Sequence[UnitWindow], views: Sequence[Labelled], cuts: Sequence[Sequence[_Cut]]
) -> dict[str, int]:
    """How many values every label has, tiles included."""
    extents = {label: size for view in views for label, size in view.sizes.items()}
    for window, result, tap in zip(windows, *cuts[1:], strict=True):
        axis, results, taps = (extents[label] for label in window)
        # A view of tiles beyond the end of an array would read foreign memory.
        if taps != tap.size or axis != results + taps - 1:
            raise ShapeError(
                f"a window of {tap.size} taps and {results} results is {results + tap.size - 1} "
                f"long, but '{window.axis}' has size {axis} and '{window.tap}' has size {taps}"
            )
        extents[result.tiles] = -(-results // result.step)
    return extents


class TiledProduct:
    """``results[rows, columns] = data[rows, depth] · taps[depth, columns]`` on tiles.

    Args:
        data: has each window's ``axis``, of as many elements as its windows reach.
        other: has each window's ``tap``, or each window's ``result``.

    Raises:
        ShapeError: an axis is not of the size that its window or transform asks for.
    """

    def __init__(
        self,
        transform: Transform,
        windows: Sequence[UnitWindow],
        data: Labelled,
        other: Labelled,
        out: Labelled,
    ) -> None:
        self._is_forward = windows[0].tap in other.labels
        results, taps = (out, other) if self._is_forward else (other, out)
        views, cuts = (data, results, taps), _cuts(transform, windows)
        extents = _extents(windows, views, cuts)
        batch, rows, columns, depth, single = _groups(*map(_by_stride, views, cuts))
        groups = ((batch, rows, depth), (batch, rows, columns), (batch + single, depth, columns))
        vectors = prod(extents[label] for label in (*depth, *columns)) == 1
        self._data, self._results, self._taps = (
            _Tensor(transform, letter, view, cut, group, vectors=vectors)
            for letter, view, cut, group in zip(LETTERS, views, cuts, groups, strict=True)
        )
        self._size, self._depth = transform.size, depth
        self._rows = {label: extents[label] for label in rows}
        longest = sorted((*batch, *depth, *columns), key=extents.__getitem__, reverse=True)
        self._fixed = {label: extents[label] for label in longest}
        self._shared = self._worth(transform)

    def _worth(self, transform: Transform) -> int:
        """The multiplications that are shared: none, if reading or adding the taps is slower."""
        rows, fixed = prod(self._rows.values()), prod(self._fixed.values())
        enough = transform.size * fixed <= _FEW_TAPS or (self._is_forward and rows >= _ROWS)
        return transform.points * rows * fixed if enough else 0

    def run(self, accumulate: bool) -> None:
        """Write the product, or add it to what is there."""
        with _scratches() as scratch:
            for fixed in _blocks(self._fixed, MOST_TAPS // self._size):
                if self._is_forward:
                    add = accumulate or any(fixed[label][0] for label in self._depth)
                    self._forward(fixed, add, scratch)
                else:
                    self._backward(fixed, accumulate, scratch)

    def _forward(self, fixed: Block, add: bool, scratch: Scratches) -> None:
        taps = self._taps.lifted(fixed, scratch["C"])

        def work(blocks: Sequence[Block]) -> None:
            with _scratches() as own:
                for block in blocks:
                    # Data and what comes of them are never needed at once.
                    data = self._data.lifted(block, own["A"])
                    products = self._results.combined(_times, data, taps, block, own["A"])
                    self._results.lower(products, block, add, own["A"])

        carried_out(work, self._passing(fixed), self._shared)

    def _backward(self, fixed: Block, accumulate: bool, scratch: Scratches) -> None:
        passing, parts = self._passing(fixed), portions(self._shared)
        groups = [passing[some.start : some.stop] for some in evenly(len(passing), parts)]

        def work(groups: Sequence[Sequence[Block]]) -> list[Array]:
            if parts == 1:
                return [self._sum(fixed, blocks, scratch) for blocks in groups]
            with _scratches() as own:
                # The next group uses the same buffers.
                return [self._sum(fixed, blocks, own).copy() for blocks in groups]

        sums = carried_out(work, groups, self._shared)
        self._taps.lower(added(chain(*sums)), fixed, accumulate, scratch["C"])

    def _sum(self, fixed: Block, blocks: Sequence[Block], scratch: Scratches) -> Array:
        """The products of all blocks, summed."""
        return reduce(_added, (self._term(fixed, block, scratch) for block in blocks))

    def _term(self, fixed: Block, block: Block, scratch: Scratches) -> Array:
        data = self._data.lifted(block, scratch["A"])
        results = self._results.lifted(block, scratch["B"])
        return self._taps.combined(_correlated, data, results, fixed, scratch["C"])

    def _passing(self, fixed: Block) -> list[Block]:
        """Blocks of rows that meet one block of everything else."""
        width = max(_volume(self._results.labels, fixed), _volume(self._data.labels, fixed))
        share = -(-prod(self._rows.values()) // portions(self._shared))
        rows = _blocks(self._rows, min(share, MOST_TILES // (self._size * width)))
        return [fixed | block for block in rows]


def _times(data: Array, taps: Array, out: Array) -> None:
    if data.shape[-1] == 1:
        np.multiply(data, taps, out=out)
    else:
        multiplied(data, taps, out=out)


def _correlated(data: Array, results: Array, out: Array) -> None:
    if data.shape[-1] == results.shape[-1] == 1:
        _correlated_rows(data[..., 0], results[..., 0], out[..., 0, 0])
    else:
        multiplied(data.swapaxes(-1, -2), results, out=out)


def _correlated_rows(data: Array, results: Array, out: Array) -> None:
    few = data.shape[-1] // _FEW * _FEW
    np.einsum("pbr,pbr->pb", data[..., few:], results[..., few:], out=out)
    if few:
        data, results = (
            array[..., :few].reshape(*array.shape[:2], -1, _FEW) for array in (data, results)
        )
        np.add(out, summed(np.einsum("pbnr,pbnr->pbn", data, results), (2,)), out=out)


def _added(total: Array, term: Array) -> Array:
    # Of the two buffers, the next term overwrites that of the total.
    return np.add(total, term, out=term)


def _groups(data: list[str], results: list[str], taps: list[str]) -> tuple[Labels, ...]:
    """Batch, rows, columns and depth, and the labels of the taps alone."""
    order = dict.fromkeys((*data, *results))
    batch, rows, columns, depth = roles(data, taps, results, order)
    return batch, rows, columns, depth, tuple(n for n in taps if n not in order)


def _by_stride(view: Labelled, cuts: Sequence[_Cut]) -> list[str]:
    """The labels in the order of memory, tiles in the place of their axis."""
    names = {cut.axis: cut.tiles for cut in cuts}
    return [names.get(label, label) for label in view.by_stride]


def _blocks(extents: Mapping[str, int], most: int) -> Iterator[Block]:
    """Cut a box along its first sides into boxes of at most ``most`` points, or of one."""
    whole = {label: (0, extent) for label, extent in extents.items()}
    for box in boxes(tuple(extents.values()), tuple(extents), most):
        yield whole | {label: (start, stop) for label, start, stop in box}


def _volume(labels: Sequence[str], block: Block) -> int:
    return prod(stop - start for start, stop in (block.get(n, _ONE) for n in labels))


class _Tensor:
    """Data, results or taps, on the way to and from their transform.

    A transformed block has the axes ``(points, *groups)``. In scratch memory its groups lie in
    the order of the array it comes from, so that what is copied are long runs.
    """

    def __init__(
        self,
        transform: Transform,
        letter: Letter,
        view: Labelled,
        cuts: Sequence[_Cut],
        groups: Sequence[Labels],
        *,
        vectors: bool,
    ) -> None:
        self._transform, self._letter, self._view = transform, letter, view
        self._cuts = {cut.axis: cut for cut in cuts}
        memory = _by_stride(view, cuts)
        inner = [max(map(memory.index, group), default=-1) for group in groups]
        # Matrices want a batch outside of them; vectors are taken as they come.
        order = sorted(range(3), key=lambda n: inner[n] if n or vectors else -2)
        self._groups = [groups[n] for n in order]
        self._places = (0, *(1 + order.index(n) for n in range(3)))
        self.labels = tuple(chain(*self._groups))

    def lifted(self, block: Block, scratch: Scratch) -> Array:
        """Transform a block of tiles; beyond the array, a ragged tile is zero."""
        part, whole = self._part(block)
        if part.shape != whole:
            padded = np.zeros_like(part, shape=whole)
            padded[_corner(part.shape)] = part
            part = padded
        opened = self._opened(part)
        tiles = scratch.empty(opened.shape, self._transform.dtype)
        tiles[...] = opened
        tiles = tiles.reshape(prod(cut.size for cut in self._cuts.values()), -1)
        return self._grouped(self._transform.lift(self._letter, tiles, scratch), block)

    def lower(self, products: Array, block: Block, add: bool, scratch: Scratch) -> None:
        """Transform products back and write them to a block of tiles, or add them to it."""
        tiles = self._transform.lower(self._letter, products, scratch)
        part, whole = self._part(block)
        if part.shape == whole:
            _write(self._opened(part), tiles, add)
            return
        padded = np.empty_like(part, shape=whole)
        _write(self._opened(padded), tiles, add=False)
        _write(part, padded[_corner(part.shape)], add)

    def combined(
        self, combine: Combine, first: Array, second: Array, block: Block, scratch: Scratch
    ) -> Array:
        """Products ``(points, rest)`` of two transformed tensors, as :meth:`lower` wants them."""
        shape = (self._transform.points, _volume(self.labels, block))
        products = scratch.empty(shape, first.dtype)
        combine(first, second, self._grouped(products, block))
        return products

    def _grouped(self, products: Array, block: Block) -> Array:
        sizes = (_volume(group, block) for group in self._groups)
        return products.reshape(len(products), *sizes).transpose(self._places)

    def _part(self, block: Block) -> tuple[Array, tuple[int, ...]]:
        """What lies below a block of tiles, and the shape it would have if no tile were ragged."""
        reach = [
            self._cuts[n].reach(block) if n in self._cuts else block[n] for n in self._view.labels
        ]
        part = self._view.array[tuple(slice(start, stop) for start, stop in reach)]
        return part, tuple(stop - start for start, stop in reach)

    def _opened(self, array: Array) -> Array:
        """See whole tiles as such: axes of their elements, then the others, group by group."""
        view = Labelled(array, self._view.labels)
        for cut in self._cuts.values():
            view = _split(view, cut)
        return view.arranged((*self._cuts, *self.labels))


def _split(view: Labelled, cut: _Cut) -> Labelled:
    n = view.labels.index(cut.axis)
    array, labels = view
    shape, strides, stride = array.shape, array.strides, array.strides[n]
    count = (shape[n] - cut.size) // cut.step + 1
    tiled = as_strided(
        array,
        (*shape[:n], count, *shape[n + 1 :], cut.size),
        (*strides[:n], cut.step * stride, *strides[n + 1 :], stride),
    )
    return Labelled(tiled, (*labels[:n], cut.tiles, *labels[n + 1 :], cut.axis))


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(map(slice, shape))


def _write(target: Array, values: Array, add: bool) -> None:
    put(values.reshape(target.shape), target, add)
