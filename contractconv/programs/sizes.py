"""Sizes that nobody knows yet: sums of axes' sizes, of indices' extents, and of integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contractconv.programs.nodes import Node


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of an axis of a node; or the extent of an index of a contraction's string.

    Attributes:
        node: whose.
        name: the axis, by its name; or the index.
        of_index: whether it is an index that is meant.
    """

    node: Node
    name: str
    of_index: bool = False

    @property
    def key(self) -> str:
        """The same in every process."""
        return f"{self.node.key.hex()}.{self.name}.{self.of_index:d}"


@dataclass(frozen=True, slots=True)
class Size:
    """A sum of extents with integer coefficients, and of an integer.

    Example:
        >>> (Size.of(3) + 4).number
        7
    """

    terms: tuple[tuple[Extent, int], ...]
    offset: int = 0

    @staticmethod
    def of(value: int | Size | Extent) -> Size:
        """Return an integer, or an extent, as a size."""
        if isinstance(value, Size):
            return value
        if isinstance(value, Extent):
            return Size(((value, 1),))
        return Size((), value)

    @property
    def number(self) -> int | None:
        """The integer, if it is nothing else."""
        return None if self.terms else self.offset

    @property
    def alone(self) -> Extent | None:
        """The extent, if it is nothing else."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and not self.offset:
            return self.terms[0][0]
        return None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes whose sizes it is made of."""
        return tuple(extent.node for extent, _ in self.terms)

    @property
    def key(self) -> str:
        """The same in every process, whatever order it was added up in."""
        parts = sorted(f"{c}*{extent.key}" for extent, c in self.terms)
        return "+".join((*parts, str(self.offset)))

    def value(self, known: Callable[[Extent], int]) -> int:
        """Work it out."""
        return self.offset + sum(c * known(extent) for extent, c in self.terms)

    def mapped(self, change: Mapping[Node, Node]) -> Size:
        """The same of other nodes, which have the same axes and indices."""
        terms = ((Extent(change.get(e.node, e.node), e.name, e.of_index), c) for e, c in self.terms)
        return Size(tuple(terms), self.offset)

    def __add__(self, other: int | Size) -> Size:
        other = Size.of(other)
        found: dict[str, tuple[Extent, int]] = {}
        for extent, c in (*self.terms, *other.terms):
            found[extent.key] = (extent, found.get(extent.key, (extent, 0))[1] + c)
        terms = tuple((extent, c) for extent, c in found.values() if c)
        return Size(terms, self.offset + other.offset)

    __radd__ = __add__

    def __mul__(self, factor: int) -> Size:
        if not factor:
            return Size(())
        return Size(tuple((e, factor * c) for e, c in self.terms), factor * self.offset)

    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: int | Size) -> Size:
        return self + Size.of(other) * -1

    def __rsub__(self, other: int | Size) -> Size:
        return Size.of(other) + self * -1
