"""Contractions in random programs: of any kind, on what there is and on new inputs."""

from __future__ import annotations

import string
from collections.abc import Sequence
from math import prod

import numpy as np
from hypothesis import strategies as st
from programs.choices import (
    Step,
    a_number,
    a_reduction,
    a_value,
    a_value_with_axis,
    floats,
    fresh,
    listed,
)
from programs.writing import Program, Refused, Written, call
from strategies import Draw, Problem, problems, windows


def _einsum(draw: Draw, program: Program) -> Written:
    """A sum of products, or another reduction: any indices on any axes, diagonals too."""
    operands = [a_value(draw, program) for _ in range(draw(st.sampled_from([2, 1, 2, 3])))]
    if draw(st.integers(0, 5)) == 5:
        operands.append(operands[0])
    names: dict[str, int] = {}
    terms = [[_index(draw, names, s) for s in program.array(o).shape] for o in operands]
    output = draw(st.lists(st.sampled_from([*names, "(0)"]), max_size=3)) if names else []
    given = {}
    if draw(st.integers(0, 5)) == 5:
        output, given = [*output, "Z"], {"Z": draw(st.sampled_from([2, 1, 3]))}
    numbers = [a_number(draw)] if draw(st.integers(0, 7)) == 7 else []
    listed = ", ".join([*map(_term, terms), *("" for _ in numbers)])
    reduce = a_reduction(draw, prod(names.values()))
    return call(
        "contract", f"{listed} -> {_term(output)}", *operands, *numbers, reduce=reduce, **given
    )


def _term(names: Sequence[str]) -> str:
    return " ".join(names)


def _index(draw: Draw, names: dict[str, int], size: int) -> str:
    same = [name for name, known in names.items() if known == size]
    new = string.ascii_letters[len(names)]
    found: str = draw(st.sampled_from([*same, new]))
    names[found] = size
    return found


def _window(draw: Draw, program: Program) -> Written:
    """Taps that slide along an axis, or are spread along it."""
    value, name, size = a_value_with_axis(draw, program)
    place, tap = fresh(program, 2)
    taps = draw(st.integers(1, 3))
    stride, dilation = draw(st.sampled_from([1, 2, 1, 3])), draw(st.sampled_from([1, 1, 2, -1]))
    offset = draw(st.sampled_from([0, -1, 1, -2]))
    axis = f"({stride}*{place}{dilation:+d}*{tap}{offset:+d})"
    rest = [other for other in value.axes if other != name]
    moved = [axis if other == name else other for other in value.axes]
    at = [place if other == name else other for other in value.axes]
    if draw(st.booleans()):
        inputs, output = moved, draw(st.permutations(at))
    else:
        inputs, output = at, draw(st.permutations(moved))
    given = {} if draw(st.booleans()) or inputs is at else {place: draw(st.integers(1, size + 1))}
    if draw(st.booleans()):
        reduce = a_reduction(draw, taps * (size + 1) * program.array(value).size // size)
        return call(
            "contract",
            f"{_blank(inputs)} -> {_blank(output)}",
            value,
            reduce=reduce,
            **{tap: taps},
            **given,
        )
    kernel = program.input(
        [tap, *rest[:1]],
        [taps, *(program.sizes(value)[r] for r in rest[:1])],
        draw(st.integers(1, 99)),
    )
    spec = f"{_blank(inputs)}, {tap} {_blank(rest[:1])} -> {_blank(output)}"
    return call("contract", spec, value, kernel, **given)


def _blank(names: Sequence[str]) -> str:
    return listed(list(names))


def _composed(draw: Draw, program: Program) -> Written:
    """Two axes on one, or one as two."""
    value, name, size = a_value_with_axis(draw, program)
    if len(value.axes) >= 2 and draw(st.booleans()):
        first, *middle, last = value.axes
        return call("contract", f"{_term(value.axes)} -> ({first} {last}) {_term(middle)}", value)
    outer, inner = fresh(program, 2)
    parts = draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    inputs = [f"({outer} {inner})" if other == name else other for other in value.axes]
    kept = [other for other in value.axes if other != name]
    output = draw(st.permutations([inner, outer, *kept]))
    return call("contract", f"{_term(inputs)} -> {_term(output)}", value, **{inner: parts})


def _any_problem(draw: Draw, program: Program) -> Written:
    """Any sentence of the notation, on new inputs and on what there is."""
    problem: Problem = draw(st.one_of(problems(), windows(), problems(empty=True)))
    reduce = a_reduction(draw, problem.points)
    operands = [_of_shape(draw, program, shape) for shape in problem.shapes]
    return call(
        "contract",
        problem.spec,
        *operands,
        reduce=reduce,
        output_shape=problem.output_shape,
        **problem.extents,
    )


def _of_shape(draw: Draw, program: Program, shape: tuple[int, ...]) -> Written:
    fitting = [value for value in floats(program) if program.array(value).shape == shape]
    if fitting and draw(st.booleans()):
        found: Written = draw(st.sampled_from(fitting[::-1]))
        return found
    if len(fitting) < len(floats(program)) and np.prod(shape) > 100:
        raise Refused("too many elements")
    return program.input(fresh(program, len(shape)), shape, draw(st.integers(1, 99)))


def _embedded(draw: Draw, program: Program) -> Written:
    """Rows of a table, as labels say: a contraction with a one-hot code."""
    value, name, _ = a_value_with_axis(draw, program)
    token, feature = fresh(program, 2)
    labels = program.input(
        [token], [draw(st.sampled_from([2, 3, 1]))], draw(st.integers(1, 99)), "int64", 3
    )
    rest = [other for other in value.axes if other != name]
    hot = call("==", labels, call("index", feature))
    table = [feature if other == name else other for other in value.axes]
    assert hot.axes == (token, feature)
    return call(
        "contract", f"{token} {feature}, {_blank(table)} -> {_blank([token, *rest])}", hot, value
    )


def _written_otherwise(draw: Draw, program: Program) -> Written:
    """An ellipsis, a parameter, sizes for extents, a bias, numpy's style."""
    value, name, size = a_value_with_axis(draw, program)
    kind = draw(st.sampled_from(["ellipsis", "parameter", "size", "bias", "letters"]))
    if kind == "ellipsis":
        rank = draw(st.integers(0, len(value.axes)))
        term = ["...", *string.ascii_letters[: len(value.axes) - rank]]
        return call("contract", f"{_term(term)}, -> {_term(term[::-1])}", value, a_number(draw))
    if kind == "parameter":
        place, stride, start = fresh(program, 3)
        axis = f"({stride}*{place}+{start})"
        term = [axis if other == name else other for other in value.axes]
        spec = f"{listed(term)} -> {listed([place, *(o for o in value.axes if o != name)])}"
        given = {
            place: 2,
            stride: draw(st.sampled_from([2, -1])),
            start: draw(st.sampled_from([0, 1, size - 1])),
        }
        return call("contract", spec, value, parameters=f"{stride} {start}", **given)
    if kind == "size":
        (new,) = fresh(program, 1)
        spec = f"{listed(value.axes)} -> {listed([*value.axes, new])}"
        return call("contract", spec, value, **{new: call("size", value, name)})
    if kind == "letters":
        letters = string.ascii_letters[: len(value.axes)]
        return call("contract", f"{letters},{letters}->{letters[::-1]}", value, value)
    last = program.array(value).shape[-1:]
    bias = program.input(fresh(program, 1), last, draw(st.integers(1, 99)))
    spec = f"{listed(value.axes)} -> {listed(value.axes)}"
    return call("contract", spec, value, bias=bias, activation="relu")


CONTRACTION_STEPS: list[Step] = [
    _einsum, _window, _any_problem, _einsum, _window, _any_problem, _composed, _embedded,
    _written_otherwise,
]  # fmt: skip
