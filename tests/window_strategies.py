"""Options of layers with windows, drawn, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from strategies import Draw


@dataclass(frozen=True)
class WindowOptions:
    """Options as a layer takes them, and a batch of images in which their windows fit.

    Attributes:
        given: the options.
        shape: of the images, without channels.
        strides: for each axis.
        dilations: for each axis.
        pads: for each axis how far windows reach outside, before and after.
        kernel: for each axis.
    """

    given: dict[str, Any]
    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def rank(self) -> int:
        """How many axes windows have."""
        return len(self.kernel)


def _same(length: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """As much padding as there have to be places for windows, more of it at the end."""
    count = -(-length // stride)
    whole = max(0, (count - 1) * stride + dilation * (kernel - 1) + 1 - length)
    return whole // 2, whole - whole // 2


@st.composite
def window_options(draw: Draw, most: int = 3, paddings: str = "number each pair same valid") -> Any:
    """Draw options of windows with up to three axes."""
    rank = draw(st.integers(1, most))
    high = 3 if rank < 3 else 2

    def each(low: int, top: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, top)) for _ in range(rank))

    kernel, strides, dilations = each(1, high), each(1, high), each(1, 2)
    kind = draw(st.sampled_from(paddings.split()))
    pads: list[tuple[int, int]] = [(0, 0)] * rank
    if kind == "number":
        (pad,) = draw(st.tuples(st.integers(0, 2)))
        pads = [(pad, pad)] * rank
    if kind == "each":
        pads = [(n, n) for n in each(0, 2)]
    if kind == "pair":
        pads = list(zip(each(0, 2), each(0, 2), strict=True))
    reaches = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    least = [1] * rank
    if kind != "same":
        least = [max(1, r - sum(p)) for r, p in zip(reaches, pads, strict=True)]
    lengths = [n + draw(st.integers(0, 3)) for n in least]
    if kind == "same":
        pads = [*map(_same, lengths, kernel, strides, dilations)]
    padding: Any = {"number": pads[0][0], "each": [p for p, _ in pads], "pair": pads}.get(
        kind, kind
    )
    given = {"kernel": kernel, "stride": strides, "dilation": dilations, "padding": padding}
    if rank == 2 and len(set(kernel)) == 1 and draw(st.booleans()):
        given["kernel"] = kernel[0]
    if len(set(strides)) == 1 and draw(st.booleans()):
        given["stride"] = strides[0]
    if len(set(dilations)) == 1 and draw(st.booleans()):
        given["dilation"] = dilations[0]
    shape = (draw(st.sampled_from([2, 1, 0])), *lengths)
    return WindowOptions(given, shape, kernel, strides, dilations, tuple(pads))
