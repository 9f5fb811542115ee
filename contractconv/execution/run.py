"""Running a problem on numpy arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.operands import prepared, split
from contractconv.arrays.precision import accumulator, common_dtype, rounded, working_dtype
from contractconv.arrays.trace import trace
from contractconv.arrays.views import Array, output_view
from contractconv.engines.llvm.direct import KINDS
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling.forward import FEW_POINTS, End, pool
from contractconv.engines.numpy.einsum.step import Prepared
from contractconv.engines.numpy.matrix_product import sum_leaf
from contractconv.engines.numpy.reducing import local_derivative, reduce_leaf
from contractconv.execution.memory_limit import add_within, within
from contractconv.execution.products import are_ready, multiplied, run_product, run_within
from contractconv.execution.ready import as_divisor, ready, step_ready
from contractconv.execution.slicing import blocks
from contractconv.machine import memory
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.cost import is_direct
from contractconv.planning.einsum import as_einsum
from contractconv.planning.options import DEFAULTS, Options, beside
from contractconv.planning.path import Order
from contractconv.planning.plan import Plan, Step, order_of, plan
from contractconv.planning.setting import DIRECT
from contractconv.reductions.numbers import identity, ufunc
from contractconv.reductions.table import REDUCTIONS

# Bytes for each element of a mean whose points are counted, and elements at which none matter.
_BYTES_COUNTED, _FEW_COUNTED = 40, 256
# Bytes for each point of a local derivative, while it is made.
_BYTES_DERIVED = 120
# The same where operands move, too, and for each cell of a table of points by elements.
_BYTES_MOVED, _BYTES_A_CELL = 400, 200


def carry_out(
    problem: Problem,
    operands: Sequence[Any],
    options: Options = DEFAULTS,
    dtype: np.dtype[Any] | None = None,
    ending: Ending | None = None,
) -> Array:
    """Plan a contraction for these operands, and carry it out; see :func:`run`.

    Args:
        problem: the contraction.
        operands: what :func:`contractconv.arrays.operands.as_operand` returned for each.
        options: by which algorithm, and within which limit.
        dtype: in what they meet, if they shall be converted.
        ending: what is done to the result.
    """
    dtype = common_dtype(operands, problem.reduce) if dtype is None else dtype
    if options.memory_limit is None:
        return run(planned(problem, dtype.name, options, operands), operands, ending)
    made = _run_within(problem, operands, dtype, options, options.memory_limit)
    if ending is not None:
        ending.apply(made)
    return made


def ready_for(problem: Problem, operands: Sequence[Any]) -> Prepared | None:
    """What carries out a contraction of such arrays by numpy; ``None`` if that is not its plan."""
    dtype = common_dtype(operands, problem.reduce).name
    return ready(planned(problem, dtype), operands) if as_einsum(problem) is not None else None


def _run_within(
    problem: Problem, operands: Sequence[Any], dtype: np.dtype[Any], options: Options, limit: int
) -> Array:
    """By the fastest algorithm that fits a limit, or by numpy, part by part."""
    # Without kernels nothing needs to be planned, or measured, for them.
    with suppress(native.UnfitError):
        for steps in whole_plans(problem, dtype.name, options):
            made = run_within(steps, operands, limit)
            if made is not None:
                return made
    return _run_parts(problem, operands, dtype, limit, order_of(problem, options.optimize))


def whole_plans(problem: Problem, dtype: str, options: Options) -> Iterator[Plan]:
    """The plans that are tried within a limit before a contraction is cut, the fastest first."""
    if native.available():
        for name in dict.fromkeys((options.algorithm, "direct")):
            yield planned(problem, dtype, replace(options, algorithm=name))


def _run_parts(
    problem: Problem, operands: Sequence[Any], dtype: np.dtype[Any], limit: int, order: Order
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
    for block, place in blocks(problem, largest_block(problem, numbers, dtype, limit)):
        part, room = within(out, place), limit
        if numbers != dtype:
            part = np.full(part.shape, part.flat[0], numbers)
            room = beside(limit, part.nbytes, "what is rounded")
        add_within(block, arrays, part, room, order)
        if REDUCTIONS[problem.reduce].averages:
            _divided(part, block)
        if numbers != dtype:
            within(out, place)[...] = rounded(part, dtype)
    return out.reshape(problem.result_shape)


def largest_block(
    problem: Problem, numbers: np.dtype[Any], dtype: np.dtype[Any], limit: int
) -> int:
    """Elements of the result that are made at once; what is rounded later takes room until then."""
    counted = REDUCTIONS[problem.reduce].averages and not is_direct(problem)
    beside = _BYTES_COUNTED * counted + 4 * numbers.itemsize * (numbers != dtype)
    return max(limit // beside, _FEW_COUNTED) if beside else prod(problem.output_sizes)


def planned(
    problem: Problem,
    dtype: str,
    options: Options = DEFAULTS,
    operands: Sequence[Any] | None = None,
    lenient: bool = False,
) -> Plan:
    """Plan a contraction for numbers of one kind.

    Args:
        problem: the contraction.
        dtype: in what its operands meet.
        options: what the caller asks for.
        operands: what to measure algorithms on; random numbers if there are none.
        lenient: whether what the algorithm cannot carry out is done directly, not refused.
    """
    # It runs contractions.
    from contractconv.execution.calibration import measured, setting

    if options.algorithm == "measure":
        return plan(problem, measured(problem, operands, dtype), options.optimize)
    here = setting(problem.points, dtype, options.algorithm)
    return plan(problem, replace(here, lenient=True) if lenient else here, options.optimize)


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
    if REDUCTIONS[problem.reduce].averages:
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
    divided = REDUCTIONS[problem.reduce].averages
    if divided and not is_direct(problem):
        return None
    made = memory.empty(problem.output_sizes, operand.dtype)
    return made if pool(problem, operand, made, End(divided, rectified)) else None


def _ends_itself(steps: Plan, arrays: tuple[Array, ...]) -> bool:
    """Whether one piece makes the result as it is given back."""
    problem, first = steps.problem, steps.steps[0]
    plain = REDUCTIONS[problem.reduce].is_sum and problem.result_shape == problem.output_sizes
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
    return np.full(problem.output_sizes, identity(REDUCTIONS[problem.reduce], dtype), dtype)


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
    if not REDUCTIONS[step.problem.reduce].linear or len(arrays) != 2:
        return _reduce_step(step, arrays, dtype, out)
    return multiplied(step, arrays, dtype, out)


def _reduce_step(
    step: Step, arrays: tuple[Array, ...], dtype: np.dtype[Any], out: Array | None
) -> Array:
    problem = step.problem
    work = step_ready(step, arrays) if out is None else None
    if work is not None:
        return work(arrays)
    leaf = sum_leaf if REDUCTIONS[problem.reduce].linear else reduce_leaf
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
    combine = ufunc(REDUCTIONS[problem.reduce])
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
    landing = Problem(((),), tuple(counted), sizes, SUM, shape_of(tuple(counted)))
    count = _run_split(plan(landing), (np.ones((), np.int64),), np.dtype(np.int64))
    shape = [access.size if access in counted else 1 for access in problem.output]
    return repeats * count.reshape(shape)


def _lands_once(access: Access, problem: Problem, uses: Counter[str]) -> bool:
    name = access.plain
    return name is not None and uses[name] == 1 and problem.extents[name] == access.size


def derivative_weights(
    problem: Problem, operands: Sequence[Any], moved: Sequence[Any] | None = None
) -> Array:
    """The local derivative of a reduction: what its backward contraction meets.

    Args:
        problem: the forward contraction.
        operands: the forward operands.
        moved: the same with a direction in the place of one operand, if it is not the derivative
            that is wanted, but how that changes.

    Returns:
        For a mean, one over the number of points (a scalar, or one value for each output element);
        otherwise one value for each point, with axes as in ``problem.indices``.

    Raises:
        ReductionError: the reduction has no such derivative.
    """
    return trace.run("numpy", problem, lambda: _weights(problem, operands, moved))


def _weights(problem: Problem, operands: Sequence[Any], moved: Sequence[Any] | None) -> Array:
    dtype = accumulator(common_dtype([*operands, *(moved or ())], problem.reduce))
    if REDUCTIONS[problem.reduce].averages:
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
    return local_derivative(
        problem, arrays, None if moved is None else prepared(problem, moved, dtype)
    )


def weights_bytes(problem: Problem) -> int:
    """Bytes that :func:`derivative_weights` takes at most."""
    entry = REDUCTIONS[problem.reduce]
    if entry.is_sum or (entry.averages and is_direct(problem)):
        return 0
    if entry.averages:
        return 2 * _BYTES_COUNTED * prod(problem.output_sizes)
    return _BYTES_DERIVED * problem.points


def change_bytes(problem: Problem) -> int:
    """Bytes that it takes at most where operands move, too."""
    # Of a scatter all points may land on one element: then its tables have a row for each.
    rows = prod(problem.output_sizes) if not is_direct(problem) else 1
    return (_BYTES_MOVED + _BYTES_A_CELL * rows) * problem.points
