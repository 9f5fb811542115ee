"""A layer of a graph that knows what its tasks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dask.array import Array
from dask.highlevelgraph import MaterializedLayer

from contractconv.execution.foreign.dask_blocks.tasks import Task
from contractconv.notation.problem import Problem


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes that a task is given.

    Attributes:
        held: of blocks and pieces of blocks.
        copied: of operands that are put together of several pieces.
        near: of the blocks of which it is given a copy of an edge: they have been there before.
    """

    held: int = 0
    copied: int = 0
    near: int = 0

    def __add__(self, other: Load) -> Load:
        return Load(self.held + other.held, self.copied + other.copied, self.near + other.near)

    @property
    def own(self) -> int:
        """What it takes by itself."""
        return self.held + self.copied

    @property
    def all(self) -> int:
        """What is there when it runs, if blocks that others need are kept."""
        return self.own + self.near


class Work(NamedTuple):
    """What tasks of a contraction do that are equal but for where they read.

    Attributes:
        task: what they do.
        dtypes: of their operands.
        load: the most that one of them is given.
    """

    task: Task
    dtypes: tuple[str, ...]
    load: Load


class BlockLayer(MaterializedLayer):  # type: ignore[misc]
    """The tasks of one contraction.

    Attributes:
        contraction: it, in words.
        works: what they do.
        combined: bytes of parts that a task combines, its result among them; 0 if none does.
        forward: of a local derivative the reduction, and its operand if that is one.
    """

    def __init__(
        self,
        mapping: Mapping[Any, Any],
        contraction: str = "",
        works: Sequence[Work] = (),
        combined: int = 0,
        forward: tuple[Problem, Array] | None = None,
        annotations: Any = None,
    ) -> None:
        super().__init__(mapping, annotations)
        self.contraction, self.works, self.combined = contraction, tuple(works), combined
        self.forward = forward
