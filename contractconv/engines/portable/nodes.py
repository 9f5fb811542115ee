"""What is done for a contraction, as immutable nodes over the nodes that they read.

A handful of kinds suffices for the whole notation: to read at every point, to contract plain
indices, to choose, to reduce, to land. Of an axis, a node only knows the ``names`` of its indices.
So there are nodes of numbers, which :mod:`interpreter` carries out on arrays of any library, and
nodes of symbols, which :mod:`contractconv.display.source_code` prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Labels = tuple[str, ...]
Axes = tuple[Any, ...]
Sizes = tuple[Any, ...]


@dataclass(frozen=True)
class Operand:
    """An operand, compositions split."""

    number: int
    axes: Axes


@dataclass(frozen=True)
class Full:
    """An array of the identity of a reduction; of ones, for a product."""

    sizes: Sizes
    reduce: str


@dataclass(frozen=True)
class Read:
    """The source at every point: an axis for each index, in the order of first mention.

    What lies outside its axes is the identity of a reduction.
    """

    source: Node
    axes: Axes
    reduce: str


@dataclass(frozen=True)
class Einsum:
    """The sum of products over plain indices, by their names."""

    sources: tuple[Node, ...]
    inputs: tuple[Labels, ...]
    output: Labels


@dataclass(frozen=True)
class Where:
    """The source, whose axes have labels, at points inside some axes; elsewhere the identity."""

    source: Node
    labels: Labels
    axes: Axes
    reduce: str


@dataclass(frozen=True)
class Reduce:
    """The reduction of the indices that are gone, of those that label the axes of the source."""

    source: Node
    labels: Labels
    gone: Labels
    reduce: str


@dataclass(frozen=True)
class Land:
    """The reverse of reading: axes made of their indices, where points that meet are reduced.

    The source has an axis for each index, in the order of first mention.
    """

    source: Node
    axes: Axes
    reduce: str


@dataclass(frozen=True)
class Divide:
    """A sum over the number of points of each element; over one, if there are none.

    Attributes:
        source: the sum.
        axes: where points landed.
        repeats: how many values each index had that was summed up before.
    """

    source: Node
    axes: Axes
    repeats: Sizes


Node = Operand | Full | Read | Einsum | Where | Reduce | Land | Divide


def names_of(axes: Axes) -> Labels:
    """The indices of some axes, in the order of first mention."""
    return tuple(dict.fromkeys(name for axis in axes for name in axis.names))
