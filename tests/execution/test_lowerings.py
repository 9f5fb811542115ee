"""Every way in which a contraction is carried out agrees with the naive oracle, in any layout.

Values are small integers: what is summed as the definition says must be exact, and what is rounded
must stay within the bound that the plan gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from oracle import evaluate, gradient, natural_output_shape
from strategies import Array, Problem, Shape, problems, seeds, windows

import contractconv as cc
from contractconv.kernels import native

ENGINES = ("llvm", "numpy")
FAST = ("toom-cook", "fft")
ALGORITHMS = ("direct", *FAST)
DTYPES = ("float32", "float64")


# --- layers ----------------------------------------------------------------------------------


def layer(spec: str, *shapes: Shape, output_shape: Shape | None = None, **given: int) -> Problem:
    """A contraction with its extents worked out."""
    extents = cc.Contraction(spec).extents(*shapes, **given)
    natural = natural_output_shape(spec, shapes, extents)
    return Problem(spec, shapes, extents, output_shape or natural)


LAYERS = {
    "1-D": layer("b (i+k) c, k c o -> b i o", (2, 9, 3), (3, 3, 4)),
    "channels first": layer("b c (i+k-1), o c k -> b o i", (2, 3, 9), (4, 3, 3)),
    "axes in odd orders": layer("(i+k) c b, o k c -> o b i", (9, 3, 2), (4, 3, 3)),
    "kernel first": layer("k c o, b (i+k) c -> b i o", (3, 3, 4), (2, 9, 3)),
    "2-D": layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", (1, 6, 7, 2), (3, 3, 2, 3)),
    "2-D, channels first": layer("b c (i+k) (j+l), o c k l -> b o i j", (1, 2, 7, 8), (3, 2, 3, 3)),
    "3-D": layer("(h+m-1) (i+k) (j+l) c, m k l c o -> h i j o", (3, 5, 4, 2), (3, 2, 2, 2, 2)),
    "wide": layer("(i+k-1) c, k c o -> i o", (5, 17), (3, 17, 33)),
    "one signal": layer("(i+k), k -> i", (23,), (3,)),
    "one image": layer("(i+k) (j+l), k l -> i j", (9, 8), (3, 3)),
    "stride 2": layer("b (2*i+k) c, k c o -> b i o", (2, 13, 3), (3, 3, 4)),
    "stride 2, one signal": layer("(2*i+k), k -> i", (21,), (3,)),
    "stride 3": layer("b (3*i+k-1) c, k c o -> b i o", (1, 20, 3), (5, 3, 4)),
    "stride 4, longer than the kernel": layer("(4*i+k) c, k c o -> i o", (22, 3), (3, 3, 4)),
    "stride 2, 2-D": layer("(2*i+k-1) (2*j+l-1) c, k l c o -> i j o", (9, 10, 2), (3, 3, 2, 3)),
    "dilation 2": layer("b (i+2*k) c, k c o -> b i o", (1, 14, 3), (3, 3, 4)),
    "dilation 3, stride 2": layer("b (2*i+3*k-1) c, k c o -> b i o", (1, 21, 3), (3, 3, 4)),
    "a flipped kernel": layer("b (i-k+2) c, k c o -> b i o", (1, 10, 3), (3, 3, 4), i=8),
    "the full convolution": layer("(i-k) c, k c o -> i o", (9, 3), (4, 3, 2), i=12),
    "asymmetric padding": layer("b (i+k-2) c, k c o -> b i o", (1, 7, 3), (3, 3, 4), i=8),
    "more padding than image": layer("b (i+k-9) c, k c o -> b i o", (1, 4, 3), (3, 3, 2), i=20),
    "cropping": layer("b (i+k+2) c, k c o -> b i o", (1, 14, 3), (3, 3, 2), i=9),
    "a row of taps, padded": layer(
        "(i+k-1) (j+l-1) c, k l c o -> i j o", (5, 6, 3), (1, 3, 3, 4)
    ),
    "a column of taps, padded": layer(
        "(i+k-1) (j+l-1) c, k l c o -> i j o", (5, 6, 3), (3, 1, 3, 4)
    ),
    "groups": layer("b (i+k) g c, k g c o -> b i g o", (2, 8, 2, 3), (3, 2, 3, 2)),
    "depthwise": layer("b (i+k) c, k c -> b i c", (2, 9, 5), (3, 5)),
    "depthwise, stride 2": layer("b (2*i+k-1) c, k c -> b i c", (2, 13, 5), (3, 5)),
    "depthwise, channels first": layer("b c (i+k), c k -> b c i", (2, 5, 9), (5, 3)),
    "depthwise, 2-D": layer("(i+k-1) (j+l-1) c, k l c -> i j c", (6, 7, 5), (3, 3, 5)),
    "depthwise with a multiplier": layer("b (i+k) c, k c o -> b i c o", (1, 9, 3), (3, 3, 2)),
    "transposed": layer("b i c, k c o -> b (i+k) o", (2, 7, 3), (3, 3, 4)),
    "transposed, stride 2": layer("b i c, k c o -> b (2*i+k) o", (1, 7, 3), (4, 3, 4)),
    "transposed, stride 2, padded": layer("b i c, k c o -> b (2*i+k-1) o", (1, 7, 3), (3, 3, 4)),
    "transposed, stride 3, 2-D": layer(
        "i j c, k l c o -> (3*i+k) (3*j+l) o", (3, 3, 2), (4, 4, 2, 2)
    ),
    "weight gradient": layer("b (i+k) c, b i o -> k c o", (2, 11, 3), (2, 9, 4)),
    "weight gradient, channels first": layer(
        "b c (i+k-1), b o i -> o c k", (2, 3, 9), (2, 4, 9), k=3
    ),
    "weight gradient, 2-D": layer(
        "(i+k-1) (j+l-1) c, i j o -> k l c o", (5, 6, 2), (5, 6, 3), k=3, l=3
    ),
    "weight gradient, stride 2": layer("(2*i+k) c, i o -> k c o", (15, 3), (7, 4), k=3),
    "a kernel longer than the result": layer("(i+k) c, k c o -> i o", (9, 3), (7, 3, 2)),
    "axes of size 1": layer("b (i+k-1) c, k c o -> b i o", (1, 4, 1), (3, 1, 1)),
    "data backwards along the channels": layer(
        "(i+k-1) (4-c), k c o -> i o", (8, 5), (3, 5, 3), c=5
    ),
    "every second channel": layer("(i+k-1) (2*c), k c o -> i o", (8, 9), (3, 5, 3), c=5),
    "results apart": layer("b (i+k) c, k c o -> b i (5*o)", (1, 10, 3), (3, 3, 7)),
    "results apart, stride 2": layer("b (2*i+k) c, k c o -> b i (2*o)", (1, 13, 3), (3, 3, 7)),
    "results backwards": layer("b (i+k) c, k c o -> b i (6-o)", (1, 10, 3), (3, 3, 7)),
    "an unfolded axis beside the window": layer(
        "(m+n-1) (i+k) c, k c o -> m n i o", (4, 7, 2), (3, 2, 3), m=4, n=3
    ),
    "two windows of which one is empty": layer(
        "(i+k) (j+l-3) c, k l c o -> i j o", (6, 2, 2), (3, 2, 2, 2), j=5
    ),
}
WITHOUT_WINDOWS = {
    "matrices": layer("i k, k j -> i j", (5, 7), (7, 19)),
    "matrices, turned": layer("k i, j k -> j i", (7, 5), (19, 7)),
    "many matrices": layer("b i k, b k j -> b i j", (3, 4, 5), (3, 5, 6)),
    "batch last": layer("i k b, k j b -> i j b", (3, 4, 5), (4, 6, 5)),
    "a dense layer on an image": layer("b h w c, h w c o -> b o", (2, 3, 4, 5), (3, 4, 5, 6)),
    "rows": layer("b i, b i -> b", (4, 9), (4, 9)),
    "a number": layer("i, i ->", (9,), (9,)),
    "an outer product": layer("i, j -> i j", (4,), (5,)),
    "a diagonal": layer("i i k, k j -> i j", (4, 4, 3), (3, 5)),
}
# What the gradients of these ask for is no window, but one number.
NO_WINDOW = {("axes of size 1", 1)}


@cache
def expected(name: str, operand: int | None) -> Array:
    """What the oracle says of a result, or of the gradient of an operand."""
    problem = (LAYERS | WITHOUT_WINDOWS)[name]
    operands, shape = problem.operands(1), problem.output_shape
    if operand is None:
        return evaluate(problem.spec, operands, problem.extents, shape, "sum")
    cotangent = problem.cotangent(1)
    return gradient(problem.spec, operand, cotangent, operands, problem.extents, shape, "sum")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What computes: compiled kernels, or numpy."""
    monkeypatch.setenv("CONTRACTCONV_KERNELS", request.param)
    if request.param == "llvm" and not native.available():
        pytest.skip("there is no compiler")
    return str(request.param)
