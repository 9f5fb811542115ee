"""Values of the language of kernels: they stand for what exists when a kernel runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter


def _computed(operation: str) -> Callable[[Int, Int | int], Int]:
    def compute(one: Int, other: Int | int) -> Int:
        build = getattr(one.emitter.builder, operation)
        return Int(one.emitter, build(one.value, one.emitter.whole(other).value))

    return compute


def _compared(how: str) -> Callable[[Int, Int | int], Any]:
    def compare(one: Int, other: Int | int) -> Any:
        emitter = one.emitter
        return emitter.builder.icmp_signed(how, one.value, emitter.whole(other).value)

    return compare


def _of_lanes(operation: str) -> Callable[[Vector, Vector], Vector]:
    def compute(one: Vector, other: Vector) -> Vector:
        build = getattr(one.emitter.builder, operation)
        return Vector(one.emitter, build(one.value, other.value))

    return compute


class Value:
    """What exists when a kernel runs."""

    __slots__ = ("emitter", "value")

    def __init__(self, emitter: Emitter, value: Any) -> None:
        self.emitter = emitter
        self.value = value


class Int(Value):
    """An integer of 64 bits: a counter, a number of bytes, or an address."""

    __slots__ = ()

    __add__, __sub__, __mul__ = map(_computed, ("add", "sub", "mul"))
    __floordiv__, __mod__ = map(_computed, ("sdiv", "srem"))
    __lt__, __ge__, equals = map(_compared, ("<", ">=", "=="))

    def least(self, other: Int | int) -> Int:
        """The smaller of two."""
        return self.emitter.chosen(self < other, self, self.emitter.whole(other))


class Vector(Value):
    """A register full of numbers."""

    __slots__ = ()

    __add__, __sub__ = map(_of_lanes, ("fadd", "fsub"))
    __mul__, __truediv__ = map(_of_lanes, ("fmul", "fdiv"))
