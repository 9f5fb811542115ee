"""Cotangents that come back through a reduction, without its local derivative.

A local derivative has a value for each point: for a window of nine it is nine times as large as
what is reduced. Where a cotangent meets it, a block of the gradient is made of the windows that
touch the block instead, by what makes gradients of numpy's arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from dask.array import Array

from contractconv.arrays import views
from contractconv.engines.llvm.kernels.native import UnfitError
from contractconv.execution.foreign.dask_blocks.graph import Weaver
from contractconv.execution.foreign.dask_blocks.layer import BlockLayer
from contractconv.execution.foreign.dask_blocks.tasks import alone, assembled
from contractconv.execution.gradient import backward_operands, ready_gradient, way_of
from contractconv.execution.local_weights import weights_bytes
from contractconv.execution.run import carry_out
from contractconv.notation.problem import Access, Problem, Shape, shape_of
from contractconv.notation.shift import Ranges, result_block
from contractconv.notation.spec import SUM
from contractconv.planning.blocks.parts import Cut

# What gradients are made in, and not rounded from.
_NUMBERS = ("float32", "float64")


def pulled_back(whole: Problem, operands: Sequence[Array]) -> Array | None:
    """A contraction of a cotangent with a local derivative; ``None`` if it is none.

    Args:
        whole: the contraction.
        operands: its operands, compositions split.

    Returns:
        What it makes, in blocks as those of what was reduced.
    """
    forward = _forward(operands)
    if forward is None:
        return None
    problem, array = forward
    kinds = {array.dtype.name, *(operand.dtype.name for operand in operands)}
    if len(kinds) > 1 or not kinds.issubset(_NUMBERS) or not _is_backward(whole, problem):
        return None
    cotangent, _ = operands
    weaver = Weaver("pull-back", [cotangent, array], problem)
    for where, box in Cut(whole, {}, array.chunks, ()).boxes():
        touched = result_block(whole, box).places[0]
        windows = result_block(problem, touched)
        (read, _) = windows.places
        offsets = tuple(b.start - r.start for b, r in zip(box, read, strict=True))
        sizes = tuple(at.stop - at.start for at in box)
        task = PulledBack(windows.problem, array.dtype.name, offsets, sizes)
        weaver.add(where, task, (touched, read))
    return weaver.woven(str(whole), array.chunks, array.dtype)


def _forward(operands: Sequence[Array]) -> tuple[Problem, Array] | None:
    """The reduction of one operand whose local derivative is the last one of two, if it is."""
    if len(operands) != 2:
        return None
    layer = operands[1].dask.layers[operands[1].name]
    return layer.forward if isinstance(layer, BlockLayer) else None


def _is_backward(whole: Problem, forward: Problem) -> bool:
    """Whether a contraction is that of cotangent and local derivative."""
    known = _backward(forward)
    same = (known.operands, known.output, known.extents, known.reduce)
    return same == (whole.operands, whole.output, whole.extents, whole.reduce)


def _backward(forward: Problem) -> Problem:
    """The contraction of cotangent and local derivative."""
    derivative = tuple(Access.along(name, size) for name, size in forward.sizes)
    (output,) = forward.operands
    kept = dict.fromkeys(name for access in output for name in access.names)
    names = [*kept, *(name for name in forward.indices if name not in kept)]
    sizes = tuple((name, forward.extents[name]) for name in names)
    return Problem((forward.output, derivative), output, sizes, SUM, shape_of(output))


@dataclass(frozen=True, slots=True)
class PulledBack:
    """Makes a block of a gradient of a cotangent and of what was reduced, where windows touch it.

    Attributes:
        problem: the reduction of these windows.
        numbers: the dtype of everything.
        offsets: where the block begins, from where what was reduced begins.
        shape: of the block.
    """

    problem: Problem
    numbers: str
    offsets: tuple[int, ...]
    shape: Shape

    def __call__(self, *pieces: Any) -> views.Array:
        """Put the pieces together, and bring the cotangent back."""
        return alone(lambda: self._made(*map(assembled, pieces)))

    def _made(self, cotangent: views.Array, array: views.Array) -> views.Array:
        made = np.zeros(self.shape, array.dtype)
        if cotangent.size and array.size:
            here, there = self._common(array.shape)
            made[here] = self._gradient(cotangent, array)[there]
        return made

    def _common(self, size: Shape) -> tuple[Ranges, Ranges]:
        """What the block and the gradient have in common, as parts of each."""
        spans = [
            (max(0, -at), min(whole, there - at))
            for at, whole, there in zip(self.offsets, self.shape, size, strict=True)
        ]
        here = tuple(slice(start, max(start, stop)) for start, stop in spans)
        pairs = zip(here, self.offsets, strict=True)
        return here, tuple(slice(at.start + n, at.stop + n) for at, n in pairs)

    def _gradient(self, cotangent: views.Array, array: views.Array) -> views.Array:
        with suppress(UnfitError):
            work = ready_gradient(self.problem, cotangent, [array])
            made = None if work is None else work.carry(cotangent, array)
            if made is not None:
                return made
        given = backward_operands(0, self.problem, cotangent, [array])
        return carry_out(_backward(self.problem), given)

    @property
    def made(self) -> int:
        """Bytes of the block."""
        return prod(self.shape) * np.dtype(self.numbers).itemsize

    def beside(self, dtypes: Sequence[str]) -> int:
        """Bytes that it takes beside what it is given and what it makes."""
        numbers = np.dtype(self.numbers)
        taken = prod(shape_of(self.problem.operands[0])) * numbers.itemsize
        if not self.problem.points:
            return taken
        way = way_of(self.problem, numbers)
        return taken + (0 if way is not None and way.makes else weights_bytes(self.problem))
