"""The reductions other than a plain sum: one entry each in one table.

An entry says what an element holds before anything lands on it, how two contributions
combine, how many are reduced at once, and how the result changes with each contribution.
The last one, the *local derivative*, is the tensor that a backward contraction meets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from contractconv.execution.summation import summed
from contractconv.execution.views import Array, Labelled, operand_view
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.lowering import MOST_TAPS

# Elements of a block of products; a product of several operands has no view of its own.
BLOCK = 1 << 20

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reduction:
    """How contributions to one element combine.

    Attributes:
        combine: the ufunc that merges two contributions.
        identity: what an element holds on which nothing lands, for a dtype.
        at_once: reduces the given axes of an array; ``None`` takes ``combine.reduce``.
        derivative: from contributions ``(points, ...)`` and their validity to the derivative of
            the result by each of them, in the same shape; sums and means need none.
        ordered: whether it needs numbers that can be compared, which complex ones cannot.
        chooses: whether the result is one of the contributions, so that nothing is rounded.
        floating: whether integers become floats.
    """

    combine: np.ufunc
    identity: Callable[[np.dtype[Any]], Any]
    derivative: Callable[[Array, Array], Array] | None = None
    at_once: Callable[[Array, tuple[int, ...]], Array] | None = None
    ordered: bool = False
    chooses: bool = False
    floating: bool = False


def _lowest(dtype: np.dtype[Any]) -> Any:
    return _extreme(dtype, -np.inf, lambda info: info.min)


def _highest(dtype: np.dtype[Any]) -> Any:
    return _extreme(dtype, np.inf, lambda info: info.max)


def _extreme(dtype: np.dtype[Any], infinite: float, bound: Callable[[Any], int]) -> Any:
    if dtype.kind == "b":
        return dtype.type(infinite > 0)
    return dtype.type(bound(np.iinfo(dtype)) if dtype.kind in "iu" else infinite)


def _zero(dtype: np.dtype[Any]) -> Any:
    return dtype.type(0)


def _one(dtype: np.dtype[Any]) -> Any:
    return dtype.type(1)


def _selection(best: np.ufunc) -> Callable[[Array, Array], Array]:
    def derivative(values: Array, valid: Array) -> Array:
        """One at the first valid extremum, zero elsewhere; NaN counts as the extremum."""
        chosen = np.zeros(values.shape, values.dtype)
        worst = _lowest(values.dtype) if best is np.maximum else _highest(values.dtype)
        extremum = best.reduce(np.where(valid, values, worst), axis=0, initial=worst)
        free = np.ones(values.shape[1:], bool)
        for n in range(len(values)):
            nan = values[n] != values[n]
            hit = ((values[n] == extremum) | nan) & valid[n] & free
            np.copyto(chosen[n, ...], 1, where=hit)
            free = free & ~hit
        return chosen

    return derivative


def _product_of_others(values: Array, valid: Array) -> Array:
    # Running products from both ends: no division, so zeros need no care.
    values = np.where(valid, values, values.dtype.type(1))
    others = np.ones_like(values)
    for order in (range(len(values)), range(len(values) - 1, -1, -1)):
        running: Any = np.ones(values.shape[1:], values.dtype)
        for n in order:
            others[n, ...] *= running
            running = running * values[n]
    return np.asarray(np.where(valid, others, values.dtype.type(0)))


def _softmax(values: Array, valid: Array) -> Array:
    """The powers over their sum, so that they add up to one however the result was rounded.

    A NaN makes NaN of all; an infinity takes everything, and is NaN itself. Where all values are
    minus infinity, as outside of an array, there is nothing to share out.
    """
    held = np.where(valid, values, values.dtype.type(-np.inf))
    top = np.max(held, axis=0, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        powers = np.exp(held - np.where(top == -np.inf, values.dtype.type(0), top))
        total = summed(powers, (0,))
        weights: Array = np.zeros_like(powers)
        np.divide(powers, total, out=weights, where=valid & (powers != 0))
    return weights


def _logsumexp(values: Array, axes: tuple[int, ...]) -> Array:
    top = np.max(values, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, values.dtype.type(0))
    total = summed(np.exp(values - shift), axes)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) + np.squeeze(shift, axis=axes))


REDUCTIONS = {
    "sum": Reduction(np.add, _zero),
    "mean": Reduction(np.add, _zero, floating=True),
    "max": Reduction(np.maximum, _lowest, _selection(np.maximum), ordered=True, chooses=True),
    "min": Reduction(np.minimum, _highest, _selection(np.minimum), ordered=True, chooses=True),
    "prod": Reduction(np.multiply, _one, _product_of_others),
    "logsumexp": Reduction(
        np.logaddexp, _lowest, _softmax, at_once=_logsumexp, ordered=True, floating=True
    ),
}


def reduce_leaf(problem: Problem, arrays: tuple[Array, ...], labels: Labels) -> Array:
    """Carry out one leaf with any reduction but the sum.

    Args:
        problem: a leaf with any number of operands.
        arrays: the operands, all of one dtype.
        labels: the indices of the result, in order.

    Returns:
        A new array with one axis for each label.
    """
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
