"""Parts of arrays in random programs, other names, other numbers, and derivatives as values."""

from __future__ import annotations

from math import prod

from hypothesis import strategies as st
from programs.choices import (
    NAMES,
    Step,
    a_number,
    a_reduction,
    a_value,
    a_value_with_axis,
    fitting,
    floats,
    fresh,
    listed,
)
from programs.writing import Program, Written, call
from strategies import Draw


def _part(draw: Draw, program: Program) -> Written:
    value, name, size = a_value_with_axis(draw, program)
    if draw(st.booleans()):
        return call("at", value, **{name: draw(st.integers(-size, size - 1))})
    start = draw(st.sampled_from([None, *range(-size, size + 1)]))
    begin, _, _ = slice(start, None).indices(size)
    stops = [None, *(n for n in range(-size, size + 1) if (n if n >= 0 else n + size) >= begin)]
    stop = draw(st.sampled_from(stops))
    step = draw(st.sampled_from([None, 1, 2])) if stop is None else None
    return call("at", value, **{name: slice(start, stop, step)})


def _concatenated(draw: Draw, program: Program) -> Written:
    value, name, _ = a_value_with_axis(draw, program, 0)
    sizes = program.sizes(value)
    alike = [
        other for other in floats(program)
        if set(other.axes) == set(value.axes)
        and all(program.sizes(other)[n] == s for n, s in sizes.items() if n != name)
    ]  # fmt: skip
    others = [draw(st.sampled_from(alike)) for _ in range(draw(st.integers(1, 2)))]
    return call("concatenated", value, *others, name)


def _converted(draw: Draw, program: Program) -> Written:
    """Integers as floating-point numbers, positions and labels among them."""
    value, name, _ = a_value_with_axis(draw, program, 0)
    places = call("cast", call("index", name, call("size", value, name)), "float64")
    return call("*", value, draw(st.sampled_from([places, call("cast", value, "float64")])))


def _renamed(draw: Draw, program: Program) -> Written:
    value = a_value(draw, program)
    names = draw(st.permutations([*NAMES, *fresh(program, len(value.axes))]))
    return call("named", value, " ".join(names[: len(value.axes)]))


def _opened(draw: Draw, program: Program) -> Written:
    """A value along an index that has no size by itself, and gets one from what it meets."""
    value = a_value(draw, program)
    other = fitting(draw, program, value)
    names = [name for name in other.axes if name not in value.axes]
    (name,) = [draw(st.sampled_from(names))] if names else fresh(program, 1)
    made = _along(draw, value, name)
    if names and draw(st.booleans()):
        return call(draw(st.sampled_from(["+", "*", "max"])), *draw(st.permutations([made, other])))
    if draw(st.booleans()):
        made = call("*", made, draw(st.sampled_from([made, value])))
    terms, operands, given = [made.axes], [made], {}
    if names and draw(st.booleans()):
        terms, operands = [made.axes, other.axes], [made, other]
    else:
        given = {name: draw(st.integers(0, 3))}
    kept = [
        name for name in dict.fromkeys(n for term in terms for n in term) if draw(st.booleans())
    ]
    spec = f"{', '.join(map(listed, terms))} -> {listed(draw(st.permutations(kept)))}"
    points = 3 * prod((program.sizes(value) | program.sizes(other)).values())
    return call("contract", spec, *operands, reduce=a_reduction(draw, points), **given)


def _along(draw: Draw, value: Written, name: str) -> Written:
    """A value that changes with a position on an axis that it has not."""
    place = call("index", name)
    kind = draw(st.sampled_from(["*", "+", "-", "max", "where"]))
    if kind == "where":
        return call("where", call("<", place, 2), value, a_number(draw))
    return call(kind, *draw(st.permutations([value, place])))


def _slope(draw: Draw, program: Program) -> Written:
    """A derivative, as one value among others."""
    value, wrt = a_value(draw, program), a_value(draw, program)
    if draw(st.booleans()):
        return call("jvp", value, wrt, wrt)
    return call("grad", call("contract", f"{listed(value.axes)} ->", call("*", value, value)), wrt)


PART_STEPS: list[Step] = [_part, _concatenated, _renamed, _converted, _opened, _slope]
