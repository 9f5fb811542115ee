"""Calls of what is no kernel of a program: a BLAS, and kernels that have tables of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from contractconv.engines.llvm.kernels.native import Native, build
from contractconv.machine import blas

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int

_next = count().__next__
# Places in the table of arguments. First the address of what is called.
FUNCTION = _next()
# Of a kernel its table, and what :func:`contractconv.machine.blas.gate` returns.
TABLE, GATE = _next(), _next()
# Of a product how both factors lie, as a BLAS says it; the three sizes; and of factors and result
# the address of the first number and numbers from one row to the next.
LEFT_LIES, RIGHT_LIES = _next(), _next()
ROWS, COLUMNS, DEPTH = _next(), _next(), _next()
LEFT, LEFT_ROW, RIGHT, RIGHT_ROW, RESULT, RESULT_ROW = (_next() for _ in range(6))
ARGUMENTS = _next()
# How C calls the orders in which matrices lie.
_ROW_MAJOR, _AS_IT_IS, _TURNED = 101, 111, 112


def lies(turned: bool) -> int:
    """How a BLAS is told whether rows or columns of a matrix lie in one line."""
    return _TURNED if turned else _AS_IT_IS


@cache
def relay() -> Native:
    """The kernel that calls another one with a table of its own."""
    return build("relay", "float32", _write_relay, "relay")


def _write_relay(e: Emitter) -> None:
    kind = e.function.function_type.as_pointer()
    function = e.builder.inttoptr(e.argument(FUNCTION).value, kind)
    e.builder.call(function, [e.builder.inttoptr(e.argument(TABLE).value, e.function.args[0].type)])


@cache
def alone() -> Native:
    """The same, while products take one thread each.

    No step of Python, and so nothing that a signal raises, can come before they are let go.
    """
    return build("alone", "float32", _write_alone, "alone")


def _write_alone(e: Emitter) -> None:
    gate = e.argument(GATE)
    _in_turn(e, gate, lambda: _count_in(e, gate))
    _write_relay(e)
    _in_turn(e, gate, lambda: _count_out(e, gate))


def _in_turn(e: Emitter, gate: Int, steps: Callable[[], None]) -> None:
    """A few steps that one thread takes at a time."""
    e.as_long_as(lambda: (e.exchanged(gate, blas.TURN, 1).equals(1), None), lambda _: e.pause())
    steps()
    e.announce(gate, blas.TURN, e.whole(0))


def _count_in(e: Emitter, gate: Int) -> None:
    callers = e.entry_of(gate, blas.CALLERS)
    with e.builder.if_then(callers.equals(0)):
        found = _read(e, gate)
        e.set_entry(gate, blas.FOUND, found)
        # One thread may be what another counter has set, which puts back what was there before.
        with e.builder.if_then(e.builder.not_(found.equals(1))):
            _set(e, gate, e.whole(1))
    e.set_entry(gate, blas.CALLERS, callers + 1)


def _count_out(e: Emitter, gate: Int) -> None:
    callers = e.entry_of(gate, blas.CALLERS) - 1
    e.set_entry(gate, blas.CALLERS, callers)
    found = e.entry_of(gate, blas.FOUND)
    last = e.builder.and_(callers.equals(0), e.builder.not_(found.equals(1)))
    # Whoever has set another number in the meantime wants that one.
    with e.builder.if_then(last), e.builder.if_then(_read(e, gate).equals(1)):
        _set(e, gate, found)


def _read(e: Emitter, gate: Int) -> Int:
    from llvmlite import ir

    from contractconv.engines.llvm.kernels.kernel_values import Int

    kind = ir.FunctionType(ir.IntType(32), []).as_pointer()
    number = e.builder.call(e.builder.inttoptr(e.entry_of(gate, blas.READ).value, kind), [])
    return Int(e, e.builder.sext(number, ir.IntType(64)))


def _set(e: Emitter, gate: Int, number: Int) -> None:
    from llvmlite import ir

    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)]).as_pointer()
    function = e.builder.inttoptr(e.entry_of(gate, blas.SET).value, kind)
    e.builder.call(function, [e.builder.trunc(number.value, ir.IntType(32))])


@cache
def product(dtype: str, bits: int) -> Native:
    """The kernel that lets a BLAS multiply two matrices.

    Args:
        dtype: of the numbers.
        bits: of the integers that the BLAS takes.
    """

    def write(e: Emitter) -> None:
        _write_product(e, bits)

    return build(f"product_{dtype}_{bits}", dtype, write, ("product", bits))


def _write_product(e: Emitter, bits: int) -> None:
    from llvmlite import ir

    number, order, size = e.element, ir.IntType(32), ir.IntType(bits)
    matrix = number.as_pointer()

    def integer(place: int, kind: ir.IntType) -> ir.Value:
        value = e.argument(place).value
        return e.builder.trunc(value, kind) if kind.width < 64 else value

    def lies(first: int, row: int) -> list[ir.Value]:
        return [e.builder.inttoptr(e.argument(first).value, matrix), integer(row, size)]

    given = [
        order(_ROW_MAJOR),
        *(integer(place, order) for place in (LEFT_LIES, RIGHT_LIES)),
        *(integer(place, size) for place in (ROWS, COLUMNS, DEPTH)),
        number(1.0), *lies(LEFT, LEFT_ROW), *lies(RIGHT, RIGHT_ROW),
        number(0.0), *lies(RESULT, RESULT_ROW),
    ]  # fmt: skip
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in given]).as_pointer()
    e.builder.call(e.builder.inttoptr(e.argument(FUNCTION).value, kind), given)
