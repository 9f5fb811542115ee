"""The memory that each step of a program takes, known before it runs.

Steps are given stand-ins, arrays that lie in memory as the true ones will, with any numbers: all of
them are the same memory, which is never written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels.native import UnfitError
from contractconv.execution.gradient import way_of
from contractconv.execution.local_weights import weights_bytes
from contractconv.execution.programs.rows import rows_bytes
from contractconv.execution.programs.stretch_layout import Joining, Lie
from contractconv.execution.ready import Ready
from contractconv.machine import memory
from contractconv.notation.problem import Shape, shape_of
from contractconv.planning.programs.joined_results import JoinedResults
from contractconv.planning.programs.lives import Made, Taken
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
from contractconv.planning.workspace import NONE, Workspace
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Input, Node
from contractconv.reductions.table import REDUCTIONS


class StepMemory:
    """Finds out what the steps of a program take, one after the other.

    Args:
        program: the program.
    """

    def __init__(self, program: Typed) -> None:
        self._program = program
        self._raw = np.empty(0, np.uint8)
        inputs = (node for node in program.graph.nodes if isinstance(node, Input))
        self._held: dict[Node, Array] = {node: self._plain(node) for node in inputs}

    def of(self, step: Step, work: Any) -> Taken:
        """What a step takes, all of whose operands are made by inputs and earlier steps.

        Args:
            step: the step.
            work: what carries it out.
        """
        rules: dict[type[Step], Callable[[Any, Any], Taken]] = {
            ContractStep: self._contraction,
            ReductionGradient: self._gradient,
            MapStep: self._maps,
            RowLoop: self._maps,
            JoinedResults: self._maps,
            RowsStep: self._rows,
            PlacedStep: self._placed,
            ViewStep: self._view,
        }
        return rules[type(step)](step, work)

    def joining(self, taken: Taken, work: Any) -> Joining | None:
        """How a step is carried out together with others; ``None`` if it is not.

        Args:
            taken: the step, and what it takes.
            work: what carries it out.
        """
        step = taken.step
        given = [self._held.get(node) for node in step.reads]
        arrays = [array for array in given if array is not None]
        if len(arrays) < len(given):  # a number
            return None
        lie = [Lie(array.dtype, array.strides) for array in arrays]
        if isinstance(step, ViewStep):
            copied = step.reads and taken.made[0].viewed is None
            return None if copied else Joining(lie, None)
        launching = getattr(work, "launch", None)
        try:
            launch = None if launching is None else launching(arrays)
        except UnfitError:
            return None
        return None if launch is None else Joining(lie, launch)

    def _plain(self, node: Node) -> Array:
        return self._like(self._program.shapes[node], np.dtype(self._program.dtypes[node]))

    def _like(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        size = prod(shape) * dtype.itemsize
        if size > self._raw.size:
            self._raw = np.empty(size, np.uint8)
        return np.ndarray(shape, dtype, self._raw)

    def _made(
        self, step: Step, arrays: Sequence[Array], lent: bool, workspace: Workspace = NONE
    ) -> Taken:
        self._held.update(zip(step.makes, arrays, strict=True))
        sizes = [array.nbytes for array in arrays]
        asked = (memory.asked(size) if lent else 0 for size in sizes)
        made = (Made(most or size, most) for size, most in zip(sizes, asked, strict=True))
        return Taken(step, tuple(made), workspace)

    def _contraction(self, step: ContractStep, work: Any) -> Taken:
        result = [self._plain(node) for node in step.makes]
        if step.node.local:
            return self._made(step, result, False, Workspace(beside=weights_bytes(step.problem)))
        given = [self._held.get(node, self._plain(node)) for node in step.reads]
        ready = _ready(work, given)
        return self._made(step, result, ready.lent, ready.workspace)

    def _gradient(self, step: ReductionGradient, work: Any) -> Taken:
        result = [self._plain(node) for node in step.makes]
        way = way_of(step.problem, result[0].dtype)
        if way is not None and way.makes is not None:
            taken = (
                self._like(shape_of(step.problem.operands[0]), result[0].dtype),
                self._like(step.problem.output_sizes, result[0].dtype),
            )
            return self._made(step, result, True, way.makes(step.problem, taken).workspace)
        derived = Workspace(beside=weights_bytes(step.problem))
        return self._made(step, result, REDUCTIONS[step.problem.reduce].linear, derived)

    def _maps(self, step: MapStep | RowLoop | JoinedResults, work: Any) -> Taken:
        summed = {one.node for one in (step.group.sums if isinstance(step, MapStep) else step.sums)}
        stand_ins = iter(work.results(self._like))
        arrays = [self._plain(n) if n in summed else next(stand_ins) for n in step.makes]
        taken = self._made(step, arrays, True, Workspace(beside=work.beside))
        made = (
            one._replace(asked=0) if node in summed else one
            for node, one in zip(step.makes, taken.made, strict=True)
        )
        return taken._replace(made=tuple(made))

    def _rows(self, step: RowsStep, work: Any) -> Taken:
        rows, labels = (self._held[node] for node in step.reads)
        result = self._plain(step.node)
        beside = rows_bytes(step.node, rows, labels, result)
        return self._made(step, [result], False, Workspace(beside=beside))

    def _placed(self, step: PlacedStep, work: Any) -> Taken:
        return self._made(step, [self._plain(node) for node in step.makes], True)

    def _view(self, step: ViewStep, work: Any) -> Taken:
        node = step.node
        if not step.reads:
            return self._made(step, [self._plain(node)], False)
        given = self._held[step.reads[0]]
        (seen,) = work([given])
        if not np.may_share_memory(seen, given):
            return self._made(step, [self._plain(node)], False)
        self._held[node] = seen
        return Taken(step, (Made(0, viewed=step.reads[0]),))


def _ready(work: Any, given: Sequence[Array]) -> Ready:
    """What carries a contraction out, by kernels or, where there are none after all, by numpy."""
    try:
        return work.ready(given)  # type: ignore[no-any-return]
    except UnfitError:
        return work.ready(given)  # type: ignore[no-any-return]
