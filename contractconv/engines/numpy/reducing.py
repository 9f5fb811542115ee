"""Reductions other than a plain sum by numpy: of operands, and their local derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from contractconv.arrays.index_boxes import Range, boxes, within
from contractconv.arrays.run_trace import trace
from contractconv.arrays.summation import summed
from contractconv.arrays.views import Array, Labelled, Labels, operand_view
from contractconv.machine.work_sharing import carried_out
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.cost import volume
from contractconv.planning.one_axis_each import stages
from contractconv.planning.strided_leaves import MOST_TAPS
from contractconv.reductions.numbers import identity, ufunc
from contractconv.reductions.record import Record
from contractconv.reductions.table import REDUCTIONS

# Elements of a block of products; a product of several operands has no view of its own.
BLOCK = 1 << 20

# Results of windows that are made at once, and how many multiplications of matrices take as long as
# a number of a window.
_PART, _SLOWNESS = 1 << 20, 16

# So many times fewer points are worth windows along one axis after the other.
_WORTH = 1.3
# Points of a problem that is reduced faster than its view is made.
_SMALL = 1 << 12

Arrays = tuple[Array, ...]


def reduce_leaf(problem: Problem, arrays: Arrays, labels: Labels) -> Array:
    """Carry out one leaf with any reduction but the sum.

    Args:
        problem: a leaf with any number of operands.

    Returns:
        A new array with one axis for each label.
    """
    return trace.run("numpy", problem, lambda: _reduce_leaf(problem, arrays, labels))


def _reduce_leaf(problem: Problem, arrays: tuple[Array, ...], labels: Labels) -> Array:
    sizes = tuple(problem.extents[label] for label in labels)
    record = REDUCTIONS[problem.reduce]
    axes = _small_axes(problem, labels, record)
    if axes is not None:
        # Of all axes, numpy makes a number that is no array.
        return np.asarray(ufunc(record).reduce(arrays[0], axis=axes, dtype=arrays[0].dtype))
    if len(arrays) == 1:
        if record.chooses:
            *before, problem = stages(problem, _WORTH) or (problem,)
            for stage in before:
                arrays = (reduced_windows(stage, arrays[0]),)
        made = _reduced(_one_view(problem, arrays[0]), labels, record)
        return made if made.base is None else made.copy()
    out = np.empty(sizes, arrays[0].dtype)
    for leading in _blocks(problem, labels):
        part = problem
        for label, start, stop in leading:
            part = part.restricted(label, start, stop - start)
        values, valid = _product_of_operands(part, arrays)
        held = np.where(valid, values, identity(record, values.dtype))
        place = within(Labelled(out, labels), leading).array
        place[...] = _reduced(Labelled(held, part.indices), labels, record)
    return out


def reduced_windows(problem: Problem, array: Array) -> Array:
    """Reduce the windows of one operand; the result has its axes as the problem says."""
    names = tuple(access.names[0] for access in problem.output)
    return _reduced(_one_view(problem, array), names, REDUCTIONS[problem.reduce])


def _small_axes(problem: Problem, labels: Labels, record: Record) -> tuple[int, ...] | None:
    """The axes that numpy reduces at once, where that takes less than looking at the operand."""
    names = problem.whole[0] if len(problem.whole) == 1 else None
    if names is None or record.at_once is not None or not 0 < problem.points <= _SMALL:
        return None
    kept = tuple(name for name in names if name in labels)
    axes = tuple(n for n, name in enumerate(names) if name not in labels)
    return axes if kept == labels and axes and len(names) == len(problem.sizes) else None


def _one_view(problem: Problem, array: Array) -> Labelled:
    outside = identity(REDUCTIONS[problem.reduce], array.dtype)
    view = operand_view(problem, 0, array, outside)
    # An index that the operand lacks repeats every point.
    sizes = [problem.extents[label] for label in problem.indices]
    return Labelled(np.broadcast_to(view.arranged(problem.indices), sizes), problem.indices)


def _blocks(problem: Problem, labels: Labels) -> Iterable[tuple[Range, ...]]:
    """Ranges of the result's leading index that keep a block of products small."""
    if not labels:
        return [()]
    label = max(labels, key=lambda name: problem.extents[name])
    size = problem.extents[label]
    return boxes((size,), (label,), BLOCK * size // max(problem.points, 1))


def _reduced(view: Labelled, labels: Labels, record: Record) -> Array:
    gone = tuple(label for label in view.labels if label not in labels)
    if not gone and record.keeps_one:
        return view.arranged(labels)
    kept = tuple(label for label in view.labels if label in labels)
    axes = tuple(view.labels.index(label) for label in gone)
    if record.at_once is not None:
        return Labelled(record.at_once(view.array, axes, summed), kept).arranged(labels)
    if volume(gone, view.sizes) > MOST_TAPS:
        total = view.array
        for axis in sorted(axes, reverse=True):
            total = ufunc(record).reduce(total, axis=axis, dtype=view.array.dtype)
        return Labelled(total, kept).arranged(labels)
    return tap_by_tap(ufunc(record), view, labels)


def tap_by_tap(combine: np.ufunc, view: Labelled, labels: Labels) -> Array:
    """Reduce over the indices that are not among some, one value of them after the other."""
    sizes = view.sizes
    gone = [n for n in view.labels if n not in labels]
    taps = [dict(zip(gone, at, strict=True)) for at in product(*(range(sizes[n]) for n in gone))]
    # An index that the operand lacks is of size one.
    result = Labelled(np.empty([sizes.get(n, 1) for n in labels], view.array.dtype), labels)
    order = tuple(n for n in view.by_stride if n in labels)

    def work(parts: Sequence[tuple[Range, ...]]) -> None:
        for box in parts:
            part, made = within(view, box), within(result, box).array
            np.copyto(made, part.at(taps[0]).arranged(labels))
            for tap in taps[1:]:
                combine(made, part.at(tap).arranged(labels), out=made)

    # Each part is in cache from its first tap to its last one.
    parts = boxes([sizes[n] for n in order], order, _PART)
    carried_out(work, list(parts), _SLOWNESS * view.array.size)
    return result.array


def _product_of_operands(
    problem: Problem, arrays: Arrays, by_index: Labels | None = None
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
        np.clip(numerator(access, problem, indices) // access.divisor, 0, access.size - 1)
        for access in accesses
    )
    return array[key] if key else array


def _inside(accesses: Accesses, problem: Problem, indices: Labels) -> Array:
    inside: Any = np.ones((1,) * len(indices), bool)
    for access in accesses:
        position, remainder = np.divmod(numerator(access, problem, indices), access.divisor)
        inside = inside & (remainder == 0) & (position >= 0) & (position < access.size)
    return np.asarray(inside)


def numerator(access: Access, problem: Problem, indices: Labels) -> Array:
    """Where each point meets an axis, in parts of its divisor, with an axis for each index."""
    total = np.full((1,) * len(indices), access.offset)
    for name, coefficient in access.terms:
        shape = [-1 if label == name else 1 for label in indices]
        total = total + coefficient * np.arange(problem.extents[name]).reshape(shape)
    return total


def local_derivative(problem: Problem, arrays: Arrays, moved: Arrays | None = None) -> Array:
    """How the result changes with each point's product of operands.

    Args:
        problem: any contraction; all its extents are positive.
        arrays: the operands, all of the reduction's dtype.
        moved: the same with a direction in the place of one operand, if it is not the derivative
            that is wanted, but how that changes.

    Returns:
        An array with one axis for each of ``problem.indices``; zero where no point contributes.

    Raises:
        ReductionError: the reduction has no such derivative.
    """
    record = REDUCTIONS[problem.reduce]
    if moved is None:
        values = record.asked(record.local.values, "derivative")
        return _of_elements(problem, (arrays,), lambda at, valid: values(at, valid, summed))
    change = record.asked(record.local.change, "second derivative")

    def changed(at: Array, changes: Array, valid: Array) -> Array:
        return np.where(valid, change(at, np.where(valid, changes, 0), valid), 0)

    return _of_elements(problem, (arrays, moved), changed)


def _of_elements(
    problem: Problem, given: Sequence[Arrays], function: Callable[..., Array]
) -> Array:
    """Apply a function to the points of each element: to products of operands, and which count.

    Args:
        given: its operands, several times.
        function: takes arrays of ``(points, ...)``, a product for each of the given, and booleans.
    """
    order = (*problem.reduced, *(n for n in problem.indices if n in problem.kept))
    products, valid = zip(*(_product_of_operands(problem, a, order) for a in given), strict=True)
    arrays = [*products, valid[0] & _inside(problem.output, problem, order)]
    count = len(problem.reduced)
    names = [access.plain for access in problem.output]
    if all(names) and len(set(names)) == len(names):
        shape = arrays[0].shape
        flat = (prod(shape[:count]), *shape[count:])
        made = function(*(array.reshape(flat) for array in arrays)).reshape(shape)
        return made.transpose([order.index(name) for name in problem.indices])
    back = [order.index(name) for name in problem.indices]
    sizes = [problem.extents[name] for name in problem.indices]
    lines = [array.transpose(back).ravel() for array in arrays]
    return _grouped(_elements(problem), lines, function).reshape(sizes)


def _elements(problem: Problem) -> Array:
    """The number of the element that each point lands on; -1 where it lands on none."""
    order = problem.indices
    place = np.zeros((1,) * len(order), int)
    for access in problem.output:
        place = place * access.size + numerator(access, problem, order) // access.divisor
    place = np.where(_inside(problem.output, problem, order), place, -1)
    return np.broadcast_to(place, [problem.extents[name] for name in order]).ravel()


def _grouped(element: Array, lines: Sequence[Array], function: Callable[..., Array]) -> Array:
    """For a scatter: line up, for each element, the points that land on it."""
    by_element = np.argsort(element, kind="stable")
    by_element = by_element[element[by_element] >= 0]
    ordered = element[by_element]
    rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
    table = (int(rank.max(initial=-1)) + 1, int(element.max(initial=-1)) + 1)
    cell = (rank, ordered)
    lined = [np.zeros(table, line.dtype) for line in lines]
    for full, line in zip(lined, lines, strict=True):
        full[cell] = line[by_element]
    made = np.zeros(len(element), lines[0].dtype)
    made[by_element] = function(*lined)[cell]
    return made
