"""Kernels that go through each row as often as there are phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from contractconv.cache_register import kept
from contractconv.engines.llvm.kernels.native import Native, build, registers
from contractconv.engines.llvm.maps.map_loops import UNIT, Maps, writers
from contractconv.engines.llvm.maps.row_code import ROW, RowCode
from contractconv.programs.kinds import itemsize

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
    from contractconv.engines.llvm.maps.map_loops import Part

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
                none = (self.e.whole(0), None, None)
                self.fixed[n] = self._value(i, self.fixed, self.starts, none)

    def _through(self, phase: int) -> None:
        """Go through the row once."""
        e, rows = self.e, self.rows
        reduced = [
            n
            for n, i in enumerate(self.code.instructions)
            if i.does.startswith(ROW) and rows.phases[n] == phase + 1
        ]
        begun = [self._begun(n) for n in reduced]

        def vector(first: Int, carried: list[Any], some: Int | None) -> list[Vector]:
            return self._vector_of(phase, reduced, carried, (first, some, e.mask(some)))

        lanes = e.number.lanes
        if registers()[1] >= 64:
            done = e.loop(
                0, self.count, begun, lambda n, carried: vector(n, carried, self._left(n)), lanes
            )
        else:
            whole = self.count // lanes * lanes
            done = e.loop(0, whole, begun, lambda n, carried: vector(n, carried, None), lanes)
            left = self.count - whole
            done = e.loop(
                whole, self.count, done, lambda n, carried: vector(n, carried, left), lanes
            )
        for n, total in zip(reduced, done, strict=True):
            self.fixed[n] = self._folded(n, total)

    def _left(self, first: Int) -> Int:
        return (self.count - first).least(self.e.number.lanes)

    def _vector_of(
        self,
        phase: int,
        reduced: Sequence[int],
        carried: Sequence[Vector],
        part: Part,
    ) -> list[Vector]:
        """Carry a phase out for one vector; what is reduced with it."""
        values, rows, code, mask = dict(self.fixed), self.rows, self.code, part[2]
        for n, i in enumerate(code.instructions):
            if n in values or i.does.startswith(ROW) or rows.phases[n] > phase:
                continue
            if rows.phases[n] == phase or i.does in ("leaf", "position"):
                values[n] = self._value(i, values, self.starts, part)
            elif n in self.kept:
                values[n] = self.kinds[i.made].load(self._kept_at(n, part[0]), mask)
        for n in self.kept:
            if rows.phases[n] == phase:
                made = code.instructions[n].made
                self.kinds[made].store(values[n], self._kept_at(n, part[0]), mask)
        self._write(phase, values, part)
        return [
            self._reduced(n, total, values, mask) for n, total in zip(reduced, carried, strict=True)
        ]

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
