"""Networks as pairs of functions of jax: against the network on numpy's arrays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import contractconv as cc

jax = pytest.importorskip("jax")
jnp = jax.numpy
L = cc.layers

NET = cc.Network([L.Conv(3, 3), L.BatchNorm(), "relu", L.Dropout(0.5), L.Dense(2, over="h w c")])
X = np.random.default_rng(0).standard_normal((4, 6, 6, 2)).astype("float32")


@pytest.fixture(scope="module")
def module() -> Any:
    return cc.jax.Module(NET)


@pytest.fixture(scope="module")
def params(module: Any) -> Any:
    return module.init(jax.random.key(3), X.shape)


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-5)


def test_afterwards_it_is_the_network(module: Any, params: Any) -> None:
    numbers = jax.tree.map(np.asarray, params)
    close(jax.jit(module.apply)(params, X), NET(numbers, X))


def test_in_training_statistics_come_out(module: Any, params: Any) -> None:
    made, moved = module.apply(params, X, rng=jax.random.key(0), training=True)
    assert made.shape == (4, 2)
    expected = NET.statistics(jax.tree.map(np.asarray, params), X, rng=0)["batch_norm_1"]
    assert sorted(moved["batch_norm_1"]) == ["mean", "variance"]
    for name, found in moved["batch_norm_1"].items():
        close(found, expected[name])
    together = module.merged(params, moved)
    assert jax.tree.structure(together) == jax.tree.structure(params)
    trained, statistics = module.split(together, X)
    assert jax.tree.structure(statistics) == jax.tree.structure(moved)
    assert "mean" not in trained["batch_norm_1"]


def test_chance_follows_from_the_key(module: Any, params: Any) -> None:
    compiled = jax.jit(lambda key: module.apply(params, X, rng=key, training=True)[0])
    first, again, other = (compiled(jax.random.key(n)) for n in (1, 1, 2))
    close(first, again)
    assert not np.allclose(first, other)
    close(module.apply(params, X, rng=1, training=True)[0], first)
    with pytest.raises(cc.OperandError, match="say rng=, a key of jax or a seed"):
        module.apply(params, X, training=True)


def test_what_draws_parameters(module: Any) -> None:
    first = module.init(7, X.shape)
    jax.tree.map(close, first, module.init(7, X))
    old = module.init(jax.random.PRNGKey(7), X.shape)
    jax.tree.map(close, old, module.init(jax.random.key(7), X.shape))
    assert not np.allclose(first["conv_1"]["W"], old["conv_1"]["W"])
    with pytest.raises(cc.OperandError, match="drawn outside of what jax compiles"):
        jax.jit(lambda key: module.init(key, X.shape))(jax.random.key(0))


def test_an_optimiser_of_another_library_trains_it() -> None:
    optax = pytest.importorskip("optax")
    module = cc.jax.Layer("b i, i o -> b o", o=1, bias="o")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 3)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "float32") + 3
    params, rule = module.init(0, x), optax.adam(0.3)

    def step(held: Any, _: Any) -> Any:
        params, state = held
        slope = jax.grad(lambda p: ((module.apply(p, x) - y) ** 2).mean())(params)
        change, state = rule.update(slope, state)
        return (optax.apply_updates(params, change), state), None

    (params, _), _ = jax.jit(lambda held: jax.lax.scan(step, held, None, 300))(
        (params, rule.init(params))
    )
    np.testing.assert_allclose(params["W"][:, 0], [1, -2, 0.5], atol=1e-2)
    np.testing.assert_allclose(params["bias"], [3], atol=1e-2)


def test_it_is_a_constant_in_a_tree(module: Any, params: Any) -> None:
    assert jax.tree.leaves({"net": module}) == []
    compiled = jax.jit(lambda tree, x: tree["net"].apply(tree["params"], x))
    close(compiled({"net": module, "params": params}, X), module.apply(params, X))


def test_a_parameter_that_is_missing(module: Any, params: Any) -> None:
    held = {name: part for name, part in params.items() if name != "conv_1"}
    with pytest.raises(cc.OperandError, match=re.escape("conv_1.W")):
        module.apply(held, X)
