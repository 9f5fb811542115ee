"""Any contraction of dask arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from dask.array import Array

from contractconv.arrays.precision import common_dtype, working_dtype
from contractconv.execution.foreign.dask_blocks.compositions import joined, split
from contractconv.execution.foreign.dask_blocks.graph import Weaver
from contractconv.execution.foreign.dask_blocks.pulled_back import pulled_back
from contractconv.execution.foreign.dask_blocks.tasks import Contracted, Finish
from contractconv.notation.problem import Problem, shape_of
from contractconv.notation.shift import Ranges
from contractconv.notation.spec import SUM
from contractconv.planning.blocks.cuts import cuts_of
from contractconv.planning.blocks.parts import Cut
from contractconv.planning.options import DEFAULTS, Options
from contractconv.planning.plan import order_of, steps_of
from contractconv.reductions.table import REDUCTIONS

# Operands that meet at once, however many steps it would take.
_AT_ONCE = 2


def contracted(problem: Problem, operands: Sequence[Array], options: Options = DEFAULTS) -> Array:
    """A contraction of dask arrays, lazily: nothing is read before its result is computed.

    Args:
        problem: the contraction.
        operands: dask arrays, compositions not split.
        options: who chooses the order of operands, and how each block is made.

    Returns:
        A dask array of shape ``problem.result_shape``, whose blocks follow those of the operands.

    Raises:
        MemoryLimitError: a task would take more memory than its worker has.
        ReductionError: the reduction needs an order and the numbers are complex.
    """
    dtype = common_dtype(operands, problem.reduce)
    numbers = working_dtype(problem, dtype)
    averages = REDUCTIONS[problem.reduce].averages
    summand = replace(problem, reduce=SUM) if averages else problem
    arrays = [split(a, shape_of(t)) for a, t in zip(operands, problem.operands, strict=True)]
    many = len(arrays) > _AT_ONCE
    steps = steps_of(summand, order_of(summand, options.search)) if many else []
    for taken, step in steps[:-1]:
        given = [arrays[n] for n in taken]
        arrays = [array for n, array in enumerate(arrays) if n not in taken]
        arrays.append(_step(step, given, options, numbers, numbers))
    last = steps[-1][1] if steps else summand
    made = pulled_back(last, arrays)
    if made is None:
        made = _step(last, arrays, options, numbers, dtype, problem if averages else None)
    return joined(made, problem.result_shape)


def _step(
    problem: Problem,
    arrays: Sequence[Array],
    options: Options,
    numbers: np.dtype[np.generic],
    dtype: np.dtype[np.generic],
    mean: Problem | None = None,
) -> Array:
    """A contraction as an array whose blocks are made when they are asked for.

    Args:
        problem: the contraction.
        arrays: its operands, compositions split.
        options: how each block is made.
        numbers: the dtype of sums.
        dtype: that of the result.
        mean: what is averaged in the end, if something is.
    """
    cuts = cuts_of(problem, [array.chunks for array in arrays])
    cut = Cut.of(problem, cuts)
    how = numbers.name, options.algorithm, options.memory_limit
    weaver = Weaver("contract", arrays, (problem, cuts, how, dtype.name, mean))
    for where, box in cut.boxes():
        finish = Finish(dtype.name, mean and _counted(mean, cut, box))
        parts = cut.parts(box)
        if len(parts) == 1:
            task = Contracted(parts[0].problem, *how, finish)
            weaver.add(where, task, parts[0].places[:-1])
        else:
            tasks = [(Contracted(part.problem, *how, None), part.places[:-1]) for part in parts]
            weaver.add_parts(where, tasks, problem.reduce, finish)
    return weaver.woven(str(problem), cut.grid, dtype)


def _counted(mean: Problem, cut: Cut, box: Ranges) -> Problem:
    """What a block of a mean counts."""
    return cut._replace(problem=mean).whole(box).problem
