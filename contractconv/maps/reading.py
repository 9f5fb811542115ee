"""Expressions in maps, read from a text: a small part of Python's grammar, never executed."""

from __future__ import annotations

import ast

from contractconv.errors import MapError
from contractconv.maps.expression import Call, Expression

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Mod: "mod",
    ast.Pow: "power",
    ast.BitAnd: "logical_and",
    ast.BitOr: "logical_or",
}
UNARY: dict[type[ast.unaryop], str] = {ast.USub: "negative", ast.Invert: "logical_not"}
COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}


def read(text: str) -> Expression:
    """Read an expression in maps.

    Args:
        text: numbers, variables, operators, comparisons of two, and calls of maps by name.

    Raises:
        MapError: it is something else.

    Example:
        >>> read("exp(a) + 1")
        Call(function='add', arguments=(Call(function='exp', arguments=('a',)), 1))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MapError(f"this is no expression in maps: {text!r}") from error
    return _Reader(text).read(tree)


class _Reader:
    """Reads the trees of one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, tree: ast.expr) -> Expression:
        match tree:
            case ast.Constant(value=bool() | int() | float() | complex() as number):
                return number
            case ast.Name(id=name):
                return name
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
        function, arguments = self._parts(tree)
        if function is None:
            raise self._refused(tree)
        return Call(function, tuple(self.read(argument) for argument in arguments))

    def _parts(self, tree: ast.expr) -> tuple[str | None, list[ast.expr]]:
        """The map and its arguments."""
        match tree:
            case ast.Call(func=ast.Name(id=name), args=given, keywords=[]):
                return name, given
            case ast.Compare(left=left, ops=[sign], comparators=[right]):
                return COMPARED.get(type(sign)), [left, right]
            case ast.BinOp(left=left, op=operator, right=right):
                return BINARY.get(type(operator)), [left, right]
            case ast.UnaryOp(op=prefix, operand=operand):
                return UNARY.get(type(prefix)), [operand]
        return None, []

    def _refused(self, tree: ast.expr) -> MapError:
        place = f"at column {tree.col_offset + 1} of {self.text!r}"
        return MapError(f"no expression in maps {place}: only numbers, names, operators and calls")
