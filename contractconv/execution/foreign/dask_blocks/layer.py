"""A layer of a graph that knows what its tasks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, Self

from dask.highlevelgraph import MaterializedLayer

from contractconv.execution.foreign.dask_blocks.tasks import Contracted


class Load(NamedTuple):
    """Bytes that a task takes beside its result, and what its contraction takes.

    Attributes:
        held: of the blocks and pieces that it is given.
        copied: of operands that are put together of several pieces.
    """

    held: int = 0
    copied: int = 0

    def with_operand(self, pieces: Sequence[int], shape: Sequence[int], itemsize: int) -> Load:
        """The same, with pieces of so many elements that are put together to one of a shape."""
        copied = prod(shape) * itemsize if len(pieces) > 1 else 0
        return Load(self.held + sum(pieces) * itemsize, self.copied + copied)


class BlockLayer(MaterializedLayer):  # type: ignore[misc]
    """The tasks of one contraction.

    Attributes:
        contraction: it, in words.
        loads: what its tasks do, with the most that each is given.
    """

    def __init__(
        self,
        mapping: Mapping[Any, Any],
        contraction: str,
        loads: tuple[tuple[Contracted, Load], ...],
        annotations: Any = None,
    ) -> None:
        super().__init__(mapping, annotations)
        self.contraction, self.loads = contraction, loads
