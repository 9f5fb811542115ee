"""A small language for loops over vectors, which becomes LLVM's intermediate representation.

A kernel is written as Python that runs once, with :class:`Int` and :class:`Vector` standing for
values that exist later. What Python decides while it runs (how many registers a tile has, which
entries of a matrix are zero) costs nothing in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from llvmlite import ir

from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
from contractconv.engines.llvm.kernels.number_kinds import Number
from contractconv.machine.processor import is_arm, is_x86

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_NOTHING = ir.VoidType()
# The only kind of barrier that ARM has for instructions.
_WHOLE_SYSTEM = 15
_ELEMENTS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
_BYTES = {
    I8: 1, I32: 4, I64: 8, ir.HalfType(): 2, _ELEMENTS["float32"]: 4, _ELEMENTS["float64"]: 8,
}  # fmt: skip


class Emitter:
    """Writes one function that takes the address of a table of 64-bit integers.

    Args:
        name: the function's name.
        number: the kind of its numbers.
    """

    # Small integers, one for each lane beside the numbers: marks of taps, and distances in bytes.
    byte, word = I8, I32

    def __init__(self, name: str, number: Number) -> None:
        self.name = name
        self.number = number
        self.element = _ELEMENTS[number.dtype]
        self.vector = ir.VectorType(self.element, number.lanes)
        self.module = ir.Module(name)
        kind = ir.FunctionType(_NOTHING, [I64.as_pointer()])
        self.function = ir.Function(self.module, kind, name)
        self.entry = self.function.append_basic_block("entry")
        self.builder = ir.IRBuilder(self.entry)

    def halve(self) -> None:
        """Let vectors be half as wide from now on, before there are any."""
        self.number = replace(self.number, lanes=self.number.lanes // 2)
        self.vector = ir.VectorType(self.element, self.number.lanes)

    # -- integers ------------------------------------------------------------------------------

    def whole(self, value: Int | int) -> Int:
        """A constant, unless it is a value already."""
        return value if isinstance(value, Int) else Int(self, ir.Constant(I64, value))

    def argument(self, place: int) -> Int:
        """One entry of the table the function is called with."""
        pointer = self.builder.gep(self.function.args[0], [ir.Constant(I64, place)])
        return Int(self, self.builder.load(pointer))

    def entry_of(self, table: Int, place: Int | int) -> Int:
        """``table[place]``, where ``table`` is the address of 64-bit integers."""
        return Int(self, self.builder.load(self._place(table, place)))

    def byte_of(self, table: Int, place: Int) -> Int:
        """``table[place]``, where ``table`` is the address of bytes without a sign."""
        return Int(self, self.builder.zext(self.scalar(table + place, I8), I64))

    def own(self) -> Int:
        """The address of the table the function is called with."""
        return Int(self, self.builder.ptrtoint(self.function.args[0], I64))

    def _place(self, table: Int, place: Int | int) -> Any:
        pointer = self.builder.inttoptr(table.value, I64.as_pointer())
        return self.builder.gep(pointer, [self.whole(place).value])

    def watched(self, table: Int, place: Int | int) -> Int:
        """``table[place]`` as it is now, whichever thread wrote it."""
        return Int(self, self.builder.load_atomic(self._place(table, place), "acquire", 8))

    def announce(self, table: Int, place: Int | int, value: Int) -> None:
        """``table[place] = value``; who sees it sees all that was written before."""
        self.builder.store_atomic(value.value, self._place(table, place), "release", 8)

    def exchanged(self, table: Int, place: Int | int, value: Int | int) -> Int:
        """Put ``value`` where ``table[place]`` was, which no other thread can get then."""
        return self._at_once("xchg", table, place, value)

    def increased(self, table: Int, place: Int | int) -> Int:
        """Add one to ``table[place]``; what was there, which no other thread gets."""
        return self._at_once("add", table, place, 1)

    def _at_once(self, operation: str, table: Int, place: Int | int, value: Int | int) -> Int:
        given = self.whole(value).value
        pointer = self._place(table, place)
        return Int(self, self.builder.atomic_rmw(operation, pointer, given, "acq_rel"))

    def pause(self) -> None:
        """Let the processor know that this thread is only waiting."""
        if is_x86():
            self.intrinsic("llvm.x86.sse2.pause", _NOTHING)
        elif is_arm():  # a hint would take no time at all, and a helper be asleep at once
            self.intrinsic("llvm.aarch64.isb", _NOTHING, ir.Constant(I32, _WHOLE_SYSTEM))

    def scratch(self, count: int) -> Int:
        """The address of room for ``count`` 64-bit integers on the stack."""
        return self._room(I64, count, 8)

    def table(self, element: Any, numbers: Sequence[float]) -> Int:
        """The address of numbers that a kernel has in memory, whatever registers it has.

        As far as the compiler knows they may change with everything that is written, so that they
        are not fetched before a loop, to be kept in registers that are needed in it.
        """
        name = f"{element} {', '.join(map(repr, numbers))}"
        known = self.module.globals.get(name)
        if known is None:
            kind = ir.ArrayType(element, len(numbers))
            known = ir.GlobalVariable(self.module, kind, name)
            known.initializer, known.align = ir.Constant(kind, list(numbers)), 64
        return Int(self, self.builder.ptrtoint(known, I64))

    def vector_scratch(self, count: int) -> Int:
        """The address of room for ``count`` vectors on the stack."""
        return self._room(self.vector, count, self.number.bytes)

    def _room(self, kind: Any, count: int, align: int) -> Int:
        with self.builder.goto_block(self.entry):
            self.builder.position_at_start(self.entry)
            room = self.builder.alloca(kind, count)
            room.align = align
        return Int(self, self.builder.ptrtoint(room, I64))

    def set_entry(self, table: Int, place: Int | int, value: Int) -> None:
        """``table[place] = value``."""
        self.builder.store(value.value, self._place(table, place))

    def chosen(self, condition: Any, yes: Int, no: Int) -> Int:
        """One of two integers, without a jump."""
        return Int(self, self.builder.select(condition, yes.value, no.value))

    # -- vectors -------------------------------------------------------------------------------

    def zero(self) -> Vector:
        """All lanes zero."""
        return self.constant(0.0)

    def constant(self, value: float) -> Vector:
        """The same number in every lane."""
        return Vector(self, ir.Constant(self.vector, [value] * self.number.lanes))

    def mask(self, count: Int | None) -> Any:
        """The mask of so many lanes; ``None`` for all."""
        return None if count is None else self.first_lanes(count)

    def load(self, address: Int, mask: Any = None, element: Any = None) -> Vector:
        """Neighbouring numbers in memory; lanes that are masked out are zero and not read."""
        kind = ir.VectorType(element or self.element, self.number.lanes)
        pointer, size = self._pointer(address, kind), _BYTES[kind.element]
        if mask is None:
            return Vector(self, self.builder.load(pointer, align=size))
        nothing = ir.Constant(kind, [0] * self.number.lanes)
        name = f"llvm.masked.load.{self.suffix(kind)}.p0"
        return Vector(self, self.intrinsic(name, kind, pointer, I32(size), mask, nothing))

    def neighbours(self, address: Int, count: int) -> Vector:
        """So many neighbouring numbers in memory, however many lanes a vector has."""
        kind = ir.VectorType(self.element, count)
        return Vector(self, self.builder.load(self._pointer(address, kind), align=self.number.size))

    def store(self, vector: Vector, address: Int, mask: Any = None) -> None:
        """Write lanes to neighbouring numbers in memory, but those that are masked out."""
        kind = vector.value.type
        pointer, size = self._pointer(address, kind), _BYTES[kind.element]
        if mask is None:
            self.builder.store(vector.value, pointer, align=size)
            return
        name = f"llvm.masked.store.{self.suffix(kind)}.p0"
        self.intrinsic(name, _NOTHING, vector.value, pointer, I32(size), mask)

    def store_past_cache(self, vector: Vector, address: Int) -> None:
        """Write a vector, at a multiple of its size, to memory that nobody reads soon."""
        where = self._pointer(address, self.vector)
        stored = self.builder.store(vector.value, where, align=self.number.bytes)
        stored.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))

    def prefetch(self, address: Int) -> None:
        """Ask for the line of the cache in which an address lies."""
        # To be read, likely to be used again, and data.
        self.intrinsic(
            "llvm.prefetch.p0", _NOTHING, self._pointer(address, I8), I32(0), I32(3), I32(1)
        )

    def broadcast(self, address: Int) -> Vector:
        """One number of memory in every lane."""
        return self.spread(self.scalar(address))

    def scalar(self, address: Int, element: Any = None) -> Any:
        """One number of memory."""
        kind = element or self.element
        return self.builder.load(self._pointer(address, kind), align=_BYTES[kind])

    def put_scalar(self, scalar: Any, address: Int) -> None:
        """Write one number to memory."""
        pointer = self._pointer(address, scalar.type)
        self.builder.store(scalar, pointer, align=_BYTES[scalar.type])

    def put_first(self, vector: Vector, address: Int) -> None:
        """Write the first lane to memory."""
        self.put_scalar(self.builder.extract_element(vector.value, I32(0)), address)

    def _pointer(self, address: Int, kind: Any) -> Any:
        return self.builder.inttoptr(address.value, kind.as_pointer())

    def spread(self, scalar: Any) -> Vector:
        """The same value, of any kind, in every lane."""
        blank = ir.Constant(ir.VectorType(scalar.type, self.number.lanes), ir.Undefined)
        first = Vector(self, self.builder.insert_element(blank, scalar, I32(0)))
        return self.shuffled(first, Vector(self, blank), [0] * self.number.lanes)

    def gather(
        self, address: Int, step: Int, count: Int | None = None, element: Any = None
    ) -> Vector:
        """Numbers that are ``step`` bytes apart; lanes from ``count`` on repeat the first one."""
        kind = ir.VectorType(element or self.element, self.number.lanes)
        vector = ir.Constant(kind, ir.Undefined)
        for lane in range(self.number.lanes):
            place = address + step * lane
            if count is not None and lane:
                place = self.chosen(self.whole(lane) < count, place, address)
            scalar = self.scalar(place, kind.element)
            vector = self.builder.insert_element(vector, scalar, I32(lane))
        return Vector(self, vector)

    def collected(self, address: Int, places: Sequence[int]) -> Vector:
        """For each lane the number at some place after an address; each is read by itself."""
        found = self.broadcast(address + places[0] * self.number.size)
        for place in sorted({*places} - {places[0]}):
            here = self.lanes_where([one == place for one in places])
            there = self.broadcast(address + place * self.number.size)
            found = self.select(here, there, found)
        return found

    def picked(self, address: Int, wanted: Sequence[Sequence[int]]) -> list[Vector]:
        """The same for several vectors, from two neighbouring ones in memory at most, or one."""
        lanes, first, last = self.number.lanes, min(map(min, wanted)), max(map(max, wanted))
        parts = []
        for start in range(first, last + 1, lanes):
            needed = [place <= last for place in range(start, start + lanes)]
            mask = None if all(needed) else self.lanes_where(needed)
            parts.append(self.load(address + start * self.number.size, mask))
        return [self.shuffled(parts[0], parts[-1], [p - first for p in one]) for one in wanted]

    def lanes_where(self, chosen: Sequence[bool]) -> Any:
        """The mask of some lanes."""
        return ir.Constant(ir.VectorType(ir.IntType(1), len(chosen)), list(chosen))

    def scatter(self, vector: Vector, address: Int, step: Int, count: Int | None) -> None:
        """Write the first ``count`` lanes, or all, to numbers that are ``step`` bytes apart."""
        lanes = self.whole(self.number.lanes) if count is None else count
        for lane in range(self.number.lanes):
            with self.builder.if_then(self.whole(lane) < lanes):
                scalar = self.builder.extract_element(vector.value, I32(lane))
                self.put_scalar(scalar, address + step * lane)

    def shuffled(self, first: Vector, second: Vector, order: Sequence[int]) -> Vector:
        """Lanes of two vectors, one after the other, by their numbers."""
        places = ir.Constant(ir.VectorType(I32, len(order)), list(order))
        return Vector(self, self.builder.shuffle_vector(first.value, second.value, places))

    def turned(self, rows: Sequence[Vector]) -> list[Vector]:
        """As many vectors as there are lanes, as the columns of a square matrix."""
        lanes, vectors = self.number.lanes, list(rows)
        half = lanes // 2
        while half:
            # Swap blocks off the diagonal, of half the size each time.
            for n in (n for n in range(lanes) if not n & half):
                first, second = vectors[n], vectors[n + half]
                low = [m if not m & half else lanes + m - half for m in range(lanes)]
                high = [m + half if not m & half else lanes + m for m in range(lanes)]
                vectors[n] = self.shuffled(first, second, low)
                vectors[n + half] = self.shuffled(first, second, high)
            half //= 2
        return vectors

    def multiply_add(self, left: Vector, right: Vector, total: Vector) -> Vector:
        """``left * right + total``, rounded once."""
        name, values = f"llvm.fma.{self.suffix(self.vector)}", (left, right, total)
        return Vector(self, self.intrinsic(name, self.vector, *(v.value for v in values)))

    def as_bytes(self, vector: Vector) -> Vector:
        """Numbers from 0 to 255 as bytes."""
        kind = ir.VectorType(I8, self.number.lanes)
        return Vector(self, self.builder.fptoui(vector.value, kind))

    def greater(self, left: Vector, right: Vector) -> Any:
        """In which lanes ``left`` replaces a maximum of ``right``: NaN is never overtaken."""
        more = self.builder.fcmp_ordered(">", left.value, right.value)
        is_new = self.builder.fcmp_unordered("uno", left.value, left.value)
        was_number = self.builder.fcmp_ordered("ord", right.value, right.value)
        return self.builder.or_(more, self.builder.and_(is_new, was_number))

    def select(self, mask: Any, yes: Vector, no: Vector) -> Vector:
        """Lane by lane one of two."""
        return Vector(self, self.builder.select(mask, yes.value, no.value))

    def any(self, mask: Any) -> Any:
        """Whether a mask has any lane."""
        bits = ir.IntType(self.number.lanes)
        return self.builder.icmp_unsigned("!=", self.builder.bitcast(mask, bits), bits(0))

    def first_lanes(self, count: Int) -> Any:
        """The mask of the lanes below ``count``."""
        lanes = self.number.lanes
        kind = ir.VectorType(I32, lanes)
        limit = self.spread(self.builder.trunc(count.value, I32))
        return self.builder.icmp_signed("<", ir.Constant(kind, list(range(lanes))), limit.value)

    def suffix(self, kind: Any) -> str:
        """How LLVM writes a kind of vectors in names."""
        letter = "i" if isinstance(kind.element, ir.IntType) else "f"
        return f"v{kind.count}{letter}{8 * _BYTES[kind.element]}"

    def intrinsic(self, name: str, result: Any, *given: Any) -> Any:
        """Call what LLVM itself knows by a name."""
        kind = ir.FunctionType(result, [value.type for value in given])
        known = self.module.globals.get(name)
        return self.builder.call(known or ir.Function(self.module, kind, name), given)

    # -- control -------------------------------------------------------------------------------

    def loop(
        self,
        start: Int | int,
        stop: Int | int,
        carried: Sequence[Int | Vector],
        body: Callable[[Int, list[Any]], Sequence[Int | Vector]],
        step: Int | int = 1,
    ) -> list[Any]:
        """``for n in range(start, stop, step): carried = body(n, carried)``."""
        builder, before = self.builder, self.builder.block
        start, stop, step = self.whole(start), self.whole(stop), self.whole(step)
        head, inside, after = self._blocks()
        builder.branch(head)
        builder.position_at_end(head)
        phis = [builder.phi(v.value.type) for v in (start, *carried)]
        for phi, value in zip(phis, (start, *carried), strict=True):
            phi.add_incoming(value.value, before)
        counter = Int(self, phis[0])
        builder.cbranch(counter < stop, inside, after)
        builder.position_at_end(inside)
        values = [type(v)(self, phi) for v, phi in zip(carried, phis[1:], strict=True)]
        results = body(counter, values)
        following = (counter + step, *results)
        for phi, value in zip(phis, following, strict=True):
            phi.add_incoming(value.value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return values

    def _blocks(self) -> Iterator[Any]:
        return (self.function.append_basic_block(n) for n in ("head", "body", "after"))

    def repeat(
        self, start: Int | int, stop: Int | int, body: Callable[[Int], None], step: Int | int = 1
    ) -> None:
        """A loop that carries nothing."""

        def once(counter: Int, _: list[Any]) -> list[Any]:
            body(counter)
            return []

        self.loop(start, stop, [], once, step)

    def as_long_as(
        self, test: Callable[[], tuple[Any, Int | None]], body: Callable[[Int | None], None]
    ) -> None:
        """``while (found := test())[0]: body(found[1])``."""
        head, inside, after = self._blocks()
        self.builder.branch(head)
        self.builder.position_at_end(head)
        condition, value = test()
        self.builder.cbranch(condition, inside, after)
        self.builder.position_at_end(inside)
        body(value)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def while_any(
        self,
        mask: Callable[[list[Vector]], Vector],
        carried: Sequence[Vector],
        body: Callable[[list[Vector]], Sequence[Vector]],
    ) -> list[Vector]:
        """``while any(mask(carried)): carried = body(carried)``."""
        builder, before = self.builder, self.builder.block
        head, inside, after = self._blocks()
        builder.branch(head)
        builder.position_at_end(head)
        phis = [builder.phi(vector.value.type) for vector in carried]
        values = [Vector(self, phi) for phi in phis]
        for phi, vector in zip(phis, carried, strict=True):
            phi.add_incoming(vector.value, before)
        builder.cbranch(self.any(mask(values).value), inside, after)
        builder.position_at_end(inside)
        for phi, vector in zip(phis, body(values), strict=True):
            phi.add_incoming(vector.value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return values

    def lines(
        self, count: Int, body: Callable[[Int, Int | None], None], again: bool = False
    ) -> None:
        """Go through so many numbers by vectors: the first number of each, its lanes if few.

        Args:
            again: whether numbers may be gone through twice, which spares a mask.
        """
        lanes = self.number.lanes
        whole = count // lanes * lanes
        self.repeat(0, whole, lambda first: body(first, None), lanes)
        with self.builder.if_then(whole < count):
            if not again or self.number.has_masks:
                body(whole, count - whole)
                return
            self.when(
                count >= lanes,
                lambda: body(count - lanes, None),
                lambda: body(whole, count - whole),
            )

    def when(self, condition: Any, yes: Callable[[], None], no: Callable[[], None]) -> None:
        """Do one of two things."""
        with self.builder.if_else(condition) as (then, otherwise):
            with then:
                yes()
            with otherwise:
                no()

    def either(
        self,
        condition: Any,
        yes: Callable[[], Sequence[Vector]],
        no: Callable[[], Sequence[Vector]],
    ) -> list[Vector]:
        """One of two lists of vectors, of any kinds, of which only one is computed."""
        ends: list[tuple[Any, Sequence[Vector]]] = []
        with self.builder.if_else(condition) as branches:
            for branch, values in zip(branches, (yes, no), strict=True):
                with branch:
                    computed = values()
                    ends.append((self.builder.block, computed))
        joined = []
        for pair in zip(ends[0][1], ends[1][1], strict=True):
            phi = self.builder.phi(pair[0].value.type)
            for (block, _), vector in zip(ends, pair, strict=True):
                phi.add_incoming(vector.value, block)
            joined.append(Vector(self, phi))
        return joined

    def finish(self) -> str:
        """End the function and return the module as text."""
        self.builder.ret_void()
        return str(self.module)
