"""Texts in maps: what is read, and what is refused."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from map_oracles import numbers

from contractconv.errors import MapError
from contractconv.maps.expression import Call, evaluate, parts
from contractconv.maps.reading import BINARY, COMPARED, UNARY, read
from contractconv.maps.table import MAPS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("g", "g"),
        ("0", 0),
        ("-1", -1),
        ("-0.5e-3", -0.5e-3),
        ("2j", 2j),
        ("True", True),
        ("-a", Call("negative", ("a",))),
        ("~(a == b)", Call("logical_not", (Call("equal", ("a", "b")),))),
        ("a - b * 2", Call("subtract", ("a", Call("multiply", ("b", 2))))),
        ("-a ** 2", Call("negative", (Call("power", ("a", 2)),))),
        ("where(a < b, 0, g)", Call("where", (Call("less", ("a", "b")), 0, "g"))),
        (" (a > 0) & (b >= 0)\n", Call("logical_and", (
            Call("greater", ("a", 0)), Call("greater_equal", ("b", 0))))),
        ("a % b", Call("mod", ("a", "b"))),
    ],
)  # fmt: skip
def test_texts_are_read(text: str, expected: object) -> None:
    found = read(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3 - 2 * 5 + 7 / 2", -3.5), ("2 ** 3 ** 2", 512), ("-7 % 4 - 2", -1), ("-2 ** 2", -4)],
)
def test_operators_bind_as_in_python(text: str, expected: float) -> None:
    assert numbers(read(text), {}) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a < b < c", 1),
        ("a.real", 1),
        ("g * [a]", 5),
        ("(lambda: a)()", 1),
        ("exp(a, where=b)", 1),
        ("exp(*a)", 5),
        ("a if b else c", 1),
        ("g * 'text'", 5),
        ("a // b", 1),
        ("a and b", 1),
        ("+a", 1),
        ("a is b", 1),
        ("__import__('os').system('true')", 1),
        ("f(a)(b)", 1),
        ("None", 1),
    ],
)
def test_anything_else_is_refused(text: str, place: int) -> None:
    with pytest.raises(MapError, match=f"no expression in maps at column {place} of"):
        read(text)


@pytest.mark.parametrize("text", ["", "a +", "a; b", "a\x00b", "(" * 1000 + ")" * 1000, "a = b"])
def test_what_is_no_expression_of_python_is_refused(text: str) -> None:
    with pytest.raises(MapError, match="this is no expression in maps"):
        read(text)


def test_operators_are_those_of_the_table() -> None:
    signs: dict[type[ast.AST], str] = {
        ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**",
        ast.BitAnd: "&", ast.BitOr: "|", ast.USub: "-", ast.Invert: "~", ast.Lt: "<",
        ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    }  # fmt: skip
    read_here: dict[Any, str] = {**BINARY, **UNARY, **COMPARED}
    assert {kind: MAPS[name].operator for kind, name in read_here.items()} == signs
    assert set(read_here.values()) == {name for name in MAPS if MAPS[name].operator}


def test_an_expression_has_parts() -> None:
    expression = read("g * exp(-a)")
    found = [part.function if isinstance(part, Call) else part for part in parts(expression)]
    assert found == ["multiply", "g", "exp", "negative", "a"]


def test_an_expression_is_carried_out_in_any_algebra() -> None:
    written = evaluate(read("exp(a) + 2"), {"a": "x"}, str, lambda f, given: f"{f}{given}")
    assert written == "add(\"exp('x',)\", '2')"
