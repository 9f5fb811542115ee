"""What comes into a network: arrays, or their shapes, and what their axes are called."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter as Argument
from inspect import signature
from typing import Any

from contractconv.api.tensor import Tensor
from contractconv.errors import ParameterError, ShapeError
from contractconv.networks.traced import InputKind
from contractconv.programs.build import as_axes
from contractconv.programs.nodes import Input

# What axes are called, by how many there are, where nobody says so.
_AXES = {
    0: (), 1: ("b",), 2: ("b", "c"), 3: ("b", "t", "c"), 4: ("b", "h", "w", "c"),
    5: ("b", "d", "h", "w", "c"),
}  # fmt: skip


def input_kind(name: str, told: Any, given: Any, otherwise: str) -> InputKind:
    """What an input is; a shape without numbers stands for those that are taken ``otherwise``."""
    shape = shape_of(given)
    if isinstance(told, Input):
        _check_rank(told.name, told.axes, shape)
        return InputKind(told.name, told.axes, shape, told.dtype)
    axes = told or _AXES.get(len(shape)) or tuple(f"a{n}" for n in range(len(shape)))
    _check_rank(name, axes, shape)
    kind = getattr(getattr(given, "dtype", None), "kind", otherwise)
    return InputKind(name, axes, shape, {"i": "int64", "u": "int64", "b": "bool"}.get(kind))


def _check_rank(name: str, axes: Sequence[str], shape: Sequence[int]) -> None:
    if len(axes) != len(shape):
        raise ShapeError(
            f"{name} has shape {tuple(shape)}, but the {len(axes)} axes '{' '.join(axes)}'"
        )


def shape_of(given: Any) -> tuple[int, ...]:
    """The shape that a caller gave, or that of an array.

    Raises:
        ShapeError: it is neither.
    """
    found = getattr(given, "shape", given)
    try:
        return tuple(int(size) for size in found)
    except (TypeError, ValueError):
        raise ShapeError(
            f"{given!r} is neither a shape, as in (8, 28, 28, 1), nor an array"
        ) from None


def number_kind(target: Any, loss: Any) -> str:
    """What numbers are wanted of a network, ``"i"`` or ``"f"``; without an array the loss says."""
    otherwise = "i" if loss == "cross_entropy" else "f"
    return str(getattr(getattr(target, "dtype", None), "kind", otherwise))


def looks(data: Sequence[Any]) -> tuple[Any, ...]:
    """What of arrays, or of shapes, a network depends on: their shapes and kinds of numbers."""
    return tuple((shape_of(a), getattr(getattr(a, "dtype", None), "kind", None)) for a in data)


def as_inputs(given: Any) -> list[Any]:
    """What a caller said of what comes in: names of axes, or inputs of a program, one for each.

    Raises:
        ParameterError: it is neither.
    """
    if given is None:
        return []
    listed = [given] if isinstance(given, (str, Tensor)) else list(given)
    return [_as_input(one) for one in listed]


def _as_input(given: Any) -> Any:
    if isinstance(given, Tensor):
        if not isinstance(given._node, Input):
            raise ParameterError("inputs= takes names of axes, or what cc.tensor makes")
        return given._node
    return as_axes(given)


def arguments(function: Any) -> list[str]:
    """The names of the tensors that a function takes."""
    known = signature(function).parameters.values()
    return [
        p.name
        for p in known
        if p.kind in (Argument.POSITIONAL_ONLY, Argument.POSITIONAL_OR_KEYWORD)
        and p.default is Argument.empty
    ]


def fitted(inputs: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    """Arrays in which floating-point numbers are those of the parameters."""
    import numpy as np

    floats = {a.dtype for a in map(np.asarray, arrays) if a.dtype.kind == "f"}
    dtype = max(floats, key=lambda d: d.itemsize, default=None)
    taken = map(np.asarray, inputs)
    return [a.astype(dtype, copy=False) if dtype and a.dtype.kind == "f" else a for a in taken]
