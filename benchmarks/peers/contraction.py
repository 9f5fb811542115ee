"""The library itself: every layer is a string, compiled for its shapes."""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.layers import (
    FORWARD,
    INPUT_GRADIENT,
    Convolution,
    Drawn,
    Factorised,
    Matmul,
    NetworkStep,
    Pooling,
    Product,
    Training,
)
from benchmarks.operands import Array, Operands, matrices, operands
from benchmarks.peers import Prepared
from benchmarks.peers.drawn_contraction import axis, drawn, product
from benchmarks.peers.factorised_contraction import factorised
from benchmarks.peers.lenet_contraction import lenet
from benchmarks.peers.step_contraction import step


def start(threads: int) -> str:
    """Set the number of threads and return the version."""
    if hasattr(cc, "set_num_threads"):
        cc.set_num_threads(threads)
    return cc.__version__


def string(case: Convolution | Pooling) -> str:
    """Write a layer down.

    >>> string(Convolution(8, 28, 28, 3, 16, 3, stride=2, padding=1))
    'b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o'
    >>> string(Convolution(8, 28, 28, 8, 16, 3, padding=2, dilation=2, groups=4))
    'b (i+2*k-2) (j+2*l-2) g c, k l g c o -> b i j g o'
    >>> string(Convolution(8, 28, 28, 8, 8, 3, groups=8))
    'b (i+k) (j+l) c, k l c -> b i j c'
    >>> string(Pooling("max", 8, 28, 28, 8, 3, stride=2))
    'b (2*i+k) (2*j+l) c -> b i j c'
    """
    if isinstance(case, Pooling):
        return f"b {axes(case.stride, 1, 0)} c -> b i j c"
    read, weight, written = _channels(case)
    places = axes(case.stride, case.dilation, case.padding)
    return f"b {places} {read}, k l {weight} -> b i j {written}"


def axes(stride: int, dilation: int, padding: int) -> str:
    """Write the two axes of a window."""
    return " ".join(axis(*names, stride, dilation, padding) for names in (("i", "k"), ("j", "l")))


def _channels(case: Convolution) -> tuple[str, str, str]:
    if case.depthwise:
        return "c", "c", "c"
    return ("c", "c o", "o") if case.groups == 1 else ("g c", "g c o", "g o")


def _convolution(case: Convolution, direction: str, **options: Any) -> Prepared:
    x, w, g = _grouped(case, operands(case))
    run = cc.Contraction(string(case)).compile(x.shape, w.shape, dtype="float32", **options)
    if direction == FORWARD:
        return Prepared(lambda: run(x, w), lambda y: y.reshape(case.output_shape))
    if direction == INPUT_GRADIENT:
        return Prepared(lambda: run.vjp(0, g, x, w), lambda dx: dx.reshape(case.input_shape))
    return Prepared(lambda: run.vjp(1, g, x, w), lambda dw: _plain_weight(case, dw))


def _grouped(case: Convolution, given: Operands) -> Operands:
    """Give the groups an axis of their own where the string has one."""
    x, w, g = given
    if case.depthwise:
        return Operands(x, w[:, :, 0], g)
    if case.groups == 1:
        return given
    *taps, channels, outputs = w.shape
    weight = w.reshape(*taps, channels, case.groups, outputs // case.groups).swapaxes(2, 3)
    x, g = (image.reshape(*image.shape[:3], case.groups, -1) for image in (x, g))
    return Operands(x, weight.copy(), g)


def _plain_weight(case: Convolution, w: Array) -> Array:
    if case.groups > 1 and not case.depthwise:
        w = w.swapaxes(2, 3)
    return w.reshape(case.weight_shape)


def _pooling(case: Pooling, direction: str, **options: Any) -> Prepared:
    x, _, g = operands(case)
    pool = cc.Contraction(string(case), reduce=case.reduce)
    run = pool.compile(x.shape, dtype="float32", k=case.kernel, l=case.kernel, **options)
    if direction == FORWARD:
        return Prepared(lambda: run(x), lambda y: y)
    return Prepared(lambda: run.vjp(0, g, x), lambda dx: dx)


def _matmul(case: Matmul, direction: str, **options: Any) -> Prepared:
    left, right = matrices(case)
    product = cc.Contraction("i j, j k -> i k")
    run = product.compile(left.shape, right.shape, dtype="float32", **options)
    return Prepared(lambda: run(left, right), lambda y: y)


KINDS = {
    Convolution: _convolution,
    Drawn: drawn,
    Product: product,
    Factorised: factorised,
    Pooling: _pooling,
    Training: lenet,
    NetworkStep: step,
    Matmul: _matmul,
}
