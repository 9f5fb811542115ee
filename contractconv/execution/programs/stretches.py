"""Steps in a row that are nothing but kernels, carried out by one call.

Between two steps Python takes as long as a small kernel does. How arrays will lie in memory is
known before a program runs; all that is not are addresses. So a stretch makes room for all its
results, writes addresses down, and calls all kernels at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from contractconv.engines.llvm.program import Prepared, Program
from contractconv.execution.programs.step_run import Line, Run
from contractconv.execution.programs.stretch_layout import (
    Joining,
    Layout,
    Lie,
    Made,
    OwnArrays,
    OwnMemory,
    Step,
    whole,
)
from contractconv.machine import memory
from contractconv.machine.kept_bytes import weight
from contractconv.machine.memory import addresses

# Regions of memory that a stretch leads to: a call knows 255 of them.
_MOST_REGIONS = 240


def stretches(steps: Sequence[Line], joining: Sequence[Joining | None]) -> list[Stretch | Line]:
    """Join steps that can be joined.

    Args:
        steps: the steps, in order.
        joining: how each can be; ``None`` if it is carried out alone.
    """
    parts: list[Stretch | Line] = []
    begun = _Begun()
    for line, how in zip(steps, joining, strict=True):
        if how is None:
            parts += [*begun.ended(), line]
            begun = _Begun()
            continue
        step = Step(line, *how)
        if not begun.takes(step):
            parts += begun.ended()
            begun = _Begun()
        begun.take(step)
    return [*parts, *begun.ended()]


class _Begun:
    """Steps that may become a stretch."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._regions = 0
        self._unmade: set[int] = set()  # results of which nothing is computed yet
        self._missing: set[int] = set()  # those of them that are not there before the end

    def takes(self, step: Step) -> bool:
        """Whether a step can be a part of it."""
        reads, launch = step.line.reads, step.launch
        if not self._missing.isdisjoint(reads):
            return False
        if launch is None:
            return True
        copied = (reads[launch.lent[place]] for place in launch.copied)
        return self._regions + launch.leads_to <= _MOST_REGIONS and self._unmade.isdisjoint(copied)

    def take(self, step: Step) -> None:
        """Add a step."""
        line, _, launch = step
        self._steps.append(step)
        self._unmade.update(line.makes)
        if launch is not None:
            self._regions += launch.leads_to
            pairs = zip(line.makes, launch.made, strict=True)
            self._missing.update(number for number, made in pairs if made >= len(launch.rooms))

    def ended(self) -> Iterator[Stretch | Line]:
        """What is to be done for it."""
        if any(step.launch is not None for step in self._steps):
            yield Stretch(self._steps)
        else:
            yield from (step.line for step in self._steps)


class Stretch:
    """Steps that one call carries out.

    Args:
        steps: the steps, in order.

    Attributes:
        lines: the same steps, as they are carried out one by one.
        workspace: bytes that a run takes beside what is read and made.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        layout = Layout()
        for step in steps:
            layout.add(step)
        self.lines = [step.line for step in steps]
        self._read = _from_outside(steps)
        self._seen = [step.line if step.launch is None else None for step in steps]
        self._rooms, self._copied, self._left = layout.rooms, layout.copied, layout.left
        self._own = range(layout.own, 0)
        programs = [step.launch.program for step in steps if step.launch is not None]
        self._prepared = Prepared(Program.in_turn(programs))
        owners = map(_owner, self._prepared.regions)
        self._regions = [layout.regions[n][name] for n, name in owners]
        self._lent = layout.lent
        self._which, self._places = map(whole, (layout.which, layout.places))
        self._memory = OwnMemory(layout, self._prepared.reserved)
        self.workspace = self._memory.size

    @property
    def first(self) -> int:
        """The place of its first step."""
        return self.lines[0].place

    @property
    def last(self) -> int:
        """The place of its last step."""
        return self.lines[-1].place

    @property
    def size(self) -> int:
        """Bytes that it keeps."""
        return weight(self._prepared)

    def carry_out(self, run: Run) -> None:
        """Carry its steps out; one by one, if some array does not lie as it was expected to."""
        if all(_lies(run.held[number], lie) for number, lie in self._read):
            self._at_once(run)
            return
        for line in self.lines:
            line.carry_out(run)

    def _at_once(self, run: Run) -> None:
        run.lender.begin(self.first)
        raw = memory.take(self.workspace)
        own = self._memory.begun(raw)
        run.held.update(own.arrays)
        for array, work, number in self._copied:
            run.held[number] = work(run.held[array])
        for line, seen, rooms in zip(self.lines, self._seen, self._rooms, strict=True):
            if seen is not None:
                run.hold(seen.makes, seen.work(run.given(seen.reads)))
            elif rooms:
                run.lender.begin(line.place)
                _make_room(rooms, run.held)
        self._carry_out(run, own)
        for number in self._own:
            del run.held[number]
        del own  # nothing here leads any more into what was lent
        memory.give(raw)
        del raw
        for line in self.lines:
            run.let_go(line.place)

    def _carry_out(self, run: Run, own: OwnArrays) -> None:
        if self._lent:
            own.tables[self._places] = np.array(addresses(run.given(self._lent)))[self._which]
        self._prepared.run_on(run.given(self._regions), lambda size: own.rest)
        for arrays, work, makes in self._left:
            run.hold(makes, work(run.given(arrays)))


def _make_room(rooms: Sequence[Made], held: dict[int, Any]) -> None:
    for number, room, seen in rooms:
        held[number] = array = memory.empty(room.shape, room.dtype)
        if seen is not None:
            held[seen] = array.transpose(room.order)


def _from_outside(steps: Sequence[Step]) -> list[tuple[int, Lie]]:
    """The arrays that steps read and do not make, and how they lie."""
    found: dict[int, Lie] = {}
    inside: set[int] = set()
    for step in steps:
        pairs = zip(step.line.reads, step.lie, strict=True)
        found |= {number: lie for number, lie in pairs if number not in inside}
        inside.update(step.line.makes)
    return list(found.items())


def _lies(array: Any, lie: Lie) -> bool:
    return (
        type(array) is np.ndarray
        and array.strides == lie.strides
        and array.dtype == lie.dtype
        and array.flags.aligned
    )


def _owner(name: str) -> tuple[int, str]:
    """The number of the launch that a region belongs to, and its name there."""
    region, _, number = name.rpartition(".")
    return int(number), region
