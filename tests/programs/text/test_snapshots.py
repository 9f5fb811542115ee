"""The texts of well-known networks and of their gradients, kept for a review to read.

Renew all of them, and read the difference::

    python tests/programs/text/test_snapshots.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import contractconv as cc
from contractconv import Program, Tensor
from contractconv.functions import attention, causal_mask, cross_entropy, layer_norm

# A checker takes what it returns for an array.
contract: Any = cc.contract

SNAPSHOTS = Path(__file__).parent / "snapshots"


def perceptron() -> Program:
    """Two layers and the loss of a classifier."""
    x, labels = cc.tensor("x", "batch pixel"), cc.tensor("labels", "batch", dtype="int64")
    W, bias = cc.tensor("W", "pixel hidden"), cc.tensor("bias", "hidden")
    V = cc.tensor("V", "hidden class")
    z = contract("batch pixel, pixel hidden -> batch hidden", x, W).called("z")
    h = cc.relu(z + bias).called("h")
    logits = contract("batch hidden, hidden class -> batch class", h, V).called("logits")
    loss = cross_entropy(logits, labels)
    return cc.program({"loss": loss}, inputs=[x, labels, W, bias, V], name="perceptron")


def squared() -> Program:
    """A linear model and its mean squared error."""
    x, y, W = cc.tensor("x", "b i"), cc.tensor("y", "b o"), cc.tensor("W", "i o")
    error = contract("b i, i o -> b o", x, W) - y
    loss = contract("b o ->", error.called("error") ** 2, reduce="mean")
    return cc.program(loss=loss, name="squared")


def convolution() -> Program:
    """A layer with a stride, an activation and pooling."""
    x, W, bias = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o"), cc.tensor("bias", "o")
    z = contract("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", x, W).called("z")
    a = cc.max(z + bias, 0).called("a")
    pooled = contract("b (2*p+m) (2*q+n) o -> b p q o", a, reduce="max", m=2, n=2)
    loss = contract("b p q o ->", pooled.called("pooled"))
    return cc.program(loss=loss, name="convolution")


def head() -> Program:
    """One head of causal attention over layer-normalised tokens."""
    x, scale = cc.tensor("x", "b t d"), cc.tensor("scale", "d")
    names = {"query": "t", "key": "s", "value": "s"}
    normed = layer_norm(x, "d", scale).called("normed")
    parts = {
        name: contract(
            "b t d, d e -> b t e", normed, cc.tensor(f"W_{name}", "d e")
        ).named(f"b {axis} e").called(name)
        for name, axis in names.items()
    }  # fmt: skip
    mask = causal_mask("t", "s")
    y = attention(parts["query"], parts["key"], parts["value"], "s", "e", mask=mask)
    return cc.program(loss=contract("b t e ->", y.called("y")), name="head")


def both(make: Callable[[], Program], *wrt: str) -> str:
    """A program, and its gradient."""
    return f"{make()}\n\n{make().grad(wrt=wrt)}"


def hessian() -> str:
    """The Hessian of a loss times a vector."""
    model = squared()
    v = cc.tensor("v", "i o")
    product: Tensor = cc.hvp(model["loss"], model.tensor("W"), v)
    return str(cc.program(Hv=product, name="hessian"))


CASES: dict[str, Callable[[], str]] = {
    "squared error": lambda: both(squared, "W"),
    "perceptron": lambda: both(perceptron, "W", "bias", "V"),
    "convolution": lambda: both(convolution, "x", "W", "bias"),
    "attention": lambda: both(head, "W_query", "W_key", "W_value", "scale"),
    "hessian": hessian,
}


def _file(name: str) -> Path:
    return SNAPSHOTS / f"{name.replace(' ', '-')}.txt"


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_what_was_written(name: str) -> None:
    text = CASES[name]()
    assert text == _file(name).read_text(encoding="utf-8")
    for one in text.split("\n\n\n"):
        assert str(cc.read(one)) == one.rstrip("\n") + "\n"


def test_every_snapshot_has_its_program() -> None:
    assert set(SNAPSHOTS.iterdir()) == set(map(_file, CASES))


if __name__ == "__main__":
    for name, text in CASES.items():
        _file(name).write_text(text(), encoding="utf-8")
