"""How a program is run: in which order, in which memory, and in how many calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from contractconv.execution.programs.step_memory import StepMemory
from contractconv.execution.programs.step_run import Line, Numbers, Work
from contractconv.execution.programs.stretch_layout import Joining
from contractconv.execution.programs.stretches import Stretch, stretches
from contractconv.planning.programs.lives import Taken
from contractconv.planning.programs.memory_plan import MemoryPlan, Span, memory_plan
from contractconv.planning.programs.steps import Step
from contractconv.planning.workspace import NONE
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Input, Node


class PlannedRun(NamedTuple):
    """The steps of a program as they are carried out.

    Attributes:
        memory: where arrays lie.
        lines: the steps in order.
        parts: the same, where steps in a row that are nothing but kernels are one.
        gone: for each step the arrays that are not there any more behind it.
        given: the names of the inputs, whose arrays have the first numbers.
        returned: of each output the number of its array, and whether that is the caller's.
    """

    memory: MemoryPlan
    lines: Sequence[Line]
    parts: Sequence[Stretch | Line]
    gone: Sequence[Numbers]
    given: Sequence[str]
    returned: Sequence[tuple[int, bool]]

    @property
    def size(self) -> int:
        """Bytes that it keeps, beside what its steps keep of their own."""
        return sum(part.size for part in self.parts if isinstance(part, Stretch))


def planned_run(
    program: Typed,
    steps: Sequence[Step],
    works: Sequence[Work],
    lent: Sequence[bool],
    limit: int | None,
) -> PlannedRun:
    """Plan the runs of a program, in as many threads as there are.

    Args:
        program: the program.
        steps: everything that has to be done.
        works: what carries each step out.
        lent: for each result whether it would be an array of the caller's.
        limit: bytes that a call may take; then nothing waits for anything else.

    Raises:
        MemoryLimitError: more are needed.
    """
    found = _Planner(program, steps, works, limit)
    plan = memory_plan(program, found.taken, lent, limit, found.spans)
    lines = found.lines(plan.order)
    returned = zip(found.of(program.graph.wanted), lent, strict=True)
    return PlannedRun(
        plan, lines, found.together or lines, [*map(found.of, plan.gone)],
        [node.name for node in found.inputs], [*returned],
    )  # fmt: skip


class _Planner:
    """What is known of the steps of a program.

    Attributes:
        inputs: the inputs of the program.
        taken: what each step takes; those that are joined take what the whole takes.
        together: the steps in order, once that is known, some of them joined.
    """

    def __init__(
        self, program: Typed, steps: Sequence[Step], works: Sequence[Work], limit: int | None
    ) -> None:
        self._steps, self._works = steps, works
        self.inputs = [node for node in program.graph.nodes if isinstance(node, Input)]
        self._numbers = _numbers(self.inputs, steps)
        self.taken: list[Taken] = []
        self._joining: list[Joining | None] = []
        self.together: list[Stretch | Line] = []
        stand_ins = StepMemory(program)
        for step, work in zip(steps, works, strict=True):
            taken = stand_ins.of(step, work)
            joining = stand_ins.joining(taken, work) if limit is None else None
            self.taken.append(taken if joining is None else taken._replace(workspace=NONE))
            self._joining.append(joining)

    def of(self, nodes: Iterable[Node]) -> Numbers:
        """The numbers of arrays."""
        return tuple(self._numbers[node] for node in nodes)

    def lines(self, order: Sequence[int]) -> list[Line]:
        """The steps in some order."""
        return [
            Line(
                place, self.of(self._steps[n].reads), self._works[n], self.of(self._steps[n].makes)
            )
            for place, n in enumerate(order)
        ]

    def spans(self, order: Sequence[int]) -> list[Span]:
        """What joined steps take in some order, in which they are joined from now on."""
        self.together = stretches(self.lines(order), [self._joining[n] for n in order])
        found = [part for part in self.together if isinstance(part, Stretch)]
        return [Span(one.first, one.last, one.workspace) for one in found]


def _numbers(inputs: Sequence[Node], steps: Sequence[Step]) -> dict[Node, int]:
    """A number for each array, those of inputs first."""
    nodes = dict.fromkeys((*inputs, *(node for step in steps for node in step.makes)))
    return {node: n for n, node in enumerate(nodes)}
