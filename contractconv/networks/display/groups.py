"""The rows of a network under the names of the blocks that they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    blocks: dict[int, list[Group]] = {start: [] for start in range(len(rows))}
    for block, run in runs([row.path for row in rows]):
        blocks[run.start].append(Group(block, tuple(rows[n] for n in run)))
    for number, row in enumerate(rows):
        yield from ((len(group.path) - 1, group) for group in blocks[number])
        yield len(row.path) - 1, row


def runs(paths: Sequence[Path]) -> Iterator[tuple[Path, range]]:
    """The blocks in which some paths are, each with those that follow each other in it.

    Example:
        >>> list(runs([("a",), ("b", "c"), ("b", "d", "e"), ("f",)]))
        [(('b',), range(1, 3)), (('b', 'd'), range(2, 3))]
    """
    before: Path = ()
    for number, path in enumerate(paths):
        for depth in range(len(common(before, path[:-1])), len(path) - 1):
            block = path[: depth + 1]
            inside = (n for n in range(number, len(paths)) if paths[n][:-1][: depth + 1] != block)
            yield block, range(number, next(inside, len(paths)))
        before = path[:-1]
