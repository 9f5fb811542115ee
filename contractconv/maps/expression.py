"""Small expressions in maps: what a derivative is written in, whoever carries it out.

An expression is a number, a variable (``a``, ``b``, ``c`` the arguments of a map, ``y`` its result,
``g`` what comes back to it), or a :class:`Call` of a map by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Call:
    """A map, applied to expressions."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Call | str | bool | int | float | complex


def parts(expression: Expression) -> Iterator[Expression]:
    """An expression, and every one that it is made of."""
    yield expression
    if isinstance(expression, Call):
        for argument in expression.arguments:
            yield from parts(argument)


def evaluate(
    expression: Expression,
    variables: Mapping[str, Made],
    number: Callable[[Any], Made],
    call: Callable[[str, tuple[Made, ...]], Made],
) -> Made:
    """Carry an expression out in any algebra.

    Args:
        expression: the expression.
        variables: what its variables are.
        number: makes a value of a number.
        call: applies a map, given by name.

    Example:
        >>> double = Call("add", ("a", "a"))
        >>> evaluate(double, {"a": "x"}, str, lambda f, given: f"{f}({', '.join(given)})")
        'add(x, x)'
    """
    if isinstance(expression, str):
        return variables[expression]
    if isinstance(expression, Call):
        parts = (evaluate(e, variables, number, call) for e in expression.arguments)
        return call(expression.function, tuple(parts))
    return number(expression)
