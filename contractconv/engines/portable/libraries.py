"""What the nodes need of an array library: one record for each library in one table.

Another library is another entry: the name of the package that its arrays' type comes from, and a
function that makes the record, called when the first of its arrays comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from contractconv.errors import OperandError

Axes = tuple[int, ...]
Reducer = Callable[[Any, Axes], Any]


@dataclass(frozen=True, slots=True)
class Library:
    """How arrays of one library are made and computed with.

    Its arrays also have ``shape``, ``reshape(shape)`` and ``/``.

    Attributes:
        array: a numpy array, and one of the library's beside which it is needed, to an array.
        promoted: numpy's name of the dtype in which some arrays meet.
        cast: an array in the dtype of a name.
        einsum: a string of letters and the arrays.
        take: the elements of an array at a numpy array of positions along an axis.
        joined: arrays one after the other along an axis.
        where: a condition, and two arrays.
        reductions: by the ufunc that combines two contributions, of an array and axes.
        substitutes: dtypes that cannot be computed with, and those that do it instead.
    """

    array: Callable[[Any, Any], Any]
    promoted: Callable[[Sequence[Any]], str]
    cast: Callable[[Any, str], Any]
    einsum: Callable[..., Any]
    take: Callable[[Any, Any, int], Any]
    joined: Callable[[Sequence[Any], int], Any]
    where: Callable[[Any, Any, Any], Any]
    reductions: Mapping[str, Reducer]
    substitutes: Mapping[str, str] = field(default_factory=dict)


def numpy_like(xp: Any) -> Library:
    """The record of a module with numpy's functions.

    Example:
        >>> numpy_like(np).promoted([np.ones(2, np.int8), np.ones(2, np.float32)])
        'float32'
    """

    def cast(array: Any, name: str) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is an infinity
            return xp.asarray(array).astype(name)  # numpy makes numbers of arrays without axes

    return Library(
        array=lambda value, like: xp.asarray(value),
        promoted=lambda arrays: np.result_type(*(array.dtype for array in arrays)).name,
        cast=cast,
        einsum=lambda string, *arrays: xp.einsum(string, *arrays, optimize=True),
        take=lambda array, positions, axis: xp.take(array, positions, axis=axis),
        joined=lambda arrays, axis: xp.concatenate(arrays, axis=axis),
        where=xp.where,
        reductions={
            "add": lambda array, axes: xp.sum(array, axis=axes, dtype=array.dtype),
            "multiply": lambda array, axes: xp.prod(array, axis=axes, dtype=array.dtype),
            "maximum": lambda array, axes: xp.max(array, axis=axes),
            "minimum": lambda array, axes: xp.min(array, axis=axes),
            "logaddexp": lambda array, axes: _logsumexp(xp, array, axes),
        },
    )


def _logsumexp(xp: Any, array: Any, axes: Axes) -> Any:
    """Without a logarithm of zero, whose derivative would be no number."""
    top = xp.max(array, axis=axes, keepdims=True)
    shift = xp.where(xp.isfinite(top), top, 0)
    with np.errstate(over="ignore"):
        total = xp.sum(xp.exp(array - shift), axis=axes, keepdims=True)
    some = xp.where(total == 0, 1, total)
    made = xp.where(total == 0, top, xp.log(some) + shift)
    return made.reshape([n for axis, n in enumerate(array.shape) if axis not in axes])


def _module(name: str) -> Library:
    return numpy_like(import_module(name))


def _jax() -> Library:
    import jax
    import jax.numpy as jnp

    return replace(
        numpy_like(jnp),
        promoted=lambda arrays: jnp.result_type(*arrays).name,
        # Without 64 bits jax would warn of every dtype that it narrows.
        cast=lambda array, name: array.astype(jax.dtypes.canonicalize_dtype(name)),
        einsum=lambda string, *arrays: jnp.einsum(string, *arrays, precision="highest"),
        take=lambda array, positions, axis: jnp.take(array, positions, axis=axis, mode="clip"),
    )


def _torch() -> Library:
    import torch

    def constant(value: Any, like: Any) -> Any:
        # Of an array that is read-only, or runs backwards, torch makes a tensor of a copy alone.
        return torch.tensor(np.array(value), device=like.device)

    def product(array: Any, axes: Axes) -> Any:
        for axis in sorted(axes, reverse=True):
            array = array.prod(axis, dtype=array.dtype)
        return array

    def einsum(string: str, *arrays: Any) -> Any:
        first = arrays[0]
        if first.is_floating_point() or first.is_complex() or first.device.type == "cpu":
            return torch.einsum(string, *arrays)
        return summed_products(torch, string, *arrays)

    def promoted(arrays: Sequence[Any]) -> str:
        common = arrays[0].dtype
        for array in arrays[1:]:
            common = torch.promote_types(common, array.dtype)
        return str(common).removeprefix("torch.")

    return Library(
        array=constant,
        promoted=promoted,
        cast=lambda array, name: array.to(getattr(torch, name)),
        einsum=einsum,
        take=lambda array, positions, axis: array.index_select(axis, constant(positions, array)),
        joined=torch.cat,
        where=torch.where,
        reductions={
            "add": lambda array, axes: array.sum(axes, dtype=array.dtype),
            "multiply": product,
            "maximum": torch.amax,
            "minimum": torch.amin,
            "logaddexp": torch.logsumexp,
        },
        substitutes={"uint16": "int64", "uint32": "int64"},
    )


def summed_products(torch: Any, string: str, *arrays: Any) -> Any:
    """An einsum without products of matrices, which devices may lack for integers."""
    inputs, output = string.split("->")
    summed = "".join(sorted(set(inputs) - {",", *output}))
    product = torch.einsum(f"{inputs}->{output}{summed}", *arrays)
    axes = tuple(range(len(output), product.ndim))
    return product.sum(axes, dtype=product.dtype) if axes else product


LIBRARIES: dict[str, Callable[[], Library]] = {
    "numpy": lambda: _module("numpy"),
    "torch": _torch,
    "jax": _jax,
    "jaxlib": _jax,
    "cupy": lambda: _module("cupy"),
    "dask": lambda: _module("dask.array"),
}


def library_of(arrays: Sequence[Any]) -> tuple[Library, Any]:
    """The library of some arrays, and the first of its arrays; those of numpy join any other.

    Raises:
        OperandError: there are arrays of several libraries, or of one that is not in the table.
    """
    named = [(_package(array), array) for array in arrays]
    foreign = [(name, array) for name, array in named if name != "numpy"]
    name, like = (foreign or named)[0]
    made = LIBRARIES[name]
    if any(LIBRARIES[other] is not made for other, _ in foreign):
        names = " and ".join(dict.fromkeys(name for name, _ in foreign))
        raise OperandError(f"the operands are arrays of {names}: convert them to one library")
    return _record(made), like


@cache
def _record(made: Callable[[], Library]) -> Library:
    return made()


def _package(array: Any) -> str:
    """The package in the table that an array's type, or a type that it derives from, is of."""
    for name in _packages(array):
        if name in LIBRARIES:
            return name
    known = ", ".join(LIBRARIES)
    raise OperandError(f"no library of arrays for {type(array).__name__}: there are {known}")


def _packages(array: Any) -> Iterator[str]:
    return (kind.__module__.partition(".")[0] for kind in type(array).__mro__)
