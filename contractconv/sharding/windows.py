"""Which part of an axis each device meets, and how far that lies from the block that it has.

Every device runs the same program, so the part is of the same width everywhere, and begins at a
place that is affine in the numbers of the device along the axes of the mesh. What of it other
devices have are halos, as wide as the widest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from contractconv.lazy import Value, remembered
from contractconv.notation.problem import Access
from contractconv.sharding.layouts import Split

Way = Literal["as it is", "halo", "cut"]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a window moves from one device to the next one along an axis of a mesh."""

    along: str
    count: int
    size: int


@dataclass(frozen=True)
class Window(Value):
    """The part of an axis that each device meets.

    Attributes:
        size: of the axis.
        base: where the part of the first device begins; outside of the axis, maybe.
        width: how many elements it has.
        steps: how it moves.
    """

    size: int
    base: int
    width: int
    steps: tuple[Step, ...] = ()

    @staticmethod
    def of(access: Access, extents: Mapping[str, int], splits: Mapping[str, Split]) -> Window:
        """What is met of an axis.

        Args:
            access: the axis; the steps of its split indices are multiples of its divisor.
            extents: those of every index on one device.
            splits: the indices of which each device has a block.
        """
        moved = [(splits[name], c) for name, c in access.terms if name in splits]
        if not moved:
            return Window(access.size, 0, access.size)
        low, high = access.reach(extents)
        base = -(-low // access.divisor)
        steps = (Step(s.along, s.count, c * s.block // access.divisor) for s, c in moved)
        return Window(access.size, base, max(1, high // access.divisor + 1 - base), tuple(steps))

    @remembered
    def starts(self) -> tuple[int, ...]:
        """Where it begins on any device, row-major in the steps."""
        devices = product(*(range(step.count) for step in self.steps))
        return tuple(self.base + sum(n * s.size for n, s in zip(d, self.steps, strict=True))
                     for d in devices)  # fmt: skip

    def is_block(self, split: Split | None) -> bool:
        """Whether it is the block that each device has; or, of an axis that is whole, all of it."""
        if split is None:
            return not self.steps and (self.base, self.width) == (0, self.size)
        own = (Step(split.along, split.count, split.block),)
        return self.steps == own and (self.base, self.width) == (0, split.block)


@dataclass(frozen=True)
class Passage(Value):
    """Between an axis as it lies on devices and the window that each of them meets.

    It is gone through forwards, where an operand is read, and backwards, where a result lands.

    Attributes:
        window: what each device meets.
        split: how the axis lies.
        gathered: whether it is made whole for that, as halos would be larger.
    """

    window: Window
    split: Split | None
    gathered: bool = False

    @staticmethod
    def between(window: Window, split: Split | None) -> Passage:
        """The cheapest one: halos of neighbours, or the whole axis."""
        passage = Passage(window, split)
        if split is None or window.is_block(split):
            return passage
        near = [step.along for step in window.steps] == [split.along]
        if near and passage.exchanged < (split.count - 1) * split.block:
            return passage
        return Passage(window, split, gathered=True)

    @property
    def way(self) -> Way:
        """What is done on each device."""
        lies = None if self.gathered else self.split
        if self.window.is_block(lies):
            return "as it is"
        return "cut" if lies is None else "halo"

    @property
    def lies(self) -> Split | None:
        """How the window lies, if every device has a block of the axis in it."""
        if not self.window.steps:
            return None
        (step,) = self.window.steps
        return Split(step.along, step.count, step.size)

    @property
    def moved(self) -> Split:
        """How the axis lies of which something has to be moved."""
        assert self.split is not None
        return self.split

    @property
    def mirrored(self) -> bool:
        """Whether the first device meets what the last one has."""
        return self.window.steps[0].size < 0

    def owner(self, device: int) -> int:
        """The device that has the middle of what a device meets."""
        return self.moved.count - 1 - device if self.mirrored else device

    @remembered
    def _met(self) -> tuple[tuple[int, int, int], ...]:
        """For each device that meets elements: where its owner's block begins, and those."""
        block, window = self.moved.block, self.window
        spans = (
            (self.owner(d) * block, max(0, start), min(window.size, start + window.width))
            for d, start in enumerate(window.starts)
        )
        return tuple((begin, low, high) for begin, low, high in spans if low < high)

    @remembered
    def left(self) -> int:
        """How many elements before the owner's block are met, at most."""
        return max([0, *(begin - low for begin, low, _ in self._met)])

    @remembered
    def right(self) -> int:
        """How many elements behind the owner's block are met, at most."""
        block = self.moved.block
        return max([0, *(high - begin - block for begin, _, high in self._met)])

    @property
    def exchanged(self) -> int:
        """How many elements along the axis a device sends to others, at most."""
        return self.left + self.right + self.moved.block * self.mirrored

    @remembered
    def places(self) -> tuple[int, ...]:
        """For each device where its window begins in its owner's block with halos.

        Of a device that meets nothing it does not matter.
        """
        begin = [self.owner(d) * self.moved.block - self.left for d in range(self.moved.count)]
        found = [s - b if self._meets(s) else None
                 for s, b in zip(self.window.starts, begin, strict=True)]  # fmt: skip
        usual = next((place for place in found if place is not None), 0)
        return tuple(usual if place is None else place for place in found)

    @property
    def room(self) -> tuple[int, int]:
        """How far windows reach over the block with halos, before it and behind it."""
        length = self.left + self.moved.block + self.right
        last = max(self.places) + self.window.width
        return max(0, -min(self.places)), max(0, last - length)

    @property
    def around(self) -> tuple[int, int]:
        """How far windows reach over an axis that is whole, before it and behind it."""
        window = self.window
        last = max(window.starts) + window.width
        return max(0, -min(window.starts)), max(0, last - window.size)

    @property
    def leaves(self) -> bool:
        """Whether a device meets anything outside of the axis."""
        window = self.window
        return any(s < 0 or s + window.width > window.size for s in window.starts)

    def masks(self, zero: bool) -> bool:
        """Whether what is read has to be told from padding, and from what is outside.

        Args:
            zero: whether what is outside counts as zeros, which is what devices hold there.
        """
        if self.split is None or self.gathered:
            return False
        if not zero and self.leaves:
            return True
        return self.leaves and (self.strays or self.split.pads(self.window.size))

    @property
    def strays(self) -> bool:
        """Whether a device meets nothing at all: its place is that of another one."""
        return not all(map(self._meets, self.window.starts))

    def _meets(self, start: int) -> bool:
        return start < self.window.size and start + self.window.width > 0
