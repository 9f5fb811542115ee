"""Poolings of PyTorch's tensors, two axes at a time: what is reduced along axes may be in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from torch.nn import functional

from contractconv.engines.portable.poolings import Pooling, Taps
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS

Work = Callable[[Any], Any]

_FLOATS = ("float32", "float64")
# Of two taps: how many, from place to place, margins that torch adds itself, and from tap to tap.
_Four = tuple[list[int], list[int], list[int], list[int]]


def pool(form: Pooling, numbers: str) -> Work | None:
    """What reduces the windows of a tensor; ``None`` if torch has nothing for it."""
    if form.reduce not in _POOLS:
        return None
    if form.reduce == "min" and np.dtype(numbers).kind in "iu":
        # Padding goes through floats, which hold the least integer, but not the greatest one.
        greatest = pool(replace(form, reduce="max"), numbers)
        return greatest and (lambda array: ~greatest(~array))
    # The innermost axes come first, so that of equal values the first one is chosen.
    taps = sorted(form.taps, key=lambda one: -one.axis)
    stages = [_stage(form, sorted(taps[n : n + 2]), numbers) for n in range(0, len(taps), 2)]

    def carry(array: Any) -> Any:
        for stage in stages:
            array = stage(array)
        return array.permute(form.order)

    return carry


def _stage(form: Pooling, taps: Sequence[Taps], numbers: str) -> Work:
    """What reduces one axis, or two."""
    outside = identity(REDUCTIONS[form.reduce], np.dtype(numbers)).item()
    reduced = _by_pools(form, taps, outside) if numbers in _FLOATS else None
    reduced = reduced or _by_views(form, taps, outside)
    turned = [one.axis for one in taps if one.turned]

    def carry(array: Any) -> Any:
        for one in taps:
            array = _dilated(array, one, outside)
        made = reduced(array)
        return made.flip(turned) if turned else made

    return carry


def _dilated(array: Any, one: Taps, outside: float) -> Any:
    """With what no point contributes between the elements of an axis."""
    if one.dilated == 1:
        return array
    apart = array.unsqueeze(one.axis + 1)
    margins = [0, 0] * (array.ndim - one.axis - 1) + [0, one.dilated - 1]
    filled = functional.pad(apart, margins, value=outside).flatten(one.axis, one.axis + 1)
    return filled.narrow(one.axis, 0, one.dilated * (one.size - 1) + 1)


def _padded(array: Any, taps: Sequence[Taps], outside: float) -> Any:
    by_axis = {one.axis: (one.low, one.high) for one in taps}
    margins = [n for axis in reversed(range(array.ndim)) for n in by_axis.get(axis, (0, 0))]
    return functional.pad(array, margins, value=outside) if any(margins) else array


# --- any numbers -------------------------------------------------------------------------------


def _by_views(form: Pooling, taps: Sequence[Taps], outside: float) -> Work:
    """On views with an axis for the taps of each window."""
    combine = _COMBINE[form.reduce]

    def carry(array: Any) -> Any:
        array = _padded(array, taps, outside)
        for one in taps:
            read = array.unfold(one.axis, one.step * (one.number - 1) + 1, one.stride)
            array = combine(read[..., :: one.step])
        return array

    return carry


_COMBINE: dict[str, Work] = {
    "sum": lambda array: array.sum(-1, dtype=array.dtype),
    "max": lambda array: array.amax(-1),
    "min": lambda array: array.amin(-1),
}


# --- floats ------------------------------------------------------------------------------------


def _sums(array: Any, four: _Four) -> Any:
    count, stride, padding, _ = four
    return functional.avg_pool2d(array, count, stride, padding, False, True, 1)


def _greatest(array: Any, four: _Four) -> Any:
    return functional.max_pool2d(array, *four)


def _least(array: Any, four: _Four) -> Any:
    return -functional.max_pool2d(-array, *four)


_POOLS: dict[str, Callable[[Any, _Four], Any]] = {"sum": _sums, "max": _greatest, "min": _least}


def _by_pools(form: Pooling, taps: Sequence[Taps], outside: float) -> Work | None:
    """By torch's pools, of axes that are moved to the end."""
    if form.reduce == "sum" and any(one.step > 1 for one in taps):
        return None
    padding = [_padding(one) for one in taps]
    four = (
        [one.number for one in taps], [one.stride for one in taps], [p or 0 for p in padding],
        [one.step for one in taps],
    )  # fmt: skip
    added = [one for one, by_torch in zip(taps, padding, strict=True) if by_torch is None]
    single, combine = len(taps) == 1, _POOLS[form.reduce]
    if single:
        four = ([1, *four[0]], [1, *four[1]], [0, *four[2]], [1, *four[3]])
    axes = [one.axis for one in taps]
    before = [axis for axis in range(len(form.axes)) if axis not in axes and axis < axes[-1]]
    behind = [*range(axes[-1] + 1, len(form.axes))]
    order = [*before, *behind, *axes]
    back = sorted(range(len(order)), key=order.__getitem__)

    def carry(array: Any) -> Any:
        moved = _padded(array, added, outside).permute(order)
        plain, read = moved.shape[: -len(axes)], moved.shape[-len(axes) :]
        outer, inner = prod(plain[: len(before)]), prod(plain[len(before) :])
        made = combine(moved.reshape((outer, inner, *[1] * single, *read)), four)
        return made.reshape((*plain, *made.shape[2 + single :])).permute(back)

    return carry


def _padding(one: Taps) -> int | None:
    """What torch adds on both sides itself; ``None`` if it cannot."""
    size, read = one.dilated * (one.size - 1) + 1, one.step * (one.number - 1) + 1
    fits = 0 <= one.low <= one.number // 2 and size + 2 * one.low >= read
    return one.low if fits and (size + 2 * one.low - read) // one.stride + 1 == one.places else None
