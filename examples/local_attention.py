"""Attention to the 16 letters before, written as a window: all there is to it is (t+w-15).

    python examples/local_attention.py

Both networks read the manual of Python as the one in ``transformer.py`` does. In the first each
letter looks at all 64; in the second the keys have a window, as the input of a convolution has, and
nothing else is ever worked out. A mask would say who is looked at, too, but spare no product.
Attention to neighbours: Beltagy, Peters and Cohan, "Longformer", arXiv:2004.05150 (2020).
"""

from __future__ import annotations

import argparse

import numpy as np
from transformer import LENGTH, batches, block, manual, pieces

import contractconv as cc
from contractconv import functions as F
from contractconv.layers import Attention, Dense, Embedding, LayerNorm, Part, Positions
from contractconv.training import Adam, Cosine

NEAR = 16


def near(heads: int, features: int) -> Part:
    """Attention of each letter to itself and to the ``NEAR - 1`` before it."""
    size = features // heads
    q, k, v = (
        cc.Layer("b t d, d h k -> b t h k", h=heads, k=size, bias="h k", name=name)
        for name in "qkv"
    )
    together = cc.Layer("b t h k, h k d -> b t d", d=features, bias="d", name="together")
    window = f"(t+w-{NEAR - 1})"

    def seen(x: cc.Tensor) -> cc.Tensor:
        scores = cc.contract(f"b t h k, b {window} h k -> b t h w", q(x), k(x), w=NEAR)
        inside = cc.index("t") + cc.index("w") >= NEAR - 1
        weights = F.softmax(scores * size**-0.5, "w", inside)
        return together(cc.contract(f"b t h w, b {window} h k -> b t h k", weights, v(x)))

    return cc.layers.Chain([seen], name="near")


def reader(letters: int, is_local: bool, features: int = 64, heads: int = 4) -> cc.Network:
    """A transformer of two layers, as in the other example."""
    def attention() -> Part:
        return near(heads, features) if is_local else Attention(heads, causal=True)

    return cc.Network(
        [
            Embedding(letters, features),
            Positions(),
            *(block(attention(), features) for _ in range(2)),
            LayerNorm(),
            Dense(letters),
        ],
        name="local" if is_local else "full",
    )
