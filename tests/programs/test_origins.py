"""Sizes that gradients need are said by inputs, where an axis of theirs is as large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.programs.nodes import Input, Node, in_order
from contractconv.programs.origins import origin
from contractconv.programs.sizing import sized

X, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
Y: Any = cc.contract("b i, i o -> b o", X, W)


def said(tensor: Any, name: str) -> str:
    """What the size of an axis is said to be."""
    found = origin(tensor._node, name)
    return f"{found.node.label} {found.name}"


@pytest.mark.parametrize(
    ("tensor", "name", "expected"),
    [
        (X, "b", "x b"),
        (Y, "b", "x b"),
        (Y, "o", "W o"),
        (cc.exp(Y) + 1, "o", "W o"),
        (Y.named("p q"), "q", "W o"),
        (Y.cast("float32").named("p q") * 2, "p", "x b"),
        (cc.contract("b o, b o -> o", Y, Y), "o", "W o"),
        (cc.contract("b (i+k), k -> b i", Y, cc.tensor("w", "k")).called("z"), "b", "x b"),
        (cc.contract("b (i+k), k -> b i", Y, cc.tensor("w", "k")).called("z"), "i", "z i"),
        (cc.contract("b i -> (b+1) i", X).called("z"), "i", "x i"),
        (cc.contract("b i -> (b+1) i", X).called("z"), "b", "z b"),
        (cc.contract("b i -> b i r", X, r=3).called("z"), "r", "z r"),
        (cc.contract("i i -> i", cc.tensor("m", "p q")), "i", "m p"),
        (cc.where(cc.index("o") < 2, Y, 0), "o", "W o"),
        (cc.index("t", 7).called("n") * 2, "t", "n t"),
    ],
)
def test_where_a_size_comes_from(tensor: Any, name: str, expected: str) -> None:
    assert said(tensor, name) == expected


def test_it_is_that_size() -> None:
    """For every axis of every value of a network, and of its gradients."""
    z = cc.contract("b (t+k-1) c, k c o -> b t o", cc.tensor("s", "b t c"), cc.tensor("K", "k c o"))
    pooled = cc.contract("b (2*p+m) o -> b p o", cc.tanh(z), m=2, reduce="max")
    loss = cc.contract("b p o ->", pooled * pooled, reduce="mean")
    program = cc.program(loss=loss).grad()
    found = sized(program._graph, {"s": (2, 8, 3), "K": (3, 3, 4)})

    def size(node: Node, name: str) -> int:
        return found.shapes[found.made[node]][node.axes.index(name)]

    axes = [(n, name) for n in program._graph.nodes for name in n.axes if name not in n.open_axes]
    assert len(axes) > 40
    for node, name in axes:
        first = origin(node, name)
        assert size(node, name) == size(first.node, first.name)


def test_gradients_of_means_read_the_sizes_of_inputs() -> None:
    loss = cc.contract("b o ->", (Y * Y).called("squares"), reduce="mean")
    for wanted in (cc.grad(loss, W), cc.hvp(loss, W, cc.tensor("v", "i o"))):
        order = in_order([wanted._node])
        assert all(isinstance(one, Input) for node in order for one in node.references)
        assert order[-1] == wanted._node
    v = cc.tensor("v", "i o")
    x, d = np.arange(6.0).reshape(2, 3), np.ones((3, 4))
    made = cc.compile(cc.hvp(loss, W, v), [X, W, v])(x, d, d)
    np.testing.assert_allclose(made, x.T @ (x @ d) * 2 / 8)
