"""One operand whose windows are reduced: a pooling, or the gradient of a linear one.

Along each axis ``a*operand + b*tap + c*result = offset``, and taps stand nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from contractconv.engines.portable.divisions import Division, Meeting
from contractconv.lazy import Value
from contractconv.notation.problem import Problem
from contractconv.planning.roles import Labels


class Taps(NamedTuple):
    """How an axis of a pooled array is read: ``dilated*operand + low = stride*result + step*tap``.

    Attributes:
        axis: which axis of the operand it is.
        size: how many elements it has there.
        number: how many taps there are.
        places: how many elements the result has.
        stride: from one place of the window to the next.
        step: from one tap to the next.
        dilated: from one element of the operand to the next.
        low: elements in front of the first one.
        turned: whether the result runs backwards.
    """

    axis: int
    size: int
    number: int
    places: int
    stride: int
    step: int
    dilated: int
    low: int
    turned: bool

    @property
    def high(self) -> int:
        """Elements behind the last one; those that are left out, if below zero."""
        read = self.stride * (self.places - 1) + self.step * (self.number - 1) + 1
        return read - (self.dilated * (self.size - 1) + 1) - self.low


@dataclass(frozen=True)
class Pooling(Value):
    """A reduction along windows.

    Attributes:
        reduce: how contributions combine; none is a mean.
        axes: the names of the axes of the operand, and then of the reduced array, which stay where
            they are.
        result: the same in the order that the result has.
        taps: how some of the axes are read.
    """

    reduce: str
    axes: Labels
    result: Labels
    taps: tuple[Taps, ...]

    @property
    def order(self) -> tuple[int, ...]:
        """Where each axis of the result is in the reduced array."""
        return tuple(self.axes.index(name) for name in self.result)


def pooling(division: Division) -> Pooling:
    """The pooling that the product of a divided contraction of one operand is.

    Example:
        >>> from contractconv.engines.portable.divisions import divided
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("b (2*i+k-1) c -> b c i"), [(8, 9, 3)], {"k": 3})
        >>> found = pooling(divided(problem, 3))
        >>> found.axes, found.order
        (('b', '(2*i+k-1)', 'c'), (0, 2, 1))
        >>> found.taps[0].stride, found.taps[0].low, found.taps[0].high
        (2, 1, 1)
    """
    product = division.product
    renamed = {name: m.name for m in division.meetings for name in m.access.names}
    axes, result = (
        tuple(renamed.get(a.names[0], a.names[0]) for a in term)
        for term in (*product.operands, product.output)
    )
    taps = tuple(_taps(product, meeting, axes) for meeting in division.meetings)
    return Pooling(product.reduce, axes, result, taps)


def _taps(product: Problem, meeting: Meeting, axes: Labels) -> Taps:
    access, extents = meeting.access, product.extents
    held, free = sorted(
        zip(access.terms, meeting.places, strict=True), key=lambda pair: pair[1] is None
    )
    (name, step), ((tap, tap_step), _) = held[0], free
    # divisor*position - step*index = tap_step*tap + offset
    sizes, steps = [access.size, extents[name]], [access.divisor, -step]
    if meeting.term:
        sizes.reverse()
        steps.reverse()
    sign = 1 if steps[0] > 0 else -1
    read, made, tap_step, offset = (sign * n for n in (*steps, tap_step, access.offset))
    # Taps may come in any order; places may not.
    if tap_step < 0:
        offset += tap_step * (extents[tap] - 1)
    if made > 0:
        offset -= made * (sizes[1] - 1)
    return Taps(
        axes.index(meeting.name), sizes[0], extents[tap], sizes[1], abs(made), abs(tap_step), read,
        -offset, made > 0,
    )  # fmt: skip
