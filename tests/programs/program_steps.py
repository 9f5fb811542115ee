"""What a random program may do next: maps, contractions of every kind, masks, parts of arrays.

A step takes values that a program has, and writes another one with what users write programs with;
it is refused where there is nothing fit for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from programs.dtypes import kind_of
from programs.jets import value_of
from programs.writing import Program, Refused, Written, call
from strategies import Draw, Problem, problems, windows

NAMES = "btic"
REDUCTIONS = ("sum", "sum", "sum", "max", "min", "prod", "mean", "logsumexp")
POLYNOMIAL = ("negative", "square", "abs", "relu", "max", "min", "stop_gradient")
SMOOTH = (
    "exp", "expm1", "sin", "cos", "arctan", "sinh", "cosh", "tanh", "erf", "erfc", "sigmoid",
    "softplus", "log_sigmoid", "elu", "silu", "gelu", "gelu_tanh", "log", "log1p", "sqrt", "rsqrt",
    "reciprocal", "tan", "floor", "ceil", "round", "sign",
)  # fmt: skip
NARROW = {"exp": 4, "expm1": 4, "sinh": 4, "cosh": 4, "tan": 1.2, "erfc": 3}
"""Beyond which values a function is steep, or almost constant."""
POSITIVE = ("log", "log1p", "sqrt", "rsqrt", "reciprocal")

Step = Callable[[Draw, Program], Written | None]


# -- what there is to choose from ------------------------------------------------------------------


def floats(program: Program) -> list[Written]:
    """The values of floating-point numbers, in the order in which they were written."""
    return [v for v in program.named.values() if kind_of(v.tensor._node) == "float"]


def _value(draw: Draw, program: Program) -> Written:
    """A value of floating-point numbers; a late one, mostly."""
    found: Written = draw(st.sampled_from(floats(program)[::-1]))
    return found


def _fitting(draw: Draw, program: Program, value: Written) -> Written:
    """A value whose common axes have the same sizes."""
    sizes = program.sizes(value)
    return draw(st.sampled_from([  # type: ignore[no-any-return]
        other for other in floats(program)[::-1]
        if all(sizes.get(name, size) == size for name, size in program.sizes(other).items())
    ]))  # fmt: skip


def _axis(draw: Draw, program: Program, value: Written, least: int = 1) -> tuple[str, int]:
    """An axis of a value with enough elements.

    Raises:
        Refused: there is none.
    """
    found = [pair for pair in program.sizes(value).items() if pair[1] >= least]
    if not found:
        raise Refused("no axis")
    name, size = draw(st.sampled_from(found))
    return name, size


def _number(draw: Draw) -> Any:
    number = draw(st.sampled_from([2, -1, 0.5, 1.5, 0, -2, 3]))
    return draw(st.sampled_from([number, number, np.float64(number), np.array(number)]))


def _fresh(program: Program, count: int) -> list[str]:
    """Names that no axis has."""
    return [f"{letter}{len(program.lines)}" for letter in "pqrsuvw"[:count]]


def _magnitude(program: Program, value: Written) -> tuple[float, float]:
    numbers = [float(value_of(n)) for n in program.array(value).ravel()] or [1.0]
    return min(numbers), max(map(abs, numbers))


def listed(axes: Sequence[str]) -> str:
    """The axes of a term; a blank follows, so that no name is read letter by letter."""
    return f"( {axes[0]} )" if len(axes) == 1 and len(axes[0]) > 1 else " ".join(axes)


# -- maps ------------------------------------------------------------------------------------------


def _unary(draw: Draw, program: Program) -> Written:
    name = draw(st.sampled_from(POLYNOMIAL))
    value = _value(draw, program)
    if name in ("max", "min"):
        return call(name, value, draw(st.sampled_from([0, 1, -0.5])))
    return call(name, value)


def _smooth(draw: Draw, program: Program) -> Written:
    name, value = draw(st.sampled_from(SMOOTH)), _value(draw, program)
    least, most = _magnitude(program, value)
    if name in POSITIVE and least < 0.25:
        value = call("+", call("*", value, value), 1)
    if most > NARROW.get(name, 50):
        value = call("tanh", value)
    return call(name, value)


def _binary(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    other = draw(st.sampled_from([_fitting(draw, program, value), _number(draw)]))
    pair = [value, other] if draw(st.booleans()) else [other, value]
    if not isinstance(pair[0], (Written, int, float)):
        pair.reverse()
    return call(draw(st.sampled_from(["+", "*", "-", "max", "min"])), *pair)


def _quotient(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    other = _fitting(draw, program, value)
    return call("/", value, call("+", call("square", other), 1))


def _power(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return call("**", value, draw(st.sampled_from([2, 3, 1, 0])))
    base = call("+", call("abs", value), 0.5)
    if kind == 1:
        return call("**", base, draw(st.sampled_from([0.5, -1, -2, 1.5])))
    if kind == 2:
        return call("**", 1.5, call("tanh", value))
    return call("**", base, call("sin", _fitting(draw, program, value)))


def _special(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    name = draw(st.sampled_from(["logaddexp", "leaky_relu", "%"]))
    if name == "logaddexp":
        return call(name, value, _fitting(draw, program, value))
    return call(name, value, draw(st.sampled_from([0.25, 1.5, 2])))


def _where(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    other = draw(st.sampled_from([_fitting(draw, program, value), _number(draw)]))
    return call("where", _condition(draw, program, value), value, other)


def _condition(draw: Draw, program: Program, value: Written) -> Written:
    """A comparison of values, or of positions."""
    sign = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
    if value.axes and draw(st.booleans()):
        names = [draw(st.sampled_from(value.axes)) for _ in "ab"]
        found = call(sign, call("index", names[0]), call("index", names[1]))
        return found if names[0] != names[1] else call(sign, call("index", names[0]), 1)
    first = call(sign, value, draw(st.sampled_from([0, _fitting(draw, program, value)])))
    joined = draw(st.sampled_from(["", "&", "|", "logical_not"]))
    if joined == "logical_not":
        return call(joined, first)
    return call(joined, first, call("<", value, 1)) if joined else first


def _positions(draw: Draw, program: Program) -> Written:
    """A value that knows where it stands."""
    value = _value(draw, program)
    name, _ = _axis(draw, program, value, 0)
    place = draw(st.sampled_from([
        call("index", name), call("+", call("index", name), 1),
        call("index", name, call("size", value, name)), call("size", value, name),
    ]))  # fmt: skip
    return call(draw(st.sampled_from(["*", "+", "-"])), value, place)


def _softmax(draw: Draw, program: Program) -> Written:
    """The shares of the elements along an axis, without those behind a position."""
    value = _value(draw, program)
    name, _ = _axis(draw, program, value)
    kept = [axis for axis in value.axes if axis != name]
    seen = value
    if kept and draw(st.booleans()):
        seen = call(
            "where", call(">=", call("index", kept[0]), call("index", name)), value, -np.inf
        )
    spec = f"{listed(seen.axes)} -> {listed([n for n in seen.axes if n != name])}"
    return call("exp", call("-", seen, call("contract", spec, seen, reduce="logsumexp")))


# -- contractions ----------------------------------------------------------------------------------


def _einsum(draw: Draw, program: Program) -> Written:
    """A sum of products, or another reduction: any indices on any axes, diagonals too."""
    operands = [_value(draw, program) for _ in range(draw(st.sampled_from([2, 1, 2, 3])))]
    if draw(st.integers(0, 5)) == 5:
        operands.append(operands[0])
    names: dict[str, int] = {}
    terms = [[_index(draw, names, s) for s in program.array(o).shape] for o in operands]
    output = draw(st.lists(st.sampled_from([*names, "(0)"]), max_size=3)) if names else []
    given = {}
    if draw(st.integers(0, 5)) == 5:
        output, given = [*output, "z"], {"z": draw(st.sampled_from([2, 1, 3]))}
    numbers = [_number(draw)] if draw(st.integers(0, 7)) == 7 else []
    listed = ", ".join([*map(_term, terms), *("" for _ in numbers)])
    reduce = draw(st.sampled_from(REDUCTIONS))
    return call(
        "contract", f"{listed} -> {_term(output)}", *operands, *numbers, reduce=reduce, **given
    )


def _term(names: Sequence[str]) -> str:
    return " ".join(names)


def _index(draw: Draw, names: dict[str, int], size: int) -> str:
    same = [name for name, known in names.items() if known == size]
    new = "ijklmnabcdefgh"[len(names)]
    found: str = draw(st.sampled_from([*same, new]))
    names[found] = size
    return found


def _window(draw: Draw, program: Program) -> Written:
    """Taps that slide along an axis, or are spread along it."""
    value = _value(draw, program)
    name, size = _axis(draw, program, value)
    place, tap = _fresh(program, 2)
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
        reduce = draw(st.sampled_from(REDUCTIONS))
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
    value = _value(draw, program)
    if len(value.axes) >= 2 and draw(st.booleans()):
        first, *middle, last = value.axes
        return call("contract", f"{_term(value.axes)} -> ({first} {last}) {_term(middle)}", value)
    name, size = _axis(draw, program, value)
    outer, inner = _fresh(program, 2)
    parts = draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    inputs = [f"({outer} {inner})" if other == name else other for other in value.axes]
    kept = [other for other in value.axes if other != name]
    output = draw(st.permutations([inner, outer, *kept]))
    return call("contract", f"{_term(inputs)} -> {_term(output)}", value, **{inner: parts})


def _any_problem(draw: Draw, program: Program) -> Written:
    """Any sentence of the notation, on new inputs and on what there is."""
    problem: Problem = draw(st.one_of(problems(), windows(), problems(empty=True)))
    if problem.points > 200:
        raise Refused("too many points")
    operands = [_of_shape(draw, program, shape) for shape in problem.shapes]
    reduce = draw(st.sampled_from(REDUCTIONS))
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
    return program.input(_fresh(program, len(shape)), shape, draw(st.integers(1, 99)))


def _embedded(draw: Draw, program: Program) -> Written:
    """Rows of a table, as labels say: a contraction with a one-hot code."""
    value = _value(draw, program)
    name, _ = _axis(draw, program, value)
    token, feature = _fresh(program, 2)
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
    value = _value(draw, program)
    name, size = _axis(draw, program, value)
    kind = draw(st.sampled_from(["ellipsis", "parameter", "size", "bias", "letters"]))
    if kind == "ellipsis":
        rank = draw(st.integers(0, len(value.axes)))
        term = ["...", *"ijkl"[: len(value.axes) - rank]]
        return call("contract", f"{_term(term)}, -> {_term(term[::-1])}", value, _number(draw))
    if kind == "parameter":
        term = ["(s*n+o)" if other == name else other for other in value.axes]
        spec = f"{listed(term)} -> {listed(['n', *(o for o in value.axes if o != name)])}"
        given = {"s": draw(st.sampled_from([2, -1])), "o": draw(st.sampled_from([0, 1, size - 1]))}
        return call("contract", spec, value, parameters="s o", n=2, **given)
    if kind == "size":
        spec = f"{listed(value.axes)} -> {listed([*value.axes, 'n'])}"
        return call("contract", spec, value, n=call("size", value, name))
    if kind == "letters":
        letters = "ijkl"[: len(value.axes)]
        return call("contract", f"{letters},{letters}->{letters[::-1]}", value, value)
    bias = program.input(["n"], program.array(value).shape[-1:], draw(st.integers(1, 99)))
    spec = f"{listed(value.axes)} -> {listed(value.axes)}"
    return call("contract", spec, value, bias=bias, activation="relu")


# -- parts -----------------------------------------------------------------------------------------


def _part(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    name, size = _axis(draw, program, value)
    if draw(st.booleans()):
        return call("at", value, **{name: draw(st.integers(-size, size - 1))})
    start, stop = draw(st.integers(-size, size)), draw(st.sampled_from([None, size, -1, 1]))
    begin = start % size if start < 0 else start
    end = size if stop is None else stop % size if stop < 0 else stop
    if end < begin:
        raise Refused("an empty slice from behind")
    if start == -size and end < size:
        raise Refused("see test_program_faults: slices from the end that begin at the start")
    step = draw(st.sampled_from([None, 1, 2])) if stop is None else None
    return call("at", value, **{name: slice(start, stop, step)})


def _concatenated(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    name, _ = _axis(draw, program, value, 0)
    sizes = program.sizes(value)
    alike = [
        other for other in floats(program)
        if set(other.axes) == set(value.axes)
        and all(program.sizes(other)[n] == s for n, s in sizes.items() if n != name)
    ]  # fmt: skip
    others = [draw(st.sampled_from(alike)) for _ in range(draw(st.integers(1, 2)))]
    if len(others) > 1 and not sizes[name]:
        raise Refused("see test_program_faults: concatenations behind nothing")
    return call("concatenated", value, *others, name)


def _converted(draw: Draw, program: Program) -> Written:
    """Integers as floating-point numbers, positions and labels among them."""
    value = _value(draw, program)
    name, _ = _axis(draw, program, value, 0)
    places = call("cast", call("index", name, call("size", value, name)), "float64")
    return call("*", value, draw(st.sampled_from([places, call("cast", value, "float64")])))


def _renamed(draw: Draw, program: Program) -> Written:
    value = _value(draw, program)
    names = draw(st.permutations([*NAMES, *_fresh(program, 1)]))[: len(value.axes)]
    if len(names) < len(value.axes):
        raise Refused("too many axes")
    return call("named", value, " ".join(names))


STEPS: list[Step] = [
    _einsum, _window, _any_problem, _einsum, _window, _any_problem, _composed, _embedded,
    _written_otherwise, _converted,
    _unary, _binary, _where, _positions, _part, _concatenated, _renamed, _binary,
]  # fmt: skip
SMOOTH_STEPS: list[Step] = [_smooth, _smooth, _quotient, _power, _special, _softmax]
