"""What jax makes of functions works on contractions, which are made of its operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc

jax = pytest.importorskip("jax")
jnp = jax.numpy

CONVOLUTION = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((3, 9, 2)), RNG.standard_normal((3, 2, 4))
G = RNG.standard_normal(CONVOLUTION(X, W).shape)


@pytest.fixture(autouse=True)
def _wide() -> Any:
    with jax.enable_x64(True):
        yield


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-10, atol=1e-10)


def test_compiled() -> None:
    close(jax.jit(CONVOLUTION)(X, W), CONVOLUTION(X, W))


def test_differentiated_in_both_modes() -> None:
    made, back = jax.vjp(CONVOLUTION, jnp.asarray(X), jnp.asarray(W))
    close(made, CONVOLUTION(X, W))
    for n, found in enumerate(back(jnp.asarray(G))):
        close(found, CONVOLUTION.grad(n)(G, X, W))
    still = jnp.zeros_like(W)
    _, change = jax.jvp(CONVOLUTION, (jnp.asarray(X), jnp.asarray(W)), (jnp.asarray(X), still))
    close(change, CONVOLUTION(X, W))


def test_remembered_and_mapped() -> None:
    def loss(x: Any, w: Any) -> Any:
        return (cc.contract("i c, k c -> i k", x, w, i=3) ** 2).sum()

    xs, w = RNG.standard_normal((2, 3, 2)), jnp.asarray(W[:, :, 0])
    whole = jax.jit(jax.vmap(jax.grad(jax.checkpoint(loss), 1), (0, None)))(xs, w)
    for found, x in zip(whole, xs, strict=True):
        close(found, 2 * (x @ np.asarray(w).T).T @ x)


def test_over_devices() -> None:
    devices = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("m",))
    spec = jax.sharding.PartitionSpec
    mapped = jax.shard_map(
        CONVOLUTION, mesh=devices, in_specs=(spec("m"), spec()), out_specs=spec("m")
    )
    close(mapped(jnp.asarray(X), jnp.asarray(W)), CONVOLUTION(X, W))
    close(jax.pmap(CONVOLUTION)(X[None], W[None])[0], CONVOLUTION(X, W))
    _, made = jax.lax.scan(lambda held, x: (held, CONVOLUTION(x, W)), 0.0, jnp.asarray(X)[None])
    close(made[0], CONVOLUTION(X, W))
