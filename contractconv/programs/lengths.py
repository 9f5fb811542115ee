"""Numbers that are sizes: what may be said where a size is expected."""

from __future__ import annotations

from collections.abc import Callable

from contractconv.programs.nodes import Length, Node, Number
from contractconv.programs.sizes import Size


def size_of(node: Node) -> Size | None:
    """The size that a node is, if it is a sum of sizes with integer coefficients."""
    if isinstance(node, Length):
        return node.size
    if isinstance(node, Number) and type(node.value) is int:
        return Size.of(node.value)
    rule = _SUMS.get(getattr(node, "function", ""))
    if rule is None:
        return None
    parts = [size_of(source) for source in node.sources]
    known = [part for part in parts if part is not None]
    return rule(*known) if len(known) == len(parts) else None


def _scaled(first: Size, second: Size) -> Size | None:
    if first.number is not None:
        return second * first.number
    return None if second.number is None else first * second.number


_SUMS: dict[str, Callable[..., Size | None]] = {
    "add": lambda first, second: first + second,
    "subtract": lambda first, second: first - second,
    "negative": lambda first: -first,
    "multiply": _scaled,
}
