"""Tensors put together along an axis, or along a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contractconv.api.symbolic import concatenated as concat
from contractconv.errors import OperandError, ShapeError
from contractconv.functions.axes import contracted

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
    return concat([x.named(axes) for x in tensors], axes[position])


def stacked(trace: Trace, tensors: Sequence[Tensor], axis: str) -> Tensor:
    """Put tensors together along a new axis, which stands before the last one."""
    return concatenated(trace, [_with_axis(x, axis) for x in tensors], -2)


def _with_axis(x: Tensor, axis: str) -> Tensor:
    axes = " ".join((*x.axes[:-1], axis, x.axes[-1]))
    return contracted(f"{' '.join(x.axes)} -> {axes}", [x], {axis: 1})


def _check_others(axes: Sequence[str], shapes: Sequence[tuple[int, ...]], position: int) -> None:
    others = {(*shape[:position], *shape[position:][1:]) for shape in shapes}
    if len(others) > 1 or len({*map(len, shapes)}) > 1:
        raise ShapeError(
            f"shapes {', '.join(map(str, shapes))} differ along other axes than {axes[position]!r}"
        )
