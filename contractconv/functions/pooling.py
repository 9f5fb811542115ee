"""Pooling along any number of axes: a window of each is reduced, in one contraction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contractconv.api.tensor import Tensor
from contractconv.errors import ParameterError
from contractconv.functions.axes import axes_of
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.spec import Reduction, Spec
from contractconv.programs.build import contract, unused
from contractconv.programs.nodes import Axes

Along = int | Mapping[str, int]
"""An integer for every axis that is pooled, or one for each by name."""


def max_pool(
    x: Tensor,
    window: Mapping[str, int],
    stride: Along | None = None,
    padding: Along = 0,
    dilation: Along = 1,
) -> Tensor:
    """Choose the greatest number in each window, ``max_k x[s i + d k - p]``.

    Args:
        x: any axes, ``"b h w c"``.
        window: the size of the window along each axis that is pooled, ``{"h": 2, "w": 2}``.
        stride: how far windows are apart; by default as far as they are long.
        padding: how far the first and the last window may reach outside, where nothing is.
        dilation: how far elements of a window are apart.

    Returns:
        A tensor with the axes of ``x``; the gradient of each number goes to the first of the
        greatest in its window.

    Raises:
        ShapeError: there is no such axis.
        ParameterError: a window, stride or dilation is no positive integer, a padding negative.

    Example:
        >>> import contractconv as cc
        >>> max_pool(cc.tensor("x", "b h w c"), {"h": 2, "w": 2})
        <tensor b h w c>
    """
    return _pooled(x, window, stride, padding, dilation, "max")


def avg_pool(
    x: Tensor,
    window: Mapping[str, int],
    stride: Along | None = None,
    padding: Along = 0,
    dilation: Along = 1,
) -> Tensor:
    """Average each window, ``Σ_k x[s i + d k - p] / K``; what lies outside counts as zero.

    Args:
        x: any axes, ``"b h w c"``.
        window: the size of the window along each axis that is pooled, ``{"h": 2, "w": 2}``.
        stride: how far windows are apart; by default as far as they are long.
        padding: how far the first and the last window may reach outside.
        dilation: how far elements of a window are apart.

    Returns:
        A tensor with the axes of ``x``.

    Raises:
        ShapeError: there is no such axis.
        ParameterError: a window, stride or dilation is no positive integer, a padding negative.

    Example:
        >>> import contractconv as cc
        >>> avg_pool(cc.tensor("x", "b t c"), {"t": 3}, stride=1, padding=1)
        <tensor b t c>
    """
    return _pooled(x, window, stride, padding, dilation, "mean")


def _pooled(
    x: Tensor,
    window: Mapping[str, int],
    stride: Along | None,
    padding: Along,
    dilation: Along,
    reduce: Reduction,
) -> Tensor:
    names = axes_of(x, window)
    sizes = _along(window, names, "window", 1)
    strides = sizes if stride is None else _along(stride, names, "stride", 1)
    paddings = _along(padding, names, "padding", 0)
    dilations = _along(dilation, names, "dilation", 1)
    taps = _taps(names, x.axes)
    term = {
        name: Affine.of(
            [(name, Polynomial.of(strides[name])), (taps[name], Polynomial.of(dilations[name]))],
            Polynomial.of(-paddings[name]),
        )
        for name in names
    }
    plain = tuple(map(Affine.index, x.axes))
    windows = tuple(term.get(a, p) for a, p in zip(x.axes, plain, strict=True))
    spec = Spec((windows,), plain, reduce)
    return Tensor(contract(spec, [x._node], {taps[name]: sizes[name] for name in names}))


def _taps(names: Axes, taken: Iterable[str]) -> dict[str, str]:
    """A name for the place within the window of each axis."""
    found: dict[str, str] = {}
    for name in names:
        found[name] = unused(f"k_{name}", {*taken, *found.values()})
    return found


def _along(given: Along, names: Axes, what: str, least: int) -> dict[str, int]:
    """An integer for each axis.

    Raises:
        ParameterError: one is missing, superfluous, no integer, or too small.
    """
    found = dict(given) if isinstance(given, Mapping) else dict.fromkeys(names, given)
    if set(found) != set(names):
        raise ParameterError(f"{what}={given!r} is for other axes than window: {' '.join(names)}")
    for value in found.values():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ParameterError(f"{what}={given!r}: integers from {least} on are wanted")
    return found
