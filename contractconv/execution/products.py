"""Programs of kernels for steps that multiply two arrays, and for contractions of one such step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.views import Array
from contractconv.arrays.workspace import Work
from contractconv.engines.llvm.direct_kernels import KINDS
from contractconv.engines.llvm.llvm_lowerings import Recipe, recipe
from contractconv.machine import memory
from contractconv.machine.kept_bytes import weight
from contractconv.machine.threads import get_num_threads
from contractconv.planning.plan import Plan, Step


def are_ready(steps: Plan, operands: Sequence[Any]) -> bool:
    """Whether a contraction is one product that can begin with its operands as they are.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.planning.plan import plan
        >>> steps = plan(resolve(parse("i k, k j -> i j"), [(2, 3), (3, 4)], {}))
        >>> are_ready(steps, (np.ones((2, 3)), np.ones((3, 4))))
        True
        >>> are_ready(steps, (np.ones((2, 3)), np.ones((3, 4), int)))
        False
    """
    if not steps.is_product:
        return False
    one, two = operands
    if type(one) is not np.ndarray or type(two) is not np.ndarray or one.dtype != two.dtype:
        return False
    return one.dtype in KINDS and (one.shape, two.shape) == steps.shapes


def run_within(steps: Plan, operands: Sequence[Any], limit: int) -> Array | None:
    """Carry out a contraction that is one product, unless that takes too much memory.

    Args:
        steps: its plan.
        operands: its operands, compositions not yet split.
        limit: bytes that may be taken beyond operands and result.

    Returns:
        A new array of shape ``problem.result_shape``; ``None`` if nothing was done.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> from contractconv.planning.plan import plan
        >>> steps = plan(resolve(parse("i k, k j -> i j"), [(2, 2), (2, 2)], {}))
        >>> made = run_within(steps, (np.eye(2), np.ones((2, 2))), limit=0)
        >>> made if made is not None else "there is no compiler"
        array([[1., 1.],
               [1., 1.]])
    """
    if not are_ready(steps, operands) or operands[0].dtype.name != steps.setting.dtype:
        return None
    (step,), arrays = steps.steps, (operands[0], operands[1])
    out = new(step, arrays[0].dtype)
    known = recipe_within(step, arrays, out, limit)
    if known is None:
        return None
    known.run(arrays, out, None)
    return out


def recipe_within(step: Step, arrays: tuple[Array, Array], out: Array, limit: int) -> Recipe | None:
    """The program for arrays that lie in memory like these, if it takes so many bytes at most."""
    known = known_recipe(step, arrays, out, not step.disjoint)
    return None if known is None or known.program.extra(out.nbytes) > limit else known


def new(step: Step, dtype: np.dtype[Any]) -> Array:
    """A new array for the result of a step, of zeros unless all of it will be written."""
    return (memory.empty if step.complete else memory.zeros)(step.problem.output_sizes, dtype)


def known_recipe(
    step: Step, arrays: tuple[Array, ...], out: Array, accumulate: bool
) -> Recipe | None:
    """The same as :func:`recipe_of`, remembered for arrays that lie in memory like these."""
    one, two = arrays
    key = one.strides, two.strides, out.strides, out.dtype, accumulate, get_num_threads()
    # Others may take it away in between.
    known: Recipe | str | None = step.ready.get(key, "unknown")
    if isinstance(known, str):
        known = recipe_of(step, arrays, out, accumulate)
        step.ready.put(key, known, weight(known))
    return known


def recipe_of(
    step: Step,
    arrays: Sequence[Array],
    out: Array,
    accumulate: bool,
    ending: Ending | None = None,
) -> Recipe | None:
    """One program for a step.

    Args:
        step: a step that sums products of two arrays.
        arrays: what it takes.
        out: where the result goes.
        accumulate: whether it is added to what is there.
        ending: what is done to the result.

    Returns:
        The program and what it is run on; ``None`` if there is none.
    """
    work = Work(tuple(arrays), out, accumulate, step.setting, ending)
    return recipe(step.choice.chosen.pieces, work, step.disjoint)
