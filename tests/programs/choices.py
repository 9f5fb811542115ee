"""What a step of a random program may choose from: values, axes, numbers, names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from programs.dtypes import kind_of
from programs.jets import value_of
from programs.writing import Program, Refused, Written
from strategies import Draw

NAMES = "btic"
REDUCTIONS = ("sum", "sum", "sum", "max", "min", "mean", "logsumexp")
MOST_POINTS, MOST_FACTORS = 200, 40
"""Of a contraction, and of one that is a product: its second derivative has as many squared."""

Step = Callable[[Draw, Program], Written]


def floats(program: Program) -> list[Written]:
    """The values of floating-point numbers, in the order in which they were written."""
    return [v for v in program.named.values() if kind_of(v.tensor._node) == "float"]


def a_value(draw: Draw, program: Program) -> Written:
    """A value of floating-point numbers; a late one, mostly."""
    found: Written = draw(st.sampled_from(floats(program)[::-1]))
    return found


def a_reduction(draw: Draw, points: int) -> str:
    """A reduction that one can differentiate twice for so many points.

    Raises:
        Refused: there are too many of them.
    """
    if points > MOST_POINTS:
        raise Refused("too many points")
    products = ["prod"] if points <= MOST_FACTORS else []
    found: str = draw(st.sampled_from([*REDUCTIONS, *products]))
    return found


def fitting(draw: Draw, program: Program, *values: Written) -> Written:
    """A value that meets others by name: their common axes have the same sizes."""
    sizes = {name: size for value in values for name, size in program.sizes(value).items()}
    return draw(st.sampled_from([  # type: ignore[no-any-return]
        other for other in floats(program)[::-1]
        if all(sizes.get(name, size) == size for name, size in program.sizes(other).items())
    ]))  # fmt: skip


def a_value_with_axis(draw: Draw, program: Program, least: int = 1) -> tuple[Written, str, int]:
    """A value, and one of its axes with enough elements, with their number."""
    found = [
        (value, name, size) for value in floats(program)[::-1]
        for name, size in program.sizes(value).items() if size >= least
    ]  # fmt: skip
    if not found:
        (name,), size = fresh(program, 1), draw(st.integers(least, 3))
        return program.input([name], [size], draw(st.integers(1, 99))), name, size
    value = draw(st.sampled_from(list(dict.fromkeys(value for value, _, _ in found))))
    return draw(st.sampled_from([each for each in found if each[0] is value]))  # type: ignore[no-any-return]


def a_number(draw: Draw) -> Any:
    number = draw(st.sampled_from([2, -1, 0.5, 1.5, 0, -2, 3]))
    return draw(st.sampled_from([number, number, np.float64(number), np.array(number)]))


def fresh(program: Program, count: int) -> list[str]:
    """Names that no axis of any value has.

    A string may only say names that are drawn so, those of the axes that it reads, or none of these
    at all: one that happens to be an axis of what is read would mean that axis.
    """
    taken = {name for value in program.named.values() for name in value.axes}
    found = (f"{letter}{n}" for n in itertools.count(len(program.lines)) for letter in "pqrsuvw")
    return list(itertools.islice((name for name in found if name not in taken), count))


def magnitude(program: Program, value: Written) -> tuple[float, float]:
    numbers = [float(value_of(n)) for n in program.array(value).ravel()] or [1.0]
    return min(numbers), max(map(abs, numbers))


def listed(axes: Sequence[str]) -> str:
    """The axes of a term; a blank follows, so that no name is read letter by letter."""
    return f"( {axes[0]} )" if len(axes) == 1 and len(axes[0]) > 1 else " ".join(axes)
