"""Any contraction of dask arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dask.array import Array

from contractconv.arrays.precision import common_dtype, working_dtype
from contractconv.execution.foreign.dask_blocks.compositions import joined, split
from contractconv.execution.foreign.dask_blocks.graph import Ending, blocked
from contractconv.notation.problem import Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.blocks.cuts import cuts_of
from contractconv.planning.blocks.parts import Cut
from contractconv.planning.options import DEFAULTS, Options
from contractconv.planning.plan import order_of, steps_of
from contractconv.reductions.table import REDUCTIONS


def contracted(problem: Problem, operands: Sequence[Array], options: Options = DEFAULTS) -> Array:
    """A contraction of dask arrays, lazily: nothing is read before its result is computed.

    Args:
        problem: the contraction.
        operands: dask arrays, compositions not split.
        options: who chooses the order of operands, and how each block is made.

    Returns:
        A dask array of shape ``problem.result_shape``, whose blocks follow those of the operands.

    Raises:
        ReductionError: the reduction needs an order and the numbers are complex.
    """
    dtype = common_dtype(operands, problem.reduce)
    numbers = working_dtype(problem, dtype)
    arrays = [split(a, shape_of(t)) for a, t in zip(operands, problem.operands, strict=True)]
    inner = Options(
        algorithm=options.algorithm, memory_limit=options.memory_limit, dtype=numbers.name
    )
    summand = problem
    if REDUCTIONS[problem.reduce].averages:
        summand = replace(problem, reduce=SUM)
    steps = steps_of(summand, order_of(summand, options.optimize)) if len(arrays) > 2 else []
    for taken, step in steps[:-1]:
        given = [arrays[n] for n in taken]
        arrays = [array for n, array in enumerate(arrays) if n not in taken]
        cut = Cut.of(step, cuts_of(step, [a.chunks for a in given]))
        arrays.append(blocked(cut, given, inner, Ending(numbers)))
    last = steps[-1][1] if steps else summand
    cuts = cuts_of(last, [a.chunks for a in arrays])
    counted = None if summand is problem else Cut.of(problem, cuts)
    made = blocked(Cut.of(last, cuts), arrays, inner, Ending(dtype, counted))
    return joined(made, problem.result_shape)
