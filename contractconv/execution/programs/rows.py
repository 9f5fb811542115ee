"""Rows that labels choose, and sums over rows of equal labels, on numpy's arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.precision import accumulator, rounded
from contractconv.arrays.summation import TERMS
from contractconv.arrays.views import Array
from contractconv.notation.problem import Shape
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Axes

# Bytes for each label, where it chooses a row, and where rows are sorted by them.
_BYTES_CHOSEN, _BYTES_SORTED = 2, 48

Work = Callable[[Sequence[Any]], Sequence[Any]]


def rows_of(node: TakenRows | AddedRows, shape: Shape) -> Work:
    """What carries out a node; it is given the table, or the rows, and the labels."""
    if isinstance(node, TakenRows):
        return _Taken(node)
    return lambda given: [_added(node, shape, *given)]


def rows_bytes(node: TakenRows | AddedRows, table: Array, labels: Array, result: Array) -> int:
    """What carrying out a node takes beside operands and result, about.

    Args:
        node: the node.
        table: the table, or the rows, whose numbers do not matter.
        labels: likewise.
        result: likewise.
    """
    if isinstance(node, TakenRows):
        return _BYTES_CHOSEN * labels.size
    first = (*node.kept, *(name for name in node.labels.axes if name not in node.kept))
    numbers = accumulator(table.dtype)
    copied = numbers != table.dtype or node.rows.axes[: len(first)] != first
    whole, made = table.size * numbers.itemsize, result.size * numbers.itemsize
    sums = 2 * (min(whole, made) + whole // TERMS)
    rounding = made if numbers != table.dtype else 0
    return _BYTES_SORTED * labels.size + copied * whole + sums + rounding


# -- rows that labels choose -----------------------------------------------------------------------


class _Taken:
    """Rows that labels choose: where axes go is known before numbers are."""

    def __init__(self, node: TakenRows) -> None:
        held, self._node = node.table.axes, node
        self._axis = held.index(node.axis)
        shared = [name for name in node.labels.axes if name in held]
        self._shared = len(shared)
        if shared:
            rest = [name for name in held if name not in shared and name != node.axis]
            new = [name for name in node.labels.axes if name not in shared]
            self._tables = [held.index(name) for name in (*shared, node.axis, *rest)]
            self._labels = [node.labels.axes.index(name) for name in (*shared, *new)]
            made = (*shared, *new, *rest)
        else:  # labels stand where the axis was
            made = (*held[: self._axis], *node.labels.axes, *held[self._axis + 1 :])
        self._order = [made.index(name) for name in node.axes]
        self._places: tuple[Array, ...] = ()

    def __call__(self, given: Sequence[Any]) -> list[Array]:
        table, labels = map(np.asarray, given)
        size = table.shape[self._axis]
        inside = _inside(labels, size)
        if inside is not None:
            labels = np.where(inside, labels, 0)
        if not size:
            return [np.zeros(_shape(self._node, table, labels), table.dtype)]
        made = self._chosen(table, labels) if self._shared else _read(table, labels, self._axis)
        turned = made.transpose(self._order)
        if inside is not None:
            turned[~_spread(inside, self._node.labels.axes, self._node.axes, turned.shape)] = 0
        return [turned]

    def _chosen(self, table: Array, labels: Array) -> Array:
        """The rows, of tables that are each for some labels only."""
        turned = labels.transpose(self._labels)
        if not self._places:
            grid = np.ogrid[tuple(slice(size) for size in turned.shape)]
            self._places = grid[: self._shared]
        made: Array = table.transpose(self._tables)[(*self._places, turned)]
        return made


def _inside(labels: Array, size: int) -> Array | None:
    """Which labels are on an axis; ``None`` if all are."""
    if not labels.size or _all_inside(labels, size):
        return None
    inside: Array = (labels >= 0) & (labels < size)
    return inside


def _all_inside(labels: Array, size: int) -> bool:
    if labels.dtype.kind != "i":
        return bool(labels.min() >= 0 and labels.max() < size)
    # Negative ones are the greatest without their sign.
    return bool(labels.view(f"u{labels.itemsize}").max() < size)


def _shape(node: TakenRows, table: Array, labels: Array) -> Shape:
    sizes = dict(zip(node.table.axes, table.shape, strict=True))
    sizes |= dict(zip(node.labels.axes, labels.shape, strict=True))
    return tuple(sizes[name] for name in node.axes)


def _read(table: Array, labels: Array, axis: int) -> Array:
    made: Array = table.take(labels, axis=axis, mode="clip")
    return made


def _turned(array: Array, axes: Axes, wanted: Sequence[str]) -> Array:
    return array.transpose([axes.index(name) for name in wanted])


def _spread(array: Array, axes: Axes, wanted: Axes, shape: Shape) -> Array:
    """An array, repeated along the axes that it lacks."""
    turned = _turned(array, axes, [name for name in wanted if name in axes])
    place = tuple(slice(None) if name in axes else None for name in wanted)
    return np.broadcast_to(turned[place], shape)


# -- sums over rows of equal labels ----------------------------------------------------------------


def _added(node: AddedRows, shape: Shape, rows: Array, labels: Array) -> Array:
    """The rows as a matrix, with the place of each."""
    lost = [name for name in node.labels.axes if name not in node.kept]
    first = (*node.kept, *lost)
    rest = [name for name in node.rows.axes if name not in node.labels.axes]
    turned = _turned(labels, node.labels.axes, first)
    inside = _inside(turned, node.size)
    tables = prod(turned.shape[: len(node.kept)])
    first_places = node.size * np.arange(tables)
    each = np.repeat(first_places, prod(turned.shape[len(node.kept) :]))
    places = turned.reshape(len(each)).astype(np.intp) + each
    turned_rows = _turned(rows, node.rows.axes, (*first, *rest))
    matrix = turned_rows.reshape(len(places), prod(turned_rows.shape[len(first) :]))
    if inside is not None:
        chosen = inside.reshape(-1)
        places, matrix = places[chosen], matrix[chosen]
    made = _summed(matrix, places, tables * node.size)
    return made.reshape(shape)


def _summed(matrix: Array, places: Array, size: int) -> Array:
    """The sums of rows that have one place; rows are added in their order."""
    given, dtype = matrix.dtype, accumulator(matrix.dtype)
    matrix = matrix.astype(dtype, copy=False)
    made = np.zeros((size, matrix.shape[1]), dtype)
    if matrix.shape[1] == 1:
        _count(matrix[:, 0], places, made[:, 0])
    elif matrix.size:
        _add(matrix, places, made)
    return rounded(made, given)


def _count(values: Array, places: Array, made: Array) -> None:
    if values.dtype.kind == "f":
        made[...] = np.bincount(places, values, len(made))
    else:
        np.add.at(made, places, values)


def _add(matrix: Array, places: Array, made: Array) -> None:
    """Add rows where they stand together, in blocks whose sums are then added likewise."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    blocks, counts = _blocks(starts, len(order))
    totals = matrix.take(order[blocks], axis=0)
    # The first row of every block, then all second ones, and so on: fewer each time.
    for n in range(1, int(counts[0])):
        left = int(np.searchsorted(-counts, -n))
        totals[:left] += matrix.take(order[blocks[:left] + n], axis=0)
    if len(blocks) == len(starts):
        made[ordered[blocks]] = totals
    else:
        _add(totals, ordered[blocks], made)


def _blocks(starts: Array, end: int) -> tuple[Array, Array]:
    """Where blocks of rows of one place start, and how many are in each, the largest first.

    No block has so many that a sum of them, one after the other, loses digits.
    """
    counts = np.diff(starts, append=end)
    parts = -(-counts // TERMS)
    number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    blocks = np.repeat(starts, parts) + TERMS * number
    sizes = np.minimum(np.repeat(starts + counts, parts) - blocks, TERMS)
    falling = np.argsort(-sizes, kind="stable")
    return blocks[falling], sizes[falling]
