"""What takes part in a stretch: arrays by number, and the memory that each run has for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.maps.compiled_groups import OpenTable
from contractconv.execution.launches import Launch, Room, Shape
from contractconv.execution.programs.step_run import Line, Numbers
from contractconv.machine.memory import addresses, lines
from contractconv.machine.placement import LINE


class Lie(NamedTuple):
    """How an array lies in memory."""

    dtype: np.dtype[Any]
    strides: tuple[int, ...]


class Joining(NamedTuple):
    """How a step is part of a stretch.

    Attributes:
        lie: how the arrays lie that it reads.
        launch: its kernels; ``None`` if it is an array seen in another way.
    """

    lie: Sequence[Lie]
    launch: Launch | None


class Step(NamedTuple):
    """A step, and how it is part of a stretch."""

    line: Line
    lie: Sequence[Lie]
    launch: Launch | None


class Made(NamedTuple):
    """An array that room is made for.

    Attributes:
        number: its number, as it lies in memory.
        room: the array.
        seen: its number as others see it, if that is another way.
    """

    number: int
    room: Room
    seen: int | None


class Left(NamedTuple):
    """What is left to be done for a step behind all kernels."""

    arrays: Numbers
    work: Callable[[Sequence[Array]], Sequence[Array]]
    makes: Numbers


class Copied(NamedTuple):
    """An array that is copied before everything else."""

    array: int
    work: Callable[[Array], Array]
    number: int


class Layout:
    """Which arrays take part in a stretch; those that are its own have negative numbers.

    Attributes:
        rooms: for each step what room is made for.
        copied: what is copied before.
        left: what is left behind.
        regions: for each launch which array a region is.
        zeros: arrays of zeros, with shapes and dtypes.
        tables: tables of addresses, and what else stands in them.
        lent: the arrays whose addresses stand in tables.
        which: for each place there which of these it is.
        places: those places, in all tables one behind the other.
        own: the last of its own numbers.
    """

    def __init__(self) -> None:
        self.rooms: list[list[Made]] = []
        self.copied: list[Copied] = []
        self.left: list[Left] = []
        self.regions: list[dict[str, int]] = []
        self.zeros: list[tuple[int, Shape, np.dtype[Any]]] = []
        self.tables: list[tuple[int, Array]] = []
        self.lent: list[int] = []
        self.which: list[Array] = []
        self.places: list[Array] = []
        self.own = 0

    def add(self, step: Step) -> None:
        """Add a step."""
        line, _, launch = step
        self.rooms.append([])
        if launch is None:
            return
        results = dict(zip(launch.made, line.makes, strict=True))
        numbers = (*line.reads, *self._made(launch, results), *self._zeros(launch))
        regions = {name: numbers[n] for name, n in launch.regions.items()}
        if launch.table is not None:
            regions["out"] = self._table(launch, launch.table, numbers)
        self.regions.append(regions)
        if launch.left is not None:
            late = sorted(n for n in launch.made if n >= len(launch.rooms))
            self.left.append(Left(numbers, launch.left, tuple(results[n] for n in late)))

    def _new(self) -> int:
        self.own -= 1
        return self.own

    def _made(self, launch: Launch, results: Mapping[int, int]) -> Iterator[int]:
        for n, room in enumerate(launch.rooms):
            if n not in results:  # the result is made of it in the end
                made = Made(self._new(), room, None)
            elif room.order in (None, (*range(len(room.shape)),)):
                made = Made(results[n], room, None)
            else:
                made = Made(self._new(), room, results[n])
            self.rooms[-1].append(made)
            yield made.number

    def _zeros(self, launch: Launch) -> Iterator[int]:
        for shape, dtype in launch.zeros:
            self.zeros.append((self._new(), shape, dtype))
            yield self.own

    def _table(self, launch: Launch, table: OpenTable, numbers: Numbers) -> int:
        here = [numbers[n] for n in launch.lent]
        for place, work in launch.copied.items():
            self.copied.append(Copied(here[place], work, self._new()))
            here[place] = self.own
        begin = sum(one.size for _, one in self.tables)
        self.places.append((begin + table.places).reshape(-1))
        self.which.append(np.tile(len(self.lent) + np.arange(len(here)), len(table.places)))
        self.lent += here
        self.tables.append((self._new(), table.numbers))
        return self.own


class OwnArrays(NamedTuple):
    """The memory of one run.

    Attributes:
        arrays: its arrays, by number.
        tables: all tables, one behind the other.
        rest: what is left to kernels.
    """

    arrays: dict[int, Array]
    tables: Array
    rest: Array


class OwnMemory:
    """What runs of a stretch take: tables of addresses, zeros, and what kernels ask for."""

    def __init__(self, layout: Layout, reserved: int) -> None:
        self._known = whole([table for _, table in layout.tables])
        tables = ((number, table.shape, table.dtype) for number, table in layout.tables)
        self._arrays: list[tuple[int, Shape, np.dtype[Any], int]] = []
        self._zeros = lines(self._add(tables, 0, 1))
        self._rest = self._add(layout.zeros, self._zeros, LINE)
        self.size = LINE + self._rest + reserved

    def _add(
        self, arrays: Iterable[tuple[int, Shape, np.dtype[Any]]], begin: int, multiple: int
    ) -> int:
        """Add arrays that lie one behind the other; return where they end."""
        for number, shape, dtype in arrays:
            self._arrays.append((number, shape, dtype, begin))
            size = prod(shape) * dtype.itemsize
            begin += -(-size // multiple) * multiple
        return begin

    def begun(self, raw: Array) -> OwnArrays:
        """The memory of a run, as it is before."""
        start = -addresses([raw])[0] % LINE
        raw = raw[start:]
        tables = raw[: self._known.nbytes].view(np.int64)
        tables[...] = self._known
        raw[self._zeros : self._rest] = 0
        arrays = {
            number: np.ndarray(shape, dtype, raw, begin)
            for number, shape, dtype, begin in self._arrays
        }
        return OwnArrays(arrays, tables, raw[self._rest :])


def whole(parts: Sequence[Array]) -> Array:
    """Arrays of integers, one behind the other."""
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
