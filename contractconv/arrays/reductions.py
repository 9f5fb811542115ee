"""The reductions: one entry each in one table.

An entry says what an element holds before anything lands on it, how two contributions
combine, how many are reduced at once, and how the result changes with each contribution.
The last one, the *local derivative*, is the tensor that a backward contraction meets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from contractconv.arrays.summation import summed
from contractconv.arrays.views import Array


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
