"""Calls of programs with tensors: inputs in the dtypes that the operator takes, and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from contractconv.cache_register import kept
from contractconv.errors import OperandError
from contractconv.execution.foreign.operands import taken
from contractconv.execution.torch.constants import Tensor, constant
from contractconv.execution.torch.operator import run
from contractconv.programs.kinds import kind
from contractconv.programs.program import Graph
from contractconv.programs.text.writer import write

if TYPE_CHECKING:
    from contractconv.execution.programs.compiled import CompiledProgram


def called(program: CompiledProgram, given: Mapping[str, Any]) -> list[Tensor]:
    """Carry out a program on tensors.

    Args:
        program: the program.
        given: its inputs by name, tensors, arrays and numbers.

    Returns:
        Its outputs in order.

    Raises:
        OperandError: an input is not of its numbers.
        ShapeError: one has another shape than the program is compiled for.
    """
    tensors = dict(zip(given, as_tensors([*given.values()], [*given]), strict=True))
    if not torch.compiler.is_compiling():
        program.check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    said = _said(program)
    common = said.dtype or _meeting([tensors[name] for name, own in said.inputs if own is None])
    inputs = [fitted(tensors[name], name, own or common) for name, own in said.inputs]
    return run(inputs, said.text)[: said.outputs]


def as_tensors(values: Sequence[Any], names: Sequence[str]) -> list[Tensor]:
    """Tensors, and what is beside them as such: numpy's arrays, and numbers.

    Args:
        values: what a caller passed; one of them is a tensor.
        names: what messages call each.

    Raises:
        OperandError: an array is of another library, on another device, or not of numbers.
    """
    like = next(value for value in values if isinstance(value, torch.Tensor))
    for value in values:
        if not _is_plain(value, like):
            return taken(values, names)[1]  # it says what is wrong, or knows what it is
    return [_as_tensor(value, like) for value in values]


def _is_plain(value: Any, like: Tensor) -> bool:
    """Whether something is a tensor where another one is, a number, or an array of numpy."""
    if isinstance(value, torch.Tensor):
        here = value.device == like.device
        return here and value.layout is torch.strided and not value.is_quantized
    if type(value) is np.ndarray:
        return value.dtype.kind in "biufc"
    return isinstance(value, bool | int | float | complex)


def _as_tensor(value: Any, like: Tensor) -> Tensor:
    """A tensor; a number takes the dtype that it has beside numpy's arrays of such a one."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, bool | int | float | complex):
        dtype = torch.result_type(like, value)
        if not (isinstance(value, int) or like.is_floating_point() or like.is_complex()):
            dtype = torch.complex128 if isinstance(value, complex) else torch.float64
        return torch.full((), value, dtype=dtype, device=like.device)
    return torch.as_tensor(np.array(value), device=like.device)


def in_common(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors in the dtype in which they meet."""
    common = tensors[0].dtype
    for tensor in tensors[1:]:
        if tensor.dtype != common:
            common = torch.promote_types(common, tensor.dtype)
    return [tensor if tensor.dtype == common else tensor.to(common) for tensor in tensors]


def name_of(dtype: torch.dtype) -> str:
    """What a dtype is called in texts.

    Example:
        >>> name_of(torch.float32)
        'float32'
    """
    return str(dtype).removeprefix("torch.")


def _meeting(tensors: Sequence[Tensor]) -> str:
    """What the inputs of no declared dtype meet in; integers do as floating-point numbers."""
    if not tensors:
        return "float64"
    common = in_common([tensor.new_empty(0) for tensor in tensors])[0].dtype
    return name_of(common) if common.is_floating_point or common.is_complex else "float64"


def fitted(tensor: Tensor, name: str, dtype: str) -> Tensor:
    """A tensor in numbers that are settled.

    Raises:
        OperandError: its own numbers do not fit.
    """
    own = name_of(tensor.dtype)
    if kind(own) > kind(dtype):
        raise OperandError(f"{name} is {own}, compiled for {dtype}")
    return tensor if own == dtype else tensor.to(getattr(torch, dtype))


class _Said(NamedTuple):
    """What a program says.

    Attributes:
        text: the program.
        inputs: their names, and the dtypes that they say.
        dtype: that of the others, if it is settled.
        outputs: how many there are.
    """

    text: str
    inputs: tuple[tuple[str, str | None], ...]
    dtype: str | None
    outputs: int


@constant
def _said(program: CompiledProgram) -> _Said:
    return _said_of(program.graph, program.dtype)


@kept(most=256)
def _said_of(graph: Graph, dtype: str | None) -> _Said:
    inputs = tuple((node.name, node.dtype) for node in graph.inputs)
    return _Said(write(graph), inputs, dtype, len(graph.outputs))
