"""What a program's plan says: each step with what it makes, how, and what that moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from contractconv.markup.parts import article
from contractconv.markup.shown import Printed
from contractconv.notation.spec import SUM
from contractconv.planning.cost import flops
from contractconv.planning.plan import Plan
from contractconv.planning.programs.joined_results import JoinedResults
from contractconv.planning.programs.memory_plan import MemoryPlan
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.planning.programs.steps import (
    ContractStep,
    MapStep,
    PlacedStep,
    ReductionGradient,
    RowsStep,
    Step,
    ViewStep,
)
from contractconv.planning.programs.times import seconds_of
from contractconv.planning.report import quantity
from contractconv.planning.report import time as written
from contractconv.planning.setting import Machine
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Map, Node

# The most letters of what a step makes, and of what it does.
_NAMES, _WIDTH = 36, 72


@dataclass(frozen=True)
class Line:
    """A step, as a plan shows it.

    Attributes:
        makes: the values that it makes, by name.
        does: what it does, in the notation and in maps.
        way: how it is carried out.
        operations: floating-point operations.
        moved: bytes that it reads and writes, each array once.
        alive: bytes of the arrays that are there while it runs, inputs left out, and of what it
            takes beside them.
        predicted: seconds that it is expected to take.
        again: whether it was done before, and what it made was let go of to save memory.
        together: whether the call that carries the step before out carries this one out, too.
    """

    makes: str
    does: str
    way: str
    operations: int
    moved: int
    alive: int
    predicted: float = 0.0
    again: bool = False
    together: bool = False


@dataclass(frozen=True, repr=False)
class ProgramPlan(Printed):
    """How a program is carried out, step by step; ``print`` it.

    Attributes:
        lines: the steps in order.
        peak: bytes that a call takes at once, at most, inputs left out: the arrays that it makes,
            what it takes beside them, and the gaps between them.
        seconds: how long each took, if it was measured.
    """

    lines: tuple[Line, ...]
    peak: int = 0
    seconds: tuple[float, ...] = ()

    @property
    def operations(self) -> int:
        """Floating-point operations of all steps."""
        return sum(line.operations for line in self.lines)

    @property
    def moved(self) -> int:
        """Bytes that are read and written, each array once in each step."""
        return sum(line.moved for line in self.lines)

    @property
    def predicted(self) -> float:
        """Seconds that all steps are expected to take."""
        return sum(line.predicted for line in self.lines)

    @property
    def calls(self) -> int:
        """How often Python begins something: steps in a row that are all kernels are one call."""
        return sum(not line.together for line in self.lines)

    def to_json(self) -> str:
        """The plan as JSON."""
        return json.dumps([asdict(line) for line in self.lines], indent=2, ensure_ascii=False)

    def _whole(self) -> str:
        """The figures of all steps together."""
        calls = f" in {self.calls} calls" if self.calls < len(self.lines) else ""
        whole = f"{len(self.lines)} steps{calls}, {quantity(self.operations)} operations, "
        whole += f"{in_bytes(self.moved)} moved, {in_bytes(self.peak)} at most at once, "
        whole += f"{written(self.predicted)} expected"
        if self.seconds:
            whole += f", {written(sum(self.seconds))} taken"
        return whole

    def __str__(self) -> str:
        return "\n".join([self._whole(), *self._rows()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from contractconv.planning.programs.report_page import plan_parts

        return article(plan_parts(self))

    def _rows(self) -> Iterator[str]:
        if not self.lines:
            return
        name = min(24, max(5, *(len(line.makes) for line in self.lines)))
        taken = f"{'taken':>9}" if self.seconds else ""
        figures = "".join(f"{figure:>11}" for figure in ("expected", " operations", "moved"))
        yield f"{taken}{figures}  {'makes':{name}}  {'how':28}  what"
        for n, line in enumerate(self.lines):
            spent = f"{written(self.seconds[n]):>9}" if self.seconds else ""
            does = f"again: {line.does}" if line.again else line.does
            does = _shortened(does, _WIDTH)
            figures = f"{quantity(line.operations):>11}{in_bytes(line.moved):>11}"
            expected, makes = f"{written(line.predicted):>11}", _shortened(line.makes, _NAMES)
            yield f"{spent}{expected}{figures}  {makes:{name}}  {line.way:28}  {does}"


def planned_lines(
    program: Typed,
    steps: Sequence[Step],
    plans: Mapping[Step, Plan],
    ways: Mapping[Step, str],
    memory: MemoryPlan,
    machine: Machine,
) -> ProgramPlan:
    """Write a plan.

    Args:
        program: the program.
        steps: what is done for it.
        plans: how contractions are carried out.
        ways: how maps are.
        memory: in which order steps come, and what is there meanwhile.
        machine: on what it runs.
    """
    lines: list[Line] = []
    seen: set[int] = set()
    called = {node: name for name, node in program.graph.outputs}
    joined = {n for first, last, _ in memory.spans for n in range(first + 1, last + 1)}
    for place, (number, alive) in enumerate(zip(memory.order, memory.alive, strict=True)):
        step = steps[number]
        makes, plan = ", ".join(called.get(n) or name_of(n) for n in step.makes), plans.get(step)
        way, operations = ways.get(step) or _way(step, plan), _operations(step, plan, program)
        moved = 0 if isinstance(step, ViewStep) else _moved(step, program)
        predicted, again = seconds_of(step, plan, program, machine), number in seen
        together = place in joined
        lines.append(
            Line(makes, does(step), way, operations, moved, alive, predicted, again, together)
        )
        seen.add(number)
    return ProgramPlan(tuple(lines), memory.peak)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def name_of(node: Node) -> str:
    """What a value is called in a plan."""
    primes = ""
    while node.label is None and node.cotangent_of is not None:
        node, primes = node.cotangent_of, f"d_{primes}"
    return f"{primes}{node.label or type(node).__name__.lower()}"


def does(step: Step) -> str:
    """What a step does, in the notation, or in maps."""
    return _DOES[type(step)](step)


def _contracts(step: ContractStep) -> str:
    return f"{'local of ' if step.node.local else ''}{_reduction(step.node)}"


def _comes_back(step: ReductionGradient) -> str:
    return f"{step.node.spec} of {step.forward.spec.reduce} {step.forward.spec}"


def _maps(step: MapStep) -> str:
    maps = " ".join(_map(node) for node in step.group.nodes)
    return "; ".join(filter(None, [maps, *(_reduction(one.node) for one in step.group.sums)]))


def _places(step: PlacedStep) -> str:
    parts, whole = len(step.whole.parts), " ".join(step.whole.node.axes)
    return f"{parts} beside each other in '{whole}'" if parts > 1 else f"placed in '{whole}'"


def _views(step: ViewStep) -> str:
    if isinstance(step.node, Contract):
        return str(step.node.spec)
    return "the same array" if step.reads else "a number, or an index"


_DOES: dict[type[Step], Callable[[Any], str]] = {
    ContractStep: _contracts,
    ReductionGradient: _comes_back,
    MapStep: _maps,
    RowLoop: lambda step: "; ".join(map(does, step.parts)),
    JoinedResults: lambda step: "; ".join(map(does, step.parts)),
    RowsStep: lambda step: step.node.described,
    PlacedStep: _places,
    ViewStep: _views,
}
# How steps are carried out that have no plan, and are not told otherwise.
_WAYS: dict[type[Step], str] = {
    ContractStep: "local derivative",
    ReductionGradient: "gradient of a reduction",
    RowsStep: "rows, by labels",
    PlacedStep: "copies",
    ViewStep: "no copy",
}


def _reduction(node: Contract) -> str:
    kind = node.spec.reduce
    return f"{'' if kind == SUM else f'{kind} '}{node.spec}"


def _map(node: Node) -> str:
    return node.function if isinstance(node, Map) else f"to {getattr(node, 'dtype', '')}"


def _way(step: Step, plan: Plan | None) -> str:
    if plan is None:
        return _WAYS[type(step)]
    return "; ".join(dict.fromkeys(part.lowering for part in plan.steps))


def _operations(step: Step, plan: Plan | None, program: Typed) -> int:
    if plan is not None:
        return plan.flops
    if isinstance(step, RowLoop | JoinedResults):
        return sum(_operations(part, None, program) for part in step.parts)
    if isinstance(step, MapStep):
        maps = sum(prod(program.shapes[node]) for node in step.group.nodes)
        return maps + sum(flops(program.problems[one.node]) for one in step.group.sums)
    return flops(step.problem) if isinstance(step, (ContractStep, ReductionGradient)) else 0


def _moved(step: Step, program: Typed) -> int:
    return sum(program.nbytes(node) for node in (*step.makes, *step.reads))


def in_bytes(number: float) -> str:
    """A number of bytes, in three digits."""
    units = iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while number >= 999.5 and unit != "GB":
        number, unit = number / 1000, next(units)
    return f"{number:.3g} {unit}"
