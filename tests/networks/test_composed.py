"""Networks that stand in networks."""

from __future__ import annotations

import numpy as np

import contractconv as cc

L, T = cc.layers, cc.training
ROWS = np.random.default_rng(4).standard_normal((7, 4))
LABELS = np.random.default_rng(5).integers(0, 3, 7)


def two_layers() -> cc.Network:
    return cc.Network([L.Dense(5, map="tanh"), L.Dense(3)])


def test_a_network_is_a_part_of_another_one() -> None:
    inner = cc.Network([L.Dense(4, map="tanh"), L.Dense(4)], name="inner")
    net = cc.Network([L.Dense(4), inner, "relu", inner, L.Dense(3)])
    names = [p.name for p in net.parameters((7, 4))]
    assert names == [
        "dense_1.W", "dense_1.bias", "inner.dense_1.W", "inner.dense_1.bias", "inner.dense_2.W",
        "inner.dense_2.bias", "dense_2.W", "dense_2.bias",
    ]  # fmt: skip
    params = net.init(0, ROWS, dtype="float64")
    h = ROWS @ params["dense_1"]["W"] + params["dense_1"]["bias"]
    h = inner(params["inner"], np.maximum(inner(params["inner"], h), 0))
    h = h @ params["dense_2"]["W"] + params["dense_2"]["bias"]
    np.testing.assert_allclose(net(params, ROWS), h, rtol=1e-12)
    fit = net.fit((ROWS, LABELS), epochs=2)
    assert set(fit.params["inner"]) == {"dense_1", "dense_2"}


def test_a_network_of_a_function_is_a_part_too() -> None:
    def residual(x: cc.Tensor) -> cc.Tensor:
        return x + L.Dense(4, map="tanh")(x)

    inner = cc.Network(residual)
    inside = cc.Network([inner, L.Residual([inner]), L.Dense(3)])
    assert [p.name for p in inside.parameters((7, 4))][:2] == [
        "network_1.dense_1.W", "network_1.dense_1.bias",
    ]  # fmt: skip

    def outer(x: cc.Tensor, y: cc.Tensor) -> cc.Tensor:
        made: cc.Tensor = inner(inner(x)) + y
        return made

    net = cc.Network(outer)
    params = net.init(0, ROWS, ROWS, dtype="float64")
    twice = inner(params["network_1"], inner(params["network_1"], ROWS)) + ROWS
    np.testing.assert_allclose(net(params, ROWS, ROWS), twice, rtol=1e-12)


def test_tokens_come_into_a_network_in_a_network() -> None:
    net = cc.Network([cc.Network([L.Embedding(9, 4)]), L.Dense(2)])
    assert net(net.init(0, (3, 5)), np.zeros((3, 5), int)).shape == (3, 5, 2)
