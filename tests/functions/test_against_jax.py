"""Values and gradients of functions against jax's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from torch_oracle import Given, integers, numbers, run, truths

from contractconv import functions as F

jax: Any = pytest.importorskip("jax")
jnp: Any = jax.numpy


def window(x: Any, start: Any, combine: Any) -> Any:
    return jax.lax.reduce_window(x, start, combine, (1, 3, 2), (1, 2, 1), "VALID")


def entropy(x: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(x), labels[:, None], 1).mean()


def lstm(x: Any, h: Any, c: Any, W_x: Any, W_h: Any) -> Any:
    z = jnp.einsum("bd,dgo->gbo", x, W_x) + jnp.einsum("br,rgo->gbo", h, W_h)
    i, f, g, o = z
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def turned(x: Any) -> Any:
    angle = jnp.arange(5)[:, None] / 10000.0 ** (jnp.arange(0, 6, 2) / 6)
    a, b = jnp.split(x, 2, axis=-1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def huber(y: Any, t: Any) -> Any:
    a = jnp.abs(y - t)
    return jnp.where(a <= 0.5, a * a / 2, 0.5 * (a - 0.25))


X: dict[str, Given] = {"x": numbers("b t d")}
CELL = {
    "x": numbers("b d"), "h": numbers("b o"), "c": numbers("b o", 1),
    "W_x": numbers("d g o", 2, g=4), "W_h": numbers("r g o", 3, g=4),
}  # fmt: skip
PAIR = {"y": numbers("b d"), "t": numbers("b d", 1)}
CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Mapping[str, Given]]] = {
    "softmax": (lambda x: F.softmax(x, "t"), lambda x: jax.nn.softmax(x, 1), X),
    "softmax of some": (
        lambda x, m: F.softmax(x, "d", m),
        lambda x, m: jax.nn.softmax(x, where=m),
        X | {"m": truths("b t d", 0.9)},
    ),
    "log_softmax": (lambda x: F.log_softmax(x, "t"), lambda x: jax.nn.log_softmax(x, 1), X),
    "logsumexp": (
        lambda x: F.logsumexp(x, "b d"),
        lambda x: jax.nn.logsumexp(x, (0, 2)),
        X,
    ),
    "max": (lambda x: F.max(x, "b d"), lambda x: x.max((0, 2)), X),
    "variance": (lambda x: F.variance(x, "t", 1), lambda x: x.var(1, ddof=1), X),
    "layer_norm": (
        lambda x: F.layer_norm(x, "d"),
        lambda x: jax.nn.standardize(x, epsilon=1e-5),
        X,
    ),
    "rms_norm": (
        lambda x: F.rms_norm(x, "d"),
        lambda x: x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6),
        X,
    ),
    "glu": (lambda x: F.glu(x, "d"), jax.nn.glu, X),
    "geglu": (
        lambda x: F.geglu(x, "d"),
        lambda x: x[..., :3] * jax.nn.gelu(x[..., 3:], approximate=False),
        X,
    ),
    "max_pool": (
        lambda x: F.max_pool(x, {"t": 3, "d": 2}, {"t": 2, "d": 1}),
        lambda x: window(x, -jnp.inf, jax.lax.max),
        X,
    ),
    "avg_pool": (
        lambda x: F.avg_pool(x, {"t": 3, "d": 2}, {"t": 2, "d": 1}),
        lambda x: window(x, 0.0, jax.lax.add) / 6,
        X,
    ),
    "rope": (lambda x: F.rope(x, "t", "d"), turned, X),
    "embedding": (
        lambda tokens, table: F.embedding(tokens, table, "v"),
        lambda tokens, table: table[tokens],
        {"tokens": integers("b t", 9), "table": numbers("v d")},
    ),
    "cross_entropy": (
        lambda x, labels: F.cross_entropy(x, labels, "c"),
        entropy,
        {"x": numbers("b c"), "labels": integers("b", 7)},
    ),
    "binary_cross_entropy": (
        lambda y, t: F.binary_cross_entropy(y, t, reduce=None),
        lambda y, t: -t * jax.nn.log_sigmoid(y) - (1 - t) * jax.nn.log_sigmoid(-y),
        PAIR,
    ),
    "huber": (lambda y, t: F.huber(y, t, 0.5, reduce=None), huber, PAIR),
    "lstm_cell": (
        lambda x, h, c, W_x, W_h: F.lstm_cell(x, h, c, W_x, W_h, hidden="o", gate="g")[0],
        lambda *given: lstm(*given)[0],
        CELL,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_functions_are_jaxs(name: str) -> None:
    ours, theirs, given = CASES[name]
    moving = [key for key, (_, array) in given.items() if array.dtype.kind == "f"]
    found = run(ours, given, " ".join(moving))
    with jax.enable_x64(True):
        arrays = {key: jnp.asarray(array) for key, (_, array) in given.items()}

        def of(values: Mapping[str, Any]) -> Any:
            return theirs(*{**arrays, **values}.values())

        wanted, back = jax.vjp(of, {key: arrays[key] for key in moving})
        (slopes,) = back(jnp.ones_like(wanted))
        right = [np.asarray(a) for a in (wanted, *(slopes[key] for key in moving))]
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * (1 + np.abs(b).max()))
