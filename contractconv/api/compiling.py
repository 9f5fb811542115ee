"""Compiling values of a program without giving them names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.api.tensor import Tensor
from contractconv.errors import ProgramError
from contractconv.programs.nodes import Input
from contractconv.programs.program import Graph

if TYPE_CHECKING:
    from contractconv.execution.programs.compiled import CompiledProgram


def compile(
    outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    inputs: Sequence[Tensor] | None = None,
    dtype: Any = None,
    memory_limit: Any = None,
    **shapes: Sequence[int | None],
) -> CompiledProgram:
    """Make values of a program ready to be called with arrays.

    Args:
        outputs: what is wanted: a tensor, several, or several by name.
        inputs: the tensors that it is called with, in order; by default those that it needs, in
            the order in which they are met.
        dtype: of the inputs that do not say theirs; by default that of the arrays of a call.
        memory_limit: bytes that a call may take beside its inputs. What does not fit is made again
            where it is read, with the same numbers, instead of being kept.
        **shapes: the shape of an input, by its name; a size that is ``None`` may be any, and what
            is not said is taken from the arrays of each call.

    Returns:
        What is called with arrays, in order or by name. It returns an array for a tensor, and a
        tuple with names for several.

    Raises:
        ProgramError: an input is missing, or has no name.
        MemoryLimitError: more memory is needed than the limit; where shapes are taken from arrays,
            a call says so before it begins.

    Example:
        >>> import numpy as np, contractconv as cc
        >>> x = cc.tensor("x", "i")
        >>> square = cc.compile(cc.contract("i, i ->", x, x))
        >>> square(np.array([3.0, 4.0]))
        array(25.)
    """
    enter_programs()
    from contractconv.execution.programs.compiled import CompiledProgram

    graph = Graph.of(
        {name: tensor._node for name, tensor in _by_name(outputs).items()},
        None if inputs is None else [_input(tensor) for tensor in inputs],
    )
    single = isinstance(outputs, Tensor)
    given = {name: tuple(shape) for name, shape in shapes.items()}
    return CompiledProgram(graph, given, dtype, single, memory_limit)


def enter_programs() -> None:
    """Import what carries programs out, all of it at once."""
    from contractconv.api.call_checks import enter_execution
    from contractconv.uninterrupted import enter

    enter_execution()
    enter("contractconv.execution.programs.compiled")


def _by_name(outputs: Any) -> dict[str, Tensor]:
    if isinstance(outputs, Tensor):
        return {"result": outputs}
    if isinstance(outputs, Mapping):
        return dict(outputs)
    labels = [tensor.label for tensor in outputs]
    named = len(set(labels)) == len(labels) and None not in labels
    return {
        label if named and label else f"result_{n}": tensor
        for n, (label, tensor) in enumerate(zip(labels, outputs, strict=True))
    }


def _input(tensor: Tensor) -> Input:
    if not isinstance(tensor._node, Input):
        raise ProgramError(f"{tensor!r} is no input: inputs are made by cc.tensor")
    return tensor._node
