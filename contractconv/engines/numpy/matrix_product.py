"""Sums of products of one or two labelled views.

Two views meet in a matrix product wherever an index is summed. Windows are packed into
matrices block by block, in blocks that stay in cache, so that the matrix of all windows
("im2col") never exists in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.index_boxes import within
from contractconv.arrays.run_trace import trace
from contractconv.arrays.summation import added, multiplied, summed
from contractconv.arrays.views import Array, Labelled, Labels, operand_view, put, stand_ins
from contractconv.engines.numpy import shift_and_add
from contractconv.engines.numpy.depthwise import add_elementwise, is_elementwise
from contractconv.engines.numpy.product_blocks import Blocks, Box, of_packed, of_result
from contractconv.engines.numpy.reducing import tap_by_tap
from contractconv.machine import memory
from contractconv.machine.work_sharing import carried_out, evenly, portions
from contractconv.notation.problem import Problem
from contractconv.planning.cost import labels_of
from contractconv.planning.roles import roles
from contractconv.planning.strided_leaves import by_taps

# Blocks whose products are added one after the other.
_FEW_BLOCKS = 32

# What the ways are called in plans.
SHIFTED, MULTIPLIED, DEPTHWISE, PRODUCT = "shift and add", "ufunc", "depthwise sums", "BLAS"


def sum_leaf(
    problem: Problem, arrays: tuple[Array, ...], labels: Labels, new: bool = True
) -> Array:
    """Carry out one leaf.

    Args:
        problem: a leaf with one or two operands.
        arrays: the operands.
        labels: the axes of the result, in order.
        new: whether it has to be a new array where nothing is summed, and no view.

    Returns:
        An array with one axis for each label; indices that no operand has are of size one.
    """
    if len(arrays) == 1:
        view = operand_view(problem, 0, arrays[0])
        return trace.run("numpy", problem, lambda: _sum_one(view, problem, labels, new))
    read = labels_of(problem.operands)
    shape = [problem.extents[n] if n in read else 1 for n in labels]
    out = np.empty(shape, arrays[0].dtype)
    add_leaf(problem, (arrays[0], arrays[1]), Labelled(out, labels), accumulate=False)
    return out


def add_leaf(
    problem: Problem, arrays: tuple[Array, Array], out: Labelled, *, accumulate: bool
) -> None:
    """Carry out one leaf of two operands where its result belongs."""
    read = labels_of(problem.operands)
    if any(n not in read for n in out.labels):
        labels = tuple(n for n in out.labels if n in read)
        made = Labelled(sum_leaf(problem, arrays, labels), labels).arranged(out.labels)
        put(made, out.array, accumulate)
        return
    if shift_and_add.few_results(problem):
        trace.run(
            SHIFTED, problem, lambda: shift_and_add.add_shifted(problem, arrays, out, accumulate)
        )
        return
    views = [operand_view(problem, number, array) for number, array in enumerate(arrays)]
    way = _way(views, out.labels)

    def multiply() -> None:
        left, right = (_summed_alone(view, other, out.labels) for view, other in _each_other(views))
        _ADDING[way](*_forwards(left, right, out), accumulate)

    trace.run(way, problem, multiply)


def way_of(problem: Problem, dtype: np.dtype[Any]) -> str:
    """The name of the way in which :func:`add_leaf` takes operands without gaps."""
    if shift_and_add.few_results(problem):
        return SHIFTED
    read = labels_of(problem.operands)
    labels = tuple(name for access in problem.output for name in access.names if name in read)
    return _way(stand_ins(problem, dtype), labels)


def _way(views: list[Labelled], labels: Labels) -> str:
    left, right = views
    if not any(n in right.labels and n not in labels for n in left.labels):
        return MULTIPLIED
    return DEPTHWISE if is_elementwise(left, right, labels) else PRODUCT


def _each_other(views: list[Labelled]) -> list[tuple[Labelled, Labelled]]:
    left, right = views
    return [(left, right), (right, left)]


def _forwards(
    left: Labelled, right: Labelled, out: Labelled
) -> tuple[Labelled, Labelled, Labelled]:
    """Let every index run forwards in the larger operand, where long runs are read."""
    larger = max((left, right), key=lambda view: view.array.size)
    for label, step in larger.steps.items():
        if step < 0:
            left, right, out = (view.flipped(label) for view in (left, right, out))
    return left, right, out


def _sum_one(view: Labelled, problem: Problem, labels: Labels, new: bool) -> Array:
    gone = tuple(label for label in view.labels if label not in labels)
    if not gone:
        copied = view.arranged(labels)
        if not new:
            return copied
        made = memory.empty(copied.shape, copied.dtype)
        np.copyto(made, copied)
        return made
    if by_taps(problem):
        return tap_by_tap(np.add, view, labels)
    return _without(view, gone).arranged(labels)


def _without(view: Labelled, gone: Labels) -> Labelled:
    """Sum over some indices."""
    if not gone:
        return view
    axes = tuple(view.labels.index(label) for label in gone)
    return Labelled(summed(view.array, axes), tuple(n for n in view.labels if n not in gone))


def _summed_alone(view: Labelled, other: Labelled, labels: Labels) -> Labelled:
    """Sum over the indices that occur nowhere else, before the product."""
    gone = tuple(n for n in view.labels if n not in other.labels and n not in labels)
    return _without(view, gone)


def _multiply(left: Labelled, right: Labelled, out: Labelled, accumulate: bool) -> None:
    factors = left.arranged(out.labels), right.arranged(out.labels)
    put(np.multiply(*factors), out.array, True) if accumulate else np.multiply(*factors, out.array)


class _Product:
    """A matrix product of two views over the indices they share."""

    def __init__(self, left: Labelled, right: Labelled, out: Labelled, accumulate: bool) -> None:
        larger = max((left, right), key=lambda view: view.array.size)
        order = (*out.labels, *(n for n in larger.by_stride if n not in out.labels))
        found = roles(left.labels, right.labels, out.labels, order)
        if found.rows and out.labels[-1] in found.rows and found.columns:
            # Put the result's last axis into the columns, so that it is written in place.
            left, right = right, left
            found = roles(left.labels, right.labels, out.labels, order)
        self.batch, self.rows, self.columns, self.summed = found
        self.left, self.right = left, right
        self.out, self.accumulate = out, accumulate
        self.known: list[Array | None] = [None, None]

    def run(self) -> None:
        """Multiply block by block, and sum where blocks share their results."""
        points = prod({**self.left.sizes, **self.right.sizes}.values())
        blocks = self._blocks(portions(points))
        self._lay_out(blocks)
        if blocks.sums:
            self._run_sums(blocks.depth, points)
        else:
            work = partial(self._run_rows, blocks.depth)
            carried_out(work, blocks.rows, points)

    @property
    def _groups(self) -> tuple[tuple[Labels, Labels], tuple[Labels, Labels]]:
        """Of both operands, the indices of their matrices' rows and columns."""
        return (self.rows, self.summed), (self.summed, self.columns)

    def _blocks(self, parts: int) -> Blocks:
        views = self.left, self.right
        sides = [
            (view, other)
            for view, other, groups in zip(views, views[::-1], self._groups, strict=True)
            if not view.merges(*groups)
        ]
        if not sides:
            return of_result(self.out, parts)
        packed, other = max(sides, key=lambda side: side[0].array.size)
        return of_packed(packed, other, self.out, self.summed, parts)

    def _lay_out(self, blocks: Blocks) -> None:
        """Pack once what all blocks read whole, or many of them in part."""
        cut = {label for boxes in (blocks.rows, blocks.depth) for label, _, _ in boxes[0]}
        again = {label for label, _, _ in blocks.rows[0]}
        for which, view in enumerate((self.left, self.right)):
            if cut.isdisjoint(view.labels):
                self.known[which] = self._factor(which, ())
            elif again and again.isdisjoint(view.labels) and not view.merges(*self._groups[which]):
                straight = self._straight(view, self._groups[which])
                self.left, self.right = (
                    (straight, self.right) if which == 0 else (self.left, straight)
                )

    def _straight(self, view: Labelled, groups: tuple[Labels, Labels]) -> Labelled:
        """A copy of a view without gaps, of which parts are matrices as they lie.

        Its longer runs in memory are innermost.
        """
        first, second = groups[::-1] if view.runs_along(*groups) else groups
        labels = (*self.batch, *first, *second)
        return Labelled(np.ascontiguousarray(view.arranged(labels)), labels)

    def _run_rows(self, depth: Sequence[Box], rows: Sequence[Box]) -> None:
        for box in rows:
            out = within(self.out, box)
            for number, part in enumerate(depth):
                self._block((*box, *part), out, self.accumulate or number > 0)

    def _run_sums(self, depth: Sequence[Box], points: int) -> None:
        """Sum some blocks at a time; all sums are added in the end."""
        groups = [depth[some.start : some.stop] for some in evenly(len(depth), portions(points))]
        put(added(chain(*carried_out(self._sums, groups, points))), self.out.array, self.accumulate)

    def _sums(self, groups: Sequence[Sequence[Box]]) -> list[Array]:
        return [added(self._few(depth)) for depth in groups]

    def _few(self, depth: Sequence[Box]) -> Iterator[Array]:
        """Sums of a few blocks each."""
        for start in range(0, len(depth), _FEW_BLOCKS):
            total = Labelled(np.empty_like(self.out.array), self.out.labels)
            for number, box in enumerate(depth[start : start + _FEW_BLOCKS]):
                self._block(box, total, number > 0)
            yield total.array

    def _block(self, box: Box, out: Labelled, accumulate: bool) -> None:
        a, b = self._factor(0, box), self._factor(1, box)
        target = out.arranged((*self.batch, *self.rows, *self.columns))
        if not accumulate and out.merges(self.rows, self.columns):
            multiplied(a, b, out=target.reshape((*a.shape[:-1], b.shape[-1])))
        else:
            put(multiplied(a, b).reshape(target.shape), target, accumulate)

    def _factor(self, which: int, box: Box) -> Array:
        known = self.known[which]
        if known is not None:
            return known
        view = self.left if which == 0 else self.right
        return self._matrix(within(view, box), *self._groups[which])

    def _matrix(self, view: Labelled, rows: Labels, columns: Labels) -> Array:
        """Bring a view to the shape (batch..., rows, columns)."""
        if view.merges(rows, columns) or not view.runs_along(rows, columns):
            return view.matrix(self.batch, rows, columns)
        # The longer runs in memory lie along the rows: pack the transposed matrix.
        return view.matrix(self.batch, columns, rows).swapaxes(-1, -2)


_ADDING: dict[str, Callable[[Labelled, Labelled, Labelled, bool], None]] = {
    MULTIPLIED: _multiply,
    DEPTHWISE: add_elementwise,
    PRODUCT: lambda left, right, out, accumulate: _Product(left, right, out, accumulate).run(),
}
