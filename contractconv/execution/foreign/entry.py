"""A contraction of another library's arrays as a caller asks for it, with all options of a call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from contractconv.engines.portable.libraries import Library
from contractconv.errors import ShapeError
from contractconv.execution.foreign.contractions import contracted
from contractconv.execution.foreign.conversion import Conversion, fitted
from contractconv.execution.foreign.maps import applied
from contractconv.execution.foreign.numbers import accumulator, met
from contractconv.maps.table import record_of
from contractconv.notation.problem import Problem
from contractconv.planning.options import DEFAULTS, Options


def called(
    library: Library,
    problem: Problem,
    operands: Sequence[Any],
    options: Options,
    indices: Iterable[str],
) -> Any:
    """Carry out a contraction with all options of a call.

    Args:
        library: whose arrays the operands are.
        problem: the contraction.
        operands: what :func:`contractconv.execution.foreign.operands.taken` returned.
        options: those of the call; the bias is an array of the library, too.
        indices: names that messages explain.

    Returns:
        A new array of the library, of shape ``problem.result_shape``, or ``options.out``.

    Raises:
        OperandError: an operand may not be converted, or the array that is filled never changes.
        AlgorithmError: an option that holds for numpy's arrays alone.
    """
    if options is DEFAULTS:
        return contracted(problem, operands)
    wanted = Conversion.of(library, options, problem.reduce, indices)
    if wanted is None:
        return ended(library, problem, operands, options)
    arrays = [wanted.converted(operand, f"operand {n}") for n, operand in enumerate(operands)]
    return wanted.filled(ended(library, problem, arrays, options))


def ended(library: Library, problem: Problem, operands: Sequence[Any], options: Options) -> Any:
    """The result with its bias and its activation, rounded once."""
    if options.bias is options.activation is None:
        return contracted(problem, operands, options)
    numbers = met(library, operands, problem.reduce)
    inner = accumulator(numbers)
    held = [library.cast(operand, inner) for operand in operands] if inner != numbers else operands
    made = contracted(problem, held, options)
    if options.bias is not None:
        made = made + _bias(library, options.bias, made, inner)
    if options.activation is not None:
        made = applied(library, record_of(options.activation), (made,), inner, made)
    return library.cast(made, numbers)


def _bias(library: Library, bias: Any, like: Any, dtype: str) -> Any:
    """One number for each element of the last axis."""
    shape = tuple(like.shape[-1:])
    if tuple(bias.shape) != shape:
        raise ShapeError(
            f"the bias has shape {tuple(bias.shape)}, the last axis of the result needs {shape}"
        )
    return fitted(library, bias, "the bias", dtype, "the last axis of the result needs")
