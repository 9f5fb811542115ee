"""Calls of contractions with tensors, in words that torch's compiler follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contractconv.api.contract import as_contraction
from contractconv.api.contraction import Contraction
from contractconv.api.program import Program, compiled
from contractconv.execution.torch.calls import as_tensors, fitted, in_common, name_of
from contractconv.execution.torch.constants import Tensor, constant
from contractconv.execution.torch.contraction_texts import FLOATS, contraction_text
from contractconv.execution.torch.operator import run
from contractconv.notation.ellipsis import expand_dots
from contractconv.planning.options import Options


def contracted(
    spec: Any,
    operands: Sequence[Any],
    reduce: Any,
    parameters: Any,
    extents: Any,
    named: Mapping[str, int],
    given: Mapping[str, Any],
) -> Tensor:
    """Contract tensors; see :func:`contractconv.contract`.

    Args:
        spec: the string, or the contraction.
        operands: tensors, and arrays and numbers among them.
        reduce: how contributions combine.
        parameters: names in the string that are numbers.
        extents: extents of indices and values of parameters, by name.
        named: the same by keyword.
        given: the bias, and other options that the text of a program can say.
    """
    places = _places(spec, len(operands))
    if places is not None:
        operands = [operands[place] for place in places]
    bias, names = given.get("bias"), _labels(spec, len(operands))
    if bias is None:
        tensors = in_common(as_tensors(operands, names))
    else:
        *found, last = as_tensors((*operands, bias), (*names, "the bias"))
        tensors = in_common(found)
        tensors.append(fitted(last, "the bias", name_of(tensors[0].dtype)))
    said = {name: value for name, value in given.items() if name != "bias" and value is not None}
    single = tuple(tuple(size == 1 for size in tensor.shape) for tensor in tensors[: len(operands)])
    dtype = name_of(tensors[0].dtype)
    text = _text(spec, reduce, parameters, single, dtype, bias is not None, extents, named, said)
    return run(tensors, text)[0]


@constant
def _places(spec: Any, count: int) -> tuple[int, ...] | None:
    """Which array each operand is, where one array stands in several places.

    Raises:
        OperandError: there is not one array for each name.
    """
    tied = isinstance(spec, Contraction) and spec._named.is_tied
    return tuple(spec._spread(range(count))) if tied else None


@constant
def _labels(spec: Any, count: int) -> list[str]:
    """What messages call the operands."""
    names = spec._named.names if isinstance(spec, Contraction) else ()
    return list(names) if len(names) == count else [f"operand {n}" for n in range(count)]


@constant
def make_ready(program: Program) -> None:
    """Put what carries a program out where torch's compiler sees whose it is."""
    object.__setattr__(program, "_run", compiled(program))


@constant
def _text(
    spec: Any,
    reduce: Any,
    parameters: Any,
    single: tuple[tuple[bool, ...], ...],
    dtype: str,
    biased: bool,
    extents: Any,
    named: Mapping[str, int],
    said: Mapping[str, Any],
) -> str:
    """The program of one line, for operands with a single element where it is said."""
    read, ranks = as_contraction(spec, reduce, parameters)._spec, tuple(map(len, single))
    if read.has_dots and len(ranks) == len(read.inputs):
        # What is broadcast along an ellipsis follows from where there is one element.
        shapes = [tuple(1 if one else 2 for one in axes) for axes in single]
        read = expand_dots(read, shapes, said.get("output_shape"))
    own = None if dtype in FLOATS else dtype
    if not (biased or extents or named or said):
        return contraction_text(read, ranks, own, (), None, False, None)
    options = Options.of(read, "a contraction", named, extents, **said)
    values = tuple(options.extents.items())
    return contraction_text(
        read, ranks, own, values, options.output_shape, biased, options.activation
    )
