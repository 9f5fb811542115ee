"""A layer of a graph that knows what its tasks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from dask.highlevelgraph import MaterializedLayer

from contractconv.execution.foreign.dask_blocks.tasks import Contracted


class Load(NamedTuple):
    """Bytes that a task is given.

    Attributes:
        held: of blocks and pieces of blocks.
        copied: of operands that are put together of several pieces.
    """

    held: int = 0
    copied: int = 0

    def with_operand(self, pieces: Sequence[int], shape: Sequence[int], itemsize: int) -> Load:
        """The same, with pieces of so many elements that are put together to one of a shape."""
        copied = prod(shape) * itemsize if len(pieces) > 1 else 0
        return Load(self.held + sum(pieces) * itemsize, self.copied + copied)


class Work(NamedTuple):
    """What tasks of a contraction do that are equal but for where they read.

    Attributes:
        contracted: what they do.
        dtypes: of their operands.
        load: the most that one of them is given.
    """

    contracted: Contracted
    dtypes: tuple[str, ...]
    load: Load


class BlockLayer(MaterializedLayer):  # type: ignore[misc]
    """The tasks of one contraction.

    Attributes:
        contraction: it, in words.
        works: what they do.
        combined: bytes of parts that a task combines, its result among them; 0 if none does.
    """

    def __init__(
        self,
        mapping: Mapping[Any, Any],
        contraction: str = "",
        works: Sequence[Work] = (),
        combined: int = 0,
        annotations: Any = None,
    ) -> None:
        super().__init__(mapping, annotations)
        self.contraction, self.works, self.combined = contraction, tuple(works), combined
