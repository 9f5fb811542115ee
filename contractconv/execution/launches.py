"""Work that is nothing but calls of kernels: what is called, and which memory takes part.

Its arrays have numbers: first come those that it reads, then those that it makes, then zeros to
which it adds, of which something is made at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.maps.compiled_groups import OpenTable, SharedLoop
from contractconv.engines.llvm.maps.joined_groups import JoinedLoops
from contractconv.engines.llvm.program import Program, add_copies

# Calls beyond which work takes so long that nobody notices what Python does before it.
_MOST_CALLS = 1 << 10
# Results that threads add to: so many regions of memory, of which there may not be too many.
_MOST_COPIES = 32

Shape = tuple[int, ...]
Given = Sequence[Array]


class Room(NamedTuple):
    """A new array without gaps.

    Attributes:
        order: in which others see its axes, if not as they lie in memory.
    """

    shape: Shape
    dtype: np.dtype[Any]
    order: tuple[int, ...] | None = None


class Launch(NamedTuple):
    """Calls of kernels, for arrays that lie in memory in a certain way.

    Attributes:
        program: the calls.
        regions: which array each of its regions is.
        rooms: the arrays that it makes.
        zeros: shapes and dtypes of the zeros that it adds to.
        made: the results in order, each by its number among the rooms and then what is left.
        left: what makes results of all arrays that took part, behind the calls.
        table: a table in which addresses of arrays stand; it is the region ``"out"``.
        lent: the arrays whose addresses stand in it, in order.
        copied: how those of them are copied before that are, by their places among these.
    """

    program: Program
    regions: Mapping[str, int]
    rooms: Sequence[Room]
    zeros: Sequence[tuple[Shape, np.dtype[Any]]] = ()
    made: Sequence[int] = (0,)
    left: Callable[[Given], Sequence[Array]] | None = None
    table: OpenTable | None = None
    lent: Sequence[int] = ()
    copied: Mapping[int, Callable[[Array], Array]] = MappingProxyType({})

    @property
    def leads_to(self) -> int:
        """How many regions of memory its calls lead to."""
        return len(self.regions) + (self.table is not None)


class Kernels(NamedTuple):
    """A contraction that a program of kernels carries out.

    Attributes:
        program: the calls.
        regions: for each region that is read the number of an operand, the bias being the last.
        room: the result.
    """

    program: Program
    regions: Mapping[str, int]
    room: Room

    def launch(self, reads: int) -> Launch:
        """It as a launch that reads so many arrays."""
        regions, further = {**self.regions, "out": reads}, self.program.further
        if not further:
            return Launch(self.program, regions, [self.room])
        regions |= {name: reads + n for n, name in enumerate(further, 1)}
        zeros = [(self.room.shape, self.room.dtype)] * len(further)

        def left(arrays: Given) -> Sequence[Array]:
            add_copies(arrays[reads], arrays[reads + 1 :])
            return arrays[reads : reads + 1]

        return Launch(self.program, regions, [self.room], zeros, (1,), left)


def kernels_of(program: Program, regions: Mapping[str, int], out: Array) -> Kernels | None:
    """The kernels of a program that fills an array like the one given, if they are few."""
    if program.size > _MOST_CALLS or program.copies > _MOST_COPIES:
        return None
    return Kernels(program, regions, Room(out.shape, out.dtype))


def launch_of_maps(
    loop: SharedLoop, reads: int, rooms: Sequence[Room], made: Sequence[int]
) -> Launch | None:
    """Maps as a launch.

    Args:
        loop: the kernel.
        reads: how many arrays it reads.
        rooms: the arrays that it fills.
        made: the order of its results, sums being behind the rooms.
    """
    if loop.program.size > _MOST_CALLS:
        return None
    zeros, first = loop.parts, reads + len(rooms)
    whole = first + len(zeros)

    def left(arrays: Given) -> Sequence[Array]:
        return loop.totals(arrays[first:])

    # What is repeated are leaves, or parts, of which there is enough.
    copied = {n: loop.repeat for n in loop.repeated if n < reads}
    return Launch(
        loop.program, {}, rooms, zeros, made, left if zeros else None,
        loop.open_table(whole), range(whole), copied,
    )  # fmt: skip


def launch_of_groups(
    loops: JoinedLoops, leaves: Sequence[int], reads: int, rooms: Sequence[Room]
) -> Launch:
    """Several groups of maps as a launch.

    Args:
        loops: their kernels.
        leaves: which array each of their leaves is.
        reads: how many arrays are read.
        rooms: the arrays that they fill.
    """
    made = range(len(rooms))
    lent = [*leaves, *(reads + n for n in made)]
    return Launch(loops.program, {}, rooms, (), made, None, loops.open_table, lent, loops.repeats)
