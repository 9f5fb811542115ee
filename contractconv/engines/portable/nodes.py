"""What is done for a contraction, as immutable nodes over the nodes that they read.

A handful of kinds suffices for the whole notation: to read at every point, to contract plain
indices, to choose, to reduce, to land. Nodes know their axes by what all axes can say, so there are
nodes of numbers, which :mod:`interpreter` carries out on the arrays of any library, and nodes of
symbols, which :mod:`contractconv.display.sources` prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Labels = tuple[str, ...]


Axes = tuple[Any, ...]
"""Axes of a term, compositions split: each has the ``names`` of its indices."""


class Part(Protocol):
    """Axes of one term that share indices, so that they are met together."""

    @property
    def axes(self) -> Axes:
        """The axes."""

    @property
    def names(self) -> Labels:
        """Their indices, each once."""

    @property
    def whole(self) -> bool:
        """Whether each axis certainly is that of an index alone, which runs all along it."""

    @property
    def leaves(self) -> bool:
        """Whether a point may lie outside."""


@dataclass(frozen=True)
class Operand:
    """An operand, compositions split."""

    number: int
    axes: Axes


@dataclass(frozen=True)
class Full:
    """An array of the identity of a reduction; of ones, for a product."""

    sizes: tuple[Any, ...]
    reduce: str


@dataclass(frozen=True)
class Reshape:
    """The same elements in another shape."""

    source: Node
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Terms:
    """Where the axes of a term are met.

    Attributes:
        parts: the axes, those together that share indices.
        order: the place of each of these axes in the term.
    """

    parts: tuple[Part, ...]
    order: tuple[int, ...]

    @property
    def alone(self) -> bool:
        """Whether each axis certainly is that of an index that no other one has, all along."""
        return all(map(alone, self.parts))

    @property
    def labels(self) -> Labels:
        """The indices once the axes are read, part after part: whole axes stay as they are."""
        return tuple(
            name
            for part in self.parts
            for name in ([n for a in part.axes for n in a.names] if part.whole else part.names)
        )

    @property
    def axes(self) -> Axes:
        """The axes in the order of the term."""
        found = dict(zip(self.order, (a for part in self.parts for a in part.axes), strict=True))
        return tuple(found[place] for place in sorted(found))


def alone(part: Part) -> bool:
    """Whether a part is one whole axis."""
    return part.whole and len(part.axes) == 1


@dataclass(frozen=True)
class Read:
    """An operand at every point, part after part; outside, the identity of a reduction."""

    source: Node
    term: Terms
    reduce: str


@dataclass(frozen=True)
class Einsum:
    """The sum of products over plain indices, by their names."""

    sources: tuple[Node, ...]
    inputs: tuple[Labels, ...]
    output: Labels


@dataclass(frozen=True)
class Where:
    """The source at points that meet an element of every axis, elsewhere the identity.

    Attributes:
        source: one axis for each label.
        labels: the indices of its axes.
        conditions: the axes.
        reduce: whose identity stands elsewhere.
    """

    source: Node
    labels: Labels
    conditions: tuple[Part, ...]
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
    """The axes of a term, made of their indices: what lands on one element is reduced.

    Attributes:
        source: the indices of one part after the other.
        term: where points land.
        reduce: how they meet.
    """

    source: Node
    term: Terms
    reduce: str


@dataclass(frozen=True)
class Divide:
    """The source over the number of points of each element; over one, if there are none.

    Attributes:
        source: a sum.
        term: where points land.
        repeats: how many values each index has that is summed up before.
    """

    source: Node
    term: Terms
    repeats: tuple[Any, ...]


Node = Operand | Full | Reshape | Read | Einsum | Where | Reduce | Land | Divide
