"""Running a problem on numpy arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.operands import prepared, split
from contractconv.arrays.precision import accumulator, common_dtype, rounded, working_dtype
from contractconv.arrays.reductions import REDUCTIONS
from contractconv.arrays.trace import trace
from contractconv.arrays.views import Array, output_view
from contractconv.engines.llvm.direct import KINDS
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling.forward import FEW_POINTS, End, pool
from contractconv.engines.numpy.einsum.step import Prepared
from contractconv.engines.numpy.matrix_product import sum_leaf
from contractconv.engines.numpy.reducing import local_derivative, reduce_leaf
from contractconv.errors import AlgorithmError
from contractconv.execution.memory_limit import add_within, within
from contractconv.execution.products import are_ready, multiplied, run_product, run_within
from contractconv.execution.ready import as_divisor, ready, step_ready
from contractconv.execution.slicing import blocks
from contractconv.machine import memory
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import is_direct
from contractconv.planning.einsum import as_einsum
from contractconv.planning.plan import Plan, Step, plan
from contractconv.planning.setting import DIRECT

# Bytes for each element of a mean whose points are counted, and elements at which none matter.
_BYTES_COUNTED, _FEW_COUNTED = 40, 256


def carry_out(
    problem: Problem,
    operands: Sequence[Any],
    algorithm: str = "auto",
    memory_limit: int | None = None,
) -> Array:
    """Plan a contraction for these operands, and carry it out; see :func:`run`.

    Raises:
        AlgorithmError: a fast algorithm is asked for together with a limit.
    """
    if memory_limit is not None:
        if algorithm not in ("auto", "direct"):
            raise AlgorithmError(f"memory_limit goes with 'auto' or 'direct', not {algorithm!r}")
        return _run_within(problem, operands, memory_limit, algorithm)
    dtype = common_dtype(operands, problem.reduce).name
    return run(planned(problem, dtype, algorithm, operands), operands)


def ready_for(problem: Problem, operands: Sequence[Any]) -> Prepared | None:
    """What carries out a contraction of such arrays by numpy; ``None`` if that is not its plan."""
    dtype = common_dtype(operands, problem.reduce).name
    return ready(planned(problem, dtype), operands) if as_einsum(problem) is not None else None


def _run_within(problem: Problem, operands: Sequence[Any], limit: int, algorithm: str) -> Array:
    """By the fastest algorithm that fits a limit, or by numpy, part by part."""
    dtype = common_dtype(operands, problem.reduce).name
    # Without kernels nothing needs to be planned, or measured, for them.
    with suppress(native.UnfitError):
        for name in dict.fromkeys((algorithm, "direct")) if native.available() else ():
            made = run_within(planned(problem, dtype, name), operands, limit)
            if made is not None:
                return made
    return _run_parts(problem, operands, np.dtype(dtype), limit)


def _run_parts(
    problem: Problem, operands: Sequence[Any], dtype: np.dtype[Any], limit: int
) -> Array:
    """By numpy and kernels, part by part, within a limit."""
    whole = plan(problem, DIRECT)
    if whole.is_reduction and problem.points >= FEW_POINTS and operands[0].dtype == dtype:
        made = _pooled(problem, operands[0].reshape(whole.shapes[0]), rectified=False)
        if made is not None:
            return made
    numbers = working_dtype(problem, dtype)
    arrays, out = split(problem, operands, numbers), _identity(problem, dtype)
    if problem.points == 0 or 0 in out.shape or any(0 in array.shape for array in arrays):
        return out.reshape(problem.result_shape)
    for block, place in blocks(problem, _largest_block(problem, numbers, dtype, limit)):
        part, room = within(out, place), limit
        if numbers != dtype:
            part = np.full(part.shape, part.flat[0], numbers)
            room -= part.nbytes
        add_within(block, arrays, part, room)
        if problem.reduce == "mean":
            _divided(part, block)
        if numbers != dtype:
            within(out, place)[...] = rounded(part, dtype)
    return out.reshape(problem.result_shape)


def _largest_block(
    problem: Problem, numbers: np.dtype[Any], dtype: np.dtype[Any], limit: int
) -> int:
    """Elements of the result that are made at once; what is rounded later takes room until then."""
    counted = problem.reduce == "mean" and not is_direct(problem)
    beside = _BYTES_COUNTED * counted + 4 * numbers.itemsize * (numbers != dtype)
    return max(limit // beside, _FEW_COUNTED) if beside else prod(problem.output_sizes)


def planned(
    problem: Problem,
    dtype: str,
    algorithm: str = "auto",
    operands: Sequence[Any] | None = None,
    lenient: bool = False,
) -> Plan:
    """Plan a contraction for numbers of one kind.

    Args:
        problem: the contraction.
        dtype: in what its operands meet.
        algorithm: what the caller asks for.
        operands: what to measure algorithms on; random numbers if there are none.
        lenient: whether what the algorithm cannot carry out is done directly, not refused.
    """
    # Both of them run contractions.
    from contractconv.execution.autotune import measured
    from contractconv.execution.calibration import setting

    if algorithm == "measure":
        return plan(problem, measured(problem, operands, dtype))
    here = setting(problem.points, dtype, algorithm)
    return plan(problem, replace(here, lenient=True) if lenient else here)


def run(
    steps: Plan,
    operands: Sequence[Any],
    ending: Ending | None = None,
) -> Array:
    """Carry out a contraction.

    Args:
        steps: the plan of the contraction.
        operands: what :func:`contractconv.arrays.operands.as_operand` returned for each,
            compositions not yet split.
        ending: what is done to the result, by the kernels if they can.

    Returns:
        A new array of shape ``problem.result_shape``.
    """
    try:
        return _run(steps, operands, ending)
    except native.UnfitError:  # by now no kernel is available: numpy does it all
        return _run(steps, operands, ending)


def _run(steps: Plan, operands: Sequence[Any], ending: Ending | None) -> Array:
    problem = steps.problem
    work = ready(steps, operands)
    # What is rounded in the end is not ended before.
    if work is not None and (ending is None or all(o.dtype in KINDS for o in operands)):
        made = work(operands)
        if ending is not None:
            ending.apply(made)
        return made
    if are_ready(steps, operands):
        return run_product(steps, (operands[0], operands[1]), ending)
    if steps.is_reduction:
        reduced = _run_reduction(steps, operands[0], ending)
        if reduced is not None:
            return reduced
    dtype = common_dtype(operands, problem.reduce)
    numbers = working_dtype(problem, dtype)
    arrays = prepared(problem, operands, numbers)
    if ending is not None and _ends_itself(steps, arrays):
        return rounded(multiplied(steps.steps[0], arrays, numbers, ending=ending), dtype)
    result = _run_split(steps, arrays, numbers)
    if problem.reduce == "mean":
        result = _divided(result, problem)
    result = result.reshape(problem.result_shape)
    if ending is not None:
        ending.apply(result)
    return rounded(result, dtype)


def _run_reduction(steps: Plan, operand: Any, ending: Ending | None) -> Array | None:
    """Reduce an array as it is; ``None`` if there is no short way to do it."""
    problem = steps.problem
    if type(operand) is not np.ndarray or operand.dtype not in KINDS:
        return None
    if operand.shape != steps.shapes[0]:
        return None
    alone = ending is not None and ending.bias is None and ending.activation == "relu"
    if problem.points < FEW_POINTS or not steps.setting.machine.compiled:
        return None
    made = _pooled(problem, operand, alone)
    if made is not None and ending is not None and not alone:
        ending.apply(made)
    return made


def _pooled(problem: Problem, operand: Array, rectified: bool) -> Array | None:
    # A mean over windows all of whose points count: what they land on is known beforehand.
    divided = problem.reduce == "mean"
    if divided and not is_direct(problem):
        return None
    made = memory.empty(problem.output_sizes, operand.dtype)
    return made if pool(problem, operand, made, End(divided, rectified)) else None


def _ends_itself(steps: Plan, arrays: tuple[Array, ...]) -> bool:
    """Whether one piece makes the result as it is given back."""
    problem, first = steps.problem, steps.steps[0]
    plain = problem.reduce == "sum" and problem.result_shape == problem.output_sizes
    alone = len(steps.steps) == 1 and len(arrays) == 2 and first.is_tight
    whole = problem.points > 0 and len(first.choice.chosen.pieces) == 1
    return plain and alone and whole


def _run_split(steps: Plan, arrays: tuple[Array, ...], dtype: np.dtype[Any]) -> Array:
    problem = steps.problem
    empty = 0 in (size for _, size in problem.sizes) or 0 in problem.output_sizes
    if empty or any(0 in array.shape for array in arrays):
        return _identity(problem, dtype)
    return _run_plan(steps, arrays, dtype)


def _identity(problem: Problem, dtype: np.dtype[Any]) -> Array:
    return np.full(problem.output_sizes, REDUCTIONS[problem.reduce].identity(dtype), dtype)


def _run_plan(
    steps: Plan, arrays: tuple[Array, ...], dtype: np.dtype[Any], out: Array | None = None
) -> Array:
    alive = list(arrays)
    for step in steps.steps[:-1]:
        taken = tuple(alive[n] for n in step.positions)
        alive = [array for n, array in enumerate(alive) if n not in step.positions]
        alive.append(_run_step(step, taken, dtype))
    last = steps.steps[-1]
    return _run_step(last, tuple(alive[n] for n in last.positions), dtype, out)


def _run_step(
    step: Step, arrays: tuple[Array, ...], dtype: np.dtype[Any], out: Array | None = None
) -> Array:
    if step.problem.reduce not in ("sum", "mean") or len(arrays) != 2:
        return _reduce_step(step, arrays, dtype, out)
    return multiplied(step, arrays, dtype, out)


def _reduce_step(
    step: Step, arrays: tuple[Array, ...], dtype: np.dtype[Any], out: Array | None
) -> Array:
    problem = step.problem
    work = step_ready(step, arrays) if out is None else None
    if work is not None:
        return work(arrays)
    leaf = sum_leaf if problem.reduce in ("sum", "mean") else reduce_leaf
    if out is None and step.is_leaf:
        made = memory.empty(problem.output_sizes, dtype)
        worth = problem.points >= FEW_POINTS and step.setting.machine.compiled
        if worth and pool(problem, arrays[0], made):
            return made
    if out is None and step.is_tight:
        labels = tuple(access.names[0] for access in problem.output)
        result = leaf(problem, arrays, labels)
        if result.shape == problem.output_sizes and result.flags.c_contiguous:
            return result
        return np.broadcast_to(result, problem.output_sizes).copy()
    if out is None:
        out = _identity(problem, dtype)
    combine = REDUCTIONS[problem.reduce].combine
    for part in step.leaves():
        view = output_view(out, part)
        combine(view.array, leaf(part, arrays, view.labels), out=view.array)
    return out


def _divided(total: Array, problem: Problem) -> Array:
    """Divide a sum by the number of points that land on each element, boundary included."""
    return trace.aside(lambda: _divide(total, problem))


def _divide(total: Array, problem: Problem) -> Array:
    count = as_divisor(landing_points(problem), total.dtype)
    if count.all():  # asking at every element takes longer than dividing
        return np.divide(total, count, out=total, casting="same_kind")
    some = np.broadcast_to(count != 0, total.shape)
    return np.divide(total, count, out=total, where=some, casting="same_kind")


def landing_points(problem: Problem) -> Array:
    """How many index points land on each output element, broadcastable to the output.

    They are counted in integers, whatever is reduced.
    """
    repeats = np.asarray(prod(problem.extents[name] for name in problem.reduced), np.int64)
    if is_direct(problem):
        return repeats
    # Along an axis of its own an index lands once everywhere; only the other axes need counting.
    uses = Counter(name for access in problem.output for name in access.names)
    counted = [a for a in problem.output if not _lands_once(a, problem, uses)]
    sizes = tuple((n, size) for n, size in problem.sizes if any(n in a.names for a in counted))
    landing = Problem(((),), tuple(counted), sizes, "sum", shape_of(tuple(counted)))
    count = _run_split(plan(landing), (np.ones((), np.int64),), np.dtype(np.int64))
    shape = [access.size if access in counted else 1 for access in problem.output]
    return repeats * count.reshape(shape)


def _lands_once(access: Access, problem: Problem, uses: Counter[str]) -> bool:
    name = access.plain
    return name is not None and uses[name] == 1 and problem.extents[name] == access.size


def derivative_weights(problem: Problem, operands: Sequence[Any]) -> Array:
    """The local derivative of a reduction: what its backward contraction meets.

    Args:
        problem: the forward contraction.
        operands: the forward operands.

    Returns:
        For ``mean``, one over the number of points (a scalar, or one value for each output
        element); otherwise one value for each point, with axes as in ``problem.indices``.
    """
    return trace.run("numpy", problem, lambda: _weights(problem, operands))


def _weights(problem: Problem, operands: Sequence[Any]) -> Array:
    dtype = accumulator(common_dtype(operands, problem.reduce))
    if problem.reduce == "mean":
        count = as_divisor(landing_points(problem), dtype)
        shares = np.divide(1, count, out=np.zeros_like(count), where=count != 0)
        weights = shares.astype(dtype)
        if is_direct(problem):
            return weights
        return np.broadcast_to(weights, problem.output_sizes).reshape(problem.result_shape)
    shape = tuple(size for _, size in problem.sizes)
    arrays = prepared(problem, operands, dtype)
    if 0 in shape or any(0 in array.shape for array in arrays):
        return np.zeros(shape, dtype)
    return local_derivative(problem, arrays)
