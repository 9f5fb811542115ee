"""Kernels that go through each row as often as there are phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from contractconv.cache_register import kept
from contractconv.engines.llvm.kernels.native import Native, build, registers
from contractconv.engines.llvm.maps.map_loops import UNIT, Maps, nowhere, writers
from contractconv.engines.llvm.maps.row_code import ROW, RowCode
from contractconv.programs.kinds import itemsize

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
    from contractconv.engines.llvm.maps.map_loops import Part, Way

# Bytes of the widest number: what is kept of a row lies in steps of these.
WIDEST = 8


@kept(most=1024)
def row_kernel(code: RowCode, forms: tuple[str, ...]) -> Native:
    """The kernel of a loop over rows.

    Args:
        code: what is done.
        forms: how each array lies along a row; those of which a row has one number are repeated.

    Raises:
        UnfitError: no kernel can be made here.
    """
    dtypes = {i.dtype for i in code.code.instructions} | set(code.code.stored)
    narrow = dtypes & {"float16", "float32", "int32"}
    name = f"rows_{len(code.code.instructions)}_{'_'.join(sorted(dtypes))}"

    def write(emitter: Emitter) -> None:
        _Rows(emitter, code, forms).write()

    identity = (code, forms, registers(), writers())
    return build(name, "float32" if narrow else "float64", write, identity)


class _Rows(Maps):
    """Writes the phases of one row."""

    def __init__(self, e: Emitter, code: RowCode, forms: tuple[str, ...]) -> None:
        super().__init__(e, code.code, forms)
        self.rows, self.kept = code, code.kept

    def _row(self, _: Int) -> None:
        e, listed = self.e, self.code.instructions
        self.starts = [e.entry_of(self.here, n) for n in range(self.places.arrays)]
        self.fixed = {n: v for n, i in enumerate(listed) if (v := self._given(n, i)) is not None}
        for phase in range(max(self.rows.phases, default=0) + 1):
            self._once(phase)
            self._through(phase)
        results = zip(self.code.outputs, self.code.stored, strict=True)
        for n, (output, dtype) in enumerate(results, self.code.leaves):
            if self.rows.once[output]:
                one = e.first_lanes(e.whole(1))
                self.kinds[dtype].store(self.fixed[output], self.starts[n], one)
        self._advance()

    def _once(self, phase: int) -> None:
        """What there is one of for each row."""
        for n, i in enumerate(self.code.instructions):
            here = self.rows.once[n] and self.rows.phases[n] == phase
            if here and n not in self.fixed and not i.does.startswith(ROW):
                self.fixed[n] = self._value(i, self.fixed, self.starts, nowhere(self.e))

    def _through(self, phase: int) -> None:
        """Go through the row once."""
        e, rows = self.e, self.rows
        reduced = [
            n
            for n, i in enumerate(self.code.instructions)
            if i.does.startswith(ROW) and rows.phases[n] == phase + 1
        ]
        begun = [self._begun(n) for n in reduced]

        def vector(way: Way, carried: Sequence[Vector]) -> Sequence[Vector]:
            return self._vector_of(phase, reduced, carried, way)

        lanes = e.number.lanes
        if registers()[1] >= 64:
            done = e.loop(0, self.count, begun, lambda n, now: vector(self._at(n), now), lanes)
        else:
            whole = self.count // lanes * lanes
            done = e.loop(0, whole, begun, lambda n, now: vector(self._in(n, None), now), lanes)
            left = self.count - whole
            done = e.loop(
                whole, self.count, done, lambda n, now: vector(self._in(n, left), now), lanes
            )
        for n, total in zip(reduced, done, strict=True):
            self.fixed[n] = self._folded(n, total)

    def _vector_of(
        self, phase: int, reduced: Sequence[int], carried: Sequence[Vector], way: Way
    ) -> Sequence[Vector]:
        """Carry a phase out for one vector; what is reduced with it."""
        rows, code = self.rows, self.code
        needed = [n for n in range(len(code.instructions)) if self._is_needed(n, phase)]
        read = way(lambda part: [self._read_in_row(n, part) for n in needed])
        values = {**self.fixed, **dict(zip(needed, read, strict=True))}
        for n, i in enumerate(code.instructions):
            if n not in values and rows.phases[n] == phase and not i.does.startswith(ROW):
                values[n] = self._value(i, values, self.starts, nowhere(self.e))

        def end(part: Part) -> list[Vector]:
            self._keep(phase, values, part)
            self._write(phase, values, part)
            pairs = zip(reduced, carried, strict=True)
            return [self._reduced(n, total, values, part[2]) for n, total in pairs]

        return way(end)

    def _is_needed(self, number: int, phase: int) -> bool:
        """Whether a value is in memory: an array, or something that an earlier phase has kept."""
        if number in self.fixed or self.rows.phases[number] > phase:
            return False
        earlier = number in self.kept and self.rows.phases[number] < phase
        return earlier or self._array(self.code.instructions[number]) is not None

    def _read_in_row(self, number: int, part: Part) -> Vector:
        instruction = self.code.instructions[number]
        if number in self.kept:
            return self.kinds[instruction.made].load(self._kept_at(number, part[0]), part[2])
        return self._value(instruction, {}, self.starts, part)

    def _keep(self, phase: int, values: dict[int, Vector], part: Part) -> None:
        """Keep what later phases need."""
        for n in self.kept:
            if self.rows.phases[n] == phase:
                kind = self.kinds[self.code.instructions[n].made]
                kind.store(values[n], self._kept_at(n, part[0]), part[2])

    def _write(self, phase: int, values: dict[int, Vector], part: Part) -> None:
        code, rows, mask = self.code, self.rows, part[2]
        results = zip(code.outputs, code.stored, strict=True)
        for n, (output, dtype) in enumerate(results, code.leaves):
            if rows.phases[output] == phase and not rows.once[output]:
                at = self.starts[n] + part[0] * itemsize(dtype)
                self.kinds[dtype].store(values[output], at, mask)
        sums = zip(code.sums, code.summed, strict=True)
        for n, (factors, dtype) in enumerate(sums, code.leaves + len(code.outputs)):
            if max(rows.phases[factor] for factor in factors) == phase:
                moved = part[0] * itemsize(dtype) if self.forms[n] == UNIT else 0
                given = [values[factor] for factor in factors]
                self._add(self.kinds[dtype], given, self.starts[n] + moved, mask)

    def _kept_at(self, number: int, first: Int) -> Int:
        """Where the values of a row are kept."""
        room = self.code.leaves + len(self.code.outputs) + len(self.code.sums)
        own = self.starts[room] + self.count * (WIDEST * self.kept.index(number))
        return own + first * WIDEST

    def _begun(self, number: int) -> Vector:
        i = self.code.instructions[number]
        start = {"max": float("-inf"), "min": float("inf")}.get(i.does.removeprefix(ROW), 0.0)
        return self.kinds[i.dtype].constant(start)

    def _reduced(self, number: int, total: Vector, values: dict[int, Vector], mask: Any) -> Vector:
        i = self.code.instructions[number]
        lanes, given = self.kinds[i.dtype], [values[n] for n in i.given]
        if len(given) == 2:
            more = lanes.call("fma", *given, total)
        else:
            more = self._combined(number, total, given[0])
        return more if mask is None else self.e.select(mask, more, total)

    def _combined(self, number: int, left: Vector, right: Vector) -> Vector:
        i = self.code.instructions[number]
        does = i.does.removeprefix(ROW)
        name = "add" if does == "sum" else does
        return self.carried_out(self.kinds[i.dtype], name, [left, right])

    def _folded(self, number: int, total: Vector) -> Vector:
        """All lanes together, in every lane."""
        lanes, half = self.e.number.lanes, self.e.number.lanes // 2
        while half:
            other = self.e.shuffled(total, total, [n ^ half for n in range(lanes)])
            total, half = self._combined(number, total, other), half // 2
        return total
