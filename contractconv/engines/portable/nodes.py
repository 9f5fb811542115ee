"""What is done for a contraction, as immutable nodes over the nodes that they read.

A handful of kinds suffices for the whole notation, as every array library has them: to take by a
table of positions, to contract plain indices, to choose, to reduce.
"""

from __future__ import annotations

from dataclasses import dataclass

from contractconv.engines.portable.tables import Positions, Table
from contractconv.notation.problem import Shape

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Operand:
    """An operand, compositions split."""

    number: int
    sizes: Shape


@dataclass(frozen=True)
class Full:
    """An array of the identity of a reduction; of ones, for a product."""

    sizes: Shape
    reduce: str


@dataclass(frozen=True)
class Reshape:
    """The same elements in another shape."""

    source: Node
    sizes: Shape


@dataclass(frozen=True)
class Take:
    """Elements by a table of positions, whose axes stand for the ``count`` axes from ``axis`` on.

    What the table has outside reads the identity of a reduction.
    """

    source: Node
    axis: int
    count: int
    table: Table
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
    conditions: tuple[Positions, ...]
    reduce: str


@dataclass(frozen=True)
class Reduce:
    """The reduction of some axes."""

    source: Node
    reduce: str
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Divide:
    """The source over the number of points of each element; over one, if there are none.

    Attributes:
        source: a sum.
        landings: where points land, with the first of the axes that they land on.
        repeats: how many points share each place.
    """

    source: Node
    landings: tuple[tuple[int, Positions], ...]
    repeats: int


Node = Operand | Full | Reshape | Take | Einsum | Where | Reduce | Divide
