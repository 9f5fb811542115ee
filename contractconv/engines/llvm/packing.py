"""How a block of a contraction reads an operand: where it lies, or from a small tidy copy.

A copy is made of the part that the block reaches, when that part ends outside the array (then
the copy is padded), when its numbers must be neighbours along one index and are not, or when many
rows read it panel by panel: then those of a panel follow each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

from contractconv.arrays.views import gapless, overlap, steps_of
from contractconv.engines.llvm.kernels import copy_loops
from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish
from contractconv.engines.llvm.kernels.product_loops import Panels
from contractconv.engines.llvm.maps.layouts import Layout
from contractconv.engines.llvm.program import Calls, Place, offsets
from contractconv.machine.placement import LINE
from contractconv.machine.work_sharing import evenly
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.planning.roles import Labels
from contractconv.planning.trimming import reaches_outside

Strides = tuple[int, ...]
# Fewer numbers are not worth a loop of their own, if there are more along another axis.
_SHORT = 8
# Squares that have fewer lines are not worth being turned.
FEW = 4
# Numbers that lie so far apart, at most, are shuffled from vectors, or into them.
_MOST_APART = 4
# Bytes from one number to the next, at least and in multiples of what, whose lines have few places
# in the first level of cache.
_FAR, _ALIKE = 1 << 11, 1 << 9
# Neighbours on both sides that are copied without a loop.
_SHORT_RUN = 16
# Numbers from which on a copy is made in parts.
_SHARED = 1 << 13


class Move(NamedTuple):
    """A view of an array that is copied into another one: where both begin, and their strides."""

    shape: tuple[int, ...]
    source: tuple[int, Strides]
    target: tuple[int, Strides]

    def in_panels(self, lanes: range, width: int, widest: int, itemsize: int) -> Iterator[Move]:
        """The same for some of the last axis, which goes into panels: see :class:`Copy`."""
        (source, there), (target, here) = self.source, self.target
        full, rest = divmod(len(lanes), width)
        for start, sizes in ((lanes.start, (full, width)), (lanes.stop - rest, (1, rest))):
            before = lanes.start + (start - lanes.start) // width * widest
            yield Move(
                (*self.shape[:-1], *sizes),
                (source + start * there[-1], (*there[:-1], width * there[-1], there[-1])),
                (target + before * here[-1], (*here[:-1], widest * here[-1], itemsize)),
            )


@dataclass(frozen=True, slots=True)
class Copy:
    """A tidy copy of the part of an array that a block reaches.

    Attributes:
        shape: its shape, axes as in memory.
        strides: how many numbers lie from one to the next along each axis.
        order: which axis of the array each of its axes is.
        into: the part of the copy that lies inside the array.
        outof: the same part of the array.
        padded: whether there is another part, which is zero.
        panels: where the last axis is cut into panels, which follow each other: ranges of it whose
            panels are equally wide, with that width. Each panel has room for the widest one, which
            is the step of the axis before; then the step of the last axis is that over whole
            panels, for each number of the widest.
    """

    shape: tuple[int, ...]
    strides: Strides
    order: tuple[int, ...]
    into: tuple[slice, ...]
    outof: tuple[slice, ...]
    padded: bool
    panels: Panels = ()

    @property
    def elements(self) -> int:
        """How many numbers it holds, those included that lie between its own."""
        if self.panels:
            wide = self.panels[0][1]
            return self.strides[-1] * sum(wide * -(-len(r) // w) for r, w in self.panels)
        return self.shape[0] * self.strides[0] if self.shape else 1

    def shares(self, count: int) -> Iterator[Copy]:
        """Parts of the copy that can be made at the same time."""
        sizes = [part.stop - part.start for part in self.into]
        if self.padded or self.elements < _SHARED:
            yield self
            return
        whole = len(sizes) - bool(self.panels)  # axes before the one of panels, which stay whole
        axis = max(range(whole), key=lambda n: (sizes[n] >= count, -n))
        own = self.order[axis]
        for some in evenly(sizes[axis], count):
            into, outof = list(self.into), list(self.outof)
            into[axis], outof[own] = _within(into[axis], some), _within(outof[own], some)
            yield replace(self, into=tuple(into), outof=tuple(outof))

    def moves(self, strides: Strides, itemsize: int) -> Iterator[Move]:
        """What has to be moved from an array of these strides."""
        here = tuple(step * itemsize for step in self.strides)
        there = tuple(strides[axis] for axis in self.order)
        shape = tuple(part.stop - part.start for part in self.into)
        source = _dot([part.start for part in self.outof], strides)
        whole = Move(shape, (source, there), (_dot([p.start for p in self.into], here), here))
        if not self.panels:
            yield whole
        for lanes, width in self.panels:
            yield from whole.in_panels(lanes, width, self.panels[0][1], itemsize)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the numbers of an operand lie, seen from one block.

    Attributes:
        offset: bytes from the beginning of the array, or of the copy, to the first point.
        steps: for each index, bytes from one of its values to the next; between panels, if a copy
            has them.
        copy: what is copied beforehand; ``None`` if the array is read where it lies.
    """

    offset: int
    steps: Mapping[str, int]
    copy: Copy | None

    @property
    def panel(self) -> int:
        """Numbers of a panel of the copy, of the widest one; 0 if there are none."""
        return self.copy.panels[0][1] if self.copy is not None and self.copy.panels else 0


def _within(part: slice, some: range) -> slice:
    return slice(part.start + some.start, part.start + some.stop)


def reading(
    problem: Problem,
    accesses: Accesses,
    strides: Strides,
    itemsize: int,
    lanes: Labels,
    entire: bool = False,
    left_out: int | None = None,
) -> Reading:
    """Say how a block reads an operand.

    Args:
        strides: the strides of its array in bytes.
        lanes: indices along which numbers must be neighbours, the last one fastest.
        entire: whether a copy is of all the operand, so that other blocks can read it, too.
        left_out: an axis outside of which nothing will be read, whatever its accesses say.
    """
    boxes = [access.reach(problem.extents) for access in accesses]
    outside = any(
        n != left_out and reaches_outside(access, problem.extents)
        for n, access in enumerate(accesses)
    )
    if not outside:
        steps = steps_of(accesses, strides)
        if are_neighbours(lanes, steps, problem.extents, itemsize):
            return Reading(start_of(accesses, strides), steps, None)
    if entire and not outside:
        boxes = [(0, access.size - 1) for access in accesses]
    order = _memory_order(accesses, strides, lanes)
    ordered = [boxes[axis][1] - boxes[axis][0] + 1 for axis in order]
    tidy = _tidy_strides(ordered, itemsize, sum(_is_along(accesses[n], lanes) for n in order))
    return _from_copy(accesses, boxes, order, tidy, itemsize, outside)


def in_panels(
    accesses: Accesses,
    whole: tuple[Problem, Accesses],
    strides: Strides,
    itemsize: int,
    lane: str,
    panels: Panels,
) -> Reading:
    """Say how a block reads an operand from a copy whose panels follow each other.

    Args:
        accesses: of the operand, as the block says.
        whole: what is copied, for this block and others: a problem, and its accesses.
        lane: the index of the lanes, which has an axis of the operand for itself.
        panels: its values in what is copied, see :class:`Copy`.
    """
    boxes = [access.reach(whole[0].extents) for access in whole[1]]
    outside = any(reaches_outside(access, whole[0].extents) for access in whole[1])
    order = _memory_order(accesses, strides, (lane,))
    others = [boxes[axis][1] - boxes[axis][0] + 1 for axis in order[:-1]]
    tidy = (*gapless(others, panels[0][1]), prod(others))
    read = _from_copy(accesses, boxes, order, tidy, itemsize, outside, panels)
    start = accesses[order[-1]].offset - boxes[order[-1]][0]
    ahead = (_before(start, panels) - start) * tidy[-1] * itemsize
    return replace(read, offset=read.offset + ahead)


def _before(start: int, panels: Panels) -> int:
    """Lanes before a panel that begins at one of them, if all panels were as wide as the widest."""
    lanes, width = next((lanes, width) for lanes, width in panels if start in lanes)
    return lanes.start + (start - lanes.start) // width * panels[0][1]


def _from_copy(
    accesses: Accesses,
    boxes: Sequence[tuple[int, int]],
    order: tuple[int, ...],
    tidy: Strides,
    itemsize: int,
    padded: bool,
    panels: Panels = (),
) -> Reading:
    """Read an operand from a copy of the part in some boxes, with its axes in some order."""
    packed = dict(zip(order, tidy, strict=True))
    copied = tuple(packed[axis] * itemsize for axis in range(len(boxes)))
    first = _dot([a.offset - low for a, (low, _) in zip(accesses, boxes, strict=True)], copied)
    both = [overlap(*box, access.size) for box, access in zip(boxes, accesses, strict=True)]
    copy = Copy(
        tuple(boxes[axis][1] - boxes[axis][0] + 1 for axis in order), tidy, order,
        tuple(both[axis][0] for axis in order), tuple(outof for _, outof in both), padded, panels,
    )  # fmt: skip
    return Reading(first, steps_of(accesses, copied), copy)


def _is_along(access: Access, lanes: Labels) -> bool:
    return any(name in lanes for name in access.names)


def _tidy_strides(shape: Sequence[int], itemsize: int, lanes: int) -> Strides:
    """The strides of a copy in numbers, the last axes being those of the lanes, without gaps.

    What lies so far apart that all of it is kept in the same few lines of the cache is moved apart
    by one line more.
    """
    strides, step = list[int](), 1
    for n, size in enumerate(reversed(shape)):
        bytes_apart = step * itemsize
        if n >= lanes and size > 1 and bytes_apart >= _FAR and bytes_apart % _ALIKE == 0:
            step += LINE // itemsize
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def writing(
    problem: Problem,
    strides: Strides,
    itemsize: int,
    lanes: Labels,
    labels: Sequence[str],
    *,
    tidy: bool = False,
) -> tuple[Reading, bool]:
    """Say how a block writes the result.

    Args:
        strides: those of the whole result in bytes.
        lanes: the indices along which numbers are written side by side, the last one fastest.

    Returns:
        Where its numbers go, and whether that is a tidy array (with the axes ``labels``, then
        ``lanes``) that is put into the result afterwards.
    """
    steps = steps_of(problem.output, strides)
    if are_neighbours(lanes, steps, problem.extents, itemsize) and not tidy:
        return Reading(start_of(problem.output, strides), steps, None), False
    names = (*labels, *lanes)
    packed = gapless([problem.extents[name] for name in names], itemsize)
    return Reading(0, dict(zip(names, packed, strict=True)), None), True


def are_neighbours(
    lanes: Labels, steps: Mapping[str, int], extents: Mapping[str, int], itemsize: int
) -> bool:
    """Whether numbers lie side by side along some indices, the last one fastest."""
    onward = itemsize
    for name in reversed(lanes):
        if steps.get(name) != onward:
            return False
        onward *= extents[name]
    return True


def start_of(accesses: Accesses, strides: Strides) -> int:
    """Bytes from the beginning of an array to where all indices are zero."""
    return _dot([access.offset for access in accesses], strides)


def _dot(numbers: Sequence[int], strides: Strides) -> int:
    return sum(number * stride for number, stride in zip(numbers, strides, strict=True))


def _memory_order(accesses: Accesses, strides: Strides, lanes: Labels) -> tuple[int, ...]:
    """The axes as they lie in memory, but those of the lanes last."""

    def place(axis: int) -> tuple[int, int]:
        found = (1 + lanes.index(n) for n in accesses[axis].names if n in lanes)
        return max(found, default=0), -abs(strides[axis])

    return tuple(sorted(range(len(accesses)), key=place))


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
    views = Views(shape, source.strides, target.strides)
    if not finish.bias:  # each axis has one of its own
        views = views.joined()
    size = 4 if dtype == "float32" else 8
    plain = not adding and finish == RAW
    how, inner = views.inner(size, finish.bias, plain)
    along, apart = inner, 1
    if how == "short runs":
        along, apart = inner[1:], views.shape[inner[0]]
    elif how in ("spread", "thinned"):
        apart = views.apart(inner[0], size)
    places = {
        copy_loops.SOURCE: source.place,
        copy_loops.TARGET: target.place,
        copy_loops.BIAS: bias,
    }
    arguments = places | views.along(along) | views.around(inner)
    calls.call(copy_loops.kernel(dtype, how, adding, finish, apart), arguments)


class Views(NamedTuple):
    """Two views of one shape, by their strides."""

    shape: tuple[int, ...]
    source: Strides
    target: Strides

    def joined(self) -> Views:
        """The same, with axes as one that lie like one in both: squares are filled then."""
        order = sorted(range(len(self.shape)), key=lambda n: -abs(self.target[n]))
        sizes, source, target = (tuple(one[n] for n in order) for one in self)
        layout = Layout.of(sizes, (source, target))
        return Views(layout.sizes, *layout.steps)

    @property
    def _axes(self) -> list[int]:
        return [n for n, extent in enumerate(self.shape) if extent > 1]

    def inner(self, size: int, biased: bool, plain: bool) -> tuple[str, list[int]]:
        """Which kernel copies numbers of this size, and the axes of its innermost loops.

        The first axis is the one along which they go, the last the one along which they come; where
        runs are short, the one along which there are more of them.

        Args:
            plain: whether numbers are only copied.
        """
        here = [n for n in self._axes if self.target[n] == size]
        there = [n for n in self._axes if self.source[n] == size]
        both = [n for n in here if n in there]
        if both:
            others = [n for n in self._axes if n not in both[:1]]
            if plain and others and self.shape[both[0]] <= _SHORT_RUN:
                return "short runs", [both[0], min(others, key=lambda n: abs(self.source[n]))]
            return "runs", both[:1]
        if here and there and (biased or min(self.shape[here[0]], self.shape[there[0]]) >= FEW):
            return "squares", [here[0], there[0]]
        near = [] if biased else [n for n in self._axes if 1 < self.apart(n, size) <= _MOST_APART]
        if near:
            longest = max(near, key=self.shape.__getitem__)
            return "spread" if self.source[longest] == size else "thinned", [longest]
        # A bias is along the axis on which they go; else a long axis is best along which numbers
        # are near each other.
        apart = sorted(self._axes, key=lambda n: (self.shape[n] < _SHORT, abs(self.target[n])))
        return "points", (here if biased else apart)[:1]

    def apart(self, axis: int, size: int) -> int:
        """How many numbers lie from one to the next along an axis where they are no neighbours.

        Returns:
            0 if they are neighbours on neither side.
        """
        near, far = sorted((self.source[axis], self.target[axis]))
        return far // size if near == size and far % size == 0 else 0

    def along(self, inner: list[int]) -> dict[int, Any]:
        """The arguments of the innermost loops."""
        if not inner:
            return {copy_loops.ALONG_TARGET: 1}
        first, last = inner[0], inner[-1]
        return {
            copy_loops.ALONG_TARGET: self.shape[first], copy_loops.SOURCE_STEP: self.source[first],
            copy_loops.ALONG_SOURCE: self.shape[last], copy_loops.TARGET_STEP: self.target[last],
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
            copy_loops.OUTER: len(source),
            copy_loops.OUTER_SOURCE: source,
            copy_loops.OUTER_TARGET: target,
        }


def add_zeros(calls: Calls, dtype: str, elements: int, target: Place) -> None:
    """Append the call that fills so many neighbours with zeros."""
    arguments = {
        copy_loops.SOURCE: 0,
        copy_loops.TARGET: target,
        copy_loops.OUTER: 1,
        copy_loops.OUTER_SOURCE: offsets(),
        copy_loops.OUTER_TARGET: offsets(),
        copy_loops.ALONG_TARGET: elements,
    }
    calls.call(copy_loops.kernel(dtype, "zeros"), arguments)
