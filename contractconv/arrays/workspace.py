"""What the pieces of a step work on, and what makes them ready to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.views import Array
from contractconv.planning.setting import Setting
from contractconv.planning.workspace import NONE, Workspace


@dataclass(frozen=True, eq=False)
class Work:
    """The arrays of a step.

    Attributes:
        arrays: its operands, all of one dtype.
        out: the whole result, of the same dtype.
        accumulate: whether pieces add to what is there.
        setting: what their algorithms were chosen by.
        ending: what is done to the result by whoever can.
    """

    arrays: tuple[Array, ...]
    out: Array
    accumulate: bool
    setting: Setting
    ending: Ending | None = None


class Making(NamedTuple):
    """What makes the result of a step as a new array.

    Attributes:
        work: from the operands to the result.
        workspace: what that takes beside operands and result.
        lent: whether the memory of the result is lent, if it is large.
        size: bytes of the tables that it holds.
    """

    work: Callable[[Sequence[Any]], Any]
    workspace: Workspace = NONE
    lent: bool = True
    size: int = 0


class Ready(Protocol):
    """A piece that is ready to run."""

    def goes_with(self, other: Any) -> bool:
        """Whether both can run as one."""

    def run(self, together: Sequence[Any], work: Work) -> None:
        """Run several that go with each other, this one among them."""

    def workspace(self, together: Sequence[Any], work: Work) -> Workspace:
        """What they take beside operands and result."""
