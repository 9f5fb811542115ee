"""Toom-Cook by compiled kernels: tiles are transformed, multiplied and collected in cache.

The three roles of one decomposition share two schemes. For a result (or an input gradient, which
is a result of another string) the transformed kernel is multiplied with transformed tiles; for a
weight gradient transformed tiles of both operands are multiplied, and the products are summed over
the tiles before they are transformed back.
"""

from __future__ import annotations

from collections.abc import Sequence

from contractconv.cache_register import weighed
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.program import Program
from contractconv.engines.llvm.tile_kernels.layer_roles import Layer, lanes
from contractconv.engines.llvm.tile_kernels.result_scheme import Deep, Forward
from contractconv.engines.llvm.tile_kernels.weight_gradient_scheme import WeightGradient
from contractconv.machine.kept_bytes import weight
from contractconv.notation.problem import Problem
from contractconv.planning.scatter_phases import Window


@weighed(weight)
def prepared(
    problem: Problem,
    windows: tuple[Window, ...],
    outputs: tuple[int, ...],
    strides: tuple[Strides, Strides, Strides],
    dtype: str,
    accumulate: bool,
    finish: Finish,
    threads: int,
) -> Program | None:
    """Make a leaf ready to run, as :func:`contractconv.engines.llvm.direct_kernels.prepared` does.

    Args:
        problem: both steps of a window have one absolute value.
        windows: those of the leaf, all of one operand, the data, and of one role.
        outputs: for each window how many results a tile covers.
        strides: of the operands in their order and of the result, in bytes.
        finish: what is done to the result; a bias is along its last axis.
    """
    layer = Layer.of(problem, windows, outputs, strides, dtype)
    if layer is None or (finish != RAW and not _finishes(problem, windows)):
        return None
    if windows[0].role == "kernel":
        return WeightGradient(layer, accumulate, threads).build()
    deep = Deep(layer, accumulate, threads, finish)
    return deep.build() if deep.pays else Forward(layer, accumulate, threads, finish).build()


def _finishes(problem: Problem, windows: Sequence[Window]) -> bool:
    """Whether the channels of the result are its last axis, each tile being complete at once."""
    found = lanes(problem, windows)
    last = problem.output[-1].plain if problem.output else None
    return windows[0].role == "forward" and found is not None and found[1] == (last,)
