"""Contractions without windows, ready for arrays that lie in memory in a certain way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.precision import common_dtype, rounded, working_dtype
from contractconv.arrays.trace import trace
from contractconv.arrays.views import Array
from contractconv.caches import Shelf
from contractconv.engines.numpy.einsum.step import Prepared
from contractconv.notation.problem import Problem, Shape
from contractconv.planning.plan import Plan, Step
from contractconv.reductions.table import REDUCTIONS

_NOTHING = object()
# What is ready for a string and arrays of some layout, where nothing else is given.
_calls = Shelf()


def layout(operands: Sequence[Any]) -> tuple[Hashable, ...] | None:
    """How arrays lie in memory; ``None`` if one of them is no array of numpy's own kind.

    Example:
        >>> layout([np.ones((2, 3))])
        (((2, 3), (24, 8), dtype('float64')),)
        >>> layout([np.ones(2), 2.0])
    """
    found = []
    for operand in operands:
        if type(operand) is not np.ndarray:
            return None
        found.append((operand.shape, operand.strides, operand.dtype))
    return tuple(found)


def known_call(spec: Hashable, operands: Sequence[Any]) -> Prepared | None:
    """What carries out a call that came before, with arrays that lay like these."""
    key = layout(operands)
    found: Prepared | None = None if key is None else _calls.get((spec, key))
    return found


def remember_call(spec: Hashable, operands: Sequence[Any], work: Prepared) -> None:
    """Keep what carries out a call, for which :func:`known_call` is asked then."""
    key = layout(operands)
    if key is not None:
        _calls.put((spec, key), work, 0)


def ready(steps: Plan, operands: Sequence[Any]) -> Prepared | None:
    """What carries out a contraction of arrays that lie like these, by numpy.

    Args:
        steps: its plan.
        operands: its operands, compositions not yet split.

    Returns:
        What makes a new array of shape ``problem.result_shape``; ``None`` if a step has a window
        or a kernel does it, or if an operand is no array.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.planning.plan import plan
        >>> operands = [np.ones((2, 3)), np.ones(3, int)]
        >>> work = ready(plan(resolve(parse("i k, k -> i"), [(2, 3), (3,)], {})), operands)
        >>> work(operands)
        array([3., 3.])
    """
    if any(step.making is None for step in steps.steps):
        return None
    key = layout(operands)
    return None if key is None else _known(steps.ready, key, lambda: _whole(steps, operands))


def step_ready(step: Step, arrays: Sequence[Array]) -> Prepared | None:
    """What carries out one step, of arrays of one dtype, as :func:`ready` a contraction."""
    if step.making is None:
        return None
    key = layout(arrays)
    return None if key is None else _known(step.ready, key, lambda: _made(step, arrays))


def _known(shelf: Shelf, key: Hashable, make: Callable[[], Prepared | None]) -> Prepared | None:
    # Others may take it away in between.
    found = shelf.get(key, _NOTHING)
    if found is _NOTHING:
        found = make()
        shelf.put(key, found, 0)
    made: Prepared | None = found
    return made


def _whole(steps: Plan, operands: Sequence[Array]) -> Prepared | None:
    problem = steps.problem
    dtype = common_dtype(operands, problem.reduce)
    numbers = working_dtype(problem, dtype)
    taken = [_taken(o, shape, numbers) for o, shape in zip(operands, steps.shapes, strict=True)]
    arrays = [
        operand if take is None else _like(operand, shape, numbers)
        for operand, take, shape in zip(operands, taken, steps.shapes, strict=True)
    ]
    carried_out = _in_turn(steps.steps, arrays)
    if carried_out is None:
        return None
    return _ended(_begun(carried_out, taken), problem, numbers, dtype)


def _taken(operand: Array, shape: Shape, numbers: np.dtype[Any]) -> Callable[[Array], Array] | None:
    """How an operand is converted, and its compositions split; ``None`` if nothing is to do."""
    if operand.dtype != numbers:
        return lambda array: np.array(array, numbers, order="C").reshape(shape)
    return None if operand.shape == shape else lambda array: array.reshape(shape)


def _like(operand: Array, shape: Shape, numbers: np.dtype[Any]) -> Array:
    """What an operand is converted to, but for its values."""
    if operand.dtype != numbers:
        return np.empty(shape, numbers)
    return operand.reshape(shape)


def _begun(work: Prepared, taken: Sequence[Callable[[Array], Array] | None]) -> Prepared:
    if not any(taken):
        return work
    return lambda given: work(
        [a if take is None else take(a) for take, a in zip(taken, given, strict=True)]
    )


def _in_turn(steps: Sequence[Step], arrays: Sequence[Array]) -> Prepared | None:
    """One step after the other."""
    alive, stages = list(arrays), []
    for step in steps:
        work = _made(step, [alive[n] for n in step.positions])
        if work is None:
            return None
        stages.append((step.positions, work))
        alive = [array for n, array in enumerate(alive) if n not in step.positions]
        alive.append(np.empty(step.problem.output_sizes, arrays[0].dtype))
    if len(stages) == 1:
        return stages[0][1]

    def run(given: Sequence[Array]) -> Array:
        left = list(given)
        for positions, work in stages:
            # The last one is taken first, so that the others stay where they are.
            taken = [left.pop(n) for n in reversed(positions)]
            left.append(work(taken[::-1]))
        return left[0]

    return run


def _made(step: Step, arrays: Sequence[Array]) -> Prepared | None:
    """What makes the result of a step, and tells whoever listens."""
    entry, problem = step.making, step.problem
    work: Prepared | None = None if entry is None else entry.makes(problem, arrays)  # type: ignore[misc]
    if entry is None or work is None:
        return None
    name = entry.name

    def run(given: Sequence[Array]) -> Array:
        if trace.listening:
            with trace.of(name, problem):
                return work(given)
        return work(given)

    return run


def _ended(
    work: Prepared, problem: Problem, numbers: np.dtype[Any], dtype: np.dtype[Any]
) -> Prepared:
    shape, mean = problem.result_shape, REDUCTIONS[problem.reduce].averages
    if not mean and shape == problem.output_sizes and numbers == dtype:
        return work
    points = np.asarray(prod(problem.extents[n] for n in problem.reduced))
    count = as_divisor(points, numbers) if mean else None

    def run(given: Sequence[Array]) -> Array:
        made = work(given)
        if count is not None:
            np.divide(made, count, out=made, casting="same_kind")
        return rounded(made.reshape(shape), dtype)

    return run


def as_divisor(count: Array, dtype: np.dtype[Any]) -> Array:
    """A count in numbers that hold it exactly, those of a dtype if they do."""
    narrow = count.astype(np.finfo(dtype).dtype)
    return narrow if (narrow == count).all() else count.astype(np.float64)
