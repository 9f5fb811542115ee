"""A program for fixed shapes and dtypes, carried out step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from contractconv.arrays.matrix_products import multiplied_by
from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.llvm import blas_products
from contractconv.engines.llvm.kernels import native
from contractconv.execution.calibration import machine
from contractconv.execution.programs.contractions import PlannedContraction, contraction
from contractconv.execution.programs.fused_maps import FusedMaps
from contractconv.execution.programs.joined_maps import JoinedMaps
from contractconv.execution.programs.parts import placed, taken
from contractconv.execution.programs.planned_run import PlannedRun, planned_run
from contractconv.execution.programs.reduction_gradients import BackThroughReduction
from contractconv.execution.programs.row_maps import RowMaps
from contractconv.execution.programs.rows import rows_of
from contractconv.execution.programs.step_run import Run, Work
from contractconv.execution.programs.summed_maps import SummedMaps
from contractconv.machine import memory
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.programs.boxes import slice_of
from contractconv.planning.programs.joined_results import JoinedResults, joined_results
from contractconv.planning.programs.memory_plan import MemoryPlan
from contractconv.planning.programs.report import ProgramPlan, planned_lines
from contractconv.planning.programs.row_loops import RowLoop, row_loops
from contractconv.planning.programs.steps import (
    ContractStep,
    MapStep,
    PlacedStep,
    ReductionGradient,
    RowsStep,
    Step,
    ViewStep,
    steps_of,
)
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Input, Named, Node, Number, Position

# Runs of which a profile takes the median.
_ROUNDS = 5


class Runner:
    """A program whose steps are ready.

    Args:
        program: the program; everything is known of it but the numbers in its arrays.
        pool: memory that it makes its arrays in.
        limit: bytes that a call may take beside its inputs.

    Raises:
        MemoryLimitError: it needs more, even if what it reads again later is made again.
    """

    def __init__(
        self, program: Typed, pool: memory.Pool | None = None, limit: int | None = None
    ) -> None:
        self.program = program
        self._pool = memory.Pool() if pool is None else pool
        self.steps = row_loops(program, steps_of(program))
        if limit is None:  # what waits for others takes memory meanwhile
            self.steps = joined_results(program, self.steps)
        self._works = [_RULES[type(step)](program, step) for step in self.steps]
        self._lent = [_is_lent(node, self.steps) for node in program.graph.wanted]
        self._limit = limit
        # For each number of threads, whose kernels take more memory the more there are.
        self._planned = Shelf()
        if limit is not None:
            self._ready()

    @property
    def size(self) -> int:
        """Bytes that it keeps, beside what its contractions keep of their own."""
        return 1024 * len(self.steps)

    @property
    def plan(self) -> ProgramPlan:
        """What is done, step by step."""
        plans = {
            step: work.plan
            for step, work in zip(self.steps, self._works, strict=True)
            if isinstance(work, PlannedContraction)
        }
        ways: dict[Step, str] = {
            step: f"{len(step.group.nodes) or ''} {work.way}".strip()
            for step, work in zip(self.steps, self._works, strict=True)
            if isinstance(step, MapStep) and isinstance(work, FusedMaps | SummedMaps)
        }
        loops = zip(self.steps, self._works, strict=True)
        ways |= {s: work.way for s, work in loops if isinstance(work, RowMaps | JoinedMaps)}
        here = replace(machine(native.available()), threads=get_num_threads())
        return planned_lines(self.program, self.steps, plans, ways, self._ready().memory, here)

    def _ready(self) -> PlannedRun:
        """What is done in which order, and where arrays lie."""
        threads = get_num_threads()
        found: PlannedRun | None = self._planned.get(threads)
        if found is None:
            found = planned_run(self.program, self.steps, self._works, self._lent, self._limit)
            self._planned.put(threads, found, found.size)
        return found

    def profile(self, arrays: Mapping[str, Array]) -> ProgramPlan:
        """The plan, with the time that each step took: the median of some runs."""
        self(arrays)
        runs: list[list[float]] = [[] for _ in range(_ROUNDS)]
        planned = self._ready()
        for spent in runs:
            timed = [line._replace(work=_timed(line.work, spent)) for line in planned.lines]
            self._carry_out(arrays, planned._replace(parts=timed))
        return replace(
            self.plan, seconds=tuple(sorted(one)[_ROUNDS // 2] for one in zip(*runs, strict=True))
        )

    def __call__(self, arrays: Mapping[str, Array]) -> list[Array]:
        """Carry the program out; return its outputs in order."""
        planned = self._ready()
        made = self._carry_out(arrays, planned)
        if planned.memory.placement:
            for array in made:
                self._pool.watch(array)
        return made

    @contextmanager
    def _settled(self, plan: MemoryPlan) -> Iterator[memory.Lender]:
        """In memory that is used again, and no thread but ours awake behind a matrix product."""
        lending = self._pool.lending(plan.placement, keeps=plan.placement is not None)
        with lending as lender, multiplied_by(blas_products.multiply):
            yield lender

    def _carry_out(self, arrays: Mapping[str, Array], planned: PlannedRun) -> list[Array]:
        held: dict[int, Any] = {n: arrays[name] for n, name in enumerate(planned.given)}
        together = native.available() and not trace.listening
        with self._settled(planned.memory) as lender:
            run = Run(held, planned.gone, self._pool, lender)
            for part in planned.parts if together else planned.lines:
                part.carry_out(run)
        return [held[number].copy() if lent else held[number] for number, lent in planned.returned]


def _timed(work: Work, spent: list[float]) -> Work:
    """The same work, whose seconds are written down."""

    def timed(given: Sequence[Any]) -> Sequence[Any]:
        start = perf_counter()
        made = work(given)
        spent.append(perf_counter() - start)
        return made

    return timed


def _is_lent(node: Node, steps: Sequence[Step]) -> bool:
    """Whether a result would be an array of the caller's, under other names or turned."""
    views = {step.node for step in steps if isinstance(step, ViewStep) and step.reads}
    while node in views:
        (node,) = node.sources
    return isinstance(node, Input)


def _maps(program: Typed, step: MapStep) -> Work:
    if not step.group.sums:
        return FusedMaps(step.group, program.shapes, program.dtypes)

    def alone(node: Contract) -> Work:
        step = ContractStep((node,), node.operands, node, program.problems[node])
        return contraction(program, step)

    return SummedMaps(step.group, program, alone)


def _row_loop(program: Typed, step: RowLoop) -> Work:
    return RowMaps(step, program, lambda: [_RULES[type(p)](program, p) for p in step.parts])


def _order(problem: Problem) -> list[int]:
    """The axes of a contraction's only operand, in the order of the result."""
    held = [access.plain for access in problem.operands[0]]
    return [held.index(access.plain) for access in problem.output]


def _turned(problem: Problem) -> Work:
    """Axes in another order; a composition is an axis on either side of that."""
    order, apart, together = _order(problem), shape_of(problem.operands[0]), problem.result_shape
    return lambda given: [given[0].reshape(apart).transpose(order).reshape(together)]


def _rows(program: Typed, step: RowsStep) -> Work:
    return rows_of(step.node, program.shapes[step.node])


def _placed(program: Typed, step: PlacedStep) -> Work:
    whole = step.whole
    boxes = [(step.reads.index(part.node), part.box) for part in whole.parts]
    return placed(boxes, program.shapes[whole.node], program.dtypes[whole.node])


def _view(program: Typed, step: ViewStep) -> Work:
    node = step.node
    if isinstance(node, Named):
        return lambda given: given
    if isinstance(node, Contract):
        problem = program.problems[node]
        part = slice_of(problem)
        return _turned(problem) if part is None else taken(problem, part)
    if isinstance(node, Position):
        (size,) = program.shapes[node]
        return lambda given: [np.arange(size)]
    assert isinstance(node, Number)
    number = node.value
    return lambda given: [np.asarray(number, program.dtypes[node])]


_RULES: dict[type[Step], Callable[[Typed, Any], Work]] = {
    ContractStep: contraction,
    ReductionGradient: BackThroughReduction,
    MapStep: _maps,
    RowLoop: _row_loop,
    JoinedResults: lambda program, step: JoinedMaps(step, program),
    RowsStep: _rows,
    PlacedStep: _placed,
    ViewStep: _view,
}
