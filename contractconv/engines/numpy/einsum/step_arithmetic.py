"""What carries out a step once its operands are seen as they should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.matrix_products import matrix_product
from contractconv.arrays.summation import TERMS, even_block, summed, terms_at_once
from contractconv.arrays.views import Array
from contractconv.machine.work_sharing import carried_out, portions

# How many multiplications moving a number counts for, where threads share the work.
_MOVED = 4
# Numbers in a row that is worth a loop of its own.
_ROW = 1 << 7
# Numbers that are read in one go where many rows would fall on the same lines of a cache.
_COLUMNS = 16
# Numbers of a line that are summed in one go.
_LINE = 1 << 10
# Numbers of a matrix that BLAS multiplies by a vector in one thread, real and complex ones.
_ALONE, _ALONE_COMPLEX = 9215, 4095
# Rows that are worth that, how many are added at most, and of how many sums the sum is short.
_FEW_ROWS, _DEPTH, _FEW_PARTIAL = 8, 1 << 8, 1 << 7
# Integers up to here are exact in double precision; and so many products are worth going there.
_EXACT, _WORTH = 1 << 53, 1 << 12


def copied(out: Array, view: Array) -> None:
    """Copy a view of the same shape."""
    _shared(np.copyto, out, view)


def copied_by_columns(out: Array, view: Array) -> None:
    """Copy a view whose rows lie so that they push each other out of the cache."""
    _shared(_by_columns, out, view)


def _by_columns(out: Array, view: Array) -> None:
    for start in range(0, out.shape[-1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        np.copyto(out[..., columns], view[..., columns])


def products(out: Array, one: Array, two: Array) -> None:
    """Multiply number by number; an operand may have size one along an axis."""
    _shared(_multiply, out, one, two)


def _multiply(out: Array, one: Array, two: Array) -> None:
    if one.shape == two.shape or out.shape[-1] < _ROW:
        np.multiply(one, two, out=out)
    else:
        copy_context().run(_multiply_rows, out, one, two)


def _multiply_rows(out: Array, one: Array, two: Array) -> None:
    """Row by row: numpy gathers rows shorter than its buffer in there, which takes as long again.

    The buffer's length is that of the context, which is left afterwards.
    """
    np.setbufsize(16)
    np.multiply(one, two, out=out)


def _shared(work: Callable[..., Any], out: Array, *views: Array) -> None:
    """Do something with each element, in several threads if there are many."""
    parts = portions(_MOVED * out.size)
    if parts == 1:
        work(out, *views)
        return
    axis = max(range(out.ndim), key=out.shape.__getitem__)
    ends = [out.shape[axis] * n // parts for n in range(parts + 1)]

    def run(ranges: Sequence[tuple[int, int]]) -> None:
        for start, stop in ranges:
            work(*(_part(array, out.ndim - axis, start, stop) for array in (out, *views)))

    carried_out(run, list(pairwise(ends)), _MOVED * out.size)


def _part(array: Array, back: int, start: int, stop: int) -> Array:
    """Some values of an axis, counted from the last one; of one that is constant there, itself."""
    if array.ndim < back or array.shape[-back] == 1:
        return array
    key: tuple[Any, ...] = (..., slice(start, stop), *(slice(None),) * (back - 1))
    part: Array = array[key]
    return part


def adding(like: Array, axes: tuple[int, ...]) -> Callable[[Array], Array]:
    """What sums arrays like this one over some axes."""
    dtype, terms = like.dtype, prod(like.shape[axis] for axis in axes)
    if dtype.kind in "fc" and len(axes) == 1 and like.strides[-1] == like.itemsize:
        if axes == (like.ndim - 1,):
            return _of_lines(like)
        rows = even_block(terms, min(_DEPTH, _most_alone(dtype) // like.shape[-1]))
        apart = like.shape[-1] * like.itemsize
        readable = like.strides[-2] >= apart and like.strides[-2] % like.itemsize == 0
        if axes == (like.ndim - 2,) and rows >= _FEW_ROWS and readable:
            return _of_rows(like, rows)
    if terms <= TERMS or dtype.kind not in "fc":
        return lambda array: np.asarray(np.add.reduce(array, axis=axes, dtype=dtype))
    return lambda array: summed(array, axes)


def _most_alone(dtype: np.dtype[Any]) -> int:
    """Numbers of a matrix that BLAS multiplies by a vector in one thread."""
    return _ALONE if dtype.kind == "f" else _ALONE_COMPLEX


def _of_lines(like: Array) -> Callable[[Array], Array]:
    """The sum of each line, of whose numbers einsum adds up many lanes at a time."""
    line = even_block(like.shape[-1], _LINE)
    if like.dtype.kind == "c":
        ones = np.ones(line, like.dtype)
        return lambda array: _sum_of_lines(array, line, lambda lines: np.matmul(lines, ones))
    return lambda array: _sum_of_lines(array, line, lambda lines: np.einsum("...k->...", lines))


def _sum_of_lines(array: Array, line: int, add: Callable[[Array], Array]) -> Array:
    if line == array.shape[-1]:
        return np.asarray(add(array))
    whole = array.shape[-1] // line * line
    head = array[..., :whole].reshape((*array.shape[:-1], -1, line))
    total = summed(add(head), (array.ndim - 1,))
    if whole == array.shape[-1]:
        return total
    return np.asarray(total + np.einsum("...k->...", array[..., whole:]))


def _of_rows(like: Array, rows: int) -> Callable[[Array], Array]:
    """The sum of each column, by a BLAS, which adds some rows at a time in one thread."""
    depth, axis = like.shape[-2], like.ndim - 2
    whole, shape = depth // rows * rows, (*like.shape[:-2], -1, rows, like.shape[-1])
    ones, others = np.ones(rows, like.dtype), np.ones(depth - whole, like.dtype)

    def add(array: Array) -> Array:
        partial = np.matmul(ones, array[..., :whole, :].reshape(shape))
        few = partial.shape[axis] <= _FEW_PARTIAL
        total = np.add.reduce(partial, axis=axis) if few else summed(partial, (axis,))
        return total + np.matmul(others, array[..., whole:, :]) if others.size else total

    return add


def dot(left: Array, right: Array, out: Array | None) -> Array:
    """The product of a row and a column, so many terms at once that they keep their digits."""
    depth = left.shape[-1]
    block = even_block(depth, terms_at_once(1, 1))
    whole = depth // block * block
    heads = left[0, :whole].reshape(-1, 1, block), right[:whole, 0].reshape(-1, block, 1)
    total: Array = np.add.reduce(np.matmul(*heads), axis=0)
    if whole < depth:
        total += np.matmul(left[:, whole:], right[whole:])
    if out is None:
        return total
    np.copyto(out, total)
    return out


def exactly_multiplied(left: Array, right: Array, out: Array | None) -> Array:
    """The product of matrices of integers or truth values; sums wrap around.

    As long as no sum can leave the integers that double precision holds, a BLAS makes it.
    """
    (rows, depth), columns = left.shape[-2:], right.shape[-1]
    if rows * depth * columns < _WORTH:
        return np.matmul(left, right, out, order="C")
    if left.dtype.kind == "b":
        made = matrix_product(left.astype(np.float32), right.astype(np.float32)) > 0.5
    elif depth * _largest(left) * _largest(right) <= _EXACT:
        made = matrix_product(left.astype(np.float64), right.astype(np.float64)).astype(np.int64)
    else:
        made = np.einsum("...ik,...kj->...ij", left, np.ascontiguousarray(right), order="C")
    if out is None:
        return np.asarray(made, left.dtype)
    np.copyto(out, made, "unsafe")
    return out


def _largest(array: Array) -> int:
    return max(int(array.max()), -int(array.min()))
