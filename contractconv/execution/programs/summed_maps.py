"""Maps that run together, and sums of what they make, which are added up on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array
from contractconv.execution.launches import Launch
from contractconv.execution.programs.fused_maps import COMPILED, FusedMaps, StandIn
from contractconv.planning.programs.fusion import Fused
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Node

Work = Callable[[Sequence[Any]], Sequence[Any]]


class SummedMaps:
    """A group of maps with sums; where no kernel can do both, the maps come first.

    Args:
        group: the maps.
        program: the program in which they are.
        contraction: what carries out a contraction alone, on its operands.
    """

    def __init__(
        self, group: Fused, program: Typed, contraction: Callable[[Contract], Work]
    ) -> None:
        self._group, self._program, self._contraction = group, program, contraction
        self._together = FusedMaps(group, program.shapes, program.dtypes)
        self._apart: tuple[FusedMaps, list[Work]] | None = None

    @property
    def way(self) -> str:
        """How the maps are carried out, and the sums."""
        count = len(self._group.sums)
        sums = f"{count} sum{'s' if count > 1 else ''}"
        return f"{self._together.way} with {sums}" if self._group.nodes else f"{sums} of arrays"

    @property
    def beside(self) -> int:
        """Bytes that it takes beside what it reads and makes."""
        if self._together.way == COMPILED:
            return self._together.beside
        between = (n for n in self._group.apart.outputs if n not in self._group.outputs)
        return self._together.beside + sum(map(self._program.nbytes, between))

    def results(self, like: StandIn) -> list[Any]:
        """Arrays that lie in memory as those of the outputs will."""
        return self._together.results(like)

    def __call__(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """Make the arrays of the group's outputs and sums from those of its leaves."""
        if not trace.listening:
            return self._together.with_sums(leaves) or self._one_by_one(leaves)
        with trace.of(self.way):
            made = self._together.with_sums(leaves)
        return made or self._one_by_one(leaves)

    def launch(self, leaves: Sequence[Array]) -> Launch | None:
        """The same as calls of a kernel for arrays that lie like these, if that is all."""
        return self._together.launch(leaves, len(self._group.sums))

    def _one_by_one(self, leaves: Sequence[Any]) -> list[Any]:
        maps, sums = self._parts()
        alone = self._group.apart
        held: Mapping[Node, Any] = {
            **dict(zip(alone.leaves, leaves, strict=True)),
            **dict(zip(alone.outputs, maps(leaves) if alone.outputs else (), strict=True)),
        }
        made = [held[node] for node in self._group.outputs]
        for one, work in zip(self._group.sums, sums, strict=True):
            made += work([held[factor] for factor in one.factors])
        return made

    def _parts(self) -> tuple[FusedMaps, list[Work]]:
        if self._apart is None:
            maps = FusedMaps(self._group.apart, self._program.shapes, self._program.dtypes)
            sums = [self._contraction(one.node) for one in self._group.sums]
            self._apart = maps, sums
        return self._apart
