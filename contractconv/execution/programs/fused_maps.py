"""Maps that run together: by a kernel, or block by block, in memory that stays in cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from sys import getsizeof
from typing import Any

import numpy as np

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.llvm.maps.compiled_groups import compiled
from contractconv.execution.launches import Launch, Room, launch_of_maps
from contractconv.execution.programs.block_operations import BlockOperations
from contractconv.machine import memory
from contractconv.machine.threads import get_num_threads
from contractconv.machine.work_sharing import evenly, together
from contractconv.planning.programs.fusion import Fused
from contractconv.programs.nodes import Axes, Node

# Elements of a block: a few arrays of so many stay in a core's own cache.
_BLOCK = 1 << 14
# Elements of a group that are worth another thread.
_WORTH = 1 << 16

COMPILED, BLOCKS = "compiled maps", "maps, block by block"
"""The ways in which maps are carried out."""

Shape = tuple[int, ...]
# From a shape and a dtype to an array without gaps, whose numbers do not matter.
StandIn = Callable[[Shape, np.dtype[Any]], Array]


class FusedMaps:
    """A group of maps, ready for arrays of any layout.

    Args:
        group: the maps.
        shapes: the shape of every node.
        dtypes: the dtype of every node.

    Attributes:
        compiled: its kernels, if there are any.
        turned: whether axes of outputs lie in memory in another order than their nodes say.
    """

    def __init__(
        self, group: Fused, shapes: Mapping[Node, Shape], dtypes: Mapping[Node, str]
    ) -> None:
        kinds = {node: np.dtype(dtypes[node]) for node in group.nodes}
        sizes: dict[str, int] = {}
        for node in (*group.nodes, *group.leaves):
            sizes.update(zip(node.axes, shapes[node], strict=True))
        self._axes = group.axes
        self._sizes = tuple(sizes[name] for name in self._axes)
        self._operations = BlockOperations(group, kinds, self._axes)
        leaves = len(group.leaves)
        self._leaves = [node.axes for node in self._operations.arrays[:leaves]]
        self._indices = [
            _aligned(np.arange(sizes[node.axes[0]]), node.axes, self._axes)
            for node in self._operations.arrays[leaves:]
        ]
        self._made = [kinds[node] for node in group.outputs]
        orders = [_order(self._axes, node.axes) for node in group.outputs]
        self.turned = any(order != sorted(order) for order in orders)
        self._orders = orders
        self._loops = Shelf()
        self.compiled = compiled(group, self._axes, self._sizes, dtypes)

    @property
    def way(self) -> str:
        """How the maps are carried out."""
        return BLOCKS if self.compiled is None else COMPILED

    @property
    def beside(self) -> int:
        """Bytes that it takes beside what it reads and makes."""
        if self.compiled is not None:
            return self.compiled.beside
        elements = prod(self._sizes)
        threads = get_num_threads() if elements >= _WORTH else 1
        sizes = sum(dtype.itemsize for dtype in self._operations.scratch)
        return min(elements, threads * _BLOCK) * sizes

    def results(self, like: StandIn) -> list[Array]:
        """Arrays that lie in memory as those of the outputs will."""
        return self.in_order([like(self._sizes, dtype) for dtype in self._made])

    def __call__(self, leaves: Sequence[Any]) -> list[Array]:
        """Make the arrays of the group's outputs from those of its leaves."""
        arrays = [np.asarray(array) for array in leaves]
        made = self.room()
        self.fill(arrays, made)
        return self.in_order(made)

    def with_sums(self, leaves: Sequence[Any]) -> list[Array] | None:
        """Make the arrays of the group's outputs, and its sums, if a kernel can."""
        if self.compiled is None or 0 in self._sizes:
            return None
        made = self.room()
        sums = self.compiled.run([np.asarray(array) for array in leaves], made)
        return None if sums is None else [*self.in_order(made), *sums]

    def launch(self, leaves: Sequence[Array], sums: int = 0) -> Launch | None:
        """The same as calls of a kernel for arrays that lie like these, if that is all.

        Args:
            sums: how many sums come behind the outputs.
        """
        if self.compiled is None or 0 in self._sizes:
            return None
        loop, rooms = self.compiled.shared_loop(leaves), self.rooms
        if loop is None:
            return None
        return launch_of_maps(loop, len(leaves), rooms, range(len(rooms) + sums))

    @property
    def rooms(self) -> list[Room]:
        """The arrays of its outputs."""
        pairs = zip(self._made, self._orders, strict=True)
        return [Room(self._sizes, dtype, tuple(order)) for dtype, order in pairs]

    def room(self) -> list[Array]:
        """New arrays for the outputs, with axes as they lie in memory."""
        return [memory.empty(self._sizes, dtype) for dtype in self._made]

    def in_order(self, made: list[Array]) -> list[Array]:
        """Arrays with their axes in the order of their nodes."""
        if not self.turned:
            return made
        return [array.transpose(order) for array, order in zip(made, self._orders, strict=True)]

    def fill(self, arrays: Sequence[Array], made: Sequence[Array]) -> None:
        """Fill such arrays from those of the leaves."""
        if 0 in self._sizes:
            return
        if trace.listening:
            with trace.of(self.way):
                self._carry_out(arrays, made)
        else:
            self._carry_out(arrays, made)

    def _carry_out(self, arrays: Sequence[Array], made: Sequence[Array]) -> None:
        if self.compiled is not None and self.compiled.run(arrays, made) is not None:
            return
        views = [
            _aligned(array, axes, self._axes)
            for array, axes in zip(arrays, self._leaves, strict=True)
        ]
        views += self._indices
        self._loop(views).run(views, made)

    def _loop(self, views: Sequence[Array]) -> _Loop:
        key = tuple((view.strides, view.shape) for view in views)
        known: _Loop | None = self._loops.get(key)
        if known is None:
            known = _Loop(self._operations, self._sizes, views)
            self._loops.put(key, known, known.size)
        return known


def _order(axes: Axes, wanted: Axes) -> list[int]:
    return [axes.index(name) for name in wanted]


def _aligned(array: Array, axes: Axes, wanted: Axes) -> Array:
    """A view with all wanted axes, in their order; those that the array lacks have size one."""
    turned = array.transpose([axes.index(name) for name in wanted if name in axes])
    view: Array = turned[tuple(slice(None) if name in axes else None for name in wanted)]
    return view


class _Loop:
    """The blocks of a group for arrays that lie in memory in one way."""

    def __init__(self, operations: BlockOperations, sizes: Shape, views: Sequence[Array]) -> None:
        self._operations = operations
        runs = _runs(sizes, views)
        self._shape = tuple(prod(sizes[run.start : run.stop]) for run in runs)
        self._shapes = [
            tuple(prod(view.shape[run.start : run.stop]) for run in runs) for view in views
        ]
        self._axis, self._rows = _cut(self._shape)
        outer = [range(size) for size in self._shape[: self._axis]]
        starts = range(0, self._shape[self._axis], self._rows) if self._shape else range(1)
        self._blocks = list(product(*outer, starts))

    @property
    def size(self) -> int:
        """Bytes that it keeps: where its blocks are."""
        return sum(map(getsizeof, self._blocks))

    def run(self, views: Sequence[Array], made: Sequence[Array]) -> None:
        """Fill the results, block by block; threads share the blocks."""
        arrays = [view.reshape(shape) for view, shape in zip(views, self._shapes, strict=True)]
        results = [array.reshape(self._shape) for array in made]
        threads = get_num_threads() if prod(self._shape) >= _WORTH else 1
        runs = [self._blocks[r.start : r.stop] for r in evenly(len(self._blocks), threads)]
        if len(runs) == 1:
            self._some(runs[0], arrays, results)
        else:
            together(lambda blocks: self._some(blocks, arrays, results), runs)

    def _some(
        self, blocks: Sequence[tuple[int, ...]], arrays: Sequence[Array], results: Sequence[Array]
    ) -> None:
        operations = self._operations
        inner = self._shape[self._axis + 1 :]
        size = min(self._rows, self._shape[self._axis]) * prod(inner) if self._shape else 1
        scratch = [np.empty(size, dtype) for dtype in operations.scratch]
        shaped: dict[int, list[Array]] = {}
        with np.errstate(all="ignore"):
            for block in blocks:
                taken = [array[self._place(block, array.shape)] for array in arrays]
                filled = [array[self._place(block, array.shape)] for array in results]
                rows = filled[0].shape[0] if self._shape else 1
                if rows not in shaped:
                    shape = (rows, *inner) if self._shape else ()
                    shaped[rows] = [part[: prod(shape)].reshape(shape) for part in scratch]
                held = [*taken, *operations.numbers, *filled, *shaped[rows]]
                _carry_out(operations, held)

    def _place(self, block: tuple[int, ...], shape: Shape) -> tuple[Any, ...]:
        """Where a block is in an array, in whose axes of size one nothing moves."""
        if not shape:
            return (...,)
        *outer, start = block
        place: list[int | slice] = [
            0 if size == 1 else n for n, size in zip(outer, shape, strict=False)
        ]
        single = shape[self._axis] == 1
        place.append(slice(0, 1) if single else slice(start, start + self._rows))
        return tuple(place)


def _carry_out(operations: BlockOperations, held: list[Any]) -> None:
    """Carry out the maps on one block."""
    held += [None] * operations.small
    for work, taken, made, fills in operations.operations:
        given = [held[n] for n in taken]
        if fills:
            work(*given, out=held[made])
        else:
            held[made] = work(*given)


def _runs(sizes: Shape, views: Sequence[Array]) -> list[range]:
    """The axes that are one axis in every array, put together."""
    runs: list[range] = []
    for n in range(len(sizes)):
        if runs and all(_lie_together(view, n) for view in views):
            runs[-1] = range(runs[-1].start, n + 1)
        else:
            runs.append(range(n, n + 1))
    return runs


def _lie_together(view: Array, n: int) -> bool:
    """Whether an axis and the one before it can be walked as one."""
    before, size = view.shape[n - 1 : n + 1]
    if before == 1 or size == 1:
        return bool(before == size == 1)
    return bool(view.strides[n - 1] == view.strides[n] * size)


def _cut(shape: Shape) -> tuple[int, int]:
    """The axis along which blocks are cut, and how many of its elements are in one."""
    size, axis = 1, len(shape)
    while axis and size * shape[axis - 1] <= _BLOCK:
        axis -= 1
        size *= shape[axis]
    if not axis:
        return 0, shape[0] if shape else 1
    return axis - 1, max(1, _BLOCK // size)
