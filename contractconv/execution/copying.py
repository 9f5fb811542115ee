"""Copying between strided views of one shape by compiled kernels."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from contractconv.execution.sequence import Calls, Place, offsets
from contractconv.execution.staging import Strides
from contractconv.kernels import copies
from contractconv.kernels.finish import RAW, Finish


class End(NamedTuple):
    """Where a copy begins or ends.

    Attributes:
        place: of the first number.
        strides: bytes from one number to the next along each axis.
    """

    place: Place
    strides: Strides


def add_copy(
    calls: Calls,
    dtype: str,
    shape: tuple[int, ...],
    source: End,
    target: End,
    adding: bool,
    finish: Finish = RAW,
    bias: Place | int = 0,
) -> None:
    """Append the call that copies a view into another one, or adds it.

    Args:
        calls: what the call is appended to.
        dtype: ``"float32"`` or ``"float64"``.
        shape: of both views.
        source: where the numbers lie.
        target: where they go.
        adding: whether they are added to what is there.
        finish: what is done to them; then they are neighbours along one axis where they go.
        bias: what is added along this axis then.
    """
    if not prod(shape):
        return
    size = 4 if dtype == "float32" else 8
    axes = [n for n, extent in enumerate(shape) if extent > 1]
    here = [n for n in axes if target.strides[n] == size]
    there = [n for n in axes if source.strides[n] == size]
    both = [n for n in here if n in there]
    if both:
        how, inner = "runs", both[:1]
    elif here and there:
        how, inner = "squares", [here[0], there[0]]
    else:
        longest = max(axes, key=lambda n: shape[n], default=None)
        how, inner = "points", [] if longest is None else [longest]
    arguments: dict[int, Any] = {
        copies.SOURCE: source.place, copies.TARGET: target.place, copies.ALONG_TARGET: 1,
        copies.BIAS: bias,
    }  # fmt: skip
    if inner:
        first, last = inner[0], inner[-1]
        arguments |= {
            copies.ALONG_TARGET: shape[first], copies.SOURCE_STEP: source.strides[first],
            copies.ALONG_SOURCE: shape[last], copies.TARGET_STEP: target.strides[last],
        }  # fmt: skip
    rest = [n for n in axes if n not in inner]
    # As they lie in the source: what is far apart changes slowest.
    rest.sort(key=lambda n: -abs(source.strides[n]))
    tables = [
        offsets(*((shape[n], steps[n]) for n in rest)) for steps in (source.strides, target.strides)
    ]
    arguments |= {
        copies.OUTER: len(tables[0]), copies.OUTER_SOURCE: tables[0],
        copies.OUTER_TARGET: tables[1],
    }  # fmt: skip
    calls.call(copies.kernel(dtype, how, adding, finish), arguments)


def add_zeros(calls: Calls, dtype: str, elements: int, target: Place) -> None:
    """Append the call that fills so many neighbours with zeros."""
    arguments = {
        copies.SOURCE: 0, copies.TARGET: target, copies.OUTER: 1, copies.OUTER_SOURCE: offsets(),
        copies.OUTER_TARGET: offsets(), copies.ALONG_TARGET: elements,
    }  # fmt: skip
    calls.call(copies.kernel(dtype, "zeros"), arguments)
