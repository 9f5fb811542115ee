"""Sums of products of one or two labelled views.

Two views meet in a matrix product wherever an index is summed. Windows are packed into
matrices block by block, in blocks that stay in cache, so that the matrix of all windows
("im2col") never exists in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np

from contractconv.execution.views import Array, Labelled, operand_view
from contractconv.notation.problem import Problem
from contractconv.planning.lowering import MOST_TAPS, by_taps

# Elements of a packed block: 1 MiB of float32, half of a common second-level cache.
BLOCK = 1 << 18

Labels = tuple[str, ...]


def sum_leaf(problem: Problem, arrays: tuple[Array, ...], labels: Labels) -> Array:
    """Carry out one leaf.

    Args:
        problem: a leaf with one or two operands.
        arrays: the operands, all of one dtype.
        labels: the indices of the result, in order.

    Returns:
        A new array with one axis for each label; indices that no operand has are of size one.
    """
    views = [operand_view(problem, number, array) for number, array in enumerate(arrays)]
    if len(views) == 1:
        return _sum_one(views[0], problem, labels)
    left, right = (_summed_alone(view, other, labels) for view, other in _each_other(views))
    present = tuple(n for n in labels if n in left.labels or n in right.labels)
    return Labelled(_sum_product(left, right, present), present).arranged(labels)


def _each_other(views: list[Labelled]) -> list[tuple[Labelled, Labelled]]:
    left, right = views
    return [(left, right), (right, left)]


def _sum_one(view: Labelled, problem: Problem, labels: Labels) -> Array:
    gone = tuple(label for label in view.labels if label not in labels)
    if not gone:
        return view.arranged(labels).copy()
    if by_taps(problem):
        return _add_slices(view, gone, labels)
    axes = tuple(view.labels.index(label) for label in gone)
    total = np.add.reduce(view.array, axis=axes, dtype=view.array.dtype, keepdims=False)
    kept = tuple(label for label in view.labels if label in labels)
    return Labelled(np.asarray(total), kept).arranged(labels)


def _add_slices(view: Labelled, taps: Labels, labels: Labels) -> Array:
    sizes = [view.array.shape[view.labels.index(tap)] for tap in taps]
    total: Array | None = None
    for values in product(*map(range, sizes)):
        piece = view.at(dict(zip(taps, values, strict=True))).arranged(labels)
        if total is None:
            total = piece.copy()
        else:
            np.add(total, piece, out=total)
    assert total is not None
    return total


def _summed_alone(view: Labelled, other: Labelled, labels: Labels) -> Labelled:
    """Sum over the indices that occur nowhere else, before the product."""
    gone = tuple(n for n in view.labels if n not in other.labels and n not in labels)
    if not gone:
        return view
    axes = tuple(view.labels.index(label) for label in gone)
    total = np.add.reduce(view.array, axis=axes, dtype=view.array.dtype)
    return Labelled(np.asarray(total), tuple(n for n in view.labels if n not in gone))


def _sum_product(left: Labelled, right: Labelled, labels: Labels) -> Array:
    summed = tuple(n for n in left.labels if n in right.labels and n not in labels)
    shape = _result_shape(left, right, labels)
    if not summed:
        out = np.empty(shape, left.array.dtype)
        return np.multiply(left.arranged(labels), right.arranged(labels), out=out)
    if _elementwise(left, right, summed, labels):
        return _multiply_add(left, right, summed, labels)
    return _Product(left, right, summed, labels, shape).run()


def _result_shape(left: Labelled, right: Labelled, labels: Labels) -> tuple[int, ...]:
    sizes = dict(zip(left.labels, left.array.shape, strict=True))
    sizes |= zip(right.labels, right.array.shape, strict=True)
    return tuple(sizes.get(label, 1) for label in labels)


def _elementwise(left: Labelled, right: Labelled, summed: Labels, labels: Labels) -> bool:
    """Whether matrices would be vectors: depthwise sums over the few taps of a window."""
    rows = any(n in labels and n not in right.labels for n in left.labels)
    columns = any(n in labels and n not in left.labels for n in right.labels)
    batched = any(n in labels and n in right.labels for n in left.labels)
    taps = prod(left.array.shape[left.labels.index(n)] for n in summed)
    size = prod(_result_shape(left, right, labels))
    return batched and not (rows and columns) and taps <= MOST_TAPS and taps * 16 <= size


def _multiply_add(left: Labelled, right: Labelled, taps: Labels, labels: Labels) -> Array:
    sizes = [left.array.shape[left.labels.index(tap)] for tap in taps]
    total = np.zeros(_result_shape(left, right, labels), left.array.dtype)
    for out, a, b in _in_blocks(Labelled(total, labels), left, right):
        term = np.empty(out.array.shape, total.dtype)
        for values in product(*map(range, sizes)):
            tap = dict(zip(taps, values, strict=True))
            np.multiply(a.at(tap).arranged(labels), b.at(tap).arranged(labels), out=term)
            np.add(out.array, term, out=out.array)
    return total


def _in_blocks(
    out: Labelled, left: Labelled, right: Labelled
) -> Iterator[tuple[Labelled, Labelled, Labelled]]:
    """Split along the leading axes of the result until a block stays in cache."""
    for ranges in _ranges(out.array.shape, out.labels, BLOCK // 4):
        parts = [out, left, right]
        for label, start, stop in ranges:
            parts = [part.part(label, start, stop) for part in parts]
        yield parts[0], parts[1], parts[2]


Range = tuple[str, int, int]


def _ranges(shape: tuple[int, ...], labels: Labels, most: int) -> Iterator[tuple[Range, ...]]:
    """Cut a box into boxes of at most ``most`` elements, along its first axes."""
    cuts: list[list[Range]] = []
    rest = prod(shape)
    for size, label in zip(shape, labels, strict=True):
        if rest <= most:
            break
        rest //= max(size, 1)
        chunk = max(1, min(size, most // max(rest, 1)))
        cuts.append([(label, n, min(n + chunk, size)) for n in range(0, size, chunk)])
        if chunk > 1:
            break
    yield from product(*cuts)


class _Product:
    """A matrix product of two views over the indices they share."""

    def __init__(
        self, left: Labelled, right: Labelled, summed: Labels, labels: Labels, shape: Any
    ) -> None:
        self.batch = tuple(n for n in labels if n in left.labels and n in right.labels)
        self.rows = tuple(n for n in labels if n in left.labels and n not in right.labels)
        self.columns = tuple(n for n in labels if n in right.labels and n not in left.labels)
        if self.rows and labels[-1] in self.rows and self.columns:
            # Put the result's last axis into the columns, so that it is written in place.
            left, right = right, left
            self.rows, self.columns = self.columns, self.rows
        larger = max((left, right), key=lambda view: view.array.size)
        self.summed = tuple(n for n in _by_stride(larger) if n in summed)
        self.left, self.right = left, right
        self.labels, self.shape = labels, shape

    def run(self) -> Array:
        """Multiply block by block, and sum where blocks share their results."""
        cuts = self._cuts()
        if any(label in self.summed for label, _, _ in next(iter(cuts), ())):
            out = np.zeros(self.shape, self.left.array.dtype)
            accumulate = True
        else:
            out = np.empty(self.shape, self.left.array.dtype)
            accumulate = False
        for ranges in cuts:
            self._block(Labelled(out, self.labels), ranges, accumulate)
        return out

    def _cuts(self) -> list[tuple[Range, ...]]:
        """Blocks of the operand that must be packed, if that is larger than a block."""
        packed = [
            view
            for view, groups in ((self.left, (self.rows, self.summed)),
                                 (self.right, (self.summed, self.columns)))
            if view.array.size > BLOCK and not _mergeable(view, groups)
        ]  # fmt: skip
        if not packed:
            return [()]
        view = max(packed, key=lambda view: view.array.size)
        order = _cut_order(view, self.labels, prod(self.shape))
        shape = tuple(view.array.shape[view.labels.index(label)] for label in order)
        return list(_ranges(shape, order, BLOCK))

    def _block(self, out: Labelled, ranges: tuple[Range, ...], accumulate: bool) -> None:
        left, right = self.left, self.right
        for label, start, stop in ranges:
            left, right = left.part(label, start, stop), right.part(label, start, stop)
            out = out.part(label, start, stop)
        a = self._matrix(left, self.rows, self.summed)
        b = self._matrix(right, self.summed, self.columns)
        target = out.arranged((*self.batch, *self.rows, *self.columns))
        matrix_shape = (*a.shape[:-1], b.shape[-1])
        place = target.reshape(matrix_shape)
        if not accumulate and np.may_share_memory(place, target):
            np.matmul(a, b, out=place)
        elif accumulate:
            np.add(target, np.matmul(a, b).reshape(target.shape), out=target)
        else:
            target[...] = np.matmul(a, b).reshape(target.shape)

    def _matrix(self, view: Labelled, rows: Labels, columns: Labels) -> Array:
        """Bring a view to the shape (batch..., rows, columns)."""
        lead = view.arranged((*self.batch, *rows, *columns))
        batch = lead.shape[: len(self.batch)]
        height = prod(lead.shape[len(batch) : len(batch) + len(rows)])
        width = prod(lead.shape[len(batch) + len(rows) :])
        if _mergeable(view, (rows, columns)) or not _runs_along(view, rows, columns):
            return lead.reshape((*batch, height, width))
        # The longer runs in memory lie along the rows: pack the transposed matrix.
        turned = view.arranged((*self.batch, *columns, *rows))
        return turned.reshape((*batch, width, height)).swapaxes(-1, -2)


def _by_stride(view: Labelled) -> Labels:
    order = sorted(range(view.array.ndim), key=lambda n: -abs(view.array.strides[n]))
    return tuple(view.labels[n] for n in order)


def _cut_order(view: Labelled, labels: Labels, result: int) -> Labels:
    """Cut in the order of memory; but adding up a large result again and again costs more."""
    order = _by_stride(view)
    if result <= BLOCK:
        return order
    return tuple(sorted(order, key=lambda label: label not in labels))


def _mergeable(view: Labelled, groups: tuple[Labels, ...]) -> bool:
    """Whether each group of axes is one axis in memory already."""
    strides = dict(zip(view.labels, view.array.strides, strict=True))
    sizes = dict(zip(view.labels, view.array.shape, strict=True))
    for group in groups:
        long = [label for label in group if sizes[label] != 1]
        for outer, inner in pairwise(long):
            if strides[outer] != strides[inner] * sizes[inner]:
                return False
    return True


def _runs_along(view: Labelled, rows: Labels, columns: Labels) -> bool:
    """Whether consecutive rows, rather than columns, are neighbours in memory."""
    strides = dict(zip(view.labels, view.array.strides, strict=True))
    sizes = dict(zip(view.labels, view.array.shape, strict=True))

    def run(group: Labels) -> tuple[int, int]:
        long = [label for label in group if sizes[label] != 1]
        return min(((abs(strides[n]), -sizes[n]) for n in long), default=(1 << 62, 0))

    return run(rows) < run(columns)
