"""Reductions in numpy's numbers: identities, what needs more than a ufunc, local derivatives."""

from __future__ import annotations

from math import isinf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.reductions.record import Record, Sum

Array = NDArray[Any]


def ufunc(record: Record) -> np.ufunc:
    """The function that merges two contributions."""
    combine: np.ufunc = getattr(np, record.combine)
    return combine


def identity(record: Record, dtype: np.dtype[Any]) -> Any:
    """What an element holds on which nothing lands.

    Example:
        >>> from contractconv.reductions.table import REDUCTIONS
        >>> int(identity(REDUCTIONS["max"], np.dtype("int8")))
        -128
    """
    return _held(record.identity, dtype)


def _held(number: float, dtype: np.dtype[Any]) -> Any:
    if not isinf(number) or dtype.kind not in "biu":
        return dtype.type(number)
    if dtype.kind == "b":
        return dtype.type(number > 0)
    bounds = np.iinfo(dtype)
    return dtype.type(bounds.max if number > 0 else bounds.min)


def logsumexp(values: Array, axes: tuple[int, ...], total: Sum) -> Array:
    """The logarithm of the sum of exponentials, shifted such that the greatest is one."""
    top = np.max(values, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, values.dtype.type(0))
    found = total(np.exp(values - shift), axes)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(found) + np.squeeze(shift, axis=axes))


# -- local derivatives ---------------------------------------------------------------------------


def greatest(values: Array, valid: Array, total: Sum) -> Array:
    """One at the first valid maximum, zero elsewhere; NaN counts as the maximum."""
    return _first(values, valid, np.maximum, -np.inf)


def least(values: Array, valid: Array, total: Sum) -> Array:
    """One at the first valid minimum, zero elsewhere; NaN counts as the minimum."""
    return _first(values, valid, np.minimum, np.inf)


def _first(values: Array, valid: Array, best: np.ufunc, nothing: float) -> Array:
    chosen = np.zeros(values.shape, values.dtype)
    worst = _held(nothing, values.dtype)
    extremum = best.reduce(np.where(valid, values, worst), axis=0, initial=worst)
    free = np.ones(values.shape[1:], bool)
    for n in range(len(values)):
        nan = values[n] != values[n]
        hit = ((values[n] == extremum) | nan) & valid[n] & free
        np.copyto(chosen[n, ...], 1, where=hit)
        free = free & ~hit
    return chosen


def others(values: Array, valid: Array, total: Sum) -> Array:
    """The product of all other points."""
    # Running products from both ends: no division, so zeros need no care.
    values = np.where(valid, values, values.dtype.type(1))
    product = np.ones_like(values)
    for order in (range(len(values)), range(len(values) - 1, -1, -1)):
        running: Any = np.ones(values.shape[1:], values.dtype)
        for n in order:
            product[n, ...] *= running
            running = running * values[n]
    return np.asarray(np.where(valid, product, values.dtype.type(0)))


def softmax(values: Array, valid: Array, total: Sum) -> Array:
    """The powers over their sum, so that they add up to one however the result was rounded.

    A NaN makes NaN of all; an infinity takes everything, and is NaN itself. Where all values are
    minus infinity, as outside of an array, there is nothing to share out.
    """
    held = np.where(valid, values, values.dtype.type(-np.inf))
    top = np.max(held, axis=0, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        powers = np.exp(held - np.where(top == -np.inf, values.dtype.type(0), top))
        weights: Array = np.zeros_like(powers)
        np.divide(powers, total(powers, (0,)), out=weights, where=valid & (powers != 0))
    return weights


# -- how they change -----------------------------------------------------------------------------


def change_of_others(values: Array, changes: Array, valid: Array) -> Array:
    """The products of all others, changed: running products of both ends and their changes."""
    values = np.where(valid, values, 1)
    before, after = _running(values, changes), _running(values[::-1], changes[::-1])
    (left, left_change), (right, right_change) = before, [part[::-1] for part in after]
    return np.asarray(left_change * right + left * right_change)


def _running(values: Array, changes: Array) -> tuple[Array, Array]:
    """The product of all rows before each one, and its change."""
    product, change = np.ones_like(values), np.zeros_like(values)
    for row in range(1, len(values)):
        change[row] = change[row - 1] * values[row - 1] + product[row - 1] * changes[row - 1]
        product[row] = product[row - 1] * values[row - 1]
    return product, change


def change_of_softmax(values: Array, changes: Array, valid: Array) -> Array:
    """``P·(v - Σ P·v)`` for changes ``v``."""
    weights = softmax(values, valid, np.sum)
    return np.asarray(weights * (changes - (weights * changes).sum(axis=0)))
