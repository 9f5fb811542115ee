"""Where arrays lie in one piece of memory, step by step."""

from __future__ import annotations

from typing import NamedTuple

# Bytes of a line of the cache: places begin at multiples of them.
LINE = 64


class Place(NamedTuple):
    """A part of the memory, which belongs to an array from one step to another.

    Attributes:
        size: bytes.
        offset: where it begins.
        first: the number of the step that asks for it.
        last: the last step in which it is needed.
        scratch: whether it is no array, but what a kernel needs while it runs.
    """

    size: int
    offset: int
    first: int
    last: int
    scratch: bool = False


class Placement(NamedTuple):
    """The places of all arrays of some steps.

    Attributes:
        size: bytes of the memory.
        steps: how many steps there are.
        places: in the order in which they are asked for.
    """

    size: int
    steps: int
    places: tuple[Place, ...]
