"""Reading windows of arrays that lie on several devices, and adding up windows of results.

These are functions of one device's arrays, for use inside of ``jax.shard_map``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from contractconv.sharding.layouts import Layout, Split
from contractconv.sharding.moves import hops
from contractconv.sharding.windows import Passage, Window

Combine = Callable[[Any, Any], Any]


def read(array: Any, passages: Sequence[Passage], fill: Any, masked: bool = True) -> Any:
    """Read the window of each axis.

    Args:
        array: the blocks of this device.
        passages: for each axis.
        fill: what is read outside of an axis, and in padding.
        masked: whether it has to be that; otherwise it may be anything there.
    """
    # First what is moved: devices hold the same parts of all other axes, until those are cut.
    for axis, passage in enumerate(passages):
        array = _moved(array, axis, passage)
    for axis, passage in enumerate(passages):
        if passage.way == "cut":
            array = _cut(array, axis, passage, fill)
        if masked and passage.masks(zero=_is_zero(fill)):
            array = jnp.where(_inside(passage.window, array.ndim, axis), array, fill)
    return array


def land(array: Any, passages: Sequence[Passage], fill: Any, combine: Combine) -> Any:
    """Put the window of each axis where it belongs, and add up what lands at the same place.

    Axes that are gathered come out whole, with all padding.

    Args:
        array: the windows that this device has made.
        passages: for each axis.
        fill: what is where nothing lands.
        combine: of two contributions.
    """
    for axis, passage in enumerate(passages):
        if passage.way == "cut":
            array = _placed(array, axis, passage, fill)
    for axis, passage in enumerate(passages):
        if passage.way == "halo":
            array = _returned(array, axis, passage, fill, combine)
        elif passage.gathered:
            split = passage.moved
            array = _padded(array, axis, (0, split.padded - passage.window.size), fill)
    return array


def block(array: Any, axis: int, split: Split) -> Any:
    """The block of this device of an axis that is whole, with all padding."""
    start = lax.axis_index(split.along) * split.block
    return lax.dynamic_slice_in_dim(array, start, split.block, axis)


def cleared(array: Any, layout: Layout, shape: Sequence[int]) -> Any:
    """Zeros in padding, so that nothing that is derived of it matters.

    Args:
        array: the blocks of this device.
        layout: how it lies.
        shape: of the whole array.
    """
    for axis, (split, size) in enumerate(zip(layout, shape, strict=True)):
        if split is not None and split.pads(size):
            array = jnp.where(
                inside(split, size, array.ndim, axis), array, jnp.zeros((), array.dtype)
            )
    return array


def inside(split: Split, size: int, rank: int, axis: int) -> Any:
    """Which elements of a block are no padding, along one of so many axes."""
    return _along(positions(split) < size, rank, axis)


def positions(split: Split) -> Any:
    """Where the elements of this device's block are in the whole axis."""
    return lax.axis_index(split.along) * split.block + jnp.arange(split.block)


def gathered(array: Any, axis: int, split: Split, size: int) -> Any:
    """The whole axis, without padding."""
    whole = lax.all_gather(array, split.along, axis=axis, tiled=True, to="invarying")
    return lax.slice_in_dim(whole, 0, size, axis=axis)


# -- reading ---------------------------------------------------------------------------------------


def _moved(array: Any, axis: int, passage: Passage) -> Any:
    if passage.gathered:
        return gathered(array, axis, passage.moved, passage.window.size)
    if passage.way == "halo":
        array = _padded(_with_halos(array, axis, passage), axis, passage.room, 0)
        return _sliced(array, axis, _place(passage), passage.window)
    return array


def _cut(array: Any, axis: int, passage: Passage, fill: Any) -> Any:
    low, _ = passage.around
    array = _padded(array, axis, passage.around, fill)
    return _sliced(array, axis, _start(passage.window) + low, passage.window)


def _with_halos(array: Any, axis: int, passage: Passage) -> Any:
    """The block of the device that owns most of a window, between parts of its neighbours'."""
    parts = {} if passage.mirrored else {0: array}
    for far, count in hops(passage):
        start = passage.moved.block - count if far < 0 else 0
        part = lax.slice_in_dim(array, start, start + count, axis=axis)
        parts[far] = _sent(part, passage, far, back=False)
    return _joined([parts[far] for far in sorted(parts)], axis)


def _sent(part: Any, passage: Passage, far: int, back: bool) -> Any:
    """A part that a device has of its owner's neighbour; or that goes back there."""
    pairs = _pairs(passage, far)
    return lax.ppermute(part, passage.moved.along, [(d, n) for n, d in pairs] if back else pairs)


def _pairs(passage: Passage, far: int) -> list[tuple[int, int]]:
    devices = range(passage.moved.count)
    near = [(passage.owner(device) + far, device) for device in devices]
    return [(neighbour, device) for neighbour, device in near if neighbour in devices]


# -- landing ---------------------------------------------------------------------------------------


def _placed(array: Any, axis: int, passage: Passage, fill: Any) -> Any:
    """A whole axis in which there is only the window of this device."""
    window, (low, high) = passage.window, passage.around
    at = _start(window) + low
    return _framed(array, axis, (low, window.size, high), at, fill)


def _returned(array: Any, axis: int, passage: Passage, fill: Any, combine: Combine) -> Any:
    """The block of this device, to which halos of all others are added."""
    left, length = passage.left, passage.moved.block
    low, high = passage.room
    if passage.strays:
        array = jnp.where(_inside(passage.window, array.ndim, axis), array, fill)
    sizes = (low, left + length + passage.right, high)
    frame = _framed(array, axis, sizes, _place(passage), fill)
    begin = 0
    own = None if passage.mirrored else lax.slice_in_dim(frame, left, left + length, axis=axis)
    for far, count in hops(passage):
        begin = left if far == 0 else left + length if far == 1 else begin
        part = lax.slice_in_dim(frame, begin, begin + count, axis=axis)
        begin += count
        part = _held(_sent(part, passage, far, back=True), passage, far, fill)
        gap = (length - count, 0) if far < 0 else (0, length - count)
        part = _padded(part, axis, gap, fill)
        own = part if own is None else combine(own, part)
    return own


def _held(part: Any, passage: Passage, far: int, fill: Any) -> Any:
    """What has come back; devices to which nothing comes have zeros, and should have nothing."""
    if _is_zero(fill):
        return part
    comes = {neighbour for neighbour, _ in _pairs(passage, far)}
    told = jnp.array([device in comes for device in range(passage.moved.count)])
    return jnp.where(told[lax.axis_index(passage.moved.along)], part, fill)


def _framed(array: Any, axis: int, sizes: tuple[int, int, int], at: Any, fill: Any) -> Any:
    """A window in an axis that is filled, of which what reaches over both ends is cut off."""
    low, length, high = sizes
    shape = list(array.shape)
    shape[axis] = low + length + high
    whole = lax.dynamic_update_slice_in_dim(jnp.full(shape, fill, array.dtype), array, at, axis)
    return lax.slice_in_dim(whole, low, low + length, axis=axis)


# -- where -----------------------------------------------------------------------------------------


def _start(window: Window) -> Any:
    """Where the window of this device begins in the axis."""
    start: Any = window.base
    for step in window.steps:
        start = start + lax.axis_index(step.along) * step.size
    return start


def _place(passage: Passage) -> Any:
    """Where the window of this device begins in what :func:`_with_halos` makes, and its room."""
    low = passage.room[0]
    places = [place + low for place in passage.places]
    if len(set(places)) == 1:
        return places[0]
    return jnp.array(places)[lax.axis_index(passage.moved.along)]


def _inside(window: Window, rank: int, axis: int) -> Any:
    """Which elements of this device's window are inside of the axis."""
    at = _start(window) + jnp.arange(window.width)
    return _along((at >= 0) & (at < window.size), rank, axis)


def _along(values: Any, rank: int, axis: int) -> Any:
    return values.reshape([-1 if n == axis else 1 for n in range(rank)])


def _sliced(array: Any, axis: int, start: Any, window: Window) -> Any:
    if isinstance(start, int):
        return lax.slice_in_dim(array, start, start + window.width, axis=axis)
    return lax.dynamic_slice_in_dim(array, start, window.width, axis)


def _padded(array: Any, axis: int, room: tuple[int, int], fill: Any) -> Any:
    if room == (0, 0):
        return array
    widths = [(*room, 0) if n == axis else (0, 0, 0) for n in range(array.ndim)]
    return lax.pad(array, jnp.asarray(fill, array.dtype), widths)


def _joined(parts: Sequence[Any], axis: int) -> Any:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=axis)


def _is_zero(fill: Any) -> bool:
    return bool(fill == 0)
