"""The strings of a layer and of its gradients, for the layouts that other libraries have."""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.layers import FORWARD, INPUT_GRADIENT, Convolution
from benchmarks.peers.contraction import axes

# How the axes of images and weights lie, by the names of torch's layouts, and of JAX's way.
LAYOUTS = {
    "channels_last": ("b {y} {c}", "{o} k l {i}"),
    "contiguous_format": ("b {c} {y}", "{o} {i} k l"),
    "weights last": ("b {y} {c}", "k l {i} {o}"),
}


def string(case: Convolution, layout: str) -> str:
    """Write a layer down; groups are parts of channels.

    >>> string(Convolution(8, 28, 28, 3, 16, 3, stride=2, padding=1), "contiguous_format")
    'b c (2*i+k-1) (2*j+l-1), o c k l -> b o i j'
    >>> string(Convolution(8, 28, 28, 8, 16, 3, groups=4), "weights last")
    'b (i+k) (j+l) (g c), k l c (g o) -> b i j (g o)'
    """
    image, weight = LAYOUTS[layout]
    inner, outer = ("(g c)", "(g o)") if case.groups > 1 else ("c", "o")
    read = image.format(y=axes(case.stride, case.dilation, case.padding), c=inner)
    taps = weight.format(i="c", o=outer)
    return f"{read}, {taps} -> {image.format(y='i j', c=outer)}"


def of_direction(case: Convolution, layout: str, direction: str) -> tuple[Any, dict[str, int]]:
    """What is called, of image and weight, or of a cotangent before them; and its extents."""
    layer = cc.Contraction(string(case, layout))
    extents = {"g": case.groups} if case.groups > 1 else {}
    if direction == FORWARD:
        return layer, extents
    return layer.grad(0 if direction == INPUT_GRADIENT else 1), extents
