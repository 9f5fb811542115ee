"""Layers of images as strings; the results have the axes ``b h w c``."""

from __future__ import annotations

from typing import Any

import contractconv as cc
from contractconv.api.tensor import Tensor

IMAGE = "b h w c"


def convolved(x: Tensor, kernel: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """A convolution: of a kernel ``k l c o``, ``k l c`` for each channel alone, ``c o`` for points.

    >>> x, W = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o")
    >>> convolved(x, W, stride=2, padding=1)
    <tensor b h w c>
    """
    read, written = {
        ("k", "l", "c", "o"): (f"{_window(stride, padding)} c, k l c o", "o"),
        ("k", "l", "c"): (f"{_window(stride, padding)} c, k l c", "c"),
        ("c", "o"): ("h w c, c o", "o"),
    }[kernel.axes]
    return contracted(f"b {read} -> b h w {written}", x, kernel, IMAGE)


def dense(x: Tensor, matrix: Tensor) -> Tensor:
    """A product with a matrix ``i o``, named ``b i`` again."""
    return contracted("b i, i o -> b o", x, matrix, "b i")


def dense_on_image(x: Tensor, weight: Tensor) -> Tensor:
    """A product with a weight ``h w c o``, to which all of an image comes; named ``b i``."""
    return contracted("b h w c, h w c o -> b o", x, weight, "b i")


def contracted(string: str, x: Tensor, weight: Tensor, axes: str) -> Tensor:
    """A contraction whose result has other names."""
    made: Any = cc.contract(string, x, weight)
    result: Tensor = made.named(axes)
    return result


def _window(stride: int, padding: int) -> str:
    """Where the taps of a place are.

    >>> _window(2, 1), _window(1, 0)
    ('(2*h+k-1) (2*w+l-1)', '(h+k) (w+l)')
    """
    times = f"{stride}*" if stride > 1 else ""
    offset = f"-{padding}" if padding else ""
    return f"({times}h+k{offset}) ({times}w+l{offset})"
