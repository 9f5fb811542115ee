"""Vectors of one kind of numbers: constants, memory, conversions, and what all maps are made of.

A kernel's lanes are as many as its narrowest numbers need to fill a register; wider ones take
several registers for a vector. Numbers of half precision are computed with in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
from contractconv.engines.llvm.kernels.native import registers

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter

_TRUTH, _BYTE = ir.IntType(1), ir.IntType(8)
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_HALF, _SINGLE, _DOUBLE = ir.HalfType(), ir.FloatType(), ir.DoubleType()
# In registers, and in memory.
_ELEMENTS = {
    "float16": (_SINGLE, _HALF), "float32": (_SINGLE, _SINGLE), "float64": (_DOUBLE, _DOUBLE),
    "int32": (_I32, _I32), "int64": (_I64, _I64), "bool": (_TRUTH, _BYTE),
}  # fmt: skip
DTYPES = tuple(_ELEMENTS)


class Lanes:
    """Vectors of numbers of one dtype.

    Args:
        e: what writes the kernel.
        dtype: one of :data:`DTYPES`.
    """

    def __init__(self, e: Emitter, dtype: str) -> None:
        self.e, self.dtype = e, dtype
        self.element, self.stored = _ELEMENTS[dtype]
        self.kind = ir.VectorType(self.element, e.number.lanes)
        self.is_float = dtype.startswith("float")

    # -- constants and memory ------------------------------------------------------------------

    def constant(self, value: float) -> Vector:
        """The same number in every lane."""
        number = self._fitting(value)
        return Vector(self.e, ir.Constant(self.kind, [number] * self.e.number.lanes))

    def _fitting(self, value: float) -> Any:
        return _rounded(value, "float32" if self.element is _SINGLE else self.dtype)

    def read(self, text: str) -> Vector:
        """A constant, from how Python writes it."""
        return self.constant(_rounded(float(text) if self.is_float else int(text), self.dtype))

    def counted(self, first: Int) -> Vector:
        """An integer and those that follow."""
        steps = ir.Constant(self.kind, list(range(self.e.number.lanes)))
        return self._made(self.e.builder.add(self.e.spread(first.value).value, steps))

    def told(self, entry: Int) -> Vector:
        """A number that stands in an entry of a table: as a float64, or as an integer."""
        builder = self.e.builder
        if self.is_float:
            double = builder.bitcast(entry.value, _DOUBLE)
            return self.e.spread(_narrowed(builder, double, self.element))
        narrow = self.element is not _I64
        return self.e.spread(builder.trunc(entry.value, self.element) if narrow else entry.value)

    def load(self, address: Int, mask: Any) -> Vector:
        """Neighbouring numbers."""
        return self._taken(self.e.load(address, mask, self.stored))

    def gather(self, address: Int, step: Int, count: Int | None) -> Vector:
        """Numbers that are ``step`` bytes apart."""
        return self._taken(self.e.gather(address, step, count, self.stored))

    def repeated(self, address: Int) -> Vector:
        """One number of memory in every lane."""
        return self._taken(self.e.spread(self.e.scalar(address, self.stored)))

    def store(self, vector: Vector, address: Int, mask: Any) -> None:
        """Write to neighbouring numbers."""
        self.e.store(self._given(vector), address, mask)

    def _taken(self, vector: Vector) -> Vector:
        """What was in memory, as it is in registers."""
        if self.stored is _BYTE:
            zero = ir.Constant(vector.value.type, None)
            return self._made(self.e.builder.icmp_unsigned("!=", vector.value, zero))
        if self.stored is _HALF:
            return self._made(self.e.builder.fpext(vector.value, self.kind))
        return vector

    def _given(self, vector: Vector) -> Vector:
        kind = ir.VectorType(self.stored, self.e.number.lanes)
        if self.stored is _BYTE:
            return self._made(self.e.builder.zext(vector.value, kind))
        if self.stored is _HALF:
            return self._made(self.e.builder.fptrunc(vector.value, kind))
        return vector

    def _made(self, value: Any) -> Vector:
        return Vector(self.e, value)

    # -- conversions -----------------------------------------------------------------------------

    def converted(self, vector: Vector, source: Lanes) -> Vector:
        """Numbers of another kind in this one, as numpy converts them."""
        builder, value = self.e.builder, vector.value
        if self.dtype == "bool":
            return source.truth(vector)
        if self.is_float and not source.is_float:
            turn = builder.uitofp if source.dtype == "bool" else builder.sitofp
            return self._rounded(self._made(turn(value, self.kind)))
        if self.is_float:
            return self._rounded(self._made(_narrowed(builder, value, self.kind)))
        if source.is_float:
            return self._made(builder.fptosi(value, self.kind))
        if source.dtype == "bool":
            return self._made(builder.zext(value, self.kind))
        turn = builder.trunc if self.element is _I32 else builder.sext
        return self._made(turn(value, self.kind))

    def _rounded(self, vector: Vector) -> Vector:
        return self._taken(self._given(vector)) if self.stored is _HALF else vector

    def truth(self, vector: Vector) -> Vector:
        """In which lanes numbers are not zero."""
        if self.dtype == "bool":
            return vector
        zero = self.constant(0)
        return self.compared("!=", vector, zero)

    # -- what maps are made of -------------------------------------------------------------------

    def compared(self, how: str, left: Vector, right: Vector) -> Vector:
        """Where something holds of two; of what is not a number, only that it is different."""
        builder = self.e.builder
        if self.is_float:
            compare = builder.fcmp_unordered if how == "!=" else builder.fcmp_ordered
        else:
            compare = builder.icmp_unsigned if self.dtype == "bool" else builder.icmp_signed
        return self._made(compare(how, left.value, right.value))

    def where(self, mask: Vector, yes: Vector, no: Vector) -> Vector:
        """Lane by lane one of two."""
        return self.e.select(mask.value, yes, no)

    def both(self, left: Vector, right: Vector) -> Vector:
        """Where two masks, or bits, are set."""
        return self._made(self.e.builder.and_(left.value, right.value))

    def one_of(self, left: Vector, right: Vector) -> Vector:
        """Where one of two masks, or bits, is set."""
        return self._made(self.e.builder.or_(left.value, right.value))

    def opposite(self, mask: Vector) -> Vector:
        """Where a mask is not set."""
        return self._made(self.e.builder.not_(mask.value))

    def call(self, name: str, *given: Vector) -> Vector:
        """What LLVM has an operation for."""
        whole = f"llvm.{name}.{self.e.suffix(self.kind)}"
        return self._made(self.e.intrinsic(whole, self.kind, *(v.value for v in given)))


class Floats(Lanes):
    """Vectors of floating-point numbers, and of their bits."""

    @property
    def mantissa(self) -> int:
        """Bits behind the point."""
        return 52 if self.element is _DOUBLE else 23

    @property
    def bias(self) -> int:
        """What is added to exponents."""
        return 1023 if self.element is _DOUBLE else 127

    @property
    def _bits(self) -> Any:
        return ir.VectorType(_I64 if self.element is _DOUBLE else _I32, self.e.number.lanes)

    def integer(self, value: int) -> Vector:
        """The same bits in every lane."""
        return self._made(ir.Constant(self._bits, [value] * self.e.number.lanes))

    def bits(self, vector: Vector) -> Vector:
        """Numbers as their bits."""
        return self._made(self.e.builder.bitcast(vector.value, self._bits))

    def of_bits(self, bits: Vector) -> Vector:
        """Bits as the numbers that they are."""
        return self._made(self.e.builder.bitcast(bits.value, self.kind))

    def shifted(self, bits: Vector, places: int) -> Vector:
        """Bits moved to the left, or with their sign to the right."""
        move = self.e.builder.shl if places > 0 else self.e.builder.ashr
        return self._made(move(bits.value, self.integer(abs(places)).value))

    @property
    def width(self) -> int:
        """Bits of a number."""
        return 64 if self.element is _DOUBLE else 32

    def flipped(self, bits: Vector, mask: Vector) -> Vector:
        """Bits, of which some are others."""
        return self._made(self.e.builder.xor(bits.value, mask.value))

    def same_bits(self, left: Vector, right: Vector) -> Vector:
        """Where all bits are the same."""
        return self._made(self.e.builder.icmp_unsigned("==", left.value, right.value))

    def sum(self, left: Vector, right: Vector) -> Vector:
        """The sum of bits, as integers."""
        return self._made(self.e.builder.add(left.value, right.value))

    def difference(self, left: Vector, right: Vector) -> Vector:
        """The difference of bits, as integers."""
        return self._made(self.e.builder.sub(left.value, right.value))

    def whole(self, bits: Vector) -> Vector:
        """Bits of an integer as the same number."""
        return self._made(self.e.builder.sitofp(bits.value, self.kind))

    def fma(self, left: Vector, right: Vector, total: Vector | float) -> Vector:
        """``left * right + total``, rounded once."""
        added = total if isinstance(total, Vector) else self.constant(total)
        return self.call("fma", left, right, added)

    def scaled(self, factor: float, vector: Vector) -> Vector:
        """A vector times a number."""
        return self.constant(factor) * vector

    def polynomial(self, coefficients: Sequence[float], x: Vector) -> Vector:
        """The highest power's coefficient first."""
        given = coefficients[1:] if coefficients[0] == 1 else coefficients
        total, *others = self.in_memory(given)
        total = x + total if coefficients[0] == 1 else total
        for coefficient in others:
            total = self.fma(total, x, coefficient)
        return total

    def in_memory(self, numbers: Sequence[float]) -> list[Vector]:
        """Numbers that are read where they are used, so that they take no registers in loops."""
        table = self.e.table(self.element, [self._fitting(number) for number in numbers])
        places = (table + n * (8 if self.mantissa == 52 else 4) for n in range(len(numbers)))
        return [self.e.spread(self.e.scalar(place, self.element)) for place in places]

    def inverse_root(self, x: Vector) -> Vector:
        """One over the square root."""
        one = self.constant(1.0)
        if self._is_wide:
            # Of 14 bits; each of Newton's steps doubles them, where it can be taken.
            begun, steps = self._wide("rsqrt14", x, x), 2 if self.mantissa == 52 else 1
        else:  # rounded twice
            begun, steps = one / self.call("sqrt", x), 1
        found = begun
        for _ in range(steps):
            lack = self.fma(self.negated(x * found), found, one)
            found = self.fma(self.scaled(0.5, found), lack, found)
        return self.where(self.compared("<", self.absolute(lack), one), found, begun)

    @property
    def rounder(self) -> float:
        """Added and taken away again, it leaves a whole number, which its last bits are."""
        return 1.5 * 2.0**self.mantissa

    def powered(self, x: Vector, power: Vector) -> Vector:
        """``x * 2 ** power``, of a whole power; right too where the power alone is no number."""
        if self._is_wide:
            return self._scaled(x, power)
        bits = self._whole_bits(power)
        half = self.shifted(bits, -1)
        return x * self._power(half) * self._power(self.difference(bits, half))

    def power_of_two(self, power: Vector) -> Vector:
        """``2 ** power``, of a whole power, which must be a number with all its digits."""
        if self._is_wide:
            return self._scaled(self.constant(1.0), power)
        return self._power(self._whole_bits(power))

    @property
    def _is_wide(self) -> bool:
        """Whether AVX-512 has instructions of its own for these vectors."""
        whole: int = self.e.number.lanes * self._bits.element.width
        return registers()[1] == 64 and whole == 512

    def _scaled(self, x: Vector, power: Vector) -> Vector:
        # Rounded as everything else is.
        return self._wide("mask.scalef", x, power, x, rounding=(_I32(4),))

    def _wide(self, does: str, *given: Vector, rounding: tuple[Any, ...] = ()) -> Vector:
        """What an instruction makes of vectors, the last of which stands where none is made."""
        letter = "d" if self.mantissa == 52 else "s"
        every = ir.Constant(ir.IntType(self.e.number.lanes), -1)
        values = (*(vector.value for vector in given), every, *rounding)
        name = f"llvm.x86.avx512.{does}.p{letter}.512"
        return self._made(self.e.intrinsic(name, self.kind, *values))

    def _whole_bits(self, power: Vector) -> Vector:
        """A whole number as bits of an integer."""
        rounder = self.constant(self.rounder)
        return self.difference(self.bits(power + rounder), self.bits(rounder))

    def _power(self, bits: Vector) -> Vector:
        return self.of_bits(self.shifted(self.sum(bits, self.integer(self.bias)), self.mantissa))

    def negated(self, vector: Vector) -> Vector:
        """The other sign."""
        return self._made(self.e.builder.fneg(vector.value))

    def absolute(self, vector: Vector) -> Vector:
        """Without sign."""
        return self.call("fabs", vector)

    def with_sign(self, vector: Vector, sign: Vector) -> Vector:
        """The first one's magnitude with the second one's sign."""
        return self.call("copysign", vector, sign)

    def unknown(self, vector: Vector) -> Vector:
        """Where numbers are none."""
        return self._made(self.e.builder.fcmp_unordered("uno", vector.value, vector.value))

    def clamped(self, vector: Vector, low: float, high: float) -> Vector:
        """Within bounds; what is not a number stays so."""
        least, most = self.constant(low), self.constant(high)
        raised = self.where(self.compared("<", vector, least), least, vector)
        return self.least(most, raised)

    def least(self, bound: Vector, vector: Vector) -> Vector:
        """At most a bound; what is not a number stays so."""
        return self.where(self.compared("<", bound, vector), bound, vector)


def _rounded(number: float, dtype: str) -> Any:
    with np.errstate(over="ignore"):
        return np.dtype(dtype).type(number).item()


def _narrowed(builder: Any, value: Any, kind: Any) -> Any:
    """A floating-point value of another kind."""
    element, own = getattr(kind, "element", kind), getattr(value.type, "element", value.type)
    if element == own:
        return value
    return builder.fptrunc(value, kind) if own == _DOUBLE else builder.fpext(value, kind)


def lanes_of(e: Emitter, dtype: str) -> Lanes:
    """Vectors of a dtype."""
    return Floats(e, dtype) if dtype.startswith("float") else Lanes(e, dtype)
