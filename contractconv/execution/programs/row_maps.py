"""Maps and reductions along their last axis, row by row where a kernel can do that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array
from contractconv.engines.llvm.maps.compiled_rows import compiled_rows
from contractconv.execution.launches import Launch, Room, launch_of_maps
from contractconv.execution.programs.fused_maps import StandIn
from contractconv.machine import memory
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Node

Work = Callable[[Sequence[Any]], Sequence[Any]]


class RowMaps:
    """A loop over rows; where no kernel can be made, its steps come one after the other.

    Args:
        loop: the loop.
        program: the program in which it is.
        works: what carries its parts out.
    """

    def __init__(self, loop: RowLoop, program: Typed, works: Callable[[], list[Work]]) -> None:
        self._loop, self._works = loop, works
        self._parts: list[Work] | None = None
        sizes: dict[str, int] = {}
        for node in (*loop.nodes, *loop.reads):
            sizes.update(zip(node.axes, program.shapes[node], strict=True))
        self._sizes = tuple(sizes[name] for name in loop.axes)
        self._sums = [one.node for one in loop.sums]
        self._outputs = [node for node in loop.makes if node not in self._sums]
        self._rooms = [self._room(node, program.dtypes[node]) for node in self._outputs]
        nodes = [*self._outputs, *self._sums]
        # The place of each result among the outputs and the sums behind them.
        self._order = [nodes.index(node) for node in loop.makes]
        made = {node for step in loop.parts for node in step.makes}
        self._between = sum(map(program.nbytes, made.difference(loop.makes)))
        self._compiled = compiled_rows(loop, self._sizes, program.dtypes)

    @property
    def way(self) -> str:
        """How it is carried out."""
        reduced = sum(isinstance(node, Contract) for node in self._loop.nodes)
        maps, reduced = len(self._loop.nodes) - reduced, reduced + len(self._sums)
        how = "one by one" if self._compiled is None else "row by row (compiled)"
        return f"{maps} maps, {reduced} reduction{'s' if reduced > 1 else ''} {how}"

    @property
    def beside(self) -> int:
        """Bytes that it takes beside what it reads and makes."""
        return self._between if self._compiled is None else self._compiled.beside

    def results(self, like: StandIn) -> list[Array]:
        """Arrays that lie in memory as those of the outputs will."""
        return [like(room.shape, room.dtype).transpose(room.order) for room in self._rooms]

    def __call__(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """Make the arrays that others read."""
        made = None
        if trace.listening and self._compiled is not None:
            with trace.of(self.way):
                made = self._row_by_row(leaves)
        elif self._compiled is not None:
            made = self._row_by_row(leaves)
        return self._one_by_one(leaves) if made is None else made

    def _row_by_row(self, leaves: Sequence[Any]) -> list[Array] | None:
        assert self._compiled is not None
        results = [memory.empty(room.shape, room.dtype) for room in self._rooms]
        sums = self._compiled.run([np.asarray(array) for array in leaves], results)
        if sums is None:
            return None
        pairs = zip(self._rooms, results, strict=True)
        made = [*(array.transpose(room.order) for room, array in pairs), *sums]
        return [made[n] for n in self._order]

    def launch(self, leaves: Sequence[Array]) -> Launch | None:
        """The same as calls of a kernel for arrays that lie like these, if that is all."""
        if self._compiled is None or 0 in self._sizes:
            return None
        loop = self._compiled.shared_loop(leaves)
        if loop is None:
            return None
        return launch_of_maps(loop, len(leaves), self._rooms, self._order)

    def _room(self, node: Node, dtype: str) -> Room:
        """The array of an output, whose axes lie in memory in the order of the loop."""
        names = [name for name in self._loop.axes if name in node.axes]
        order = tuple(names.index(name) for name in node.axes)
        return Room(self._sizes[: len(node.axes)], np.dtype(dtype), order)

    def _one_by_one(self, leaves: Sequence[Any]) -> list[Any]:
        if self._parts is None:
            self._parts = self._works()
        held: dict[Node, Any] = dict(zip(self._loop.reads, leaves, strict=True))
        for step, work in zip(self._loop.parts, self._parts, strict=True):
            held.update(zip(step.makes, work([held[n] for n in step.reads]), strict=True))
        return [held[node] for node in self._loop.makes]
