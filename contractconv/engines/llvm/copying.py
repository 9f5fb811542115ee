"""Copying between strided views of one shape by compiled kernels."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from contractconv.engines.llvm.kernels import copies
from contractconv.engines.llvm.kernels.finish import RAW, Finish
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.program import Calls, Place, offsets


class End(NamedTuple):
    """Where a copy begins or ends.

    Attributes:
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
        finish: what is done to them; then they are neighbours along one axis where they go.
        bias: what is added along this axis then.
    """
    if not prod(shape):
        return
    views = _Views(shape, source.strides, target.strides)
    how, inner = views.inner(4 if dtype == "float32" else 8)
    places = {
        copies.SOURCE: source.place,
        copies.TARGET: target.place,
        copies.BIAS: bias,
    }
    arguments = places | views.along(inner) | views.around(inner)
    calls.call(copies.kernel(dtype, how, adding, finish), arguments)


class _Views(NamedTuple):
    """Two views of one shape, by their strides."""

    shape: tuple[int, ...]
    source: Strides
    target: Strides

    @property
    def _axes(self) -> list[int]:
        return [n for n, extent in enumerate(self.shape) if extent > 1]

    def inner(self, size: int) -> tuple[str, list[int]]:
        """Which kernel copies numbers of this size, and the axes of its innermost loops.

        The first axis is the one along which they go, the last the one along which they come.
        """
        here = [n for n in self._axes if self.target[n] == size]
        there = [n for n in self._axes if self.source[n] == size]
        both = [n for n in here if n in there]
        if both:
            return "runs", both[:1]
        if here and there:
            return "squares", [here[0], there[0]]
        return "points", sorted(self._axes, key=lambda n: -self.shape[n])[:1]

    def along(self, inner: list[int]) -> dict[int, Any]:
        """The arguments of the innermost loops."""
        if not inner:
            return {copies.ALONG_TARGET: 1}
        first, last = inner[0], inner[-1]
        return {
            copies.ALONG_TARGET: self.shape[first], copies.SOURCE_STEP: self.source[first],
            copies.ALONG_SOURCE: self.shape[last], copies.TARGET_STEP: self.target[last],
        }  # fmt: skip

    def around(self, inner: list[int]) -> dict[int, Any]:
        """The arguments of the loops around them."""
        rest = [n for n in self._axes if n not in inner]
        # As they lie in the source: what is far apart changes slowest.
        rest.sort(key=lambda n: -abs(self.source[n]))
        source, target = (
            offsets(*((self.shape[n], steps[n]) for n in rest))
            for steps in (self.source, self.target)
        )
        return {
            copies.OUTER: len(source), copies.OUTER_SOURCE: source, copies.OUTER_TARGET: target,
        }  # fmt: skip


def add_zeros(calls: Calls, dtype: str, elements: int, target: Place) -> None:
    """Append the call that fills so many neighbours with zeros."""
    arguments = {
        copies.SOURCE: 0, copies.TARGET: target, copies.OUTER: 1, copies.OUTER_SOURCE: offsets(),
        copies.OUTER_TARGET: offsets(), copies.ALONG_TARGET: elements,
    }  # fmt: skip
    calls.call(copies.kernel(dtype, "zeros"), arguments)
