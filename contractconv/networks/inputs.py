"""What comes into a network: arrays, or their shapes, and what their axes are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter as Argument
from inspect import signature
from operator import index
from typing import Any

from contractconv.api.tensor import Tensor, as_dtype
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.networks.traced import InputKind
from contractconv.programs.build import as_axes
from contractconv.programs.kinds import itemsize, kind
from contractconv.programs.nodes import Input

# What axes are called, by how many there are, where nobody says so.
_AXES = {
    0: (), 1: ("b",), 2: ("b", "c"), 3: ("b", "t", "c"), 4: ("b", "h", "w", "c"),
    5: ("b", "d", "h", "w", "c"),
}  # fmt: skip
# Integers are tokens: they have no channels.
_AXES_OF_TOKENS = {**_AXES, 2: ("b", "t")}

# What is longer is no shape, but numbers, and is not shown.
_MOST_SHOWN = 80


def input_kind(name: str, told: Any, given: Any, otherwise: str) -> InputKind:
    """What an input is; a shape without numbers stands for those that are taken ``otherwise``."""
    shape = shape_of(given)
    if isinstance(told, Input):
        _check_rank(told.name, told.axes, shape)
        return InputKind(told.name, told.axes, shape, told.dtype)
    found = letter_of(given, otherwise)
    usual = _AXES_OF_TOKENS if found in "iu" else _AXES
    axes = told or usual.get(len(shape)) or tuple(f"a{n}" for n in range(len(shape)))
    _check_rank(name, axes, shape)
    return InputKind(name, axes, shape, {"i": "int64", "u": "int64", "b": "bool"}.get(found))


def letter_of(given: Any, otherwise: str) -> str:
    """Numpy's letter for the numbers of an array, whatever library's; shapes have none."""
    dtype = getattr(given, "dtype", None)
    found = getattr(dtype, "kind", "V")
    if dtype is None or found != "V":
        return otherwise if dtype is None else str(found)
    return "bifc"[kind(str(dtype).rpartition(".")[2])]


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
        shape = tuple(map(index, found))
    except TypeError:
        shape = (-1,)
    if any(size < 0 for size in shape):
        shown = repr(given)
        what = shown if len(shown) < _MOST_SHOWN else f"a {type(given).__name__}"
        raise ShapeError(f"{what} is neither a shape, as in (8, 28, 28, 1), nor an array")
    return shape


def number_kind(target: Any, loss: Any) -> str:
    """What numbers are wanted of a network, ``"i"`` or ``"f"``; without an array the loss says."""
    return letter_of(target, "i" if loss == "cross_entropy" else "f")


def looks(data: Sequence[Any]) -> tuple[Any, ...]:
    """What of arrays, or of shapes, a network depends on: their shapes and kinds of numbers."""
    return tuple((shape_of(a), letter_of(a, "")) for a in data)


def parameter_dtype(dtype: Any) -> str:
    """The name of a dtype that parameters can have.

    Raises:
        OperandError: it has no fractions.
    """
    name = as_dtype(dtype)
    if kind(name) < kind("float32"):
        raise OperandError(f"dtype={name}: parameters are floating-point numbers")
    return name


def as_inputs(given: Any) -> list[Any]:
    """What a caller said of what comes in: names of axes, or inputs of a program, one for each.

    Raises:
        ParameterError: it is neither.
    """
    if given is None:
        return []
    alone = isinstance(given, (str, Tensor)) or not isinstance(given, Iterable)
    listed = [given] if alone else list(given)
    return [_as_input(one) for one in listed]


def _as_input(given: Any) -> Any:
    if isinstance(given, Tensor):
        if not isinstance(given._node, Input):
            raise ParameterError("inputs= takes names of axes, or what cc.tensor makes")
        return given._node
    if not isinstance(given, Iterable):
        raise ParameterError(
            f"inputs={given!r}: names of axes, or what cc.tensor makes, are wanted"
        )
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


def as_arrays(given: Sequence[Any]) -> tuple[Any, ...]:
    """What comes in as arrays: lists of numbers become some.

    Raises:
        OperandError: something is a dict, as parameters are.
    """
    import numpy as np

    if any(isinstance(one, Mapping) for one in given):
        raise OperandError("a dict comes in: parameters are given first, then arrays")
    return tuple(one if hasattr(one, "shape") else np.asarray(one) for one in given)


def fitted(inputs: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    """Arrays in which floating-point numbers are those of the parameters."""
    import numpy as np

    from contractconv.engines.portable.libraries import has_foreign

    if has_foreign((*inputs, *arrays)):
        return _foreign_fitted(inputs, arrays)
    floats = {a.dtype for a in map(np.asarray, arrays) if a.dtype.kind == "f"}
    dtype = max(floats, key=lambda d: d.itemsize, default=None)
    taken = map(np.asarray, inputs)
    return [a.astype(dtype, copy=False) if dtype and a.dtype.kind == "f" else a for a in taken]


def _foreign_fitted(inputs: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    """The same, where some are another library's: all become such."""
    from contractconv.execution.foreign.operands import taken

    names = [f"input {n}" for n in range(len(inputs))]
    names += [f"parameter {n}" for n in range(len(arrays))]
    library, held = taken((*inputs, *arrays), names)
    kinds = [library.promoted([array]) for array in held]
    floats = [name for name in kinds[len(inputs) :] if kind(name) == kind("float64")]
    dtype = max(floats, key=itemsize, default=None)
    return [
        library.cast(array, dtype) if dtype and kind(name) == kind(dtype) else array
        for array, name in zip(held[: len(inputs)], kinds, strict=False)
    ]
