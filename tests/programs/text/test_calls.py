"""Texts of several functions, and what is said of calls that are none."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import ProgramError
from contractconv.programs.nodes import in_order

LAYER = """def layer(x: "b i", W: "i o", bias: "o"):
    z = contract("b i, i o -> b o", x, W)
    a = tanh(z + bias)
    return a
"""
MOMENTS = """
def moments(y: "b o"):
    mean = contract("b o -> o", y, reduce="mean")
    spread = contract("b o -> o", y * y, reduce="mean") - mean * mean
    n = size(y, "b")
    return mean, spread, n
"""
NET = f"""{LAYER}{MOMENTS}
def net(x: "b i", W: "i h", c: "h", V: "h o", d: "o"):
    h = layer(x, W, c)
    y = layer(2 * h, V, d)
    m, s, n = moments(y)
    loss = contract("o ->", s) / n
    return loss, m
"""


def refused(text: str) -> ProgramError:
    """What is said of a text."""
    with pytest.raises(ProgramError) as error:
        cc.read(text)
    return error.value


def pointed(error: ProgramError) -> str:
    """What stands above the carets of an error."""
    line, marks = next(
        pair for pair in pairwise(str(error).split("\n")) if pair[1].strip().startswith("^")
    )
    return line[marks.index("^") : marks.rindex("^") + 1]


# --- what calls mean ----------------------------------------------------------------------------


def test_calls_are_compositions() -> None:
    shapes = {"x": (5, 3), "W": (3, 4), "c": (4,), "V": (4, 2), "d": (2,)}
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    h = np.tanh(arrays["x"] @ arrays["W"] + arrays["c"])
    y = np.tanh(2 * h @ arrays["V"] + arrays["d"])
    program = cc.read(NET)
    assert program.name == "net"
    loss, mean = program(**arrays)
    np.testing.assert_allclose(mean, y.mean(0))
    np.testing.assert_allclose(loss, y.var(0).sum() / 5)


def test_the_text_of_what_calls_is_one_function() -> None:
    program = cc.read(NET)
    text = str(program)
    assert text.count("def ") == 1
    assert "layer(" not in text
    assert cc.read(text) == program
    assert str(cc.read(text)) == text
    assert pickle.loads(pickle.dumps(program)) == program


def test_gradients_of_what_calls() -> None:
    found = cc.read(NET).grad("loss", "W").verify()
    assert "d_W" in found.gradients.names


@pytest.mark.parametrize("name", ["layer", "moments", "net"])
def test_any_function_may_be_the_program(name: str) -> None:
    program = cc.read(NET, name=name)
    assert program.name == name
    alone = {"layer": LAYER, "moments": MOMENTS, "net": NET}
    assert program == cc.read(alone[name])


def test_names_of_axes_are_those_of_the_function_within() -> None:
    head = 'def f(t: "s c", M: "c k", v: "k"):\n'
    program = cc.read(f"{LAYER}{head}    y = layer(t, M, v)\n    return y\n")
    assert program["y"].axes == ("b", "o")
    made = program(np.zeros((2, 3)), np.zeros((3, 4)), np.ones(4))
    np.testing.assert_array_equal(made, np.full((2, 4), np.tanh(1)))


def test_what_is_named_alike_is_the_same_value() -> None:
    head = 'def f(x: "b i", W: "i o", bias: "o"):\n'
    text = f"{LAYER}{head}    y = layer(x, W, bias)\n    return y\n"
    assert cc.read(text)["y"].same_as(cc.read(LAYER)["a"])
    assert cc.read(text)["y"].label == "y"


def test_a_function_may_return_what_it_is_given() -> None:
    program = cc.read("""
def pair(a: "i", b: "i"):
    c = a
    s = a + b
    return c, s, b

def f(x: "i", y: "i"):
    p, q, r = pair(x, exp(y))
    return p, q, r
""")
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for made, expected in zip(program(x, y), (x, x + np.exp(y), np.exp(y)), strict=True):
        np.testing.assert_allclose(made, expected)
    assert cc.read(str(program)) == program


def test_numbers_may_be_given_and_sizes_too() -> None:
    program = cc.read("""
def scaled(x: "i", by: ""):
    y = x * by
    return y

def f(x: "i"):
    y = scaled(x, 2)
    z = scaled(y, size(x, "i"))
    return z
""")
    np.testing.assert_array_equal(program(np.array([1.0, 2.0, 3.0])), [6, 12, 18])


def test_inputs_of_a_dtype_convert() -> None:
    text = """
def taken(labels: int64["b"], table: "v d"):
    y = contract("b v, v d -> b d", labels == index("v"), table)
    return y

def f(GIVEN, table: "v d"):
    y = taken(labels, table)
    return y
"""
    same = cc.read(text.replace("GIVEN", 'labels: int64["b"]'))
    assert "cast" not in str(same)
    other = cc.read(text.replace("GIVEN", 'labels: int8["b"]'))
    assert 'cast(labels, "int64")' in str(other)
    error = refused(text.replace("GIVEN", 'labels: "b"'))
    assert "the input 'labels' of taken holds int64, and this other numbers" in str(error)
    assert pointed(error) == "labels"


# --- equal calls are one value ------------------------------------------------------------------

DEEP = {
    "the same twice": ("    y = {f}(x) + {f}(x)\n", None),
    "two names": ("    a = {f}(x)\n    b = {f}(x)\n    y = a * b\n", None),
    "nested": ("    y = {f}({f}(x))\n", "make more than"),
    "others": ("    y = {f}(x + 1) * {f}(2 * x)\n", "make more than"),
}


def _deep(body: str, depth: int = 60) -> str:
    text = 'def f0(x: "i"):\n    y = exp(x) + 1\n    return y\n'
    for n in range(1, depth):
        text += f'def f{n}(x: "i"):\n{body.format(f=f"f{n - 1}")}    return y\n'
    return text


@pytest.mark.parametrize("way", DEEP)
def test_calls_that_double_are_shared_or_refused(way: str) -> None:
    body, said = DEEP[way]
    if said is None:
        assert len(in_order([cc.read(_deep(body))["y"]._node])) < 200
    else:
        error = refused(_deep(body))
        assert said in str(error)
        assert pointed(error).startswith("f")


def test_many_functions_and_many_calls() -> None:
    text = 'def f(x: "i"):\n    y = sin(x)\n    return y\ndef g(x: "i"):\n    y0 = x\n'
    lines = "".join(f"    y{n + 1} = f(y{n})\n" for n in range(2000))
    assert len(in_order([cc.read(f"{text}{lines}    return y2000\n")["y2000"]._node])) == 2001
    many = "".join(f'def f{n}(x: "i"):\n    return x\n' for n in range(3000))
    assert cc.read(many).name == "f2999"


# --- what is none -------------------------------------------------------------------------------

F = 'def f(x: "b i", W: "i o"):\n    y = contract("b i, i o -> b o", x, W)\n    return y\n'
G = 'def two(x: "b i"):\n    a = x + 1\n    c = x * 2\n    return a, c\n'
HEAD = f'{F}{G}def g(x: "b i", W: "i o", t: "b i k"):\n    '


@pytest.mark.parametrize(
    ("line", "message", "under"),
    [
        ("y = f(x)", "f has 2 inputs, not 1", "f(x)"),
        ("y = f()", "f has 2 inputs, not 0", "f()"),
        ("y = f(x, W, W)", "f has 2 inputs, not 3", "f(x, W, W)"),
        ("y = f(x, x=W)", "the keyword 'x' in a call of f", "x=W"),
        ("y = f(x, t)", "the input 'W' of f has the axes 'i o', and this 'b i k'", "t"),
        ("y = f(x, 2)", "the input 'W' of f has the axes 'i o', and this ''", "2"),
        ("y = f(t, W)", "the input 'x' of f has the axes 'b i', and this 'b i k'", "t"),
        ('y = f(x, contract("i o -> o i", W))', "the input 'W' of f has the axes 'i o', and this",
         'contract("i o -> o i", W)'),
        ("y = f(*x)", "this has no place in a program", "*x"),
        ("y = two(x)", "two makes 2 values", "two(x)"),
        ("y = 1 + two(x)", "two makes 2 values", "two(x)"),
        ("y, z, w = two(x)", "2 values for 3 names", "y, z, w = two(x)"),
        ("y, = two(x)", "2 values for 1 names", "y, = two(x)"),
        ("y, z = f(x, W)", "1 value for 2 names", "y, z = f(x, W)"),
        ("y, z = x, W", "only a call of a function makes several values", "x, W"),
        ("y, z = relu(x)", "only a call of a function makes several values", "relu(x)"),
        ("y, x = two(x)", "'x' is there already", "x"),
        ("y, z.a = two(x)", "a value is given a name, and nothing else", "z.a"),
        ("[y, z] = two(x)", "this is no line of a program", "[y, z] = two(x)"),
        ("f = x + 1", "'f' is a function: a value has another name", "f"),
        ("y = g(x, W, t)", "g calls itself: a program has no recursion", "g"),
        ("y = later(x)", "later stands below", "later"),
        ("y = ff(x, W)", "there is no map called 'ff'", "ff"),
    ],
)  # fmt: skip
def test_calls_that_are_none(line: str, message: str, under: str) -> None:
    last = 'def later(x: "b i"):\n    return x\n'
    error = refused(f"{HEAD}{line}\n    return y\n{last}")
    assert error.line == 9
    assert message in str(error)
    assert pointed(error) == under


def test_hints_of_calls() -> None:
    assert "they are x, W" in str(refused(f"{HEAD}y = f(x)\n    return y\n"))
    turned = 'y = f(x, contract("i o -> o i", W))'
    assert 'contract("o i -> i o", ...)' in str(refused(f"{HEAD}{turned}\n    return y\n"))
    assert "a, c = two(...)" in str(refused(f"{HEAD}y = two(x)\n    return y\n"))
    assert "did you mean 'two'" in str(refused(f"{HEAD}y = twoo(x)\n    return y\n"))


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (F + F, "there is a function 'f' already", 4),
        (F.replace("def f", "def relu") + F, "'relu' is a word of the language", 1),
        (F.replace("def f", "def contract") + F, "'contract' is a word of the language", 1),
        (F + "y = f(1, 2)\n", "nothing stands beside it", 4),
        (F.replace("x, W)", "x, V)") + G, "there is no value 'V' yet", 2),
        (f'{F}def g(f: "i"):\n    return f\n', "'f' is a function", 4),
    ],
)
def test_functions_that_are_none(text: str, message: str, line: int) -> None:
    error = refused(text)
    assert message in str(error)
    assert error.line == line


def test_a_function_that_is_not_there() -> None:
    said = r"no function 'layr': there are layer, moments, net; did you mean 'layer'\?"
    with pytest.raises(ProgramError, match=said):
        cc.read(NET, name="layr")


def test_a_single_function_may_be_called_like_a_map() -> None:
    made: Any = cc.read('def relu(x: "i"):\n    y = max(x, 0)\n    return y\n')
    assert made.name == "relu"
