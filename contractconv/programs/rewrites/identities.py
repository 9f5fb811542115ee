"""Maps that change nothing, or that one map says where there are two: bit by bit the same.

So neither is ``x * 0`` zero, which is no number where ``x`` is none, nor is ``x + 0`` always ``x``:
of floating-point numbers there are two zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign
from typing import Any

from contractconv.maps.record import ARGUMENTS
from contractconv.maps.unfolding import unfolded
from contractconv.programs.kinds import kind
from contractconv.programs.nodes import Cast, Map, Named, Node, Number
from contractconv.programs.rewrites.workshop import Workshop

Rule = Callable[[Map, Workshop], Node | None]


def simplified(node: Node, workshop: Workshop) -> Node | None:
    """A map that is one of its arguments, or a shorter one."""
    if not isinstance(node, Map):
        return None
    rule = _RULES.get(node.function, _itself)
    made = rule(node, workshop)
    if made is None or made.axes != node.axes:
        return None
    return made


def converted_once(node: Node, workshop: Workshop) -> Node | None:
    """A conversion of a conversion that lost nothing, or of what is of the dtype already."""
    if not isinstance(node, Cast) or not node.axes:
        return None
    source, dtype = node.source, workshop.dtypes[node]
    if workshop.dtypes[source] == dtype:
        return source
    if not isinstance(source, Cast) or not source.source.axes:
        return None
    inner = source.source
    if not _is_wider(workshop.dtypes[source], workshop.dtypes[inner]):
        return None
    return workshop.cast(inner, dtype)


def called_at_once(node: Node, workshop: Workshop) -> Node | None:
    """An array under two names one after the other; or a conversion of one under other names."""
    if isinstance(node, Named) and isinstance(node.source, Named):
        return workshop.named(node.source.source, node.axes)
    return None


# -- which conversions lose nothing ----------------------------------------------------------------

_INTEGERS_IN = {"float16": 11, "float32": 24, "float64": 53, "complex64": 24, "complex128": 53}
_PARTS = {"complex64": "float32", "complex128": "float64"}


def _is_wider(dtype: str, held: str) -> bool:
    """Whether every number of a dtype is one of another."""
    if held in (dtype, "bool"):
        return True
    if kind(held) == kind("int8"):
        return _bits(dtype, held) >= _digits(held)
    if kind(dtype) < kind(held):
        return False
    return _width(_PARTS.get(dtype, dtype)) >= _width(_PARTS.get(held, held))


def _bits(dtype: str, held: str) -> int:
    """How many binary digits of integers a dtype holds; none if not their signs."""
    if dtype in _INTEGERS_IN:
        return _INTEGERS_IN[dtype]
    if kind(dtype) != kind("int8") or (dtype.startswith("u") and not held.startswith("u")):
        return 0
    return _digits(dtype)


def _digits(dtype: str) -> int:
    return _width(dtype) - (not dtype.startswith("u"))


def _width(dtype: str) -> int:
    return int("".join(ch for ch in dtype if ch.isdigit()))


# -- rules of maps ---------------------------------------------------------------------------------


def _itself(node: Map, workshop: Workshop) -> Node | None:
    """Of a map that matters to derivatives alone its argument."""
    return node.arguments[0] if unfolded(node.function) == ARGUMENTS[0] else None


def _is(node: Node, value: Any) -> bool:
    """Whether a node is a number, with its sign."""
    if not isinstance(node, Number) or isinstance(node.value, complex):
        return False
    return node.value == value and copysign(1, node.value) == copysign(1, value)


def _negated(node: Node) -> Node | None:
    """What a node is the negative of."""
    return node.arguments[0] if isinstance(node, Map) and node.function == "negative" else None


def _is_integer(node: Node, workshop: Workshop) -> bool:
    return kind(workshop.dtypes[node]) == kind("int8")


def _add(node: Map, workshop: Workshop) -> Node | None:
    a, b = node.arguments
    if _is_integer(node, workshop) and (_is(a, 0) or _is(b, 0)):
        return b if _is(a, 0) else a
    for first, second in ((a, b), (b, a)):
        taken = _negated(second)
        if taken is not None:
            return workshop.map("subtract", (first, taken), node)
    return None


def _subtract(node: Map, workshop: Workshop) -> Node | None:
    a, b = node.arguments
    if _is(b, 0):
        return a
    taken = _negated(b)
    return None if taken is None else workshop.map("add", (a, taken), node)


def _multiply(node: Map, workshop: Workshop) -> Node | None:
    a, b = node.arguments
    if kind(workshop.dtypes[node]) == kind("complex64"):
        return None
    for first, second in ((a, b), (b, a)):
        if _is(second, 1):
            return first
        if _is(second, -1):
            return workshop.map("negative", (first,), node)
    one, two = _negated(a), _negated(b)
    if one is None or two is None:
        return None
    return workshop.map("multiply", (one, two), node)


def _by_one(node: Map, workshop: Workshop) -> Node | None:
    a, b = node.arguments
    real = kind(workshop.dtypes[node]) != kind("complex64")
    return a if real and _is(b, 1) else None


def _negative(node: Map, workshop: Workshop) -> Node | None:
    return _negated(node.arguments[0])


def _where(node: Map, workshop: Workshop) -> Node | None:
    condition, a, b = node.arguments
    if isinstance(condition, Number):
        return a if condition.value else b
    if a == b:
        return a
    if isinstance(condition, Map) and condition.function == "logical_not":
        return workshop.map("where", (condition.arguments[0], b, a), node)
    return None


def _not(node: Map, workshop: Workshop) -> Node | None:
    (source,) = node.arguments
    if not isinstance(source, Map) or source.function != "logical_not":
        return None
    inner = source.arguments[0]
    return inner if workshop.dtypes[inner] == "bool" else None


_RULES: dict[str, Rule] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _by_one,
    "power": _by_one,
    "negative": _negative,
    "where": _where,
    "logical_not": _not,
}
