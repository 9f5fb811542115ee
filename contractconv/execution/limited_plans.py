"""Plans of contractions that are carried out within a memory limit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.precision import working_dtype
from contractconv.arrays.views import Array, unread
from contractconv.engines.llvm.kernels.native import UnfitError
from contractconv.execution.memory_limit import parts_of, within
from contractconv.execution.memory_slices import blocks
from contractconv.execution.products import are_ready, recipe_within
from contractconv.execution.run import largest_block, planned, whole_plans
from contractconv.notation.problem import Problem, shape_of
from contractconv.notation.shift import part_of
from contractconv.planning.cost import flops
from contractconv.planning.options import Options, beside
from contractconv.planning.path import Order
from contractconv.planning.plan import Parts, Plan, order_of, plan_afresh, steps_of
from contractconv.planning.setting import DIRECT


def planned_within(
    problem: Problem, dtype: np.dtype[Any], options: Options, lenient: bool = False
) -> Plan:
    """Plan a contraction of arrays without gaps, within the memory limit if there is one.

    Args:
        problem: the contraction.
        dtype: in what its operands meet.
        options: what the caller asks for.
        lenient: whether what the algorithm cannot carry out is done directly, not refused.

    Raises:
        MemoryLimitError: not even one point at a time fits the limit.
    """
    if options.memory_limit is None:
        return planned(problem, dtype.name, options, lenient=lenient)
    arrays = [unread(shape_of(term), None, dtype) for term in problem.operands]
    whole = _whole(problem, arrays, dtype, options)
    return whole or _cut(problem, arrays, dtype, options)


def _whole(
    problem: Problem, arrays: Sequence[Array], dtype: np.dtype[Any], options: Options
) -> Plan | None:
    """The plan of one product, by the fastest algorithm that fits."""
    limit, out = options.memory_limit or 0, unread(problem.output_sizes, None, dtype)
    with suppress(UnfitError):
        for steps in whole_plans(problem, dtype.name, options):
            if not are_ready(steps, arrays):
                continue
            if recipe_within(steps.steps[0], (arrays[0], arrays[1]), out, limit) is not None:
                return replace(steps, parts=Parts(limit, 1, ()))
    return None


def _cut(problem: Problem, arrays: Sequence[Array], dtype: np.dtype[Any], options: Options) -> Plan:
    """The plan of all parts together: each of them goes through the same steps."""
    limit, order = options.memory_limit or 0, order_of(problem, options.search)
    numbers = working_dtype(problem, dtype)
    most = largest_block(problem, numbers, dtype, limit)
    cut = [block for block in blocks(problem, most) if block.contributes]
    if not cut:
        return replace(plan_afresh(problem, DIRECT, order), parts=Parts(limit, 1, ()))
    block, places = cut[(len(cut) - 1) // 2]
    views = list(map(within, arrays, places[:-1]))
    out = unread(block.output_sizes, None, numbers)
    room = beside(limit, out.nbytes * (numbers != dtype), "what is rounded")
    slicing = parts_of(block, views, out, room, order).slicing
    parts = prod(-(-block.extents[name] // chunk) for name, chunk in slicing.chunks)
    whole = plan_afresh(problem, DIRECT, order)
    again = _done_again(whole, slicing.typical(block), order)
    return replace(whole, parts=Parts(limit, len(cut) * parts, slicing.chunks, again))


def _done_again(whole: Plan, part: Problem, order: Order) -> float:
    """Operations of all parts over those of the whole: each point belongs to one part."""
    reached = part_of(part)
    if reached is None:
        return 1.0
    taken = sum(flops(step) for _, step in steps_of(reached.problem, order))
    ratio = whole.problem.points / max(1, part.points)
    return max(1.0, taken * ratio / max(1, whole.flops))
