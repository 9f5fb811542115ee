"""Random programs for property tests, written with what users write programs with.

What one can draw:

- ``programs()``: a ``Trial``, with contractions of every kind, maps, masks, slices, sharing.

A trial prints as the code that makes it. Its arrays follow from what is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from programs.choices import NAMES, floats, listed
from programs.program_steps import ALL_STEPS, STEPS
from programs.writing import Program, Refused, Written, call
from strategies import Draw


@dataclass(frozen=True)
class Trial:
    """A program with a loss.

    Attributes:
        program: the values, and the arrays.
        loss: a number.
        output: the value of which the loss is made.
    """

    program: Program
    loss: Written
    output: Written

    def __repr__(self) -> str:
        return f"{self.program!r}\nloss = {self.loss!r}  # of {self.output!r}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@st.composite
def programs(draw: Draw, *, smooth: bool = True, most: int = 6) -> Trial:
    """Any program of some steps, whose values are small.

    Args:
        smooth: whether functions that no polynomial is belong to it.
        most: how many steps it has.
    """
    program = Program()
    sizes = {name: draw(st.sampled_from([2, 3, 2, 3, 1, 2, 0])) for name in NAMES}
    for _ in range(draw(st.integers(1, 3))):
        names = draw(st.permutations(NAMES))[: draw(st.sampled_from([2, 1, 2, 3, 0]))]
        program.input(names, [sizes[name] for name in names], draw(st.integers(1, 99)))
    steps = ALL_STEPS if smooth else STEPS
    for _ in range(draw(st.integers(1, most))):
        step = draw(st.sampled_from(steps))
        try:
            program.keep(step(draw, program))
        except Refused:
            continue
    return _ended(draw, program)


def squared(made: Callable[[Program], Written]) -> Trial:
    """A program whose loss is the sum of the squares of a value, which is made in it."""
    program = Program()
    value = made(program)
    return Trial(program, _squares(value), value)


def _squares(value: Written) -> Written:
    return call("contract", f"{listed(value.axes)} ->", call("*", value, value))


def _ended(draw: Draw, program: Program) -> Trial:
    """The trial whose loss is made of the last value, and maybe of another one."""
    known = floats(program)
    output = next((v for v in reversed(known) if v.text.startswith("v")), known[-1])
    loss = _weighed(draw, program, output)
    if draw(st.booleans()):
        loss = call("+", loss, _weighed(draw, program, draw(st.sampled_from(known))))
    return Trial(program, loss, output)


def _weighed(draw: Draw, program: Program, value: Written) -> Written:
    """A sum of all elements, or of their squares, each with another weight."""
    axes = " ".join(value.axes)
    if draw(st.booleans()):
        return _squares(value)
    shape = program.array(value).shape
    weights = program.input(value.axes, shape, draw(st.integers(1, 99)))
    assert weights.axes == tuple(axes.split())
    return call("contract", f"{listed(axes.split())}, {listed(value.axes)} ->", weights, value)
