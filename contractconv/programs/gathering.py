"""Rows that labels choose, and sums over equal labels: what contractions with one-hot codes do.

A program is not written with these; contractions become them when it is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from contractconv.programs.nodes import Axes, Node, Number


@dataclass(frozen=True, eq=False, repr=False)
class TakenRows(Node):
    """For each label the row of a table that it chooses; zeros for a label that chooses none.

    Its axes are those of the labels that the table lacks, then those of the table without the one
    along which is chosen. Axes that both have are shared.

    Attributes:
        table: what rows are taken from.
        labels: integers.
        axis: the axis of the table along which they choose.
    """

    table: Node = field(default_factory=lambda: Number(()))
    labels: Node = field(default_factory=lambda: Number(()))
    axis: str = ""

    @staticmethod
    def of(table: Node, labels: Node, axis: str) -> TakenRows:
        """Take rows."""
        new = tuple(name for name in labels.axes if name not in table.axes)
        axes = (*new, *(name for name in table.axes if name != axis))
        return TakenRows(axes, table=table, labels=labels, axis=axis)

    @property
    def sources(self) -> tuple[Node, ...]:
        """The table and the labels."""
        return self.table, self.labels

    @property
    def said(self) -> tuple[Any, ...]:
        """The axis."""
        return (self.axis,)

    @property
    def described(self) -> str:
        """What it does, in words."""
        return f"of {self.axis!r} the rows that labels '{' '.join(self.labels.axes)}' choose"

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same of another table, or of other labels."""
        return replace(self, table=sources[0], labels=sources[1])


@dataclass(frozen=True, eq=False, repr=False)
class AddedRows(Node):
    """For each label the sum of the rows that have it: a table in whose axis a label is a place.

    Its axes are those of the labels that are kept, the one along which labels are places, then what
    the rows have beside. What has a label that is no place is left out.

    Attributes:
        rows: what is added; it has all axes of the labels.
        labels: integers.
        axis: the new axis.
        size: of the new axis.
        kept: the axes of the labels that are not summed.
    """

    rows: Node = field(default_factory=lambda: Number(()))
    labels: Node = field(default_factory=lambda: Number(()))
    axis: str = ""
    size: int = 0
    kept: Axes = ()

    @staticmethod
    def of(rows: Node, labels: Node, axis: str, size: int, kept: Axes) -> AddedRows:
        """Add rows."""
        rest = tuple(name for name in rows.axes if name not in labels.axes)
        return AddedRows(
            (*kept, axis, *rest), rows=rows, labels=labels, axis=axis, size=size, kept=kept
        )

    @property
    def sources(self) -> tuple[Node, ...]:
        """The rows and the labels."""
        return self.rows, self.labels

    @property
    def said(self) -> tuple[Any, ...]:
        """The new axis, and what is kept."""
        return self.axis, self.size, self.kept

    @property
    def described(self) -> str:
        """What it does, in words."""
        return f"rows added up in {self.axis!r} by labels '{' '.join(self.labels.axes)}'"

    def over(self, sources: tuple[Node, ...], change: Mapping[Node, Node]) -> Self:
        """The same of other rows, or of other labels."""
        return replace(self, rows=sources[0], labels=sources[1])
