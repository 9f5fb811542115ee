"""Steps of a plan made ready, each in the first way that can carry it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array, Labels, output_view, unread
from contractconv.arrays.workspace import Making, Work
from contractconv.engines.llvm.direct_kernels import kind
from contractconv.engines.llvm.pooling.forward import can_pool, pool
from contractconv.engines.numpy.matrix_product import sum_leaf
from contractconv.engines.numpy.memory_estimate import of_step
from contractconv.engines.numpy.reducing import reduce_leaf
from contractconv.engines.numpy.small import scatters
from contractconv.execution.launches import kernels_of
from contractconv.execution.pieces import run_pieces, workspace_of
from contractconv.execution.products import new, recipe_of
from contractconv.execution.ready import Carry, Ready
from contractconv.machine import memory
from contractconv.machine.kept_bytes import weight
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.lowerings import lowering_of
from contractconv.planning.plan import Plan, Step
from contractconv.planning.workspace import Loan, Workspace
from contractconv.planning.workspace import in_turn as staged
from contractconv.reductions.numbers import identity, ufunc
from contractconv.reductions.table import REDUCTIONS


def in_turn(
    steps: Plan, arrays: Sequence[Array], numbers: np.dtype[Any], ending: Ending | None = None
) -> Ready:
    """One step after the other, of operands as the first ones of them take them."""
    problem = steps.problem
    if 0 in (problem.points, *problem.output_sizes, *(a.size for a in arrays)):
        return Ready(lambda given, ending=None: ended(identities(problem, numbers), ending))
    left: list[int] = list(range(len(arrays)))
    held, stages = list(arrays), []
    for step in steps.steps:
        # The last one is taken first, so that the others stay where they are.
        taken = [left.pop(n) for n in reversed(step.positions)][::-1]
        last = step is steps.steps[-1]
        stages.append((taken, stage(step, _let_go(held, taken), ending if last else None)))
        left.append(len(held))
        held.append(np.empty(step.problem.output_sizes, numbers))
    if len(stages) == 1:
        return stages[0][1]
    return Ready(
        _one_by_one([(taken, one.carry) for taken, one in stages]),
        sum(one.size for _, one in stages),
        any(one.compiled for _, one in stages),
        _together(stages, steps, len(arrays), numbers.itemsize),
        stages[-1][1].lent,
    )


def _together(
    stages: Sequence[tuple[list[int], Ready]], steps: Plan, operands: int, itemsize: int
) -> Workspace:
    """What stages take together, with what is there between them."""
    readers = {number: n for n, (taken, _) in enumerate(stages) for number in taken}
    sizes = [itemsize * prod(step.problem.output_sizes) for step in steps.steps[:-1]]
    between = [
        Loan(memory.asked(size) or size, n, readers[operands + n]) for n, size in enumerate(sizes)
    ]
    return staged([one.workspace for _, one in stages], between)


def ended(made: Array, ending: Ending | None) -> Array:
    """A result, with what is to be done to it done."""
    if ending is not None:
        ending.apply(made)
    return made


def _one_by_one(stages: Sequence[tuple[list[int], Carry]]) -> Carry:
    """Stages that take what is held under some numbers, of which each is taken once."""
    *others, (remaining, last) = stages

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        held = list(given)
        for taken, work in others:
            held.append(work(_let_go(held, taken)))
        return last(_let_go(held, remaining), ending)

    return carry


def _let_go(held: list[Any], numbers: list[int]) -> list[Array]:
    """Some of what is held, which nothing else will need."""
    taken = [held[n] for n in numbers]
    for n in numbers:
        held[n] = None
    return taken


def stage(step: Step, arrays: Sequence[Array], ending: Ending | None = None) -> Ready:
    """Make a step ready for arrays that lie in memory like these.

    Args:
        step: a step, not of empty arrays.
        arrays: what it takes, of one dtype, compositions split; they are not kept.
        ending: what is done to the result, in one go with it if the step can do that.

    Returns:
        What makes a new array of shape ``step.problem.output_sizes``.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.planning.plan import plan
        >>> (step,) = plan(resolve(parse("(i+k), k -> i"), [(3,), (2,)], {})).steps
        >>> arrays = np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0])
        >>> stage(step, arrays).carry(arrays)
        array([21., 32.])
    """
    at_once = _at_once(step, arrays)
    if at_once is not None:
        return at_once
    if REDUCTIONS[step.problem.reduce].linear and len(arrays) == 2:
        found = _compiled(step, arrays, ending)
        return found or _of_small_parts(step, arrays) or _in_pieces(step, arrays)
    return _of_few_points(step, arrays) or _reduction(step, arrays[0].dtype)


def _at_once(step: Step, arrays: Sequence[Array]) -> Ready | None:
    """By one operation of numpy's."""
    entry = step.making
    if entry is None or entry.makes is None:
        return None
    problem = step.choice.chosen.pieces[0].problem
    making = entry.makes(problem, arrays)
    if making is None:
        return None
    return _made_by(entry.name, problem, making)


def _made_by(name: str, problem: Problem, making: Making) -> Ready:
    """By what makes all of the result."""
    work = making.work

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        return ended(trace.run(name, problem, lambda: work(given)), ending)

    return Ready(carry, making.size, workspace=making.workspace, lent=making.lent)


def _of_small_parts(step: Step, arrays: Sequence[Array]) -> Ready | None:
    """Put together from parts of the result that one operation of numpy's makes each."""
    if not step.disjoint:
        return None
    parts, beside, dtype = list[tuple[Any, ...]](), 0, arrays[0].dtype
    for piece in step.choice.chosen.pieces:
        entry, place = lowering_of(piece, step.setting), _place(piece.problem)
        if entry.makes is None or place is None:
            return None
        part = replace(piece.problem, output=_by_itself(piece.problem))
        making = entry.makes(part, arrays)
        if making is None:
            return None
        parts.append((place, entry.name, piece.problem, making.work))
        beside = max(beside, making.workspace.beside + dtype.itemsize * prod(part.output_sizes))

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        out = new(step, dtype)
        for place, name, problem, work in parts:
            out[place] = trace.run(name, problem, partial(work, given))
        return ended(out, ending)

    return Ready(carry, workspace=Workspace(beside=beside))


def _place(problem: Problem) -> tuple[Any, ...] | None:
    """Where a part of the result lies, axis by axis; ``None`` if two indices share one."""
    if any(len(access.terms) != 1 or access.divisor != 1 for access in problem.output):
        return None
    moves = ((access.terms[0], access.offset) for access in problem.output)
    found = [(first, step, first + step * (problem.extents[n] - 1)) for (n, step), first in moves]
    if any(step < 0 for _, step, _ in found):
        return None
    return tuple(slice(first, last + 1, step) for first, step, last in found)


def _by_itself(problem: Problem) -> Accesses:
    """The axes of a part of the result, without what lies in between."""
    names = [access.terms[0][0] for access in problem.output]
    return tuple(Access.along(name, problem.extents[name]) for name in names)


def _compiled(step: Step, arrays: Sequence[Array], ending: Ending | None) -> Ready | None:
    """By one program of kernels."""
    dtype, out = arrays[0].dtype, unread(step.problem.output_sizes, None, arrays[0].dtype)
    # What no piece writes has to be ended, too.
    known = recipe_of(step, arrays, out, not step.disjoint, ending if step.complete else None)
    if known is None:
        return None

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        out = new(step, dtype)
        known.run(tuple(given), out, ending if known.ends else None)
        if ending is not None and not known.ends:
            ending.apply(out)
        return out

    work = known.program.workspace(out.nbytes)
    kernels = None
    if step.complete and (ending is None or known.ends):
        kernels = kernels_of(known.program.program, known.regions, out)
    return Ready(carry, weight(known), True, work, kernels=kernels)


def _in_pieces(step: Step, arrays: Sequence[Array]) -> Ready:
    """Piece by piece, as some have to be made ready for the numbers that they are given."""
    dtype = arrays[0].dtype
    alone = len(step.choice.chosen.pieces) == 1 and step.complete

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        out, end = new(step, dtype), ending if alone else None
        work = Work(tuple(given), out, not step.disjoint, step.setting, end)
        if not run_pieces(step.pieces(), work, step.disjoint) and ending is not None:
            ending.apply(out)
        return out

    return Ready(carry, 0, step.setting.machine.compiled, _of_pieces(step, arrays))


def _of_pieces(step: Step, arrays: Sequence[Array]) -> Workspace:
    """What the pieces of a step take; where there are too many to list, at most."""
    dtype, listed = arrays[0].dtype, step.choice.chosen.pieces
    if not listed:
        return Workspace(beside=of_step(step.problem, dtype.itemsize, True))
    out = unread(step.problem.output_sizes, None, dtype)
    work = Work(tuple(arrays), out, not step.disjoint, step.setting)
    return workspace_of(listed, work, step.disjoint)


def _of_few_points(step: Step, arrays: Sequence[Array]) -> Ready | None:
    """A small step of one operand whose points meet elements of the result one by one."""
    if len(arrays) != 1 or step.is_tight:
        return None
    making = scatters.prepared(step.problem, arrays[0])
    return None if making is None else _made_by("numpy", step.problem, making)


def _reduction(step: Step, dtype: np.dtype[Any]) -> Ready:
    """Anything that is no sum of products of two arrays."""
    pooled = _is_pooled(step, dtype)

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        made = _reduced(step, tuple(given), dtype, pooled)
        return ended(made, ending)

    work = Workspace(beside=0 if pooled else of_step(step.problem, dtype.itemsize, False))
    lent = pooled or not step.is_tight
    return Ready(carry, 0, step.setting.machine.compiled, work, lent)


def _is_pooled(step: Step, dtype: np.dtype[Any]) -> bool:
    """Whether a kernel reduces it at once, if it lies without gaps."""
    compiled = step.is_leaf and step.setting.machine.compiled
    return compiled and can_pool(step.problem, kind(dtype))


def _reduced(step: Step, arrays: tuple[Array, ...], dtype: np.dtype[Any], pooled: bool) -> Array:
    problem = step.problem
    if pooled:
        made = memory.empty(problem.output_sizes, dtype)
        if pool(problem, arrays[0], made):
            return made
    if step.is_tight:
        labels = tuple(access.names[0] for access in problem.output)
        leaf = sum_leaf if REDUCTIONS[problem.reduce].linear else reduce_leaf
        result = leaf(problem, arrays, labels)
        if result.shape == problem.output_sizes and result.flags.c_contiguous:
            return result
        return np.broadcast_to(result, problem.output_sizes).copy()
    return _by_leaves(step, arrays, dtype)


def _by_leaves(step: Step, arrays: tuple[Array, ...], dtype: np.dtype[Any]) -> Array:
    """A result that is put together, or added up, from leaves."""
    problem, combine = step.problem, ufunc(REDUCTIONS[step.problem.reduce])
    once = step.complete
    out = memory.empty(problem.output_sizes, dtype) if once else identities(problem, dtype)
    for part in step.leaves():
        view = output_view(out, part)
        made = seen(part, arrays, view.labels)
        np.copyto(view.array, made) if once else combine(view.array, made, out=view.array)
    return out


def seen(problem: Problem, arrays: tuple[Array, ...], labels: Labels) -> Array:
    """A leaf, as a view of its operand where nothing has to be computed."""
    if REDUCTIONS[problem.reduce].linear:
        return sum_leaf(problem, arrays, labels, new=False)
    return reduce_leaf(problem, arrays, labels)


def identities(problem: Problem, dtype: np.dtype[Any]) -> Array:
    """A result to which nothing has contributed yet."""
    made = memory.empty(problem.output_sizes, dtype)
    made.fill(identity(REDUCTIONS[problem.reduce], dtype))
    return made
