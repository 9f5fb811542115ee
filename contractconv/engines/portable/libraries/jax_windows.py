"""Windows of JAX's arrays: convolutions and poolings by the operations that XLA has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from contractconv.engines.portable.convolutions import (
    FIRST,
    RESULT,
    SECOND,
    Convolution,
    Layout,
    Window,
    layout,
)
from contractconv.engines.portable.poolings import Pooling, Taps
from contractconv.planning.roles import Labels
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS

Units = dict[str, Labels]
"""The axes of an array by their roles, as they lie, and which indices are joined to each."""

_KEPT, _FEATURES = "kept", "features"


def convolve(form: Convolution, numbers: str) -> Callable[[Any, Any], Any]:
    """What convolves two arrays, in whatever order their axes lie.

    The operand with the smaller windows is the kernel, which XLA's own kernels are made for; of
    equal ones that for which less has to be reversed.
    """
    first, second = ((form.span(n), -form.turned(n).moved) for n in (FIRST, SECOND))
    if second > first:
        exchanged = _convolve(form.exchanged())
        return lambda first, second: exchanged(second, first)
    return _convolve(form)


def _convolve(form: Convolution) -> Callable[[Any, Any], Any]:
    units = _units(form)
    image, kernel, result = (
        layout(term, sizes, [*unit.values()])
        for term, sizes, unit in zip(form.terms, form.sizes, units, strict=True)
    )
    turned = form.turned(FIRST)
    flips = [[*map([*unit].index, names)] for unit, names in zip(units, turned.flips, strict=True)]
    options = _steps(turned.windows) | {
        "dimension_numbers": _numbers(units, form.windows),
        "feature_group_count": form.groups,
        "precision": _precision(),
    }

    def carry(first: Any, second: Any) -> Any:
        read = _turned(_joined(first, image), flips[FIRST])
        taps = _turned(_joined(second, kernel), flips[SECOND])
        made = lax.conv_general_dilated(read, taps, **options)
        return _apart(_turned(made, flips[RESULT]), result)

    return carry


def _steps(windows: Sequence[Window]) -> dict[str, Any]:
    """Steps, and how much the image is padded, or cropped, on either side."""
    steps = [[abs(step) for step in window.steps] for window in windows]
    pads = []
    for window, (of_image, of_kernel, of_result) in zip(windows, steps, strict=True):
        image, kernel, result = (size - 1 for size in window.sizes)
        low, read = -window.offset, of_result * result + of_kernel * kernel
        pads.append((low, read - of_image * image - low))
    return {
        "window_strides": [step[RESULT] for step in steps],
        "padding": pads,
        "lhs_dilation": [step[FIRST] for step in steps],
        "rhs_dilation": [step[SECOND] for step in steps],
    }


def _units(form: Convolution) -> list[Units]:
    """What is joined of each term: what it keeps to itself, features, and windows."""
    groups, rows, columns, summed = form.roles
    pairs = ((rows, groups + summed), (summed, groups + columns), (rows, groups + columns))
    found = []
    for term, (kept, features) in zip(form.terms, pairs, strict=True):
        units = {_KEPT: kept, _FEATURES: features} | {w.name: (w.name,) for w in form.windows}
        places = {name: min(map(term.index, unit), default=-1) for name, unit in units.items()}
        found.append({name: units[name] for name in sorted(units, key=places.__getitem__)})
    return found


def _numbers(units: Sequence[Units], along: Sequence[Window]) -> lax.ConvDimensionNumbers:
    """Which axis is which: of a kernel the features of the result come first."""
    image, kernel, result = ([*unit] for unit in units)
    windows = [window.name for window in along]
    return lax.ConvDimensionNumbers(
        tuple(map(image.index, (_KEPT, _FEATURES, *windows))),
        tuple(map(kernel.index, (_FEATURES, _KEPT, *windows))),
        tuple(map(result.index, (_KEPT, _FEATURES, *windows))),
    )


def _precision() -> lax.Precision | None:
    """As exact as numbers allow, unless the user has said how exact."""
    return None if jax.config.jax_default_matmul_precision else lax.Precision.HIGHEST


def _joined(array: Any, to: Layout) -> Any:
    return lax.reshape(lax.transpose(array, to.order), to.joined)


def _apart(array: Any, to: Layout) -> Any:
    return lax.transpose(lax.reshape(array, to.apart), to.back)


def _turned(array: Any, axes: Sequence[int]) -> Any:
    return lax.rev(array, axes) if axes else array


# --- poolings ----------------------------------------------------------------------------------

_MONOIDS = {"sum": lax.add, "max": lax.max, "min": lax.min}


def pool(form: Pooling, numbers: str) -> Callable[[Any], Any] | None:
    """What reduces the windows of an array; ``None`` if JAX could not differentiate that."""
    combine = _MONOIDS.get(form.reduce)
    spread = any(taps.step > 1 or taps.dilated > 1 for taps in form.taps)
    if combine is None or (spread and form.reduce != "sum"):
        return None
    initial = identity(REDUCTIONS[form.reduce], np.dtype(numbers))
    options = _window(form.taps, len(form.axes))
    turned = [taps.axis for taps in form.taps if taps.turned]

    # JAX does not differentiate a maximum whose padding crops: what no window reads is left out.
    margins = options["padding"]
    if not spread:
        options["padding"] = [(max(0, low), max(0, high)) for low, high in margins]

    def carry(array: Any) -> Any:
        read = array if spread else _cropped(array, margins)
        made = lax.reduce_window(read, initial, combine, **options)
        return lax.transpose(_turned(made, turned), form.order)

    return carry


def _cropped(array: Any, margins: Sequence[tuple[int, int]]) -> Any:
    """An array without what margins below zero leave out."""
    if all(low >= 0 and high >= 0 for low, high in margins):
        return array
    starts = [max(0, -low) for low, _ in margins]
    stops = [n + min(0, high) for n, (_, high) in zip(array.shape, margins, strict=True)]
    return lax.slice(array, starts, stops)


def _window(taps: Sequence[Taps], count: int) -> dict[str, Any]:
    """How every axis is read; those without taps one by one."""
    by_axis = {one.axis: one for one in taps}
    read = [by_axis.get(axis, _alone(axis)) for axis in range(count)]
    return {
        "window_dimensions": [one.number for one in read],
        "window_strides": [one.stride for one in read],
        "padding": [(one.low, one.high) for one in read],
        "base_dilation": [one.dilated for one in read],
        "window_dilation": [one.step for one in read],
    }


def _alone(axis: int) -> Taps:
    return Taps(axis, 1, 1, 1, 1, 1, 1, 0, False)
