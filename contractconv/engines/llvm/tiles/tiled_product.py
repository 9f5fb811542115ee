"""Toom-Cook by compiled kernels: tiles are transformed, multiplied and collected in cache.

The three roles of one decomposition share two schemes. For a result (or an input gradient, which
is a result of another string) the transformed kernel is multiplied with transformed tiles; for a
weight gradient transformed tiles of both operands are multiplied, and the products are summed over
the tiles before they are transformed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.caches import weighed
from contractconv.engines.llvm.direct import KINDS
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.finish import RAW, Finish
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.program import Program
from contractconv.engines.llvm.tiles.layer_roles import Layer, lanes
from contractconv.engines.llvm.tiles.result_scheme import Deep, Forward
from contractconv.engines.llvm.tiles.weight_gradient_scheme import WeightGradient
from contractconv.machine.threads import get_num_threads
from contractconv.machine.weight import weight
from contractconv.notation.problem import Problem
from contractconv.planning.scatter_phases import Window


def prepared(
    problem: Problem,
    windows: Sequence[Window],
    outputs: Sequence[int],
    strides: tuple[Strides, Strides, Strides],
    dtype: np.dtype[Any],
    accumulate: bool,
    finish: Finish = RAW,
) -> Program | None:
    """Make a leaf ready to run.

    Args:
        problem: a leaf of two operands, summed; both steps of a window have one absolute value.
        windows: its windows, all of one operand, the data, and of one role.
        outputs: for each window how many results a tile covers.
        strides: of the operands in their order and of the result, in bytes.
        dtype: of all three.
        accumulate: whether results are added to what is there.
        finish: what is done to the result; a bias is along its last axis.

    Returns:
        What to run on the regions ``"0"`` and ``"1"`` (and ``"bias"``); ``None`` if there is no
        kernel for it.
    """
    name = KINDS.get(dtype)
    if name is None or not native.available():
        return None
    return _prepared(
        problem, tuple(windows), tuple(outputs), strides, name, accumulate, finish,
        get_num_threads(),
    )  # fmt: skip


@weighed(weight)
def _prepared(
    problem: Problem,
    windows: tuple[Window, ...],
    outputs: tuple[int, ...],
    strides: tuple[Strides, Strides, Strides],
    dtype: str,
    accumulate: bool,
    finish: Finish,
    threads: int,
) -> Program | None:
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
