"""How sizes are written, and where a node stands of which only the size is meant."""

from __future__ import annotations

from collections.abc import Callable

from contractconv.programs.nodes import Node
from contractconv.programs.sizes import Extent, Size

Refer = Callable[[Node], str]
"""How a node is written of which something else than its values is meant."""


def size_text(size: Size, refer: Refer) -> str:
    """A sum of sizes, as it is read back."""
    text = ""
    for extent, c in size.terms:
        text += _joined(text, c, _product(abs(c), extent_text(extent, refer)))
    if size.offset or not text:
        text += _joined(text, size.offset, str(abs(size.offset)))
    return text


def extent_text(extent: Extent, refer: Refer) -> str:
    """The size of an axis, or the extent of an index."""
    return f'{"extent" if extent.of_index else "size"}({refer(extent.node)}, "{extent.name}")'


def length_text(size: Size, refer: Refer) -> str:
    """A size that is meant as a number, not as a sum of numbers."""
    alone = size.alone
    return f"size({size_text(size, refer)})" if alone is None else extent_text(alone, refer)


def _product(c: int, factor: str) -> str:
    return factor if c == 1 else f"{c} * {factor}"


def _joined(before: str, sign: int, text: str) -> str:
    if not before:
        return f"-{text}" if sign < 0 else text
    return f" - {text}" if sign < 0 else f" + {text}"
