"""Programs that tests of displays share, as texts, with shapes and what they are derived by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import contractconv as cc

MLP = """
def mlp(x: "b i", labels: int64["b"], W: "i h", bias: "h", V: "h o"):
    z = contract("b i, i h -> b h", x, W)
    a = max(z + bias, 0)
    logits = contract("b h, h o -> b o", a, V)
    total = contract("b o -> b", logits, reduce="logsumexp")
    is_right = where(labels == index("o"), 1, 0)
    right = contract("b o, b o -> b", logits, is_right)
    loss = contract("b ->", total - right, reduce="mean")
    return loss
"""
LENET_HEAD = """
def lenet_head(x: "b h w c", W: "k l c o", bias: "o", V: "p q o u", target: "b u"):
    z = contract("b (i+k-1) (j+l-1) c, k l c o -> b i j o", x, W)
    a = tanh(z + bias)
    pooled = contract("b (2*p+m) (2*q+n) o -> b p q o", a, m=2, n=2, reduce="max")
    y = contract("b p q o, p q o u -> b u", pooled, V)
    loss = contract("b u ->", (y - target) ** 2)
    return loss
"""
ATTENTION = """
def attention(Q: "b h q d", K: "b h k d", V: "b h k e"):
    scores = contract("b h q d, b h k d -> b h q k", Q, K) / sqrt(size(Q, "d"))
    seen = where(index("q") >= index("k"), scores, -inf)
    weights = exp(seen - contract("b h q k -> b h q", seen, reduce="logsumexp"))
    y = contract("b h q k, b h k e -> b h q e", weights, V)
    return y
"""
TOUCHSTONE = """
def network(x: "b h w c", W: "k l c o", V: "i j o u"):
    z = contract("b (i+k) (j+l) c, k l c o -> b i j o", x, W)
    a = relu(z)
    y = contract("b i j o, i j o u -> b u", a, V)
    return y
"""


@dataclass(frozen=True)
class Network:
    """A program, what it is differentiated by, and shapes of its inputs."""

    text: str
    wrt: tuple[str, ...]
    shapes: dict[str, Any]


NETWORKS = {
    "mlp": Network(
        MLP,
        ("W", "bias", "V"),
        {"x": (64, 784), "labels": (64,), "W": (784, 100), "bias": (100,), "V": (100, 10)},
    ),
    "lenet head": Network(
        LENET_HEAD,
        ("x", "W", "bias", "V"),
        {
            "x": (8, 14, 14, 6), "W": (3, 3, 6, 16), "bias": (16,), "V": (7, 7, 16, 10),
            "target": (8, 10),
        },
    ),
    "attention": Network(
        ATTENTION,
        ("Q", "K", "V"),
        {"Q": (2, 4, 32, 16), "K": (2, 4, 48, 16), "V": (2, 4, 48, 16)},
    ),
    "touchstone": Network(
        TOUCHSTONE,
        ("x", "W", "V"),
        {"x": (8, 100, 100, 32), "W": (3, 3, 32, 64), "V": (98, 98, 64, 10)},
    ),
}  # fmt: skip


@lru_cache
def explained(name: str, sized: bool = True) -> cc.ProgramExplanation:
    """The explanation of one of them, with its gradients."""
    network = NETWORKS[name]
    return cc.read(network.text).explain(wrt=network.wrt, **(network.shapes if sized else {}))
