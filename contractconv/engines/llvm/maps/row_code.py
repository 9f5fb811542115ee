"""A loop over rows as straight-line code: what is done with each element, and once for each row.

A reduction is known only when the whole row has been read, so what depends on it comes in a later
*phase*, in which the row is gone through once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from contractconv.engines.llvm.maps.straight_code import (
    Code,
    Instruction,
    Knows,
    Translated,
    Writer,
)
from contractconv.planning.programs.fusion import Fused
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.planning.programs.steps import ContractStep, MapStep
from contractconv.programs.nodes import Node, Position

ROW = "row "
"""How what reduces a row is called."""


@dataclass(frozen=True, slots=True)
class RowCode:
    """Straight-line code of a row.

    Attributes:
        code: the code; what :data:`ROW` begins is a reduction.
        once: which values there is one of for each row.
        phases: the phase in which each value is made.
    """

    code: Code
    once: tuple[bool, ...]
    phases: tuple[int, ...]

    def through(self, number: int) -> int:
        """In which phase the row is gone through for a value, or for what is reduced."""
        return max((self.phases[n] for n in self.code.instructions[number].given), default=0)

    @property
    def kept(self) -> tuple[int, ...]:
        """The values of a row that are needed in a later phase than that in which they are made."""
        found: dict[int, None] = {}
        listed = self.code.instructions
        uses = [(self.through(n), i.given) for n, i in enumerate(listed) if self._in_row(n)]
        uses += [(max(self.phases[n] for n in given), given) for given in self.code.sums]
        for phase, given in uses:
            found |= dict.fromkeys(n for n in given if self._keeps(n) and self.phases[n] < phase)
        return tuple(found)

    def _in_row(self, number: int) -> bool:
        return not self.once[number] or self.code.instructions[number].does.startswith(ROW)

    def _keeps(self, number: int) -> bool:
        does = self.code.instructions[number].does
        return not self.once[number] and does not in ("leaf", "position")


def row_code(
    loop: RowLoop, count: int, dtypes: Mapping[Node, str], knows: Knows
) -> tuple[Translated, RowCode]:
    """Write a loop over rows as code.

    Args:
        loop: the loop.
        count: the elements of a row.
        dtypes: the dtype of every node.
        knows: whether there is machine code for what an instruction does, in a dtype.

    Raises:
        UnknownMapError: there is none for something.
    """
    writer = Writer(dtypes, lambda does, dtype: does.startswith(ROW) or knows(does, dtype))
    for node in loop.reads:
        writer.leaf(node)
    for step in loop.parts:
        if isinstance(step, MapStep):
            for node in step.group.nodes:
                writer.add(node)
        elif isinstance(step, ContractStep):
            writer.reduction(step.node, count)
    made = {one.node for one in loop.sums}
    outputs = tuple(node for node in loop.makes if node not in made)
    written = writer.finish(Fused((), loop.reads, outputs, loop.axes, loop.sums))
    # What is kept of a row has a room.
    code = replace(written.code, rooms=1)
    return replace(written, code=code), _phased(replace(written, code=code), loop)


def _phased(written: Translated, loop: RowLoop) -> RowCode:
    once: list[bool] = []
    phases: list[int] = []
    along = loop.axes[-1]
    for i in written.code.instructions:
        phase = max((phases[n] for n in i.given), default=0)
        phases.append(phase + i.does.startswith(ROW))
        once.append(
            i.does.startswith(ROW) or not _varies(i, once, along, written.positions, loop.reads)
        )
    return RowCode(written.code, tuple(once), tuple(phases))


def _varies(
    i: Instruction,
    once: Sequence[bool],
    along: str,
    positions: Sequence[Position],
    leaves: Sequence[Node],
) -> bool:
    """Whether a value is another one for each element of a row."""
    if i.does == "leaf":
        return along in leaves[int(i.value)].axes
    if i.does == "position":
        return along in positions[int(i.value)].axes
    return not all(once[n] for n in i.given)
