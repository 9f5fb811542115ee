"""Values of the language of kernels: they stand for what exists when a kernel runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter


class Int:
    """An integer of 64 bits: a counter, a number of bytes, or an address."""

    __slots__ = ("emitter", "value")

    def __init__(self, emitter: Emitter, value: Any) -> None:
        self.emitter = emitter
        self.value = value

    def _do(self, operation: str, other: Int | int) -> Int:
        build = getattr(self.emitter.builder, operation)
        return Int(self.emitter, build(self.value, self.emitter.whole(other).value))

    def __add__(self, other: Int | int) -> Int:
        return self._do("add", other)

    def __sub__(self, other: Int | int) -> Int:
        return self._do("sub", other)

    def __mul__(self, other: Int | int) -> Int:
        return self._do("mul", other)

    def __floordiv__(self, other: Int | int) -> Int:
        return self._do("sdiv", other)

    def __mod__(self, other: Int | int) -> Int:
        return self._do("srem", other)

    def __lt__(self, other: Int | int) -> Any:
        return self._compared("<", other)

    def __ge__(self, other: Int | int) -> Any:
        return self._compared(">=", other)

    def equals(self, other: Int | int) -> Any:
        """Whether both are the same number."""
        return self._compared("==", other)

    def _compared(self, how: str, other: Int | int) -> Any:
        return self.emitter.builder.icmp_signed(how, self.value, self.emitter.whole(other).value)

    def least(self, other: Int | int) -> Int:
        """The smaller of two."""
        other = self.emitter.whole(other)
        chosen = self.emitter.builder.select(self < other, self.value, other.value)
        return Int(self.emitter, chosen)


class Vector:
    """A register full of numbers."""

    __slots__ = ("emitter", "value")

    def __init__(self, emitter: Emitter, value: Any) -> None:
        self.emitter = emitter
        self.value = value

    def _do(self, operation: str, other: Vector) -> Vector:
        build = getattr(self.emitter.builder, operation)
        return Vector(self.emitter, build(self.value, other.value))

    def __add__(self, other: Vector) -> Vector:
        return self._do("fadd", other)

    def __sub__(self, other: Vector) -> Vector:
        return self._do("fsub", other)

    def __mul__(self, other: Vector) -> Vector:
        return self._do("fmul", other)

    def __truediv__(self, other: Vector) -> Vector:
        return self._do("fdiv", other)
