"""Reductions over named axes, each one contraction; variance and standard deviation."""

from __future__ import annotations

from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ParameterError
from contractconv.functions.axes import Named, axes_of, number_of, reduced


def sum(x: Tensor, axes: Named | None = None) -> Tensor:
    """Add up what lies along some axes.

    Args:
        x: the tensor.
        axes: names of axes, ``"h w"``; by default all.

    Returns:
        A tensor with the other axes.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> sum(cc.tensor("x", "b h w c"), "h w")
        <tensor b c>
    """
    return reduced(x, axes_of(x, axes), "sum")


def mean(x: Tensor, axes: Named | None = None) -> Tensor:
    """Average what lies along some axes; of nothing, the mean is zero, as the sum is.

    Args:
        x: the tensor.
        axes: names of axes; by default all.

    Returns:
        A tensor with the other axes, of floating-point numbers.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> mean(cc.tensor("x", "b h w c"), "b")
        <tensor h w c>
    """
    return reduced(x, axes_of(x, axes), "mean")


def max(x: Tensor, axes: Named | None = None) -> Tensor:
    """Choose the greatest number along some axes; its gradient goes to the first one.

    Args:
        x: the tensor, of real numbers.
        axes: names of axes; by default all.

    Returns:
        A tensor with the other axes; of nothing, the maximum is -inf.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> max(cc.tensor("x", "b h w c"), "h w")
        <tensor b c>
    """
    return reduced(x, axes_of(x, axes), "max")


def min(x: Tensor, axes: Named | None = None) -> Tensor:
    """Choose the least number along some axes; its gradient goes to the first one.

    Args:
        x: the tensor, of real numbers.
        axes: names of axes; by default all.

    Returns:
        A tensor with the other axes; of nothing, the minimum is inf.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> min(cc.tensor("x", "b h w c"), "h w")
        <tensor b c>
    """
    return reduced(x, axes_of(x, axes), "min")


def logsumexp(x: Tensor, axes: Named | None = None) -> Tensor:
    """Take the logarithm of a sum of exponentials, ``log Σ exp(x)``; nothing overflows.

    Args:
        x: the tensor.
        axes: names of axes; by default all.

    Returns:
        A tensor with the other axes; its gradient is the softmax.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> logsumexp(cc.tensor("x", "b class"), "class")
        <tensor b>
    """
    return reduced(x, axes_of(x, axes), "logsumexp")


def variance(x: Tensor, axes: Named | None = None, correction: int = 0) -> Tensor:
    """Average the squared distance from the mean, ``Σ (x - mean)² / (N - correction)``.

    The mean is taken first, and distances from it squared then: nothing cancels.

    Args:
        x: the tensor, of real numbers.
        axes: names of axes; by default all.
        correction: what is subtracted from the number ``N`` of elements: 0 describes a whole
            population, 1 (Bessel) estimates its variance from a sample.

    Returns:
        A tensor with the other axes.

    Raises:
        ShapeError: there is no such axis.
        ParameterError: the correction is no integer.

    Example:
        >>> import contractconv as cc
        >>> variance(cc.tensor("x", "b h w c"), "b h w")
        <tensor c>
    """
    names = axes_of(x, axes)
    if isinstance(correction, bool) or not isinstance(correction, int):
        raise ParameterError(f"correction={correction!r} is no integer")
    squares = applied("square", x - mean(x, names))
    if not correction:
        return mean(squares, names)
    return sum(squares, names) / (number_of(x, names) - correction)


def standard_deviation(x: Tensor, axes: Named | None = None, correction: int = 0) -> Tensor:
    """Take the root of the :func:`variance`; where that is zero, it has no derivative (NaN).

    Args:
        x: the tensor, of real numbers.
        axes: names of axes; by default all.
        correction: as for the variance.

    Returns:
        A tensor with the other axes.

    Raises:
        ShapeError: there is no such axis.
        ParameterError: the correction is no integer.

    Example:
        >>> import contractconv as cc
        >>> standard_deviation(cc.tensor("x", "b c"), "b", correction=1)
        <tensor c>
    """
    return applied("sqrt", variance(x, axes, correction))
