"""Kernels of groups of maps: rows of vectors, wherever the arrays lie.

A kernel goes through rows of an index space, one axis of which runs along the lanes. Where each
array is, is counted on from row to row, as an odometer counts; so there may be any number of axes,
and one kernel does for all sizes. An index as a value is an array without memory: where it "lies"
is what it is.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.cache_register import kept
from contractconv.disk_cache import code_of
from contractconv.engines.llvm.kernels.native import Native, build, registers
from contractconv.engines.llvm.maps.straight_code import Code, Instruction
from contractconv.programs.kinds import itemsize

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
    from contractconv.engines.llvm.maps.vector_kinds import Lanes

    # Where a vector is in a row: its first number, how many of its lanes count, and their mask;
    # of a whole vector there is neither of these.
    Part = tuple[Int, Int | None, Any]
    # What is done with memory for one vector, and how it is done for the vector somewhere.
    Do = Callable[[Part], Sequence[Vector]]
    Way = Callable[[Do], Sequence[Vector]]

# How an array lies along the lanes: as neighbours, as one element for all of them, or apart.
UNIT, REPEATED, APART = "unit", "repeated", "apart"
# Places in the table of arguments, behind which those of the arrays, and what is told, begin.
ROWS, COUNT, RANK, ARRAYS = range(4)
# The record of an axis: its size, where on it the first row is; and then bytes for each array.
SIZE, AT, STEPS = range(3)


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand in the table of arguments of a group's kernel.

    The arrays are the leaves, the results, the sums, what is kept, and the positions.

    Attributes:
        arrays: how many there are.
        told: how many numbers are told.
    """

    arrays: int
    told: int

    @property
    def bases(self) -> int:
        """The addresses of the arrays."""
        return ARRAYS

    @property
    def offsets(self) -> int:
        """Bytes in each of them before the first row."""
        return ARRAYS + self.arrays

    @property
    def lanes(self) -> int:
        """Bytes from lane to lane."""
        return ARRAYS + 2 * self.arrays

    @property
    def numbers(self) -> int:
        """Numbers that are told."""
        return ARRAYS + 3 * self.arrays

    @property
    def axes(self) -> int:
        """The records of the axes over rows, the innermost one first."""
        return self.numbers + self.told

    @property
    def record(self) -> int:
        """The length of a record."""
        return STEPS + self.arrays

    def width(self, rank: int) -> int:
        """The length of the table, for so many axes over rows."""
        return self.axes + rank * self.record


def places_of(code: Code) -> Places:
    """Where the arguments of a group's kernel stand."""
    arrays = code.leaves + code.positions + len(code.outputs) + len(code.sums) + code.rooms
    return Places(arrays, code.told)


@kept(most=1024)
def kernel(code: Code, forms: tuple[str, ...]) -> Native:
    """The kernel of a group.

    Args:
        code: what is done.
        forms: how each array lies along the lanes; results are neighbours. A sum that is the same
            for all lanes has an element for each of them, all of which are added up later.

    Raises:
        UnfitError: no kernel can be made here.
    """
    dtypes = {instruction.dtype for instruction in code.instructions} | set(code.stored)
    # Of truth values alone, a register takes as many as possible.
    narrow = dtypes & {"float16", "float32", "int32"} or dtypes == {"bool"}
    name = f"maps_{len(code.instructions)}_{'_'.join(sorted(dtypes))}"

    def write(emitter: Emitter) -> None:
        Maps(emitter, code, forms).write()

    identity = (code, forms, registers(), writers())
    return build(name, "float32" if narrow else "float64", write, identity)


@kept(most=1)
def writers() -> str:
    """What stands in the modules that write these kernels."""
    room = sys.modules[__name__.rpartition(".")[0]]
    modules = pkgutil.iter_modules(room.__path__)
    return code_of(f"{room.__name__}.{module.name}" for module in modules)


def nowhere(e: Emitter) -> Part:
    """Where values are that need no memory."""
    return e.whole(0), None, None


class Maps:
    """Writes the loops of one group."""

    def __init__(self, e: Emitter, code: Code, forms: tuple[str, ...]) -> None:
        # Late: whatever writes kernels needs the compiler.
        from contractconv.engines.llvm.maps.vector_kinds import lanes_of
        from contractconv.engines.llvm.maps.vector_maps import carried_out

        self.e, self.code, self.places = e, code, places_of(code)
        self.forms = forms
        dtypes = {i.dtype for i in code.instructions} | {i.made for i in code.instructions}
        dtypes |= set(code.stored)
        self.kinds: dict[str, Lanes] = {dtype: lanes_of(e, dtype) for dtype in sorted(dtypes)}
        self.carried_out = carried_out

    def write(self) -> None:
        """Write the loop over rows."""
        e = self.e
        self.told = [
            self.kinds[i.dtype].told(e.argument(self.places.numbers + int(i.value)))
            if i.does == "told"
            else None
            for i in self.code.instructions
        ]
        self.count, self.rank = e.argument(COUNT), e.argument(RANK)
        self.steps = [e.argument(self.places.lanes + n) for n in range(self.places.arrays)]
        self.here, self.axis = e.scratch(self.places.arrays), e.scratch(1)
        for n in range(self.places.arrays):
            start = e.argument(self.places.bases + n) + e.argument(self.places.offsets + n)
            e.set_entry(self.here, n, start)
        e.repeat(0, e.argument(ROWS), self._row)

    def _row(self, _: Int) -> None:
        e = self.e
        self.starts = [e.entry_of(self.here, n) for n in range(self.places.arrays)]
        listed = enumerate(self.code.instructions)
        self.fixed = {n: v for n, i in listed if (v := self._given(n, i)) is not None}
        if registers()[1] >= 64:
            e.repeat(0, self.count, lambda first: self._vector(self._at(first)), e.number.lanes)
        else:
            e.lines(self.count, lambda first, some: self._vector(self._in(first, some)))
        self._advance()

    def _in(self, first: Int, some: Int | None) -> Way:
        part = first, some, self.e.mask(some)
        return lambda do: do(part)

    def _at(self, first: Int) -> Way:
        """With masks only at the end of a row, yet with one copy of what needs none."""
        left = self.count - first

        def way(do: Do) -> Sequence[Vector]:
            return self.e.either(
                left >= self.e.number.lanes,
                lambda: do((first, None, None)),
                lambda: do((first, left, self.e.mask(left))),
            )

        return way

    def _given(self, number: int, instruction: Instruction) -> Vector | None:
        return self._fixed(instruction, self.starts) or self.told[number]

    def _fixed(self, instruction: Instruction, starts: Sequence[Int]) -> Vector | None:
        """What is the same in a whole row, of what is given."""
        which = self._array(instruction)
        if which is None or self.forms[which] != REPEATED:
            return None
        if instruction.does == "position":
            return self.e.spread(starts[which].value)
        return self.kinds[instruction.dtype].repeated(starts[which])

    def _array(self, instruction: Instruction) -> int | None:
        """Which of the arrays an instruction reads."""
        if instruction.does == "leaf":
            return int(instruction.value)
        if instruction.does == "position":
            written = len(self.code.outputs) + len(self.code.sums) + self.code.rooms
            return self.code.leaves + written + int(instruction.value)
        return None

    def _vector(self, way: Way) -> None:
        """Carry everything out for one vector."""
        values = self._computed(way(self._all_read))
        way(lambda part: self._write_all(values, part))

    def _is_read(self, number: int) -> bool:
        """Whether an instruction is an array that is not the same in a whole row."""
        known = number in self.fixed
        return not known and self._array(self.code.instructions[number]) is not None

    def _all_read(self, part: Part) -> list[Vector]:
        """What is read for one vector."""
        return [
            self._value(instruction, {}, self.starts, part)
            for n, instruction in enumerate(self.code.instructions)
            if self._is_read(n)
        ]

    def _computed(self, read: Sequence[Vector]) -> dict[int, Vector]:
        """The values of all instructions, of what was read."""
        values, arrays = dict(self.fixed), iter(read)
        for n, instruction in enumerate(self.code.instructions):
            if self._is_read(n):
                values[n] = next(arrays)
            elif n not in values:
                values[n] = self._value(instruction, values, self.starts, nowhere(self.e))
        return values

    def _write_all(self, values: Mapping[int, Vector], part: Part) -> list[Vector]:
        """Write the results, and add to the sums."""
        first, _, mask = part
        results = zip(self.code.outputs, self.code.stored, strict=True)
        for n, (output, dtype) in enumerate(results, self.code.leaves):
            at = self.starts[n] + first * itemsize(dtype)
            self.kinds[dtype].store(values[output], at, mask)
        sums = zip(self.code.sums, self.code.summed, strict=True)
        for n, (factors, dtype) in enumerate(sums, self.code.leaves + len(self.code.outputs)):
            moved = first * itemsize(dtype) if self.forms[n] == UNIT else 0
            given = [values[factor] for factor in factors]
            self._add(self.kinds[dtype], given, self.starts[n] + moved, mask)
        return []

    def _add(self, lanes: Lanes, factors: Sequence[Vector], address: Int, mask: Any) -> None:
        """Add a value, or a product of two, to a sum in memory."""
        total = lanes.load(address, mask)
        added = lanes.call("fma", *factors, total) if len(factors) == 2 else total + factors[0]
        lanes.store(added, address, mask)

    def _value(
        self,
        instruction: Instruction,
        values: Sequence[Vector] | Mapping[int, Vector],
        starts: Sequence[Int],
        part: Part,
    ) -> Vector:
        lanes, which = self.kinds[instruction.dtype], self._array(instruction)
        if which is not None:
            return self._read(instruction, lanes, starts[which], self.steps[which], part)
        if instruction.does == "constant":
            return lanes.read(str(instruction.value))
        given = [values[n] for n in instruction.given]
        if instruction.does == "convert":
            source = self.code.instructions[instruction.given[0]].made
            return lanes.converted(given[0], self.kinds[source])
        return self.carried_out(lanes, instruction.does, given)

    def _read(
        self,
        instruction: Instruction,
        lanes: Lanes,
        start: Int,
        step: Int,
        part: Part,
    ) -> Vector:
        first, some, mask = part
        if instruction.does == "position":
            return lanes.counted(start + first)
        which = self._array(instruction)
        assert which is not None
        if self.forms[which] == UNIT:
            return lanes.load(start + first * itemsize(instruction.dtype), mask)
        return lanes.gather(start + first * step, step, some)

    def _advance(self) -> None:
        """Go on to the next row: along the innermost axis, or, at its end, along others."""
        e, own, record = self.e, self.e.own(), self.places.record * 8
        e.set_entry(self.axis, 0, e.whole(0))

        def test() -> tuple[Any, Int]:
            axis = e.entry_of(self.axis, 0)
            return axis < self.rank, axis

        def move(axis: Int | None) -> None:
            assert axis is not None
            at = own + self.places.axes * 8 + axis * record
            size, count = e.entry_of(at, SIZE), e.entry_of(at, AT) + 1
            inside = count < size
            e.set_entry(at, AT, e.chosen(inside, count, e.whole(0)))
            times = e.chosen(inside, e.whole(1), e.whole(1) - size)
            for n in range(self.places.arrays):
                moved = e.entry_of(self.here, n) + e.entry_of(at, STEPS + n) * times
                e.set_entry(self.here, n, moved)
            e.set_entry(self.axis, 0, e.chosen(inside, self.rank, axis + 1))

        e.as_long_as(test, move)
