"""Results of several groups of maps, made in one call where kernels can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array
from contractconv.engines.llvm.maps.joined_groups import JoinedGroups
from contractconv.execution.launches import Launch, launch_of_groups
from contractconv.execution.programs.fused_maps import COMPILED, FusedMaps, StandIn
from contractconv.planning.programs.joined_results import JoinedResults
from contractconv.programs.dtypes import Typed


class JoinedMaps:
    """Groups of maps; those for which there are kernels are carried out by one call.

    Args:
        step: the groups.
        program: the program in which they are.
    """

    def __init__(self, step: JoinedResults, program: Typed) -> None:
        groups = [part.group for part in step.parts]
        self._parts = [FusedMaps(group, program.shapes, program.dtypes) for group in groups]
        self._counts = [len(group.nodes) for group in groups]
        self._taken = [[step.reads.index(leaf) for leaf in group.leaves] for group in groups]
        self._joined = [n for n, part in enumerate(self._parts) if part.compiled is not None]
        self._apart = [n for n, part in enumerate(self._parts) if part.compiled is None]
        self._together = [number for n in self._joined for number in self._taken[n]]
        self._call = JoinedGroups([p.compiled for p in self._parts if p.compiled is not None])

    @property
    def way(self) -> str:
        """How the maps are carried out."""
        ways: dict[str, int] = {}
        for part, count in zip(self._parts, self._counts, strict=True):
            ways[part.way] = ways.get(part.way, 0) + count
        return ", ".join(f"{count} {way}" for way, count in ways.items())

    @property
    def beside(self) -> int:
        """Bytes that it takes beside what it reads and makes."""
        return sum(part.beside for part in self._parts)

    def results(self, like: StandIn) -> list[Array]:
        """Arrays that lie in memory as those of the outputs will."""
        return [array for part in self._parts for array in part.results(like)]

    def __call__(self, given: Sequence[Any]) -> list[Array]:
        """Make the arrays of all outputs from those that the groups read."""
        arrays = [np.asarray(array) for array in given]
        made = [part.room() for part in self._parts]
        done = len(self._joined) > 1 and self._made_at_once(arrays, made)
        for n in self._apart if done else range(len(self._parts)):
            self._parts[n].fill([arrays[number] for number in self._taken[n]], made[n])
        return self._in_order(made)

    def launch(self, given: Sequence[Array]) -> Launch | None:
        """The same as calls of kernels for arrays that lie like these, if that is all."""
        if self._apart or len(self._joined) < 2:
            return None
        loops = self._call.joined_loops([given[number] for number in self._together])
        if loops is None:
            return None
        rooms = [room for part in self._parts for room in part.rooms]
        return launch_of_groups(loops, self._together, len(given), rooms)

    def _in_order(self, made: Sequence[list[Array]]) -> list[Array]:
        return [
            array
            for part, one in zip(self._parts, made, strict=True)
            for array in (part.in_order(one) if part.turned else one)
        ]

    def _made_at_once(self, arrays: Sequence[Array], made: Sequence[Sequence[Array]]) -> bool:
        """Fill what kernels fill, if they can."""
        leaves = [arrays[number] for number in self._together]
        results = [array for n in self._joined for array in made[n]]
        if not trace.listening:
            return self._call.run(leaves, results)
        with trace.of(COMPILED):
            return self._call.run(leaves, results)
