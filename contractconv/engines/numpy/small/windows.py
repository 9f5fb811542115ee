"""Steps with windows that are laid out at once: an axis for each index, then it is an einsum.

Small ones, as nothing else would be worth its while; and products of matrices that stay in cache
until they are multiplied: BLAS shares them among its own threads at once, while blocks that threads
of Python share have to be planned anew in each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contractconv.arrays.views import Array, overlap, steps_of
from contractconv.arrays.workspace import Making
from contractconv.engines.numpy.einsum import prepared_step
from contractconv.engines.numpy.einsum.operand_views import View, as_it_is
from contractconv.engines.numpy.matrix_product import PRODUCT, way_of
from contractconv.engines.numpy.small.few_points import fits, is_small
from contractconv.notation.problem import Access, Problem
from contractconv.planning.roles import Labels
from contractconv.planning.workspace import Workspace
from contractconv.reductions.numbers import identity, ufunc
from contractconv.reductions.table import REDUCTIONS


class _Seen(NamedTuple):
    """An operand with an axis for each of its indices.

    Attributes:
        look: from the operand to a view of it, or of a copy with what windows read outside of it.
        labels: the indices.
        beside: bytes of the copy.
    """

    look: View
    labels: Labels
    beside: int


def prepared(problem: Problem, arrays: Sequence[Array]) -> Making | None:
    """Make a small step ready for arrays that lie in memory as these do.

    Args:
        problem: the step, or the gather that makes all of its result.
        arrays: one or two operands, all of one dtype, compositions split.

    Returns:
        What makes an array of shape ``problem.output_sizes`` of such arrays; ``None`` if the step
        is too large, or no einsum even if its windows have axes of their own.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> x, w = np.array([1.0, 2.0, 4.0]), np.array([1.0, 10.0])
        >>> prepared(resolve(parse("(i+k), k -> i"), [(3,), (2,)], {}), (x, w)).work((x, w))
        array([21., 42.])
    """
    if any(a.divisor != 1 for t in problem.operands for a in t):
        return None
    if not is_small(problem) and not _is_product(problem, arrays):
        return None
    seen = [_seen(problem, n, array) for n, array in enumerate(arrays)]
    extents = problem.extents
    terms = tuple(tuple(Access.along(n, extents[n]) for n in one.labels) for one in seen)
    plain = replace(problem, operands=terms)
    views = [one.look(array) for one, array in zip(seen, arrays, strict=True)]
    if REDUCTIONS[problem.reduce].linear:
        made = prepared_step.prepared(plain, views)
    else:
        made = _reduced(plain, seen[0].labels) if len(seen) == 1 else None
    if made is None:
        return None
    work, looks = made.work, [one.look for one in seen]
    beside = made.workspace.beside + sum(one.beside for one in seen)
    return Making(
        lambda given: work([look(array) for look, array in zip(looks, given, strict=True)]),
        Workspace(beside=beside), made.lent,
    )  # fmt: skip


def _is_product(problem: Problem, arrays: Sequence[Array]) -> bool:
    """Whether matrices are multiplied that stay in cache when they are laid out at once."""
    linear = REDUCTIONS[problem.reduce].linear and len(arrays) == 2
    return linear and fits(problem) and way_of(problem, arrays[0].dtype) == PRODUCT


def _seen(problem: Problem, number: int, array: Array) -> _Seen:
    """How an operand is seen."""
    whole = problem.whole[number]
    if whole is not None:
        return _Seen(as_it_is, whole, 0)
    accesses, extents = problem.operands[number], problem.extents
    reaches = [access.reach(extents) for access in accesses]
    starts, strides, beside = [access.offset for access in accesses], array.strides, 0
    padded: View = as_it_is
    if any(low < 0 or high >= a.size for (low, high), a in zip(reaches, accesses, strict=True)):
        fill = identity(REDUCTIONS[problem.reduce], array.dtype)
        padded = _padded(reaches, array, fill)
        starts = [start - low for start, (low, _) in zip(starts, reaches, strict=True)]
        strides, beside = (copy := padded(array)).strides, copy.nbytes
    steps = steps_of(accesses, strides)
    shape = tuple(extents[name] for name in steps)
    # Of one value no step is taken, which may be wider than an address.
    moves = tuple(step if extents[name] > 1 else 0 for name, step in steps.items())
    corner: tuple[Any, ...] = (*(slice(start, start + 1) for start in starts), ...)

    def look(array: Array) -> Array:
        return as_strided(padded(array)[corner], shape, moves)

    return _Seen(look, tuple(steps), beside)


def _padded(reaches: Sequence[tuple[int, int]], array: Array, fill: Any) -> View:
    """A copy of what is read, with something outside."""
    shape, dtype = tuple(high - low + 1 for low, high in reaches), array.dtype
    places = [overlap(*reach, size) for reach, size in zip(reaches, array.shape, strict=True)]
    into, outof = tuple(i for i, _ in places), tuple(o for _, o in places)

    def padded(array: Array) -> Array:
        made = np.full(shape, fill, dtype)
        made[into] = array[outof]
        return made

    return padded


def _reduced(problem: Problem, labels: Labels) -> Making | None:
    """Reduce over some axes at once."""
    record, names = REDUCTIONS[problem.reduce], problem.whole_output
    if record.at_once is not None or names is None or set(labels) != set(problem.indices):
        return None
    gone = tuple(n for n, name in enumerate(labels) if name not in names)
    kept = [name for name in labels if name in names]
    order, combine = tuple(kept.index(name) for name in names if name in kept), ufunc(record)

    def work(given: Sequence[Array]) -> Array:
        made = combine.reduce(given[0], axis=gone, dtype=given[0].dtype)
        return np.asarray(made).transpose(order).copy()

    return Making(work) if gone else None
