"""Calls of programs with tensors: inputs in the dtypes that the operator takes, and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from contractconv.cache_register import kept
from contractconv.errors import OperandError
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
    like = next(value for value in given.values() if isinstance(value, torch.Tensor))
    tensors = {name: as_tensor(value, like) for name, value in given.items()}
    if not torch.compiler.is_compiling():
        program.check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    said = _said(program)
    common = said.dtype or _meeting([tensors[name] for name, own in said.inputs if own is None])
    inputs = [_fitted(tensors[name], name, own or common) for name, own in said.inputs]
    return run(inputs, said.text)[: said.outputs]


def as_tensor(value: Any, like: Tensor) -> Tensor:
    """A tensor, or something beside one: a number takes the dtype that it would have there."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (bool, int, float, complex)):
        return torch.full((), value, dtype=torch.result_type(like, value), device=like.device)
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


def _fitted(tensor: Tensor, name: str, dtype: str) -> Tensor:
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
