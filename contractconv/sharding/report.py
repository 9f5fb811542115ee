"""What a step over devices moves, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contractconv.markup.shown import Printed
from contractconv.planning.programs.report import in_bytes, name_of
from contractconv.programs.kinds import itemsize
from contractconv.programs.nodes import Contract, Node
from contractconv.sharding.programs import ShardedProgram
from contractconv.sharding.rows import Rows


@dataclass(frozen=True)
class Line:
    """A collective of a step.

    Attributes:
        value: for which value it is.
        along: the axis of the mesh.
        collective: which one.
        calls: how many of these there are.
        moved: bytes that each device sends, at most.
        string: the contraction that it is for.
    """

    value: str
    along: str
    collective: str
    calls: int
    moved: int
    string: str


@dataclass(frozen=True, repr=False)
class ShardingPlan(Printed):
    """What is moved between devices in one step; ``print`` it.

    Attributes:
        devices: for each axis of the mesh how many there are.
        layouts: for each input and output the axes of the mesh along which its axes lie.
        lines: the collectives, in order.
    """

    devices: Mapping[str, int]
    layouts: Mapping[str, tuple[str | None, ...]]
    lines: tuple[Line, ...]

    @property
    def moved(self) -> dict[str, int]:
        """For each axis of the mesh the bytes that each device sends in a step, at most."""
        return {n: sum(line.moved for line in self.lines if line.along == n) for n in self.devices}

    @property
    def calls(self) -> dict[str, int]:
        """How many collectives of each kind there are."""
        kinds = dict.fromkeys(line.collective for line in self.lines)
        return {k: sum(line.calls for line in self.lines if line.collective == k) for k in kinds}

    def __str__(self) -> str:
        return "\n".join([*self._heads(), *self._rows()])

    __repr__ = __str__

    def _heads(self) -> Iterator[str]:
        for name, count in self.devices.items():
            mine = [line for line in self.lines if line.along == name]
            kinds = ", ".join(dict.fromkeys(line.collective for line in mine)) or "nothing"
            yield f"{name}: {count} devices, {in_bytes(self.moved[name])} each a step: {kinds}"
        for name, layout in self.layouts.items():
            yield f"  {name}: {' '.join(along or '.' for along in layout)}".rstrip()

    def _rows(self) -> Iterator[str]:
        if not self.lines:
            return
        value = max(5, *(len(line.value) for line in self.lines))
        along = max(5, *(len(line.along) for line in self.lines))
        yield f"{'moved':>9}  {'along':{along}}  {'collective':15}  {'for':{value}}  what"
        for line in self.lines:
            calls = f"{line.calls} x " if line.calls > 1 else ""
            kind = f"{calls}{line.collective}"
            yield (
                f"{in_bytes(line.moved):>9}  {line.along:{along}}  {kind:15}  "
                f"{line.value:{value}}  {line.string}"
            ).rstrip()


def report(plan: ShardedProgram, devices: Mapping[str, int]) -> ShardingPlan:
    """Write a plan down.

    Args:
        plan: the program over devices.
        devices: how many each axis of the mesh has.
    """
    called = {node: name for name, node in plan.program.graph.outputs}
    layouts = {
        name: tuple(s.along if s else None for s in layout)
        for name, _, layout in (*plan.inputs, *plan.outputs)
    }
    lines = tuple(
        Line(
            called.get(node) or name_of(node), move.along, move.collective, move.calls,
            move.elements * itemsize(plan.program.dtypes[node]), _string(plan, node),
        )
        for node, move in plan.moves()
    )  # fmt: skip
    return ShardingPlan(dict(devices), layouts, lines)


def _string(plan: ShardedProgram, node: Node) -> str:
    if isinstance(node, Contract):
        return str(plan.contractions[node].problem)
    return node.described if isinstance(node, Rows) else ""
