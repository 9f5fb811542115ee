"""Small networks with their losses and gradients, whose memory is planned and measured."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import contractconv as cc
from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.functions import lstm_cell, max_pool, softmax
from contractconv.functions import sum as total

Arrays = dict[str, Any]
Shapes = Mapping[str, tuple[int, ...]]


def step(loss: cc.Tensor, shapes: Shapes) -> cc.Program:
    """A loss and its gradients by all inputs but the first."""
    inputs = cc.program(loss=loss).inputs
    learned = [inputs[name] for name in list(shapes)[1:]]
    slopes = {f"d_{t.label}": d for t, d in zip(learned, cc.grad(loss, learned), strict=True)}
    return cc.program({"loss": loss, **slopes}, inputs=[inputs[name] for name in shapes])


def drawn(shapes: Shapes, dtype: str = "float32") -> Arrays:
    """Numbers whose products neither vanish nor explode."""
    rng = np.random.default_rng(0)
    return {n: (rng.normal(size=s) / np.sqrt(s[-1])).astype(dtype) for n, s in shapes.items()}


def perceptron(layers: int = 12, batch: int = 512, width: int = 64) -> tuple[cc.Program, Arrays]:
    h, shapes = cc.tensor("x", "b i"), dict[str, tuple[int, ...]](x=(batch, width))
    for n in range(layers):
        W = cc.tensor(f"W{n}", "i o")
        h = cc.relu(cc.contract("b i, i o -> b o", h, W)).named("b i")
        shapes[f"W{n}"] = (width, width)
    return step(total(h * h), shapes), drawn(shapes)


def convolutions(layers: int = 16, side: int = 24) -> tuple[cc.Program, Arrays]:
    h, shapes = cc.tensor("x", "b h w c"), dict[str, tuple[int, ...]](x=(8, side, side, 16))
    for n in range(layers):
        W = cc.tensor(f"W{n}", "k l c o")
        made = cc.contract("b (h+k-1) (w+l-1) c, k l c o -> b h w o", h, W)
        h = cc.relu(made).named("b h w c")
        shapes[f"W{n}"] = (3, 3, 16, 16)
    return step(total(h * h), shapes), drawn(shapes)


def pooled() -> tuple[cc.Program, Arrays]:
    x, W, V = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o"), cc.tensor("V", "h w o n")
    z = cc.relu(cc.contract("b (h+k-1) (w+l-1) c, k l c o -> b h w o", x, W))
    y = cc.contract("b h w o, h w o n -> b n", max_pool(z, {"h": 2, "w": 2}), V)
    shapes = {"x": (16, 32, 32, 8), "W": (3, 3, 8, 16), "V": (16, 16, 16, 10)}
    return step(total(softmax(y, "n") * y), shapes), drawn(shapes)


def attention() -> tuple[cc.Program, Arrays]:
    x, weights = cc.tensor("x", "b t d"), [cc.tensor(f"W{n}", "d h k") for n in range(3)]
    q, k, v = (cc.contract("b t d, d h k -> b t h k", x, W) for W in weights)
    scores = cc.contract("b t h k, b s h k -> b h t s", q, k)
    y = cc.contract("b h t s, b s h k -> b t h k", softmax(scores, "s"), v)
    shapes = {"x": (8, 96, 48), **{f"W{n}": (48, 4, 12) for n in range(3)}}
    return step(total(y * y), shapes), drawn(shapes)


def chain() -> tuple[cc.Program, Arrays]:
    a, b, c = cc.tensor("a", "i j"), cc.tensor("b", "j k"), cc.tensor("c", "k l")
    y = cc.contract("i j, j k, k l -> i l", a, b, c)
    loss = total(cc.exp(-y * y) * cc.contract("i l -> l i", y).named("i l"))
    shapes = {"a": (300, 200), "b": (200, 400), "c": (400, 300)}
    return step(loss, shapes), drawn(shapes)


def strided() -> tuple[cc.Program, Arrays]:
    x, W, V = cc.tensor("x", "b t c"), cc.tensor("W", "k c o"), cc.tensor("V", "k o c")
    y = cc.contract("b (2*t+k) c, k c o -> b t o", x, W)
    u = cc.contract("b t o, k o c -> b (2*t+k) c", y, V)
    shapes = {"x": (16, 513, 16), "W": (3, 16, 24), "V": (3, 24, 16)}
    return step(total(cc.tanh(u) * u), shapes), drawn(shapes)


def joined() -> tuple[cc.Program, Arrays]:
    x, y = cc.tensor("x", "b i"), cc.tensor("y", "b j")
    z = cc.concat([x * 2, y.named("b i") * 3], "i")
    shapes = {"x": (512, 300), "y": (512, 200)}
    return step(total(z * cc.tanh(z)), shapes), drawn(shapes)


def recurrent() -> tuple[cc.Program, Arrays]:
    x, h, c = cc.tensor("x", "b t i"), cc.tensor("h", "b h"), cc.tensor("c", "b h")
    W, U = cc.tensor("W", "i gate h"), cc.tensor("U", "u gate h")
    bias, state, cell = cc.tensor("bias", "gate h"), h, c
    for n in range(6):
        state, cell = lstm_cell(x.at(t=n), state, cell, W, U, bias)[:2]
    gates = (64, 4, 64)
    shapes: dict[str, tuple[int, ...]] = {
        "x": (128, 6, 64),
        "h": (128, 64),
        "c": (128, 64),
        "W": gates,
        "U": gates,
    }
    shapes["bias"] = (4, 64)
    return step(total(state * state), shapes), drawn(shapes)


NETWORKS: dict[str, Callable[[], tuple[cc.Program, Arrays]]] = {
    "perceptron": perceptron, "convolutions": convolutions, "pooled": pooled,
    "attention": attention, "chain": chain, "strided": strided, "joined": joined,
    "recurrent": recurrent,
}  # fmt: skip


def compiled(program: cc.Program, arrays: Arrays, **options: Any) -> CompiledProgram:
    """A program for some arrays."""
    shapes = {name: array.shape for name, array in arrays.items()}
    return program.compile(dtype="float32", **options, **shapes)


def measured_peak(run: CompiledProgram, arrays: Arrays) -> int:
    """Bytes that numpy and Python ask for in a call, when everything is ready but memory."""
    run(**arrays)
    run._pool.clear()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run(**arrays)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
