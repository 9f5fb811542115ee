"""Factors that are averaged from step to step, and their inverses: arrays by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contractconv.training.kfac.damping import Array, Method, damped_inverses
from contractconv.training.kfac.sites import Matrix

Arrays = dict[str, Array]
# What a program makes of factors, what is averaged, and what updates are given.
INPUT_PARTS, OUTPUT_PART = ("windows", "window_sum", "places"), "cotangents"
INPUT, OUTPUT = "input_factor", "output_factor"
INVERSES = ("rows", "cross", "corner", "columns")


def assembled(parts: Mapping[str, Array], matrix: Matrix) -> Array:
    """An input factor as a matrix for each group, the row of the bias last.

    Args:
        parts: ``windows``, of the weight's own rows, ``"g... row row"``; with a bias also
            ``window_sum``, these by the row of the bias, ``"g... row"``, and ``places``, the bias
            by itself, a number.
        matrix: how the weight is read as a matrix.

    Returns:
        An array ``"g n n"``.
    """
    own = squared(parts["windows"], matrix)
    if "places" not in parts:
        return own
    cross, corner = parts["window_sum"], parts["places"]
    groups, size, _ = own.shape
    whole = np.empty((groups, size + 1, size + 1), own.dtype)
    whole[:, :size, :size] = own
    whole[:, :size, size] = whole[:, size, :size] = cross.reshape(groups, size)
    whole[:, size, size] = corner
    return whole


def squared(factor: Array, matrix: Matrix) -> Array:
    """A factor as a matrix for each group, ``"g n n"``."""
    leading = factor.shape[: len(matrix.groups)]
    size = factor.shape[-1] if factor.ndim > len(leading) else 1
    return factor.reshape(int(np.prod(leading)), size, size)


def averaged(old: Array, new: Array, share: float) -> Array:
    """An average that runs along, ``share · old + (1 - share) · new``."""
    return np.asarray(share * old + (1 - share) * new, dtype=new.dtype)


def unbiased(average: Array, share: float, count: int) -> Array:
    """What a running average from zero is of ``count`` arrays, divided by their weights' sum."""
    return np.asarray(average / (1 - share**count), dtype=average.dtype)


def inverses_of(
    left: Array,
    right: Array,
    matrix: Matrix,
    leading: Sequence[int],
    damping: float,
    method: Method,
    has_bias: bool,
) -> Arrays:
    """Invert both factors of a weight, and cut the row of the bias off.

    Args:
        left: the input factor, ``"g n n"``.
        right: the output factor, ``"g m m"``.
        matrix: how the weight is read as a matrix.
        leading: the sizes of the groups' axes.
        damping: see :func:`~contractconv.training.kfac.damping.damped_inverses`.
        method: likewise.
        has_bias: whether the last row of the input factor is that of the bias.

    Returns:
        ``rows``, ``cross``, ``corner`` and ``columns``, as
        :class:`~contractconv.training.kfac.directions.Inverses` names them.
    """
    first, last = damped_inverses(left, right, damping, method)
    size = left.shape[-1] - has_bias
    row, column = ((size,) if matrix.rows else ()), (right.shape[-1:] if matrix.columns else ())
    shapes = {"rows": (*row, *row), "cross": row, "corner": (), "columns": (*column, *column)}
    parts = {"rows": first[:, :size, :size], "columns": last}
    if has_bias:
        parts |= {"cross": first[:, :size, size], "corner": first[:, size, size]}
    return {
        name: np.ascontiguousarray(parts[name]).reshape((*leading, *shapes[name]))
        for name in INVERSES
        if name in parts
    }


def of_block(arrays: Mapping[str, Array], name: str, parts: Sequence[str]) -> Arrays:
    """Those of some arrays that belong to a block, by the names of its parts."""
    named = {part: f"{name}_{part}" for part in parts}
    return {part: arrays[full] for part, full in named.items() if full in arrays}
