"""Small integers, one for each lane, beside the numbers: marks of taps, and distances in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contractconv.engines.llvm.kernels.values import Int, Vector

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter

# Bytes of a word, of which as many fit in a vector as numbers of the shortest kind.
WORD = 4


def number(e: Emitter, value: Int) -> Vector:
    """An integer as a number, in every lane."""
    return e.spread(e.builder.sitofp(value.value, e.element))


def store_bytes(e: Emitter, vector: Vector, address: Int, mask: Any = None) -> None:
    """Write numbers from 0 to 255 to neighbouring bytes."""
    kind = _byte_lanes(e)
    pointer = _pointer(e, address, kind.as_pointer())
    value = e.builder.fptoui(vector.value, kind)
    if mask is None:
        e.builder.store(value, pointer, align=1)
    else:
        e.builder.call(_masked(e, "store", pointer), [value, pointer, _one(e), mask])


def load_bytes(e: Emitter, address: Int, mask: Any = None) -> Any:
    """Neighbouring bytes; lanes that are masked out are zero and not read."""
    from llvmlite import ir

    kind = _byte_lanes(e)
    pointer = _pointer(e, address, kind.as_pointer())
    if mask is None:
        return e.builder.load(pointer, align=1)
    nothing = ir.Constant(kind, [0] * e.number.lanes)
    return e.builder.call(_masked(e, "load", pointer), [pointer, _one(e), mask, nothing])


def are(e: Emitter, bytes_: Any, value: Int) -> Any:
    """In which lanes bytes are equal to an integer."""
    same = e.spread(e.builder.trunc(value.value, _integer(8)))
    return e.builder.icmp_unsigned("==", bytes_, same.value)


def words(e: Emitter, value: Int) -> Vector:
    """The same word in every lane."""
    return e.spread(e.builder.trunc(value.value, _integer(8 * WORD)))


def store_words(e: Emitter, vector: Vector, address: Int) -> None:
    """Write words to neighbouring places in memory."""
    pointer = _pointer(e, address, vector.value.type.as_pointer())
    e.builder.store(vector.value, pointer, align=WORD)


def word(e: Emitter, address: Int) -> Int:
    """One word from memory."""
    pointer = _pointer(e, address, _integer(8 * WORD).as_pointer())
    return Int(e, e.builder.sext(e.builder.load(pointer, align=WORD), _integer(64)))


def add_number(e: Emitter, source: Int, target: Int) -> None:
    """Add one number in memory to another one."""
    kind, size = e.element.as_pointer(), e.number.size
    place = _pointer(e, target, kind)
    given = e.builder.load(_pointer(e, source, kind), align=size)
    e.builder.store(e.builder.fadd(e.builder.load(place, align=size), given), place, align=size)


def _integer(bits: int) -> Any:
    from llvmlite import ir

    return ir.IntType(bits)


def _byte_lanes(e: Emitter) -> Any:
    from llvmlite import ir

    return ir.VectorType(_integer(8), e.number.lanes)


def _one(e: Emitter) -> Any:
    """An alignment of one byte."""
    return _integer(32)(1)


def _pointer(e: Emitter, address: Int, kind: Any) -> Any:
    return e.builder.inttoptr(address.value, kind)


def _masked(e: Emitter, what: str, pointer: Any) -> Any:
    """The intrinsic that loads or stores bytes under a mask."""
    from llvmlite import ir

    kind, alignment = _byte_lanes(e), _integer(32)
    mask = ir.VectorType(_integer(1), e.number.lanes)
    name = f"llvm.masked.{what}.v{e.number.lanes}i8.p0"
    if what == "load":
        function = ir.FunctionType(kind, [pointer.type, alignment, mask, kind])
    else:
        function = ir.FunctionType(ir.VoidType(), [kind, pointer.type, alignment, mask])
    return e.module.globals.get(name) or ir.Function(e.module, function, name)
