"""How arrays lie on devices: axes in blocks of equal size, the last of them partly padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contractconv.notation.problem import Shape

Sizes = Mapping[str, int]
"""How many devices each axis of a mesh has."""


@dataclass(frozen=True, slots=True)
class Split:
    """An axis in blocks along an axis of a mesh.

    Attributes:
        along: the axis of the mesh.
        count: how many devices it has.
        block: how many elements each device has, beginning at its number times as many. What is
            behind the end of the axis is padding, and may hold anything.
    """

    along: str
    count: int
    block: int

    @staticmethod
    def of(size: int, along: str, count: int, granule: int = 1) -> Split:
        """The smallest blocks of a multiple of some elements.

        Example:
            >>> Split.of(10, "space", 4)
            Split(along='space', count=4, block=3)
        """
        return Split(along, count, -(-max(size, 1) // (count * granule)) * granule)

    @property
    def padded(self) -> int:
        """How many elements all devices have."""
        return self.count * self.block

    def pads(self, size: int) -> bool:
        """Whether there is padding."""
        return self.padded > size


Layout = tuple[Split | None, ...]
"""For each axis of an array its blocks; ``None`` if every device has all of it."""


def padded_shape(shape: Shape, layout: Layout) -> Shape:
    """The shape of all blocks together."""
    return tuple(s.padded if s else n for n, s in zip(shape, layout, strict=True))


def local_shape(shape: Sequence[int], layout: Layout) -> Shape:
    """The shape of the blocks of one device."""
    return tuple(s.block if s else n for n, s in zip(shape, layout, strict=True))
