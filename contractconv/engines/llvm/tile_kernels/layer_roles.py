"""A leaf with windows as a layer: which index is of tiles, lines, batch, channels or columns.

Channels are of the data, columns of what they are multiplied with. Kernels run along both, so both
have to lie in memory like one axis, number beside number. Tables of offsets say where the elements
of tiles lie, for any stride and any boundary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from contractconv.arrays.views import Array, gapless, steps_of
from contractconv.cache_register import kept
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.moved_axes import Moved, lanes_last, lie_side_by_side
from contractconv.engines.llvm.packing import Strides
from contractconv.engines.llvm.program import offsets
from contractconv.lazy import remembered
from contractconv.notation.problem import Access, Accesses, Problem, shape_of
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.roles import Labels, roles
from contractconv.planning.scatter_phases import Window, pads_beside
from contractconv.tiles.decomposition import Decomposition, decomposition

# The number of the result among the terms, behind those of two operands.
RESULT_TERM = 2
# Values of indices that all three sides have: each of them has calls of its own.
_MOST_BATCHES = 128


@dataclass(frozen=True, slots=True)
class Side:
    """An operand, or the result, as the kernels see it.

    Attributes:
        region: its name among the regions of memory.
        steps: for each index, bytes from one value to the next.
        start: bytes to its first point, where window axes begin at position 0.
    """

    region: str
    steps: Mapping[str, int]
    start: int


@dataclass(frozen=True, slots=True)
class Lane:
    """Indices that kernels run along as if they were one.

    Attributes:
        size: how many values they have together.
        first: bytes from one value to the next where they are read.
        second: likewise, on the other side that has them.
    """

    size: int
    first: int
    second: int


class Tensor(NamedTuple):
    """What one factor of the decompositions applies to: data, results or taps.

    Attributes:
        is_result: whether it is what is computed.
        lane: bytes from one lane to the next.
        line: bytes from one tile to the next, if every tile is a line of its own; otherwise 0.
        lines: where the lines of tiles begin.
        tiles: where the elements of the tiles of a line lie.
        tiles_a_line: how many tiles that is.
    """

    is_result: bool
    lane: int
    line: int
    lines: Array
    tiles: Array
    tiles_a_line: int


@dataclass(frozen=True)
class Layer:
    """A leaf whose indices have found their places.

    Attributes:
        axes: its window axes, cut into tiles.
        data: the operand that is read through windows.
        lines: the indices that count lines of tiles.
        batch: the indices that all three sides have.
        channels: those of the data, and of what else has them.
        columns: those of the other operand, and of the result.
        is_forward: whether the other operand has the taps; otherwise the result has.
    """

    problem: Problem
    axes: tuple[Axis, ...]
    data: Side
    other: Side
    out: Side
    lines: Labels
    batch: Labels
    channels: Lane
    columns: Lane
    dtype: str
    is_forward: bool

    @staticmethod
    def of(
        problem: Problem,
        windows: Sequence[Window],
        outputs: Sequence[int],
        strides: tuple[Strides, Strides, Strides],
        dtype: str,
    ) -> Layer | None:
        """Find a place for every index; ``None`` if one has none, or if numbers lie apart.

        The arguments are those of
        :func:`contractconv.engines.llvm.tile_kernels.tiled_product.prepared`.
        """
        groups = _groups(problem, windows)
        if groups is None:
            return None
        which, role = windows[0].operand, windows[0].role
        data, other, out = _sides(problem, windows, strides)
        meeting = other if role == "forward" else out
        size = native.number(dtype).size
        channels = _lane(groups.channels, problem, data.steps, meeting.steps, size)
        columns = _lane(groups.columns, problem, other.steps, out.steps, size)
        if channels is None or columns is None or not _are_dense(channels, columns, role, dtype):
            return None
        axes = tuple(
            Axis(w.result, w.tap, problem.operands[which][w.axis], size, problem.extents[w.result],
                 problem.extents[w.tap], strides[which][w.axis])
            for w, size in zip(windows, outputs, strict=True)
        )  # fmt: skip
        return Layer(
            problem, axes, data, other, out, groups.lines, groups.batch, channels, columns,
            dtype, role == "forward",
        )  # fmt: skip

    @remembered
    def parts(self) -> tuple[Decomposition, ...]:
        """The decomposition of a tile of each axis."""
        return tuple(decomposition(axis.outputs, axis.taps) for axis in self.axes)

    @property
    def products(self) -> int:
        """How many products a tile takes for each channel and column."""
        return prod(part.products for part in self.parts)

    @property
    def windows(self) -> int:
        """How many numbers all windows would be, written out one after the other.

        Those of the other phases, if windows move by more than one, count as well.
        """
        phases = prod(abs(dict(axis.data.terms)[axis.result]) for axis in self.axes)
        return phases * self.problem.points // self.columns.size

    @property
    def tiles_a_line(self) -> int:
        """How many tiles cover the window axes."""
        return prod(axis.tiles for axis in self.axes)

    @property
    def tiles(self) -> int:
        """How many tiles there are on all lines."""
        return self.tiles_a_line * prod(self.problem.extents[n] for n in self.lines)

    def loops(self, labels: Sequence[str], side: Side) -> list[tuple[int, int]]:
        """Extent and step of some indices on one side."""
        return [(self.problem.extents[n], side.steps.get(n, 0)) for n in labels]

    def tensor(self, letter: Letter) -> Tensor:
        """What a factor applies to: ``"a"`` to data, ``"b"`` to results, ``"c"`` to taps."""
        side, axes = self._side(letter), self.axes
        is_result = side is self.out
        lane = self.columns.second if is_result else self.columns.first
        if letter == "a":
            lane = self.channels.first
        steps = [axis.step(letter, side.steps) for axis in axes]
        table = element_table([axis.places(letter) for axis in axes], steps)
        if letter == "c":
            line = self.channels.second
            return Tensor(is_result, lane, line, offsets((self.channels.size, line)), table, 1)
        lines = offsets(*self.loops(self.lines, side))
        return Tensor(is_result, lane, 0, lines, table, self.tiles_a_line)

    def _side(self, letter: Letter) -> Side:
        if letter == "a":
            return self.data
        return self.other if (letter == "c") == self.is_forward else self.out

    def batches(self) -> Iterator[tuple[int, int, int]]:
        """For every value of the batch indices the bytes to add to each side."""
        tables = [offsets(*self.loops(self.batch, s)) for s in (self.data, self.other, self.out)]
        for a, b, c in zip(*tables, strict=True):
            yield self.data.start + int(a), self.other.start + int(b), self.out.start + int(c)


def lanes(problem: Problem, windows: Sequence[Window]) -> tuple[Labels, Labels] | None:
    """The indices that kernels run along: the channels and the columns, of several values each.

    Args:
        windows: its windows, all of one operand and of one role.

    Returns:
        Both; ``None`` if there is no place in the scheme for an index, for padding along other axes
        or for so many batches.
    """
    groups = _groups(problem, windows)
    if groups is None:
        return None
    channels, columns = (
        tuple(n for n in labels if problem.extents[n] > 1)
        for labels in (groups.channels, groups.columns)
    )
    return channels, columns


@kept(most=2048)
def fits(problem: Problem, windows: tuple[Window, ...], dtype: str) -> bool:
    """Whether there is a layer for arrays without gaps, or for copies in which lanes lie last."""
    found = lanes(problem, windows)
    if found is None:
        return False
    along = lanes_by_term(windows, found)
    size = native.number(dtype).size
    first, second, third = (
        _laid(term, along.get(n, ()), size)
        for n, term in enumerate((*problem.operands, problem.output))
    )
    whole = tuple(1 for _ in windows)
    return Layer.of(problem, windows, whole, (first, second, third), dtype) is not None


def lanes_by_term(windows: Sequence[Window], found: tuple[Labels, Labels]) -> dict[int, Labels]:
    """What kernels run along, of the :func:`lanes`, in each term that has to lie so.

    Operands go by their numbers, the result by the number behind those.
    """
    which, (channels, columns) = windows[0].operand, found
    along = {which: channels, RESULT_TERM: columns}
    if windows[0].role == "kernel":
        along[1 - which] = columns
    return along


def _laid(term: Accesses, along: Labels, size: int) -> Strides:
    """The strides of an array without gaps, or of a copy of it along some indices."""
    shape = shape_of(term)
    strides = gapless(shape, size)
    if lie_side_by_side(term, strides, along, size):
        return strides
    return Moved("", shape, strides, lanes_last(term, along), size).seen


class _Groups(NamedTuple):
    """The indices of no window, by who has them."""

    lines: Labels
    batch: Labels
    channels: Labels
    columns: Labels


def _groups(problem: Problem, windows: Sequence[Window]) -> _Groups | None:
    if pads_beside(problem, windows):
        return None
    which, opened = windows[0].operand, _opened(windows)
    data, other = ({*labels_of([problem.operands[n]])} - opened for n in (which, 1 - which))
    order = [n for n in problem.indices if n not in opened]
    batch, rows, columns, summed = roles(data, other, problem.kept, order)
    placed = {*batch, *rows, *columns, *summed} == {*order}
    if not placed or any((n in data) != (n in other) for n in summed):
        return None
    if volume(batch, problem.extents) > _MOST_BATCHES:
        return None
    if windows[0].role == "forward":
        return _Groups(rows, batch, summed, columns)
    return _Groups(summed, batch, rows, columns)


def _opened(windows: Sequence[Window]) -> set[str]:
    return {name for window in windows for name in (window.result, window.tap)}


def _sides(
    problem: Problem, windows: Sequence[Window], strides: tuple[Strides, Strides, Strides]
) -> tuple[Side, Side, Side]:
    """The data, the other operand, and the result."""
    which, opened = windows[0].operand, _opened(windows)

    def side(region: str, term: Accesses, steps: Strides) -> Side:
        return Side(region, steps_of(term, steps), _start(term, steps, opened))

    return (
        side(str(which), problem.operands[which], strides[which]),
        side(str(1 - which), problem.operands[1 - which], strides[1 - which]),
        side("out", problem.output, strides[2]),
    )


def _start(term: Accesses, strides: Strides, opened: set[str]) -> int:
    """Bytes to the first point; axes of the data that are opened begin at position 0."""

    def windowed(access: Access) -> bool:
        return len(access.terms) == 2 and set(access.names) <= opened

    return sum(a.offset * s for a, s in zip(term, strides, strict=True) if not windowed(a))


def _lane(
    labels: Labels, problem: Problem, first: Mapping[str, int], second: Mapping[str, int], size: int
) -> Lane | None:
    """Several indices as one, if they lie in memory like one; ``size`` is that of a number."""
    loops = [(problem.extents[n], first.get(n, 0), second.get(n, 0)) for n in labels]
    loops = sorted((loop for loop in loops if loop[0] > 1), key=lambda loop: abs(loop[1]))
    if not loops:
        return Lane(1, size, size)  # one number is its own neighbour
    many, a, b = loops[0]
    for outer in loops[1:]:
        if outer[1:] != (a * many, b * many):
            return None
        many *= outer[0]
    return Lane(many, a, b)


def _are_dense(channels: Lane, columns: Lane, role: str, dtype: str) -> bool:
    """Whether numbers are neighbours along both lanes, wherever tiles are cut.

    What lies outside of an array is read from a row of zeros, whose numbers are neighbours.
    """
    steps = [(channels.size, channels.first), (columns.size, columns.second)]
    if role == "kernel":
        steps.append((columns.size, columns.first))
    size = native.number(dtype).size
    return all(n == 1 or step == size for n, step in steps)


Letter = Literal["a", "b", "c"]
NOWHERE = -(1 << 60)


@dataclass(frozen=True, slots=True)
class Axis:
    """One window axis, cut into tiles.

    Attributes:
        result: the index that counts windows.
        tap: the index that counts the points of a window.
        data: how the data's axis is met: ``step*result + step*tap + offset`` or with a minus.
        outputs: values of ``result`` that a tile covers.
        taps: values of ``tap``.
        stride: bytes from one position on the data's axis to the next.
    """

    result: str
    tap: str
    data: Access
    outputs: int
    results: int
    taps: int
    stride: int

    @property
    def tiles(self) -> int:
        """How many tiles cover the results."""
        return -(-self.results // self.outputs)

    @property
    def flipped(self) -> bool:
        """Whether the window runs against its result: ``(i-k)``."""
        steps = dict(self.data.terms)
        return steps[self.tap] == -steps[self.result]

    def places(self, letter: Letter) -> Array:
        """Where the elements of tiles are on the axis that a factor applies to.

        Returns:
            A row for every tile, ``NOWHERE`` outside: positions on the data's axis, values of
            ``result``, or those of ``tap`` in the order in which every tile meets them.
        """
        if letter == "c":
            taps = np.arange(self.taps)
            return (taps[::-1] if self.flipped else taps).reshape(1, self.taps)
        first = np.arange(self.tiles) * self.outputs
        if letter == "b":
            places = np.add.outer(first, np.arange(self.outputs))
            return np.where(places < self.results, places, NOWHERE)
        element = np.arange(self.outputs + self.taps - 1) - self.flipped * (self.taps - 1)
        step = dict(self.data.terms)[self.result]
        places = step * np.add.outer(first, element) + self.data.offset
        return np.where((places >= 0) & (places < self.data.size), places, NOWHERE)

    def step(self, letter: Letter, steps: Mapping[str, int]) -> int:
        """Bytes from one of these places to the next, given those of the indices."""
        return self.stride if letter == "a" else steps[self.result if letter == "b" else self.tap]


def element_table(places: Sequence[Array], strides: Sequence[int]) -> Array:
    """Offsets in bytes of the elements of every tile: the tiles, then the elements of one.

    Args:
        places: for each window axis, rows of positions, one row for every tile along it.
        strides: for each window axis, bytes from one position to the next.
    """
    total = np.zeros((1, 1), np.int64)
    for rows, stride in zip(places, strides, strict=True):
        here = np.where(rows == NOWHERE, NOWHERE, rows * stride)
        both = total[:, None, :, None] + here[None, :, None, :]
        both = np.where(both < NOWHERE // 2, NOWHERE, both)
        total = both.reshape(total.shape[0] * rows.shape[0], -1)
    return np.ascontiguousarray(total).reshape(-1)
