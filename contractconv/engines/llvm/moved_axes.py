"""Programs that see operands, or the result, with their axes in another order in memory.

What kernels run along has to lie number beside number. Where it does not, an operand is copied
first, or the result last, as stages of the same program: in memory that all threads share, and
without Python in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from contractconv.arrays.views import gapless, steps_of
from contractconv.engines.llvm.packing import End, Strides, add_zeros, start_of
from contractconv.engines.llvm.program import Calls, Place, Program
from contractconv.engines.llvm.relayout import pieces
from contractconv.machine.memory import lines
from contractconv.notation.problem import Accesses, Problem, Shape
from contractconv.planning.cost import volume

RESULT = "out"


class Moved(NamedTuple):
    """An array that a program sees in another order.

    Attributes:
        region: what it is called in the program.
        shape: its shape.
        strides: its strides, in bytes.
        order: its axes in the order in which they lie in the copy.
        itemsize: bytes of a number.
    """

    region: str
    shape: Shape
    strides: Strides
    order: tuple[int, ...]
    itemsize: int

    @property
    def seen(self) -> Strides:
        """The strides of the copy, axis by axis."""
        packed = gapless([self.shape[n] for n in self.order], self.itemsize)
        return tuple(packed[self.order.index(n)] for n in range(len(self.order)))

    @property
    def bytes(self) -> int:
        """How many the copy has."""
        return prod(self.shape) * self.itemsize


def lie_side_by_side(
    accesses: Accesses, strides: Strides, along: Collection[str], size: int
) -> bool:
    """Whether numbers are neighbours along the last of some indices; ``size`` is that of one."""
    steps = steps_of(accesses, strides)
    found = [steps[name] for name in along if name in steps]
    return not found or min(found, key=abs) == size


def lanes_last(accesses: Accesses, along: Collection[str]) -> tuple[int, ...]:
    """The axes, those of some indices last."""
    return tuple(
        sorted(range(len(accesses)), key=lambda n: bool(set(accesses[n].names) & {*along}))
    )


def between_copies(
    program: Program,
    moves: Sequence[Moved],
    problems: Sequence[Problem],
    dtype: str,
    adding: bool,
    threads: int,
) -> Program:
    """A program on arrays as they lie, from one that sees some of them moved.

    Args:
        program: sees what is moved as if it lay so.
        moves: what is moved; without anything the program is returned as it is.
        problems: the leaves that it carries out, which write different elements.
        adding: whether results are added to what is there.
        threads: how many share the copying.
    """
    if not moves:
        return program
    shared, places = lines(program.shared), {}
    copies = [(moved, name) for moved in moves for name in _names(moved, program)]
    for moved, name in copies:
        places[name] = shared
        shared += lines(moved.bytes)
    before: list[Calls] = []
    behind: list[list[Calls]] = []
    for moved, name in copies:
        here, there = Place(moved.region), Place("shared", places[name])
        if moved.region != RESULT:
            ends = End(here, moved.strides), End(there, moved.seen)
            before += pieces(dtype, moved.shape, *ends, False, threads)
            continue
        if name != RESULT:
            before.append(_cleared(dtype, moved, there))
        also = adding or name != RESULT
        parts = _parts(moved, problems, there, here)
        behind.append([c for part in parts for c in pieces(dtype, *part, also, threads)])
    inside = [[calls.placed("shared", places) for calls in stage] for stage in program.stages]
    stages = [stage for stage in (before, *inside, *behind) if stage]
    return replace(
        program, stages=stages, shared=shared, common=None,
        copies=1 if RESULT in places else program.copies,
    )  # fmt: skip


def _names(moved: Moved, program: Program) -> list[str]:
    """What is copied: of a result, too, what other threads add to it."""
    return [RESULT, *program.further] if moved.region == RESULT else [moved.region]


def _cleared(dtype: str, moved: Moved, place: Place) -> Calls:
    calls = Calls()
    add_zeros(calls, dtype, prod(moved.shape), place)
    return calls


def _parts(
    moved: Moved, problems: Sequence[Problem], source: Place, target: Place
) -> Iterator[tuple[Shape, End, End]]:
    """What was made of a result, and where it belongs: all at once, if that is everything."""
    made = sum(volume(problem.kept, problem.extents) for problem in problems)
    if made == prod(moved.shape):
        yield moved.shape, End(source, moved.seen), End(target, moved.strides)
        return
    for problem in problems:
        names = [name for name, _ in problem.sizes if name in problem.kept]
        start, end = (
            _within(problem, place, strides, names)
            for place, strides in ((source, moved.seen), (target, moved.strides))
        )
        yield tuple(problem.extents[name] for name in names), start, end


def _within(problem: Problem, place: Place, strides: Strides, names: Sequence[str]) -> End:
    """What a leaf writes of a result, one axis for each of its indices."""
    steps = steps_of(problem.output, strides)
    first = Place(place.region, place.offset + start_of(problem.output, strides))
    return End(first, tuple(steps[name] for name in names))
