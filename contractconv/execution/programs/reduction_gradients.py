"""Cotangents that come back through the reductions of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.llvm.kernels import native
from contractconv.execution.gradient import gradient, gradient_kernels, ready_gradient
from contractconv.execution.launches import Launch
from contractconv.execution.ready import key_of
from contractconv.planning.programs.steps import ReductionGradient
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Node, Number


def arrays_of(nodes: Sequence[Node], held: Mapping[Node, Any], dtype: str) -> list[Any]:
    """The arrays of some nodes, numbers among them."""
    return [
        np.dtype(dtype).type(node.value) if isinstance(node, Number) else held[node]
        for node in nodes
    ]


class BackThroughReduction:
    """The gradient of a reduction, ready for arrays that lie in memory as they did before.

    Args:
        program: the program.
        step: which gradient of it.
    """

    def __init__(self, program: Typed, step: ReductionGradient) -> None:
        self._step, self._dtype = step, program.dtypes[step.node]
        self._ready = Shelf()

    def __call__(self, given: Sequence[Any]) -> Sequence[Any]:
        """Make the gradient from the arrays that the step reads."""
        step = self._step
        held = dict(zip(step.reads, given, strict=True))
        (cotangent,) = arrays_of(step.node.operands[:1], held, self._dtype)
        operands = arrays_of(step.forward.operands, held, self._dtype)
        made = self._at_once(cotangent, operands)
        if made is None:
            spec = step.forward.spec
            made = gradient(spec, step.operand, step.problem, cotangent, operands)
        return [made]

    def launch(self, given: Sequence[Array]) -> Launch | None:
        """The same as calls of kernels for arrays that lie like these, if it is nothing else."""
        step = self._step
        nodes = [step.node.operands[0], *step.forward.operands]
        if any(isinstance(node, Number) for node in nodes):
            return None
        numbers = [step.reads.index(node) for node in nodes]
        cotangent, *operands = (given[n] for n in numbers)
        found = gradient_kernels(step.problem, cotangent, operands)
        if found is None:
            return None
        regions = {name: numbers[n] for name, n in found.regions.items()}
        return found._replace(regions=regions).launch(len(given))

    def _at_once(self, cotangent: Any, operands: Sequence[Any]) -> Array | None:
        key = key_of([cotangent, *operands])
        if key is None:
            return None
        try:
            if key not in self._ready:
                work = ready_gradient(self._step.problem, cotangent, operands)
                self._ready.put(key, work, 0 if work is None else work.size)
            work = self._ready.get(key)
            return None if work is None else work.carry(cotangent, operands[0])
        except native.UnfitError:
            return None
