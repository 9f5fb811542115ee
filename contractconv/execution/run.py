"""Running a problem on numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import Ending
from contractconv.arrays.operands import prepared, split
from contractconv.arrays.precision import common_dtype, rounded, widened, working_dtype
from contractconv.arrays.run_trace import trace
from contractconv.arrays.views import Array, unread
from contractconv.engines.llvm.direct_kernels import KINDS, kind
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling.forward import (
    FEW_POINTS,
    POOLING,
    End,
    can_pool,
    pool,
    pooling,
)
from contractconv.execution.launches import kernels_of
from contractconv.execution.local_weights import BYTES_COUNTED, as_divisor, divide, landing_points
from contractconv.execution.memory_limit import add_within, within
from contractconv.execution.memory_slices import blocks
from contractconv.execution.products import run_within
from contractconv.execution.ready import Ready, key_of, remember_call
from contractconv.execution.stages import ended, identities, in_turn
from contractconv.machine import memory
from contractconv.machine.kept_bytes import weight
from contractconv.notation.problem import Problem, Shape
from contractconv.planning.cost import is_direct
from contractconv.planning.options import DEFAULTS, Options, beside
from contractconv.planning.path import Order
from contractconv.planning.plan import Plan, order_of, plan
from contractconv.planning.setting import DIRECT
from contractconv.planning.side_by_side import apart
from contractconv.planning.workspace import NONE, Workspace
from contractconv.reductions.table import REDUCTIONS

# Elements of a mean at which it does not matter what counting their points takes.
_FEW_COUNTED = 256


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


def first_call(spec: Hashable, problem: Problem, operands: Sequence[Any]) -> Array:
    """Carry out a call for which nothing but its operands is given, and remember how."""
    dtype = common_dtype(operands, problem.reduce)
    made, work = run_first(planned(problem, dtype.name, operands=operands), operands)
    remember_call(spec, operands, work)
    return made


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
    return _run_parts(problem, operands, dtype, limit, order_of(problem, options.search))


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
        made = _pooled(problem, operands[0].reshape(whole.shapes[0]))
        if made is not None:
            return made
    numbers = working_dtype(problem, dtype)
    arrays, out = split(problem, operands, numbers), identities(problem, dtype)
    if problem.points == 0 or 0 in out.shape or any(0 in array.shape for array in arrays):
        return out.reshape(problem.result_shape)
    for block in blocks(problem, largest_block(problem, numbers, dtype, limit)):
        if not block.contributes:
            continue
        *views, made = map(within, (*arrays, out), block.places)
        part, room = made, limit
        if numbers != dtype:
            part = np.full(part.shape, part.flat[0], numbers)
            room = beside(limit, part.nbytes, "what is rounded")
        add_within(block.problem, views, part, room, order)
        if REDUCTIONS[problem.reduce].averages:
            count = landing_points(block.problem)
            divide(part, as_divisor(count, part.dtype))
        if numbers != dtype:
            made[...] = rounded(part, dtype)
    return out.reshape(problem.result_shape)


def largest_block(
    problem: Problem, numbers: np.dtype[Any], dtype: np.dtype[Any], limit: int
) -> int:
    """Elements of the result that are made at once; what is rounded later takes room until then."""
    beside = BYTES_COUNTED * _is_counted(problem) + 4 * numbers.itemsize * (numbers != dtype)
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

    if options.memory_limit is None:  # parts are cut along axes as they are
        problem = apart(problem)
    if options.algorithm == "measure":
        return plan(problem, measured(problem, operands, dtype), options.search)
    here = setting(problem.points, dtype, options.algorithm)
    return plan(problem, replace(here, lenient=True) if lenient else here, options.search)


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
    made, _ = run_first(steps, operands, ending)
    return made


def run_first(
    steps: Plan, operands: Sequence[Any], ending: Ending | None = None
) -> tuple[Array, Ready]:
    """The same as :func:`run`, with what carries out contractions of such arrays from now on."""
    try:
        return _run(steps, operands, ending)
    except native.UnfitError:  # by now no kernel is available: numpy does it all
        return _run(steps, operands, ending)


def _run(steps: Plan, operands: Sequence[Any], ending: Ending | None) -> tuple[Array, Ready]:
    key = key_of(operands, ending)
    # Others may take it away in between.
    found: Ready | None = steps.ready.get(key)
    if found is None:
        problem = steps.problem
        dtype = common_dtype(operands, problem.reduce)
        if key is None:
            operands = prepared(problem, operands, working_dtype(problem, dtype))
        found = _kept(steps, operands, dtype, ending, key)
    return found.carry(operands, ending), found


def made_ready(steps: Plan, operands: Sequence[Array], ending: Ending | None = None) -> Ready:
    """What carries out a contraction of arrays that lie in memory like these.

    Args:
        steps: the plan of the contraction.
        operands: its operands, which nobody reads.
        ending: what is done to the result.
    """
    key = key_of(operands, ending)
    found: Ready | None = steps.ready.get(key)
    if found is None:
        dtype = common_dtype(operands, steps.problem.reduce)
        found = _kept(steps, operands, dtype, ending, key)
    return found


def _kept(
    steps: Plan,
    operands: Sequence[Any],
    dtype: np.dtype[Any],
    ending: Ending | None,
    key: tuple[Hashable, ...] | None,
) -> Ready:
    found = _made_ready(steps, operands, dtype, ending)
    if key is not None:
        steps.ready.put(key, found, found.size)
    return found


def _made_ready(
    steps: Plan, operands: Sequence[Array], dtype: np.dtype[Any], ending: Ending | None
) -> Ready:
    """Decide, once for arrays that lie in memory like these, what carries a contraction out."""
    numbers = working_dtype(steps.problem, dtype)
    takes = [_taken(o, shape, numbers) for o, shape in zip(operands, steps.shapes, strict=True)]
    arrays = [
        operand if take is None else _like(operand, shape, numbers)
        for operand, take, shape in zip(operands, takes, steps.shapes, strict=True)
    ]
    # What is divided or joined afterwards is not ended before.
    last = ending if _is_plain(steps.problem) else None
    begun = _begun(in_turn(steps, arrays, numbers, last), takes)
    begun = begun._replace(workspace=_converted(begun.workspace, operands, numbers))
    ready = _closed(begun, steps, numbers, dtype)
    straight = not any(takes) and operands[0].dtype in KINDS
    if not (straight and steps.is_reduction):
        return ready
    return _or_pooled(ready, steps, arrays[0], ending)


def _taken(operand: Array, shape: Shape, numbers: np.dtype[Any]) -> Callable[[Array], Array] | None:
    """How an operand is converted, and its compositions split; ``None`` if nothing is to do."""
    if operand.dtype == np.float16 and numbers == np.float32:
        return lambda array: widened(array).reshape(shape)
    if operand.dtype != numbers:
        return lambda array: np.array(array, numbers, order="C").reshape(shape)
    return None if operand.shape == shape else lambda array: array.reshape(shape)


def _like(operand: Array, shape: Shape, numbers: np.dtype[Any]) -> Array:
    """What an operand is converted to, but for its values."""
    return np.empty(shape, numbers) if operand.dtype != numbers else operand.reshape(shape)


def _begun(ready: Ready, takes: Sequence[Callable[[Array], Array] | None]) -> Ready:
    if not any(takes):
        return ready

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        pairs = zip(takes, given, strict=True)
        return ready.carry([a if take is None else take(a) for take, a in pairs], ending)

    return ready.instead(carry)


def _converted(
    workspace: Workspace, operands: Sequence[Array], numbers: np.dtype[Any]
) -> Workspace:
    """What a contraction takes with the copies of operands of other numbers."""
    foreign = [operand.size for operand in operands if operand.dtype != numbers]
    # While numbers of half precision are looked up, there is a position for each.
    looked_up = 8 * max((o.size for o in operands if o.dtype == np.float16), default=0)
    longer = max(0, looked_up - workspace.most) if foreign else 0
    return workspace.with_beside(sum(foreign) * numbers.itemsize + longer)


def _is_plain(problem: Problem) -> bool:
    """Whether a contraction makes its result as it is, to be rounded at most."""
    whole = problem.result_shape == problem.output_sizes
    return whole and not REDUCTIONS[problem.reduce].averages


def _closed(ready: Ready, steps: Plan, numbers: np.dtype[Any], dtype: np.dtype[Any]) -> Ready:
    """A mean divided, compositions joined, the result ended and rounded."""
    problem, plain, work = steps.problem, _is_plain(steps.problem), ready.carry
    if plain and numbers == dtype:
        return ready
    shape, mean = problem.result_shape, REDUCTIONS[problem.reduce].averages
    divisor = as_divisor(landing_points(problem), numbers) if mean else None

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        if plain:
            return rounded(work(given, ending), dtype)
        made = work(given)
        if divisor is not None:
            divide(made, divisor)
        return rounded(ended(made.reshape(shape), ending), dtype)

    size = ready.size + (0 if divisor is None else divisor.nbytes)
    if numbers == dtype:
        return ready.instead(carry, size=size)
    rounding = ready.workspace.with_beside(prod(problem.output_sizes) * numbers.itemsize)
    return ready.instead(carry, size=size, workspace=rounding, lent=False)


def _or_pooled(ready: Ready, steps: Plan, operand: Array, ending: Ending | None) -> Ready:
    """The same, but a mean is divided, and a result rectified, as it is reduced by a kernel."""
    problem = steps.problem
    if steps.steps[0].making is not None or not steps.setting.machine.compiled:
        return ready
    if not can_pool(problem, kind(np.dtype(steps.setting.dtype))) or _is_counted(problem):
        return ready

    alone = ending is not None and ending.bias is None and ending.activation == "relu"
    sizes, dtype = problem.output_sizes, operand.dtype
    out = unread(sizes, None, dtype)
    program = pooling(problem, operand, out, _end(problem, alone))
    if program is None:
        return ready

    def carry(given: Sequence[Any], ending: Ending | None = None) -> Array:
        made = memory.empty(sizes, dtype)
        trace.run(POOLING, problem, lambda: program.run({"operand": given[0]}, made))
        return made if alone else ended(made, ending)

    kernels = None
    if ending is None or alone:
        kernels = kernels_of(program.program, {"operand": 0}, out)
    return ready.instead(
        carry, kernels, size=weight(program), compiled=True, workspace=NONE, lent=True
    )


def _pooled(problem: Problem, operand: Array) -> Array | None:
    if _is_counted(problem):
        return None
    made = memory.empty(problem.output_sizes, operand.dtype)
    return made if pool(problem, operand, made, _end(problem, False)) else None


def _end(problem: Problem, rectified: bool) -> End:
    return End(REDUCTIONS[problem.reduce].averages, rectified)


def _is_counted(problem: Problem) -> bool:
    """Whether it is a mean whose points have to be counted: not all windows have as many."""
    return REDUCTIONS[problem.reduce].averages and not is_direct(problem)
