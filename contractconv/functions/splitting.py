"""One axis written as several, and several as one, row by row: compositions ``(h d)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contractconv.api.tensor import Tensor
from contractconv.errors import ShapeError
from contractconv.functions.axes import axes_of, axis_of, contracted, without


def split(x: Tensor, axis: str, outer: Mapping[str, int | Tensor]) -> Tensor:
    """Write an axis as several; the last one, the fastest, keeps its name.

    Args:
        x: the tensor, ``"b t d"``.
        axis: the axis that is split, ``"d"``.
        outer: the axes before the last one, with their sizes, ``{"head": 8}``.

    Returns:
        A tensor ``"b t head d"``.

    Raises:
        ShapeError: there is no such axis, or a new one has the name of another.

    Example:
        >>> import contractconv as cc
        >>> split(cc.tensor("x", "b t d"), "d", {"head": 8})
        <tensor b t head d>
    """
    name = axis_of(x, axis)
    twice = [new for new in outer if new in x.axes]
    if twice:
        raise ShapeError(f"there is an axis {twice[0]!r} already: '{' '.join(x.axes)}'")
    parts = " ".join((*outer, name))
    before = " ".join(f"({parts})" if a == name else a for a in x.axes)
    after = " ".join(parts if a == name else a for a in x.axes)
    return contracted(f"{before} -> {after}", [x], outer)


def merged(x: Tensor, axes: Sequence[str] | str, name: str) -> Tensor:
    """Write several axes as one, row by row, where the first of them stands.

    Args:
        x: the tensor, ``"b t head d"``.
        axes: the axes that become one, the slowest first, ``"head d"``.
        name: what that one is called.

    Returns:
        A tensor ``"b t name"``.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> merged(cc.tensor("x", "b t head d"), "head d", "d")
        <tensor b t d>
    """
    names = axes_of(x, axes)
    kept = without(x.axes, names[1:])
    if len(names) == 1:
        return x.named([name if a == names[0] else a for a in kept])
    after = " ".join(f"({' '.join(names)})" if a == names[0] else a for a in kept)
    made = contracted(f"{' '.join(x.axes)} -> {after}", [x])
    return made.named([name if a == names[0] else a for a in kept])
