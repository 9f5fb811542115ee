"""Convolutions of square images and windows, and what their windows see: for exact sums by taps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class SquareLayer:
    """A convolution of square images and windows; channels and outputs are of one group."""

    batch: int
    side: int
    channels: int
    outputs: int
    window: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def axes(self) -> str:
        """How windows meet both axes of an image."""
        return " ".join(
            f"({self.stride}*{place}+{self.dilation}*{tap}-{self.padding})"
            for place, tap in ("ik", "jl")
        )

    @property
    def places(self) -> int:
        """How many windows there are along a side."""
        reach = self.dilation * (self.window - 1) + 1 - 2 * self.padding
        return (self.side - reach) // self.stride + 1

    def padded(self, image: Array) -> Array:
        """An image whose second and third axes have zeros around them."""
        edge = (self.padding, self.padding)
        return np.pad(image, ((0, 0), edge, edge, *[(0, 0)] * (image.ndim - 3)))

    def seen(self, padded: Array, down: int, along: int) -> Array:
        """What windows have at one of their places."""
        first, second = (n * self.dilation for n in (down, along))
        end = self.stride * (self.places - 1) + 1
        return padded[:, first : first + end : self.stride, second : second + end : self.stride]

    def inside(self, padded: Array) -> Array:
        """The image itself."""
        there = slice(self.padding, self.padding + self.side)
        return padded[:, there, there]
