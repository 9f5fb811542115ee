"""Tensors put together along an axis: each is read from its place on, and the rest is zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contractconv.errors import OperandError, ShapeError
from contractconv.functions.axes import contracted
from contractconv.programs.build import unused

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.layers.trace import Trace


def concatenated(trace: Trace, tensors: Sequence[Tensor], position: int = -1) -> Tensor:
    """Put tensors together along an axis, by default the last one.

    Args:
        trace: what knows their sizes.
        tensors: at least one; they differ along this axis only.
        position: of the axis.

    Returns:
        A tensor with the names of axes of the first one.

    Raises:
        OperandError: there is none.
        ShapeError: other axes have other sizes.
    """
    if not tensors:
        raise OperandError("there is nothing to be put together")
    axes = tensors[0].axes
    shapes = [trace.shape(x) for x in tensors]
    _check_others(axes, shapes, position)
    # By halves, what lies at the front is copied as often as what lies at the end: rarely.
    return _joined([x.named(axes) for x in tensors], [s[position] for s in shapes], position)


def stacked(trace: Trace, tensors: Sequence[Tensor], axis: str) -> Tensor:
    """Put tensors together along a new axis, which stands before the last one."""
    return concatenated(trace, [_with_axis(x, axis) for x in tensors], -2)


def _with_axis(x: Tensor, axis: str) -> Tensor:
    axes = " ".join((*x.axes[:-1], axis, x.axes[-1]))
    return contracted(f"{' '.join(x.axes)} -> {axes}", [x], {axis: 1})


def _joined(tensors: Sequence[Tensor], lengths: Sequence[int], position: int) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    half = len(tensors) // 2
    front, end = (
        _joined(tensors[part], lengths[part], position) for part in (slice(half), slice(half, None))
    )
    before, whole = sum(lengths[:half]), sum(lengths)
    return _placed(front, position, 0, whole) + _placed(end, position, before, whole)


def _placed(x: Tensor, position: int, start: int, whole: int) -> Tensor:
    """A tensor within a longer one."""
    axis, point = x.axes[position], unused("point", x.axes)
    # A window of one point: an axis with a window may be asked for what lies outside.
    read = " ".join(f"({axis} + {point} - {start})" if a == axis else a for a in x.axes)
    return contracted(f"{read} -> {' '.join(x.axes)}", [x], {axis: whole, point: 1})


def _check_others(axes: Sequence[str], shapes: Sequence[tuple[int, ...]], position: int) -> None:
    others = {(*shape[:position], *shape[position:][1:]) for shape in shapes}
    if len(others) > 1 or len({*map(len, shapes)}) > 1:
        raise ShapeError(
            f"shapes {', '.join(map(str, shapes))} differ along other axes than {axes[position]!r}"
        )
