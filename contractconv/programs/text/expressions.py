"""How a node is written, over what its sources are written as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from contractconv.notation.spec import SUM
from contractconv.programs.build import sizes_of
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Length,
    Map,
    Named,
    Node,
    Number,
    Position,
    Sizes,
)
from contractconv.programs.sizes import Size
from contractconv.programs.text.operators import Piece, applied, call, number
from contractconv.programs.text.sizes import Refer, length_text, size_text
from contractconv.programs.text.words import KEYWORDS, is_name


@dataclass(frozen=True, slots=True)
class Sources:
    """How what a node is made of is written.

    Attributes:
        value: writes a node whose values are read.
        refer: writes one of which only sizes or the kind of numbers are meant.
    """

    value: Callable[[Node], Piece]
    refer: Refer


def written(node: Node, sources: Sources) -> Piece:
    """Write a node that is no input."""
    return _RULES[type(node)](node, sources)


def arguments(node: Contract, sources: Sources) -> list[str]:
    """What a contraction is called with, each argument by itself."""
    operands = [sources.value(operand).text for operand in node.operands]
    return [_quoted(str(node.spec)), *operands, *_keywords(node, sources.refer)]


def function(node: Contract) -> str:
    """What is called for a contraction."""
    return "local" if node.local else "contract"


def _keywords(node: Contract, refer: Refer) -> Iterator[str]:
    yield from _extents(node.extents, refer)
    if node.spec.reduce != SUM:
        yield f"reduce={_quoted(node.spec.reduce)}"
    if node.spec.parameters:
        yield f"parameters={_quoted(' '.join(node.spec.parameters))}"
    if node.shape is not None:
        yield _shape(node, node.shape, refer)


def _extents(extents: Sizes, refer: Refer) -> Iterator[str]:
    """By keyword, unless one of the names cannot be one."""
    sizes = [(name, size_text(size, refer)) for name, size in extents]
    if all(is_name(name) and name not in KEYWORDS for name, _ in sizes):
        yield from (f"{name}={size}" for name, size in sizes)
    else:
        yield f"extents={{{', '.join(f'{_quoted(name)}: {size}' for name, size in sizes)}}}"


def _shape(node: Contract, shape: tuple[Size, ...], refer: Refer) -> str:
    """The sizes of a result: those of another node, or each by itself."""
    alike = _alike(node, shape)
    if alike is not None:
        return f"like={refer(alike)}"
    sizes = [size_text(size, refer) for size in shape]
    return f"output_shape=({', '.join(sizes)}{',' * (len(sizes) == 1)})"


def _alike(node: Contract, shape: tuple[Size, ...]) -> Node | None:
    """The node whose axes and sizes a contraction's result has."""
    extent = shape[0].alone if shape else None
    if extent is None or node.local or extent.node.axes != node.axes:
        return None
    return extent.node if shape == sizes_of(extent.node) else None


def _contract(node: Contract, sources: Sources) -> Piece:
    return call(function(node), arguments(node, sources))


def _map(node: Map, sources: Sources) -> Piece:
    return applied(node.function, [sources.value(argument) for argument in node.arguments])


def _named(node: Named, sources: Sources) -> Piece:
    return call("named", [sources.value(node.source).text, _quoted(" ".join(node.axes))])


def _cast(node: Cast, sources: Sources) -> Piece:
    told = [_quoted(node.dtype)] if node.dtype else []
    if node.like is not None:
        told.append(f"like={sources.refer(node.like)}")
    return call("cast", [sources.value(node.source).text, *told])


def _number(node: Number, sources: Sources) -> Piece:
    return number(node.value)


def _length(node: Length, sources: Sources) -> Piece:
    return Piece(length_text(node.size, sources.refer))


def _position(node: Position, sources: Sources) -> Piece:
    size = [] if node.size is None else [size_text(node.size, sources.refer)]
    return call("index", [_quoted(node.axes[0]), *size])


def _quoted(text: str) -> str:
    return f'"{text}"'


_RULES: dict[type[Node], Callable[[Any, Sources], Piece]] = {
    Cast: _cast,
    Contract: _contract,
    Length: _length,
    Map: _map,
    Named: _named,
    Number: _number,
    Position: _position,
}
