"""Compositions of dask arrays, split and joined block by block.

Blocks are moved to where rows of the inner indices end; then each is reshaped by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise, product
from math import prod
from typing import NamedTuple

import numpy as np
from dask.array import Array, zeros
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from contractconv.notation.problem import Shape
from contractconv.planning.blocks.cuts import Grid, Sizes


class _Group(NamedTuple):
    """The axes of which one is composed.

    Attributes:
        sizes: of each of them.
        outer: the first one that is longer than one: the others are whole in every block.
    """

    sizes: Shape
    outer: int

    @property
    def inner(self) -> int:
        """Elements of a row of all axes behind the outer one."""
        return prod(self.sizes[self.outer + 1 :])

    def split(self, sizes: Sizes) -> Grid:
        """The blocks of each axis, of blocks along the composed one that end with rows."""
        return tuple(
            tuple(size // self.inner for size in sizes) if n == self.outer else (whole,)
            for n, whole in enumerate(self.sizes)
        )

    def aligned(self, sizes: Sizes) -> Sizes:
        """Blocks along the composed axis that end with rows, about where they ended before."""
        if len(self.sizes) == 1:
            return sizes
        ends = {round(end / self.inner) * self.inner for end in accumulate(sizes)}
        return tuple(stop - start for start, stop in pairwise(sorted({0, prod(self.sizes), *ends})))


def split(array: Array, shape: Shape) -> Array:
    """An array with its compositions split.

    Example:
        >>> import dask.array as da
        >>> split(da.arange(12, chunks=5), (4, 3)).chunks
        ((2, 1, 1), (3,))
    """
    if array.shape == shape:
        return array
    if not array.size:
        return zeros(shape, dtype=array.dtype, chunks=shape)
    groups = list(_groups(array.shape, shape))
    pairs = list(zip(groups, array.chunks, strict=True))
    moved = array.rechunk(tuple(group.aligned(sizes) for group, sizes in pairs))
    pairs = list(zip(groups, moved.chunks, strict=True))
    grid = tuple(sizes for group, along in pairs for sizes in group.split(along))
    blocks = {_spread(where, groups): where for where in _blocks_of(moved.chunks)}
    return _reshaped(moved, grid, blocks)


def joined(array: Array, shape: Shape) -> Array:
    """An array with its compositions joined, whose shape is that then.

    Example:
        >>> import dask.array as da
        >>> joined(da.ones((4, 3), chunks=2), (12,)).chunks
        ((6, 6),)
    """
    if array.shape == shape:
        return array
    if not array.size:
        return zeros(shape, dtype=array.dtype, chunks=shape)
    groups = list(_groups(shape, array.shape))
    along = [array.chunks[axis] for axis in _outer_axes(groups)]
    pairs = list(zip(groups, along, strict=True))
    whole = [tuple(size * group.inner for size in sizes) for group, sizes in pairs]
    pairs = list(zip(groups, whole, strict=True))
    moved = array.rechunk(tuple(sizes for group, along in pairs for sizes in group.split(along)))
    return _reshaped(moved, tuple(whole), {w: _spread(w, groups) for w in _blocks_of(whole)})


def _outer_axes(groups: Sequence[_Group]) -> Iterator[int]:
    """The outer axis of each group, among all axes."""
    start = 0
    for group in groups:
        yield start + group.outer
        start += len(group.sizes)


def _blocks_of(grid: Sequence[Sizes]) -> Iterator[tuple[int, ...]]:
    return product(*(range(len(sizes)) for sizes in grid))


def _reshaped(array: Array, grid: Grid, blocks: Mapping[tuple[int, ...], tuple[int, ...]]) -> Array:
    """An array whose blocks are those of another one, reshaped."""
    name = f"reshape-{tokenize(array.name, grid)}"
    tasks = {}
    for where, source in blocks.items():
        shape = tuple(sizes[n] for sizes, n in zip(grid, where, strict=True))
        tasks[name, *where] = (np.reshape, (array.name, *source), shape)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[array])
    return Array(graph, name, grid, dtype=array.dtype)


def _groups(whole: Shape, parts: Shape) -> Iterator[_Group]:
    """For each axis those of which it is composed; those of one element go with any."""
    start = 0
    for number, size in enumerate(whole):
        stop = start
        while stop < len(parts) and (prod(parts[start:stop]) < size or stop == start):
            stop += 1
        if number == len(whole) - 1:
            stop = len(parts)
        sizes = parts[start:stop]
        outer = next((n for n, part in enumerate(sizes) if part > 1), 0)
        yield _Group(sizes, outer)
        start = stop


def _spread(where: Sequence[int], groups: Sequence[_Group]) -> tuple[int, ...]:
    """Which block of the split array a block of the composed one is."""
    return tuple(
        block if n == group.outer else 0
        for block, group in zip(where, groups, strict=True)
        for n in range(len(group.sizes))
    )
