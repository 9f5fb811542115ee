"""The rows of a network under the names of the blocks that they are in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contractconv.layers.records import Path
from contractconv.networks.regions import common
from contractconv.networks.summary import Row


@dataclass(frozen=True)
class Group:
    """A block, with the rows in it that follow each other.

    Attributes:
        path: what it is called.
        rows: the rows in it, and in blocks within it.
    """

    path: Path
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """How many numbers its parameters have."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Those of its rows, forward."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def backward(self) -> int:
        """Those of its rows, backward."""
        return sum(row.backward for row in self.rows)


def grouped(rows: Sequence[Row]) -> Iterator[tuple[int, Row | Group]]:
    """Every row, each block before those that are in it, with how deep it is.

    Example:
        >>> def row(*path: str) -> Row:
        ...     return Row(path, "", (), (), 1, 1, False, True, 0, 0, 0)
        >>> for depth, one in grouped([row("a"), row("b", "c"), row("b", "d", "e"), row("f")]):
        ...     print("  " * depth + one.path[-1], one.parameters)
        a 1
        b 2
          c 1
          d 1
            e 1
        f 1
    """
    before: Path = ()
    for number, row in enumerate(rows):
        blocks = row.path[:-1]
        for depth in range(len(common(before, blocks)), len(blocks)):
            yield depth, Group(blocks[: depth + 1], tuple(_run(rows[number:], blocks[: depth + 1])))
        yield len(blocks), row
        before = blocks


def _run(rows: Iterable[Row], block: Path) -> Iterator[Row]:
    for row in rows:
        if row.path[: len(block)] != block:
            return
        yield row
