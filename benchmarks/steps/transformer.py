"""A layer of a transformer's encoder: attention and two dense layers, each with a shortcut.

Architecture: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.1, with gelu,
and no biases around the attention.
"""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.layers import NetworkStep
from benchmarks.steps.network import Network, Operand, Values, vector, weight
from contractconv.functions import layer_norm, mse, multi_head_attention

HEADS = 4


def transformer(case: NetworkStep) -> Network:
    """A layer for sequences of ``side`` tokens with ``width`` features."""
    d = case.width
    part, wide = d // HEADS, 4 * d
    tokens = Operand("b t d", (case.batch, case.side, d), "b t d")
    parameters = {
        "W_in": weight("d n h k", (d, 3, HEADS, part), "(n h k) d", d, gain=1),
        "W_out": weight("h k d", (HEADS, part, d), "d (h k)", d, gain=1),
        "scale_1": vector("d", d, mean=1),
        "shift_1": vector("d", d),
        "W_1": weight("d f", (d, wide), "f d", d),
        "b_1": vector("f", wide),
        "W_2": weight("f d", (wide, d), "d f", wide),
        "b_2": vector("d", d),
        "scale_2": vector("d", d, mean=1),
        "shift_2": vector("d", d),
    }
    return Network(parameters, {"x": tokens, "target": tokens}, ours, in_torch, in_jax)


def ours(p: Values, data: Values) -> Any:
    """The loss as a program."""
    x = data["x"]
    weights = [*(p["W_in"].at(n=n) for n in range(3)), p["W_out"]]
    x = layer_norm(
        x + multi_head_attention(x, weights, "t", "d", "h"), "d", p["scale_1"], p["shift_1"]
    )
    hidden = cc.gelu(cc.contract("b t d, d f -> b t f", x, p["W_1"]) + p["b_1"])
    y = cc.contract("b t f, f d -> b t d", hidden, p["W_2"]) + p["b_2"]
    return mse(layer_norm(x + y, "d", p["scale_2"], p["shift_2"]), data["target"])


def in_torch(torch: Any, p: Values, data: Values) -> Any:
    """The loss in torch, whose attention is one operation."""
    f, x = torch.nn.functional, data["x"]
    size = x.shape[-1:]
    heads = f.linear(x, p["W_in"]).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
    seen = f.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
    x = f.layer_norm(x + f.linear(seen, p["W_out"]), size, p["scale_1"], p["shift_1"])
    y = f.linear(f.gelu(f.linear(x, p["W_1"], p["b_1"])), p["W_2"], p["b_2"])
    return f.mse_loss(f.layer_norm(x + y, size, p["scale_2"], p["shift_2"]), data["target"])


def in_jax(jax: Any, p: Values, data: Values) -> Any:
    """The loss in jax."""
    np, x = jax.numpy, data["x"]
    q, k, v = np.einsum("btd,dnhk->nbthk", x, p["W_in"])
    seen = jax.nn.dot_product_attention(q, k, v)
    x = _normalized(jax, x + np.einsum("bthk,hkd->btd", seen, p["W_out"]))
    x = x * p["scale_1"] + p["shift_1"]
    y = jax.nn.gelu(x @ p["W_1"] + p["b_1"], approximate=False) @ p["W_2"] + p["b_2"]
    y = _normalized(jax, x + y) * p["scale_2"] + p["shift_2"]
    return np.mean((y - data["target"]) ** 2)


def _normalized(jax: Any, x: Any) -> Any:
    return jax.nn.standardize(x, axis=-1, epsilon=1e-5)
