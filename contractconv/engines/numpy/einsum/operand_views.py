"""How an operand is seen: from an array to a view of it, or to a copy where no view would do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from contractconv.arrays.views import Array, Labelled
from contractconv.machine import memory
from contractconv.planning.roles import Labels

View = Callable[[Array], Array]

# Bytes from which on copies lie in memory that is used again: the system clears each new page.
_LENT = 1 << 16


def as_it_is(array: Array) -> Array:
    """The array itself."""
    return array


def then(*views: View) -> View:
    """One way of seeing after the other."""
    first, *others = [view for view in views if view is not as_it_is] or [as_it_is]
    if not others:
        return first
    second = then(*others)
    return lambda array: second(first(array))


def transposed(axes: Sequence[int]) -> View:
    """The axes in another order."""
    order = tuple(axes)
    if order == tuple(range(len(order))):
        return as_it_is
    return lambda array: array.transpose(order)


def reshaped(before: tuple[int, ...], shape: tuple[int, ...]) -> View:
    """Another shape."""
    return as_it_is if before == shape else lambda array: array.reshape(shape)


def last_two_swapped(array: Array) -> Array:
    """Matrices, transposed."""
    return array.swapaxes(-1, -2)


def diagonal(term: Labels, shape: tuple[int, ...], long: Collection[str]) -> tuple[View, Labels]:
    """Each index of more than one value once: of one that stands twice the diagonal.

    Returns:
        How an operand is seen, and the indices of the axes that are left.
    """
    labels = tuple(n for n in term if n in long)
    kept = tuple(dict.fromkeys(labels))
    look = reshaped(shape, tuple(size for n, size in zip(term, shape, strict=True) if n in long))
    if len(kept) == len(labels):
        return look, kept
    double = next(n for n in labels if labels.count(n) > 1)
    first = labels.index(double)
    second = labels.index(double, first + 1)
    left = (*labels[:first], *labels[first + 1 : second], *labels[second + 1 :], double)
    sizes = dict(zip(labels, (size for size in shape if size > 1), strict=True))
    once, kept = diagonal(left, tuple(sizes[n] for n in left), long)
    return then(look, lambda array: array.diagonal(0, first, second), once), kept


def follow(outer: str, inner: str, views: Sequence[Labelled]) -> bool:
    """Whether two neighbours lie like one axis in every view that has them."""
    return all(view.merges((outer, inner)) for view in views if inner in view.labels)


class Matrices(NamedTuple):
    """An operand as matrices.

    Attributes:
        batch: the indices of the batch; the operand may lack some.
        rows: those of the rows.
        columns: those of the columns.
        shape: that of the batch, which may be one axis, then rows and columns.
    """

    batch: Labels
    rows: Labels
    columns: Labels
    shape: tuple[int, ...]


def as_matrices(view: Labelled, look: View, made: Matrices) -> View:
    """An operand as matrices that a BLAS can read.

    Args:
        view: what ``look`` makes of the operand.
        look: how it is seen.
        made: the matrices; large ones that are copied lie in memory that is :func:`given_back`.
    """
    batch, rows, columns, shape = made
    if is_readable(view, made):
        return then(look, _arranged(view, (*batch, *rows, *columns), shape))
    if view.merges(rows, columns) or not view.runs_along(rows, columns):
        return then(look, _copied(view, (*batch, *rows, *columns), shape))
    # The longer runs in memory lie along the rows: copy the transposed matrices.
    turned = (*shape[:-2], shape[-1], shape[-2])
    return then(look, _copied(view, (*batch, *columns, *rows), turned), last_two_swapped)


def _copied(view: Labelled, labels: Labels, shape: tuple[int, ...]) -> View:
    """A copy without gaps, its axes in some order and joined to a shape."""
    size = view.array.nbytes
    if size < _LENT:
        return then(_arranged(view, labels, shape), np.ascontiguousarray)
    axes = [view.labels.index(n) for n in labels if n in view.labels]
    full, order = tuple(view.array.shape[n] for n in axes), transposed(axes)

    def copy(array: Array) -> Array:
        made = np.ndarray(full, array.dtype, memory.spare(size))
        np.copyto(made, order(array))
        return made.reshape(shape)

    return copy


def is_lent(view: Labelled, made: Matrices) -> bool:
    """Whether matrices lie in memory that is to be given back."""
    return view.array.nbytes >= _LENT and not is_readable(view, made)


def given_back(matrices: Array) -> None:
    """Give back the memory in which lent matrices lie, when nobody reads them any more."""
    raw = matrices.base
    assert raw is not None, "they are a view of what was lent"
    memory.give(raw)


def _arranged(view: Labelled, labels: Labels, shape: tuple[int, ...]) -> View:
    axes = [view.labels.index(n) for n in labels if n in view.labels]
    return then(transposed(axes), reshaped(tuple(view.array.shape[n] for n in axes), shape))


def is_readable(view: Labelled, made: Matrices) -> bool:
    """Whether a BLAS can read an operand as matrices where it lies."""
    batch, rows, columns, shape = made
    joined = [batch] if len(shape) - 2 < len(batch) else []
    if not view.merges(rows, columns, *joined):
        return False
    return _is_readable(view.arranged((*batch, *rows, *columns)).reshape(shape))


def _is_readable(matrices: Array) -> bool:
    """Whether numbers lie side by side along rows or columns, and these one after the other."""
    (rows, columns), (down, along) = matrices.shape[-2:], matrices.strides[-2:]
    return _is_lines(rows, columns, down, along, matrices.itemsize) or _is_lines(
        columns, rows, along, down, matrices.itemsize
    )


def _is_lines(count: int, length: int, step: int, inner: int, size: int) -> bool:
    neighbours = inner == size or length == 1
    return neighbours and (count == 1 or (step >= length * size and step % size == 0))
