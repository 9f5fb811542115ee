"""Maps in random programs: functions, masks, positions, integers and truth values among them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from programs.choices import Step, a_number, a_value, a_value_with_axis, fitting, listed, magnitude
from programs.writing import Program, Written, call
from strategies import Draw

POLYNOMIAL = ("negative", "square", "abs", "relu", "max", "min", "stop_gradient")
SMOOTH = (
    "exp", "expm1", "sin", "cos", "arctan", "sinh", "cosh", "tanh", "erf", "erfc", "sigmoid",
    "softplus", "log_sigmoid", "elu", "silu", "gelu", "gelu_tanh", "log", "log1p", "sqrt", "rsqrt",
    "reciprocal", "tan", "floor", "ceil", "round", "sign",
)  # fmt: skip
NARROW = {"exp": 4, "expm1": 4, "sinh": 4, "cosh": 4, "tan": 1.2, "erfc": 3}
"""Beyond which values a function is steep, or almost constant."""
POSITIVE = ("log", "log1p", "sqrt", "rsqrt", "reciprocal")


def _unary(draw: Draw, program: Program) -> Written:
    name = draw(st.sampled_from(POLYNOMIAL))
    value = a_value(draw, program)
    if name in ("max", "min"):
        return call(name, value, draw(st.sampled_from([0, 1, -0.5])))
    return call(name, value)


def _smooth(draw: Draw, program: Program) -> Written:
    name, value = draw(st.sampled_from(SMOOTH)), a_value(draw, program)
    least, most = magnitude(program, value)
    if name in POSITIVE and least < 0.25:
        value = call("+", call("*", value, value), 1)
    if most > NARROW.get(name, 50):
        value = call("tanh", value)
    return call(name, value)


def _binary(draw: Draw, program: Program) -> Written:
    value = a_value(draw, program)
    other = draw(st.sampled_from([fitting(draw, program, value), a_number(draw)]))
    pair = [value, other] if draw(st.booleans()) else [other, value]
    if not isinstance(pair[0], (Written, int, float)):
        pair.reverse()
    return call(draw(st.sampled_from(["+", "*", "-", "max", "min"])), *pair)


def _quotient(draw: Draw, program: Program) -> Written:
    value = a_value(draw, program)
    other = fitting(draw, program, value)
    return call("/", value, call("+", call("square", other), 1))


def _power(draw: Draw, program: Program) -> Written:
    value = a_value(draw, program)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return call("**", value, draw(st.sampled_from([2, 3, 1, 0])))
    base = call("+", call("abs", value), 0.5)
    if kind == 1:
        return call("**", base, draw(st.sampled_from([0.5, -1, -2, 1.5])))
    if kind == 2:
        return call("**", 1.5, call("tanh", value))
    return call("**", base, call("sin", fitting(draw, program, value)))


def _special(draw: Draw, program: Program) -> Written:
    value = a_value(draw, program)
    name = draw(st.sampled_from(["logaddexp", "leaky_relu", "%"]))
    if name == "logaddexp":
        return call(name, value, fitting(draw, program, value))
    return call(name, value, draw(st.sampled_from([0.25, 1.5, 2])))


def _where(draw: Draw, program: Program) -> Written:
    value = a_value(draw, program)
    other = draw(st.sampled_from([fitting(draw, program, value), a_number(draw)]))
    met = [value, other] if isinstance(other, Written) else [value]
    return call("where", _condition(draw, program, *met), value, other)


def _condition(draw: Draw, program: Program, value: Written, *others: Written) -> Written:
    """A comparison of values that fit others, or of positions."""
    sign = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
    if value.axes and draw(st.booleans()):
        names = [draw(st.sampled_from(value.axes)) for _ in "ab"]
        found = call(sign, call("index", names[0]), call("index", names[1]))
        return found if names[0] != names[1] else call(sign, call("index", names[0]), 1)
    first = call(sign, value, draw(st.sampled_from([0, fitting(draw, program, value, *others)])))
    joined = draw(st.sampled_from(["", "&", "|", "logical_not"]))
    if joined == "logical_not":
        return call(joined, first)
    return call(joined, first, call("<", value, 1)) if joined else first


def _positions(draw: Draw, program: Program) -> Written:
    """A value that knows where it stands."""
    value, name, _ = a_value_with_axis(draw, program, 0)
    place = draw(st.sampled_from([
        call("index", name), call("+", call("index", name), 1),
        call("index", name, call("size", value, name)), call("size", value, name),
    ]))  # fmt: skip
    return call(draw(st.sampled_from(["*", "+", "-"])), value, place)


def _softmax(draw: Draw, program: Program) -> Written:
    """The shares of the elements along an axis, without those behind a position."""
    value, name, _ = a_value_with_axis(draw, program)
    kept = [axis for axis in value.axes if axis != name]
    seen = value
    if kept and draw(st.booleans()):
        seen = call(
            "where", call(">=", call("index", kept[0]), call("index", name)), value, -np.inf
        )
    spec = f"{listed(seen.axes)} -> {listed([n for n in seen.axes if n != name])}"
    return call("exp", call("-", seen, call("contract", spec, seen, reduce="logsumexp")))


def _counts(draw: Draw, program: Program) -> Written:
    """A value that meets integers, or truth values, along some of its axes."""
    value = a_value(draw, program)
    sizes = program.sizes(value)
    names = [name for name in draw(st.permutations(value.axes)) if draw(st.booleans())]
    dtype = draw(st.sampled_from(["int64", "bool"]))
    seed = draw(st.integers(1, 99))
    given = program.input(names, [sizes[name] for name in names], seed, dtype, 3)
    kind = draw(st.sampled_from(["*", "where", "contract"]))
    if kind == "*":
        return call("*", *draw(st.permutations([value, given])))
    if kind == "where":
        condition = given if dtype == "bool" else call(">", given, 1)
        return call(
            "where", condition, value, draw(st.sampled_from([0, fitting(draw, program, value)]))
        )
    spec = f"{listed(value.axes)}, {listed(names)} -> {listed(names)}"
    return call("contract", spec, value, given)


MAP_STEPS: list[Step] = [_unary, _binary, _where, _positions, _counts, _binary]
SMOOTH_STEPS: list[Step] = [_smooth, _smooth, _quotient, _power, _special, _softmax]
