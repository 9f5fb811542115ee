"""PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from contractconv.engines.portable.libraries.record import Axes, Library, Runs
from contractconv.engines.portable.libraries.torch_poolings import pool
from contractconv.engines.portable.libraries.torch_views import as_array, as_tensor, views
from contractconv.engines.portable.libraries.torch_windows import convolve
from contractconv.errors import OperandError
from contractconv.maps.record import MapRecord


def library() -> Library:
    """The record."""
    return Library(
        array=_constant,
        promoted=_promoted,
        cast=lambda array, name: array.to(getattr(torch, name)),
        einsum=_einsum,
        take=lambda array, positions, axis: array.index_select(axis, _constant(positions, array)),
        joined=torch.cat,
        where=torch.where,
        reductions={
            "add": lambda array, axes: array.sum(axes, dtype=array.dtype),
            "multiply": _product,
            "maximum": torch.amax,
            "minimum": torch.amin,
            "logaddexp": torch.logsumexp,
        },
        substitutes={"uint16": "int64", "uint32": "int64"},
        name="torch",
        function=_function,
        number=_number,
        convolve=convolve,
        pool=pool,
        signature=lambda array: (array.shape, array.dtype, array.device),
        copied=lambda array: array.clone(memory_format=torch.contiguous_format),
        runs=Runs(_sliced, _spread, lambda array, axis: array.flip(axis)),
        positions=lambda count, like: torch.arange(count, device=like.device),
        transposed=torch.permute,
        broadcast=torch.broadcast_to,
        real=lambda array: array.real,
        exp=torch.exp,
        flipped=lambda array: array.flip(-1),
        products=lambda array: array.cumprod(-1, dtype=array.dtype),
        first=lambda array: array.to(torch.uint8).argmax(-1),
        numpy=lambda array: as_array(array.cpu()),
        place=lambda array: str(array.device),
        check=_check,
        views=views,
        returned=as_tensor,
        fill=lambda array, values: array.copy_(values),
        rows=lambda matrix, places: matrix.index_select(0, places),
        added=_added,
    )


def _sliced(array: Any, axis: int, first: int, step: int, count: int) -> Any:
    read = array.narrow(axis, first, step * (count - 1) + 1)
    return read[(slice(None),) * axis + (slice(None, None, step),)] if step > 1 else read


def _spread(array: Any, axis: int, first: int, step: int, size: int) -> Any:
    """Zeros behind every element, then at both ends, where some of the former may be too many."""
    behind = [0, 0] * (array.ndim - axis - 1)
    if step > 1:
        apart = functional.pad(array.unsqueeze(axis + 1), [*behind, 0, step - 1])
        array = apart.flatten(axis, axis + 1)
    return functional.pad(array, [*behind, first, size - first - array.shape[axis]])


def _constant(value: Any, like: Any) -> Any:
    # Of an array that is read-only, or runs backwards, torch makes a tensor of a copy alone.
    return torch.tensor(np.array(value), device=like.device)


def _promoted(arrays: Sequence[Any]) -> str:
    common = arrays[0].dtype
    for array in arrays[1:]:
        common = torch.promote_types(common, array.dtype)
    return str(common).removeprefix("torch.")


def _product(array: Any, axes: Axes) -> Any:
    for axis in sorted(axes, reverse=True):
        array = array.prod(axis, dtype=array.dtype)
    return array


def _function(record: MapRecord) -> Callable[..., Any] | None:
    return attrgetter(record.torch)(torch) if record.torch else None


def _check(array: Any, name: str) -> None:
    """Refuse a tensor that is not strided numbers.

    Raises:
        OperandError: it is quantized, sparse or nested.
    """
    if array.is_quantized:
        raise OperandError(f"{name} is quantized: pass operand.dequantize()")
    if array.is_nested or array.layout is not torch.strided:
        raise OperandError(
            f"{name} is a sparse or nested tensor: pass a dense one, operand.to_dense()"
        )


def _number(value: Any, dtype: str, like: Any) -> Any:
    # Made where it is needed, so that nothing waits for a device.
    return torch.full((), value, dtype=getattr(torch, dtype), device=like.device)


def _added(matrix: Any, places: Any, count: int) -> Any:
    made = matrix.new_zeros((count, matrix.shape[1]))
    return made.index_add(0, places, matrix)


def _einsum(string: str, *arrays: Any) -> Any:
    first = arrays[0]
    if first.is_floating_point() or first.is_complex() or first.device.type == "cpu":
        return torch.einsum(string, *arrays)
    return summed_products(string, *arrays)


def summed_products(string: str, *arrays: Any) -> Any:
    """An einsum without products of matrices, which devices may lack for integers."""
    inputs, output = string.split("->")
    summed = "".join(sorted(set(inputs) - {",", *output}))
    product = torch.einsum(f"{inputs}->{output}{summed}", *arrays)
    axes = tuple(range(len(output), product.ndim))
    return product.sum(axes, dtype=product.dtype) if axes else product
