"""Softmax and its logarithm: weights that sum to one along named axes."""

from __future__ import annotations

from math import inf

from contractconv.api.tensor import Tensor, applied
from contractconv.functions.axes import Named, axes_of, reduced, stopped
from contractconv.programs.nodes import Axes


def softmax(x: Tensor, axes: Named, mask: Tensor | None = None) -> Tensor:
    """Turn numbers into weights that sum to one, ``exp(x - max x) / Σ exp(x - max x)``.

    The maximum changes nothing but how the weights are worked out, so gradients pass it by:
    ``dx = y (g - Σ g y)``.

    Args:
        x: the tensor, of real numbers.
        axes: the names of the axes along which the weights sum to one.
        mask: truth values, along axes of ``x`` or others: which elements take part. The others
            have no weight; where none takes part, all weights are zero, and so is the gradient.

    Returns:
        A tensor with the axes of ``x`` (and those that only the mask has).

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> softmax(cc.tensor("x", "b class"), "class")
        <tensor b class>

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs",
    Neurocomputing (1990).
    """
    names = axes_of(x, axes)
    if mask is not None:
        return _masked(x, names, mask)
    powers = applied("exp", from_greatest(x, names)).called("powers")
    return powers / reduced(powers, names, "sum").called("total")


def log_softmax(x: Tensor, axes: Named) -> Tensor:
    """Take the logarithm of the softmax, ``z - log Σ exp(z)`` with ``z = x - max x``.

    Args:
        x: the tensor, of real numbers.
        axes: the names of the axes along which the weights sum to one.

    Returns:
        A tensor with the axes of ``x``: exact where a weight is too small for its logarithm to be
        taken afterwards.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> log_softmax(cc.tensor("x", "b class"), "class")
        <tensor b class>
    """
    names = axes_of(x, axes)
    z = from_greatest(x, names)
    return z - log_total(z, names)


def from_greatest(x: Tensor, axes: Axes) -> Tensor:
    """The same numbers less the greatest along some axes, which counts as a constant."""
    greatest = reduced(x, axes, "max").called("greatest")
    return (x - stopped(greatest)).called("z")


def log_total(z: Tensor, axes: Axes) -> Tensor:
    """``log Σ exp(z)``, of numbers of which the greatest is zero."""
    powers = applied("exp", z).called("powers")
    return applied("log", reduced(powers, axes, "sum").called("total"))


def _masked(x: Tensor, axes: Axes, mask: Tensor) -> Tensor:
    """The softmax of what takes part; where nothing does, it is zero and not 0 / 0."""
    kept = applied("where", mask, x, -inf).called("kept")
    greatest = reduced(kept, axes, "max").called("greatest")
    start = applied("where", greatest == -inf, 0, greatest)
    powers = applied("exp", kept - stopped(start)).called("powers")
    total = reduced(powers, axes, "sum").called("total")
    return powers / applied("where", total == 0, 1, total).called("divisor")
