"""What is known before any array is there: numbers of numbers, and conversions of numbers."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from operator import add, mul, neg, sub, truediv
from typing import Any

from contractconv.programs.kinds import kind
from contractconv.programs.nodes import Cast, Map, Node, Number
from contractconv.programs.rewrites.workshop import Workshop

# Integers up to here are exact in every floating-point number.
_EXACT = 2048
_WIDEST_INTEGER = 2**62
_FOLDED: dict[str, Callable[..., Any]] = {
    "add": add, "subtract": sub, "multiply": mul, "negative": neg, "divide": truediv,
}  # fmt: skip


def folded(node: Node, workshop: Workshop) -> Node | None:
    """A map of numbers, worked out where Python's numbers are those of the program."""
    if not isinstance(node, Map) or node.function not in _FOLDED or node.axes:
        return None
    values = [argument.value for argument in node.arguments if isinstance(argument, Number)]
    if len(values) < len(node.arguments) or not all(type(v) in (int, float) for v in values):
        return None
    if node.function == "divide" and not values[1]:
        return None
    dtype, found = workshop.dtypes[node], _FOLDED[node.function](*values)
    if type(found) is int:
        exact = dtype == "int64" and abs(found) < _WIDEST_INTEGER
    else:
        exact = dtype == "float64" and isfinite(found)
    return workshop.number(found, dtype) if exact else None


def chosen_numbers(node: Node, workshop: Workshop) -> Node | None:
    """A choice between two integers that stand in the program, made in the numbers it ends in."""
    if not isinstance(node, Cast) or kind(workshop.dtypes[node]) < kind("float32"):
        return None
    choice = node.source
    if not isinstance(choice, Map) or choice.function != "where":
        return None
    condition, *both = choice.arguments
    if not all(isinstance(n, Number) and _is_exact(n.value) for n in both):
        return None
    return workshop.map("where", (condition, *both), node)


def _is_exact(value: Any) -> bool:
    return type(value) in (bool, int) and abs(value) <= _EXACT
