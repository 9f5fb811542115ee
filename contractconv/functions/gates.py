"""Gated linear units: one half of the features says how much of the other passes."""

from __future__ import annotations

from contractconv.api.tensor import Tensor, applied
from contractconv.functions.splitting import split
from contractconv.programs.build import unused


def glu(x: Tensor, axis: str) -> Tensor:
    """Let features pass by a sigmoid, ``a σ(b)``, with ``a`` and ``b`` the halves of an axis.

    Args:
        x: any axes, of which one has an even size.
        axis: the axis that is halved.

    Returns:
        A tensor with the axes of ``x``, of which one is half as long.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> glu(cc.tensor("x", "b t d"), "d")
        <tensor b t d>

    Source: Dauphin, Fan, Auli and Grangier, "Language modeling with gated convolutional
    networks", ICML (2017).
    """
    return _gated(x, axis, "sigmoid")


def geglu(x: Tensor, axis: str) -> Tensor:
    """Let features pass by a Gaussian unit, ``a gelu(b)``, with ``a``, ``b`` halves of an axis.

    Args:
        x: any axes, of which one has an even size.
        axis: the axis that is halved.

    Returns:
        A tensor with the axes of ``x``, of which one is half as long.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> geglu(cc.tensor("x", "b t d"), "d")
        <tensor b t d>

    Source: Shazeer, "GLU variants improve transformer", arXiv:2002.05202 (2020).
    """
    return _gated(x, axis, "gelu")


def swiglu(x: Tensor, axis: str) -> Tensor:
    """Let features pass by ``silu``, ``a b σ(b)``, with ``a`` and ``b`` the halves of an axis.

    Args:
        x: any axes, of which one has an even size.
        axis: the axis that is halved.

    Returns:
        A tensor with the axes of ``x``, of which one is half as long.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> swiglu(cc.tensor("x", "b t d"), "d")
        <tensor b t d>

    Source: Shazeer, "GLU variants improve transformer", arXiv:2002.05202 (2020).
    """
    return _gated(x, axis, "silu")


def _gated(x: Tensor, axis: str, function: str) -> Tensor:
    half = unused("half", x.axes)
    halves = split(x, axis, {half: 2}).called("halves")
    value, gate = (halves.at(**{half: n}) for n in range(2))
    return value.called("value") * applied(function, gate.called("gate")).called("open")
