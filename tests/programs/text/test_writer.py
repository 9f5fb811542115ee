"""How programs are written: operators, numbers, names, lines."""

from __future__ import annotations

from itertools import product
from math import inf, nan
from typing import Any

import pytest

import contractconv as cc
from contractconv import ProgramError, Tensor
from contractconv.api.tensor import applied
from contractconv.maps.table import MAPS
from contractconv.programs.nodes import Contract, Input, Length, Node, Number
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent, Size
from contractconv.programs.text.operators import number
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write

# A checker takes what it returns for an array.
contract: Any = cc.contract

x, y = cc.tensor("x", "b"), cc.tensor("y", "b")


def written(tensor: Tensor) -> str:
    """The only line of a program of one expression."""
    graph = Graph.of({"r": tensor._node})
    text = write(graph)
    assert read(text).outputs == graph.outputs
    _, line, back = text.splitlines()
    assert back == "    return r"
    return line.removeprefix("    r = ")


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (x + y * 2, "x + y * 2"),
        ((x + y) * 2, "(x + y) * 2"),
        (x - (y - 1), "x - (y - 1)"),
        (x - y - 1, "x - y - 1"),
        (x / (y * 2), "x / (y * 2)"),
        (x % y % 2, "x % y % 2"),
        (-(x**2), "-x ** 2"),
        ((-x) ** 2, "(-x) ** 2"),
        (x ** (-y), "x ** -y"),
        (x ** (y**2), "x ** y ** 2"),
        ((x**y) ** 2, "(x ** y) ** 2"),
        (2**x, "2 ** x"),
        ((-2) ** x, "(-2) ** x"),
        (-(2**x), "-2 ** x"),
        (-x * y, "-x * y"),
        (-(x * y), "-(x * y)"),
        (x - -2 * y, "x - -2 * y"),
        (-(0 - (-x)), "-(0 - -x)"),
        (applied("negative", -x), "-(-x)"),
        (applied("negative", 2) + x, "negative(2) + x"),
        (applied("negative", inf) + x, "negative(inf) + x"),
        (applied("logical_not", True), "logical_not(True)"),
        ((x < y) & (y < 1), "(x < y) & (y < 1)"),
        ((x < y) == (y < 1), "(x < y) == (y < 1)"),
        (~(x < y) | (x >= 1) & (y != 0), "~(x < y) | (x >= 1) & (y != 0)"),
        ((x + 1 > y) | (x <= y), "(x + 1 > y) | (x <= y)"),
        (cc.where(x > 0, x, -inf), "where(x > 0, x, -inf)"),
        (cc.max(x, y + 1), "max(x, y + 1)"),
        (abs(x), "abs(x)"),
        (x.named("i"), 'named(x, "i")'),
        (x.cast("int64"), 'cast(x, "int64")'),
        (x.cast(like=y), "cast(x, like=y)"),
        (cc.index("b") == x, 'index("b") == x'),
        (cc.index("i", cc.size(x, "b")) + x, 'index("i", size(x, "b")) + x'),
        (cc.size(x, "b") * x, 'size(x, "b") * x'),
        (cc.size(x, "b") + 1, 'size(x, "b") + 1'),
    ],
)  # fmt: skip
def test_operators_bind_as_pythons_do(tensor: Tensor, text: str) -> None:
    assert written(tensor) == text


BINARY = [name for name, record in MAPS.items() if record.operator and record.arity == 2]
UNARY = [name for name, record in MAPS.items() if record.operator and record.arity == 1]


@pytest.mark.parametrize(("outer", "inner"), [*product(BINARY + UNARY, repeat=2)])
def test_any_two_operators_are_told_apart(outer: str, inner: str) -> None:
    for arguments in ([x, y], [2, y], [x, -2], [True, y]):
        part = applied(inner, *arguments[: MAPS[inner].arity])
        for given in ([part, y], [x, part], [part, 3], [-3, part]):
            written(applied(outer, *given[: MAPS[outer].arity]))


def test_there_are_operators_of_both_kinds() -> None:
    assert len(BINARY) >= 14
    assert set(UNARY) == {"negative", "logical_not"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (-3, "-3"), (True, "True"), (0.1, "0.1"), (-0.0, "-0.0"), (1e-300, "1e-300"),
        (1e22, "1e+22"), (inf, "inf"), (-inf, "-inf"), (nan, "nan"), (2j, "2j"), (1e99j, "1e+99j"),
        (-2j, "complex(-0.0, -2.0)"), (complex(0.0, -2.0), "complex(0.0, -2.0)"),
        (complex(nan, inf), "complex(nan, inf)"), (1 + 2j, "complex(1.0, 2.0)"),
        (complex(0.0, nan), "complex(0.0, nan)"), (10**400, str(10**400)),
    ],
)  # fmt: skip
def test_numbers_are_read_back_as_they_are(value: complex, text: str) -> None:
    assert number(value).text == text
    ((_, again),) = read(write(Graph.of({"r": Number((), value=value)}))).outputs
    assert isinstance(again, Number)
    assert (type(again.value), repr(again.value)) == (type(value), repr(value))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (Size.of(3), "size(3)"),
        (Size.of(0), "size(0)"),
        (Size.of(-3), "size(-3)"),
        (Size.of(Extent(x._node, "b")), 'size(x, "b")'),
        (Size.of(Extent(x._node, "b")) * 2 - 1, 'size(2 * size(x, "b") - 1)'),
        (3 - Size.of(Extent(x._node, "b")), 'size(-size(x, "b") + 3)'),
        (
            Size.of(Extent(x._node, "b")) - 2 * Size.of(Extent(y._node, "b")),
            'size(size(x, "b") - 2 * size(y, "b"))',
        ),
    ],
)
def test_a_sum_of_sizes_is_not_a_sum_of_numbers(size: Size, text: str) -> None:
    assert written(Tensor(Length((), size=size)) * x) == f"{text} * x"


def body(program: cc.Program) -> list[str]:
    """The lines between the first and the last."""
    assert cc.read(str(program)) == program
    assert str(cc.read(str(program))) == str(program)
    return [line.strip() for line in str(program).splitlines()[1:-1]]


def test_what_is_read_twice_has_a_line() -> None:
    total = x + y
    assert body(cc.program(r=total * cc.exp(total))) == ["total = x + y", "r = total * exp(total)"]


def test_what_has_a_name_has_a_line() -> None:
    assert body(cc.program(r=(x + y).called("h") * 2)) == ["h = x + y", "r = h * 2"]


def test_a_contraction_has_a_line() -> None:
    z = contract("b, b ->", x, y)
    assert body(cc.program(r=z + 1)) == ['y_2 = contract("b, b ->", x, y)', "r = y_2 + 1"]


def test_a_value_of_which_only_the_size_is_read_has_a_line() -> None:
    z = contract("b, k -> (b+k)", x, y)
    lines = body(cc.program(r=contract("i -> b i", cc.tensor("w", "i"), b=cc.size(z, "b"))))
    assert lines == [
        'y_2 = contract("b, k -> (b+k)", x, y)',
        'r = contract("i -> b i", w, b=size(y_2, "b"))',
    ]


@pytest.mark.parametrize("label", ["lambda", "inf", "exp", "contract", "x", "²", "ﬁ", "None"])
def test_a_label_that_is_no_name_here_becomes_one(label: str) -> None:
    node = (x + y)._node.called(label)
    (line, last) = body(cc.program(r=Tensor(node) * x))
    name = line.partition(" = ")[0]
    assert name != label
    assert name.isidentifier()
    assert last == f"r = {name} * x"


def test_inputs_and_outputs_may_be_called_like_maps() -> None:
    exp = cc.tensor("exp", "b")
    assert body(cc.program(contract=cc.exp(exp))) == ["contract = exp(exp)"]


def test_an_output_is_called_as_it_is_wanted() -> None:
    h = (x + y).called("h")
    assert body(cc.program(first=h, second=h)) == ["h = x + y", "first = h", "second = h"]
    assert body(cc.program(h=h, second=h)) == ["h = x + y", "second = h"]
    assert body(cc.program(first=x + y, second=x + y)) == ["first = x + y", "second = first"]


def test_inputs_and_numbers_may_be_outputs() -> None:
    assert body(cc.program(x=x, other=x, one=1, two=1)) == ["other = x", "one = 1", "two = 1"]


def test_only_the_number_that_has_a_name_is_called_so() -> None:
    rate = Tensor(Number((), value=0.5)).called("rate")
    lines = body(cc.program(r=x * rate + 0.5))
    assert lines == ["rate = 0.5", "r = x * rate + 0.5"]


def test_cotangents_are_called_after_what_they_belong_to() -> None:
    h = cc.tanh(x * y).called("h")
    program = cc.program(loss=contract("b ->", h * h)).grad(wrt=["x"])
    assert any(line.startswith("d_h = ") for line in body(program))


def test_second_derivatives_are_called_so() -> None:
    z = cc.tensor("z")
    first = cc.program(loss=z * z * z).grad()
    assert list(first.grad("d_z").outputs) == ["d_z", "d_d_z"]


def test_long_lines_are_wrapped() -> None:
    inputs = [cc.tensor(f"operand_{n}", "batch channel") for n in range(8)]
    spec = ", ".join(["batch channel"] * 8) + " -> batch channel"
    z = contract(spec, *inputs)
    outputs = {f"a_rather_long_name_{n}": z + n for n in range(6)}
    text = str(cc.program(outputs))
    assert max(map(len, text.splitlines())) <= 150
    assert cc.read(text) == cc.program(outputs)
    assert text.splitlines()[0] == "def program("
    assert text.splitlines()[-1] == "    )"


def test_the_index_that_is_called_like_a_keyword() -> None:
    z = contract("b -> b like", x, extents={"like": 3})
    assert body(cc.program(r=z)) == ['r = contract("b -> b like", x, extents={"like": 3})']


def test_the_sizes_of_another_value() -> None:
    w = cc.tensor("w", "b")
    node = cc.grad(contract("(b+k), k -> b", x, w), x, cotangent=cc.tensor("g", "b"))
    assert body(cc.program(r=node)) == ['r = contract("b, k -> (b+k)", g, w, like=x)']
    same = contract("b, k -> (b+k)", y, w, output_shape=(cc.size(x, "b"),))
    assert "like=x" in str(cc.program(r=same))
    more = contract("b, k -> (b+k)", y, w, output_shape=(cc.size(x, "b") + 1,))
    assert 'output_shape=(size(x, "b") + 1,)' in str(cc.program(r=more))


@pytest.mark.parametrize("name", ["lambda", "inf", "a b", "²", "ﬁ"])
def test_names_that_no_text_can_have(name: str) -> None:
    node: Node = Input(("b",), name=name)
    with pytest.raises(ProgramError, match="cannot be called"):
        write(Graph.of({"r": node}))
    with pytest.raises(ProgramError, match="cannot be called"):
        write(Graph.of({name: x._node}))
    with pytest.raises(ProgramError, match="cannot be called"):
        write(Graph.of({"r": x._node}, name=name))


def test_an_input_and_an_output_of_one_name() -> None:
    with pytest.raises(ProgramError, match="called 'x': call the output otherwise, as in x_new"):
        cc.program(x=x + 1)


def test_a_program_without_outputs() -> None:
    with pytest.raises(ProgramError, match="no outputs"):
        cc.program()


def test_contractions_are_what_they_were() -> None:
    pooled = contract("(2*i+k) -> i", x, k=3, reduce="max")
    node = cc.grad(pooled, x, cotangent=cc.tensor("g", "i"))._node
    (local,) = [n for n in Graph.of({"r": node}).nodes if isinstance(n, Contract) and n.local]
    text = str(cc.program(r=Tensor(local)))
    assert 'r = local("(2*i+k) -> i", x, k=3, reduce="max")' in text
