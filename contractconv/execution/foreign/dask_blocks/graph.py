"""Tasks of blocks, as dask takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dask import config
from dask.array import Array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from contractconv.execution.foreign.dask_blocks.layer import BlockLayer, Load, Work
from contractconv.execution.foreign.dask_blocks.memory import refuse
from contractconv.execution.foreign.dask_blocks.reading import Key, Reader
from contractconv.execution.foreign.dask_blocks.tasks import Combined, Finish, Task
from contractconv.notation.problem import Problem
from contractconv.notation.shift import Ranges
from contractconv.planning.blocks.cuts import Grid

# Parts that one task combines, unless dask is told otherwise.
_COMBINED = 4


class Weaver:
    """Makes a graph of tasks; those that are equal but for what they read are one object.

    Args:
        kind: what the tasks are called.
        operands: what they read.
        said: what decides the result beside the operands.
    """

    def __init__(self, kind: str, operands: Sequence[Array], said: object) -> None:
        self._token = tokenize(kind, [array.name for array in operands], repr(said))
        self._kind, self._operands = kind, operands
        self._dtypes = tuple(array.dtype.name for array in operands)
        self._readers = [Reader(a, self._name(f"-edges-{n}")) for n, a in enumerate(operands)]
        self._works: dict[Task, Work] = {}
        self._tasks: dict[Key, Any] = {}
        self._combined = 0

    def add(self, where: tuple[int, ...], task: Task, places: Sequence[Ranges]) -> None:
        """Add the task that makes a block of the result of parts of the operands."""
        self._tasks[self._name(), *where] = self._reading(task, places)

    def add_parts(
        self,
        where: tuple[int, ...],
        parts: Sequence[tuple[Task, Sequence[Ranges]]],
        reduce: str,
        finish: Finish,
    ) -> None:
        """Add tasks whose results combine to a block of the result."""
        keys = [(self._name("-part"), *where, n) for n in range(len(parts))]
        for key, (task, places) in zip(keys, parts, strict=True):
            self._tasks[key] = self._reading(task, places)
        at_once, (first, _) = min(len(keys), _most()), parts[0]
        self._combined = max(self._combined, (at_once + 1) * first.made)
        self._combine(where, keys, reduce, finish)

    def _combine(
        self, where: tuple[int, ...], keys: list[Key], reduce: str, finish: Finish
    ) -> None:
        """Combine parts in a tree, whose tasks hold few of them at once."""
        most, level = _most(), 0
        while len(keys) > most:
            groups, level = [keys[n : n + most] for n in range(0, len(keys), most)], level + 1
            keys = [(self._name("-sum"), *where, level, n) for n in range(len(groups))]
            for above, group in zip(keys, groups, strict=True):
                self._tasks[above] = (Combined(reduce), group) if len(group) > 1 else group[0]
        self._tasks[self._name(), *where] = (Combined(reduce, finish), keys)

    def _reading(self, task: Task, places: Sequence[Ranges]) -> tuple[Any, ...]:
        pairs = zip(self._readers, places, strict=True)
        pieces, loads = zip(*(reader.read(place) for reader, place in pairs), strict=True)
        work = self._works.setdefault(task, Work(task, self._dtypes, Load()))
        load = max(sum(loads, Load()), work.load, key=lambda load: load.all)
        self._works[task] = work._replace(load=load)
        return (work.task, *pieces)

    def woven(
        self,
        contraction: str,
        grid: Grid,
        dtype: np.dtype[Any],
        forward: tuple[Problem, Array] | None = None,
    ) -> Array:
        """The array that the tasks make.

        Args:
            contraction: what it is, in words.
            grid: its blocks.
            dtype: of its numbers.
            forward: of a local derivative the reduction, and its operand if that is one.

        Raises:
            MemoryLimitError: they need more memory than there is.
        """
        tasks = self._tasks.copy()
        for reader in self._readers:
            tasks |= reader.edges()
        works = tuple(self._works.values())
        layer = BlockLayer(tasks, contraction, works, self._combined, forward)
        refuse(layer)
        graph = HighLevelGraph.from_collections(self._name(), layer, list(self._operands))
        return Array(graph, self._name(), grid, dtype=dtype)

    def _name(self, part: str = "") -> str:
        return f"{self._kind}{part}-{self._token}"


def _most() -> int:
    """Parts that a task combines."""
    return max(2, config.get("split_every", None) or _COMBINED)
