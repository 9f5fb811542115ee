"""Where the size of an axis comes from: an axis of an input, rather than one of a value on the way.

A size that is said by an input keeps nothing else from being left out, or written where it is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from contractconv.programs.nodes import Cast, Contract, Input, Map, Named, Node
from contractconv.programs.sizes import Extent


def origin(node: Node, name: str) -> Extent:
    """The axis from which an axis has its size: that of an input, if one is led to.

    Args:
        node: a node.
        name: an axis of it that is not open.

    Example:
        >>> from contractconv.programs.build import apply, named
        >>> x = Input(("b", "i"), name="x")
        >>> found = origin(named(apply("exp", x), ("p", "q")), "q")
        >>> found.node.name, found.name
        ('x', 'i')
    """
    found = node, name
    while (before := _before(*found)) is not None:
        found = before
    return Extent(*found)


def _before(node: Node, name: str) -> tuple[Node, str] | None:
    """An axis of a source that has to be as large; of an input, if one has it."""
    known = [(source, axis) for source, axis in _alike(node, name) if axis not in source.open_axes]
    return next((pair for pair in known if isinstance(pair[0], Input)), known[0] if known else None)


def _alike(node: Node, name: str) -> Iterator[tuple[Node, str]]:
    match node:
        case Map() | Cast():
            yield from ((source, name) for source in node.sources if name in source.axes)
        case Named():
            yield node.source, node.source.axes[node.axes.index(name)]
        case Contract(local=False):
            index = node.spec.output[node.axes.index(name)].plain
            for term, operand in zip(node.spec.inputs, node.operands, strict=True):
                for axis, called in zip(term, operand.axes, strict=True):
                    if index is not None and axis.plain == index:
                        yield operand, called
