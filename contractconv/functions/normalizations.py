"""Normalisations: a mean is taken away, and what is left is divided by its deviation.

All of them say over which axes the statistics are taken; scales and shifts are aligned by name.
Statistics have the numbers of what is normalised: in ``float16`` squares beyond 65504 overflow.
"""

from __future__ import annotations

from typing import NamedTuple

from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ParameterError
from contractconv.functions.axes import Named, axes_of, axis_of, check_within
from contractconv.functions.splitting import merged, split
from contractconv.functions.statistics import mean
from contractconv.programs.build import unused


class Statistics(NamedTuple):
    """What a batch normalisation was done with.

    Attributes:
        mean: along the axes that were not averaged over.
        variance: of the whole batch: divided by the number of elements, not by one less.
    """

    mean: Tensor
    variance: Tensor


def layer_norm(
    x: Tensor,
    axes: Named,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalise each item by itself, ``(x - mean x) / √(var x + ε) · scale + shift``.

    Args:
        x: ``"b t c"``.
        axes: over which the statistics are taken, ``"c"``.
        scale: what the result is multiplied by, along axes of ``x``.
        shift: what is added then.
        epsilon: keeps the root from zero.

    Returns:
        A tensor with the axes of ``x``.

    Raises:
        ShapeError: there is no such axis, or scale or shift have axes that ``x`` lacks.

    Example:
        >>> import contractconv as cc
        >>> layer_norm(cc.tensor("x", "b t c"), "c", scale=cc.tensor("gamma", "c"))
        <tensor b t c>

    Source: Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450 (2016).
    """
    result, _ = _normalized(x, axes, epsilon)
    return _adapted(result, scale, shift)


def batch_norm(
    x: Tensor,
    axes: Named,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    epsilon: float = 1e-5,
    statistics: Statistics | None = None,
) -> tuple[Tensor, Statistics]:
    """Normalise each channel over the batch, ``(x - mean) / √(var + ε) · scale + shift``.

    Args:
        x: ``"b h w c"``.
        axes: over which the statistics are taken, ``"b h w"``.
        scale: what the result is multiplied by, ``"c"``.
        shift: what is added then, ``"c"``.
        epsilon: keeps the root from zero.
        statistics: mean and variance that are used instead of those of the batch, when a network
            has been trained; nothing else is averaged then.

    Returns:
        A tensor with the axes of ``x``; and the statistics that were used, of which a training
        loop makes a running average.

    Raises:
        ShapeError: there is no such axis, or something has axes that ``x`` lacks.

    Example:
        >>> import contractconv as cc
        >>> y, found = batch_norm(cc.tensor("x", "b h w c"), "b h w")
        >>> y, found.mean
        (<tensor b h w c>, <tensor mean: c>)

    Source: Ioffe and Szegedy, "Batch normalization", ICML (2015), algorithms 1 and 2.
    """
    if statistics is None:
        result, statistics = _normalized(x, axes, epsilon)
        return _adapted(result, scale, shift), statistics
    axes_of(x, axes)
    for what, value in zip(("the mean", "the variance"), statistics, strict=True):
        check_within(value, x.axes, what, "the tensor")
    centered = (x - statistics.mean).called("centered")
    result = centered * _inverse_root(statistics.variance, epsilon)
    return _adapted(result, scale, shift), statistics


def instance_norm(
    x: Tensor,
    axes: Named,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each item: a :func:`layer_norm` over the axes of space.

    Args:
        x: ``"b h w c"``.
        axes: over which the statistics are taken, ``"h w"``.
        scale: what the result is multiplied by, ``"c"``.
        shift: what is added then, ``"c"``.
        epsilon: keeps the root from zero.

    Returns:
        A tensor with the axes of ``x``.

    Raises:
        ShapeError: there is no such axis, or scale or shift have axes that ``x`` lacks.

    Example:
        >>> import contractconv as cc
        >>> instance_norm(cc.tensor("x", "b h w c"), "h w")
        <tensor b h w c>

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization", arXiv:1607.08022 (2016).
    """
    return layer_norm(x, axes, scale, shift, epsilon)


def group_norm(
    x: Tensor,
    axes: Named,
    channels: str,
    groups: int,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalise groups of neighbouring channels, each over its channels and over space.

    Args:
        x: ``"b h w c"``.
        axes: over which the statistics are taken beside the channels of a group, ``"h w"``.
        channels: the axis that is divided into groups, ``"c"``.
        groups: how many there are; the number of channels is a multiple of it.
        scale: what the result is multiplied by, ``"c"``.
        shift: what is added then, ``"c"``.
        epsilon: keeps the root from zero.

    Returns:
        A tensor with the axes of ``x``.

    Raises:
        ShapeError: there is no such axis, or scale or shift have axes that ``x`` lacks.

    Example:
        >>> import contractconv as cc
        >>> group_norm(cc.tensor("x", "b h w c"), "h w", "c", groups=4)
        <tensor b h w c>

    Source: Wu and He, "Group normalization", ECCV (2018).
    """
    names, channel = axes_of(x, axes), axis_of(x, channels)
    if channel in names:
        raise ParameterError(f"{channel!r} is divided into groups: leave it out of axes")
    group = unused("group", x.axes)
    apart = split(x, channel, {group: groups})
    result, _ = _normalized(apart, (*names, channel), epsilon)
    return _adapted(merged(result, (group, channel), channel), scale, shift)


def rms_norm(x: Tensor, axes: Named, scale: Tensor | None = None, epsilon: float = 1e-6) -> Tensor:
    """Divide by the root of the mean square, ``x / √(mean x² + ε) · scale``.

    Args:
        x: ``"b t c"``.
        axes: over which the mean is taken, ``"c"``.
        scale: what the result is multiplied by, along axes of ``x``.
        epsilon: keeps the root from zero.

    Returns:
        A tensor with the axes of ``x``.

    Raises:
        ShapeError: there is no such axis, or the scale has axes that ``x`` lacks.

    Example:
        >>> import contractconv as cc
        >>> rms_norm(cc.tensor("x", "b t c"), "c")
        <tensor b t c>

    Source: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS (2019).
    """
    square = mean(applied("square", x), axes_of(x, axes)).called("mean_square")
    return _adapted(x * _inverse_root(square, epsilon), scale, None)


def _normalized(x: Tensor, axes: Named, epsilon: float) -> tuple[Tensor, Statistics]:
    names = axes_of(x, axes)
    middle = mean(x, names).called("mean")
    centered = (x - middle).called("centered")
    spread = mean(applied("square", centered), names).called("variance")
    return centered * _inverse_root(spread, epsilon), Statistics(middle, spread)


def _inverse_root(square: Tensor, epsilon: float) -> Tensor:
    """What is multiplied by instead of dividing by a deviation."""
    return applied("rsqrt", square + epsilon).called("factor")


def _adapted(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """A tensor that is scaled and shifted, where something is given for it."""
    if scale is not None:
        check_within(scale, x.axes, "the scale", "the tensor")
        x = x * scale
    if shift is not None:
        check_within(shift, x.axes, "the shift", "the tensor")
        x = x + shift
    return x
