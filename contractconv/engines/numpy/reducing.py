"""Reductions other than a plain sum by numpy: of operands, and their local derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.reductions import REDUCTIONS, Reduction
from contractconv.arrays.trace import trace
from contractconv.arrays.views import Array, Labelled, operand_view
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.lowering import MOST_TAPS

# Elements of a block of products; a product of several operands has no view of its own.
BLOCK = 1 << 20

Labels = tuple[str, ...]


def reduce_leaf(problem: Problem, arrays: tuple[Array, ...], labels: Labels) -> Array:
    """Carry out one leaf with any reduction but the sum.

    Args:
        problem: a leaf with any number of operands.
        arrays: the operands, all of one dtype.
        labels: the indices of the result, in order.

    Returns:
        A new array with one axis for each label.
    """
    return trace.run("numpy", problem, lambda: _reduce_leaf(problem, arrays, labels))


def _reduce_leaf(problem: Problem, arrays: tuple[Array, ...], labels: Labels) -> Array:
    sizes = tuple(problem.extents[label] for label in labels)
    entry = REDUCTIONS[problem.reduce]
    out = np.empty(sizes, arrays[0].dtype)
    if len(arrays) == 1:
        out[...] = _reduced(_one_view(problem, arrays[0]), labels, entry)
        return out
    for leading in _blocks(problem, labels):
        part = problem
        for label, start, stop in leading:
            part = part.restricted(label, start, stop - start)
        values, valid = _product_of_operands(part, arrays)
        held = np.where(valid, values, entry.identity(values.dtype))
        keys = {label: slice(start, stop) for label, start, stop in leading}
        key: tuple[Any, ...] = tuple(keys.get(label, slice(None)) for label in labels)
        place = out[(*key, ...)]
        place[...] = _reduced(Labelled(held, part.indices), labels, entry)
    return out


def _one_view(problem: Problem, array: Array) -> Labelled:
    identity = REDUCTIONS[problem.reduce].identity(array.dtype)
    view = operand_view(problem, 0, array, identity)
    # An index that the operand lacks repeats every point.
    sizes = [problem.extents[label] for label in problem.indices]
    return Labelled(np.broadcast_to(view.arranged(problem.indices), sizes), problem.indices)


def _blocks(problem: Problem, labels: Labels) -> Iterator[tuple[tuple[str, int, int], ...]]:
    """Ranges of the result's leading index that keep a block of products small."""
    if not labels or problem.points <= BLOCK:
        yield ()
        return
    label = max(labels, key=lambda name: problem.extents[name])
    size = problem.extents[label]
    chunk = max(1, BLOCK * size // problem.points)
    for start in range(0, size, chunk):
        yield ((label, start, min(start + chunk, size)),)


def _reduced(view: Labelled, labels: Labels, entry: Reduction) -> Array:
    gone = tuple(label for label in view.labels if label not in labels)
    sizes = [view.array.shape[view.labels.index(label)] for label in gone]
    if not gone:
        return view.arranged(labels)
    kept = tuple(label for label in view.labels if label in labels)
    axes = tuple(view.labels.index(label) for label in gone)
    if entry.at_once is not None:
        return Labelled(entry.at_once(view.array, axes), kept).arranged(labels)
    if prod(sizes) > MOST_TAPS:
        total = view.array
        for axis in sorted(axes, reverse=True):
            total = entry.combine.reduce(total, axis=axis, dtype=view.array.dtype)
        return Labelled(total, kept).arranged(labels)
    taps = (dict(zip(gone, v, strict=True)) for v in product(*map(range, sizes)))
    result = view.at(next(taps)).arranged(labels).copy()
    for tap in taps:
        entry.combine(result, view.at(tap).arranged(labels), out=result)
    return result


def _product_of_operands(
    problem: Problem, arrays: tuple[Array, ...], by_index: Labels | None = None
) -> tuple[Array, Array]:
    """The value of every point of the index space, and whether it contributes."""
    indices = problem.indices if by_index is None else by_index
    sizes = [problem.extents[label] for label in indices]
    values: Any = np.ones((), arrays[0].dtype if arrays else float)
    valid: Any = np.ones((), bool)
    for array, accesses in zip(arrays, problem.operands, strict=True):
        values = values * _gathered(array, accesses, problem, indices)
        valid = valid & _inside(accesses, problem, indices)
    return np.broadcast_to(values, sizes), np.broadcast_to(valid, sizes)


def _gathered(array: Array, accesses: Accesses, problem: Problem, indices: Labels) -> Array:
    if 0 in array.shape:
        return np.zeros((1,) * len(indices), array.dtype)
    key = tuple(
        np.clip(_numerator(access, problem, indices) // access.divisor, 0, access.size - 1)
        for access in accesses
    )
    return array[key] if key else array


def _inside(accesses: Accesses, problem: Problem, indices: Labels) -> Array:
    inside: Any = np.ones((1,) * len(indices), bool)
    for access in accesses:
        position, remainder = np.divmod(_numerator(access, problem, indices), access.divisor)
        inside = inside & (remainder == 0) & (position >= 0) & (position < access.size)
    return np.asarray(inside)


def _numerator(access: Access, problem: Problem, indices: Labels) -> Array:
    total = np.full((1,) * len(indices), access.offset)
    for name, coefficient in access.terms:
        shape = [-1 if label == name else 1 for label in indices]
        total = total + coefficient * np.arange(problem.extents[name]).reshape(shape)
    return total


def local_derivative(problem: Problem, arrays: tuple[Array, ...]) -> Array:
    """How the result changes with each point's product of operands.

    Args:
        problem: any contraction; all its extents are positive.
        arrays: the operands, all of the reduction's dtype.

    Returns:
        An array with one axis for each of ``problem.indices``; zero where no point contributes.
    """
    order = (*problem.reduced, *(n for n in problem.indices if n in problem.kept))
    values, valid = _product_of_operands(problem, arrays, order)
    valid = valid & _inside(problem.output, problem, order)
    derivative = REDUCTIONS[problem.reduce].derivative
    assert derivative is not None, "sums and means have no local derivative for each point"
    count = len(problem.reduced)
    names = [access.plain for access in problem.output]
    if all(names) and len(set(names)) == len(names):
        points = prod(values.shape[:count])
        flat = (points, *values.shape[count:])
        local = derivative(values.reshape(flat), valid.reshape(flat)).reshape(values.shape)
    else:
        local = _grouped_derivative(problem, order, values, valid, derivative)
    return local.transpose([order.index(name) for name in problem.indices])


def _grouped_derivative(
    problem: Problem,
    order: Labels,
    values: Array,
    valid: Array,
    derivative: Callable[[Array, Array], Array],
) -> Array:
    """For a scatter: line up, for each output element, the points that land on it."""
    back = [order.index(name) for name in problem.indices]
    place = np.zeros((1,) * len(order), int)
    landed = _inside(problem.output, problem, order)
    for access in problem.output:
        place = place * access.size + _numerator(access, problem, order) // access.divisor
    place = np.where(landed, place, -1)
    flat = np.broadcast_to(place, values.shape).transpose(back).ravel()
    by_place = np.argsort(flat, kind="stable")
    ordered = flat[by_place]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.arange(len(flat)) - first
    table = (int(rank[ordered >= 0].max(initial=-1)) + 1, prod(problem.output_sizes))
    lined, open_ = np.zeros(table, values.dtype), np.zeros(table, bool)
    here = ordered >= 0
    cell = (rank[here], ordered[here])
    lined[cell] = values.transpose(back).ravel()[by_place[here]]
    open_[cell] = valid.transpose(back).ravel()[by_place[here]]
    local = np.zeros(len(flat), values.dtype)
    local[by_place[here]] = derivative(lined, open_)[cell]
    shaped = local.reshape([problem.extents[name] for name in problem.indices])
    return shaped.transpose([problem.indices.index(name) for name in order])
