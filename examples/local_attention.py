"""Attention to the 16 letters before is a string with a window: (t+w-15), and no more to it.

    python examples/local_attention.py

Two transformers read the manual of Python. In the one each letter looks at all 512 that are there;
in the other keys and values have a window, as what comes into a convolution has: what lies outside
is never worked out. (A mask says who is looked at, too, but spares no product.) Attention to
neighbours: Beltagy, Peters and Cohan, "Longformer", arXiv:2004.05150 (2020).
"""

from __future__ import annotations

import argparse

from transformer import everything_before, learnt, manual, transformer

import contractconv as cc
from contractconv import functions as F
from contractconv.layers import Chain, Part

NEAR, LENGTH = 16, 512
SCORES = f"b t h k, b (t+w-{NEAR - 1}) h k -> b t h w"
VALUES = f"b t h w, b (t+w-{NEAR - 1}) h k -> b t h k"


def neighbours_before(features: int = 64, heads: int = 4) -> Part:
    size = features // heads
    q, k, v = (
        cc.Layer("b t d, d h k -> b t h k", h=heads, k=size, bias="h k", name=f"to_{name}")
        for name in "qkv"
    )
    joined = cc.Layer("b t h k, h k d -> b t d", d=features, bias="d", name="joined")

    def near(x: cc.Tensor) -> cc.Tensor:
        scores = cc.contract(SCORES, q(x), k(x), w=NEAR) / size**0.5
        inside = cc.index("t") + cc.index("w") >= NEAR - 1
        return joined(cc.contract(VALUES, F.softmax(scores, "w", inside), v(x)))

    return Chain([near], name="attention")


def products(net: cc.Network) -> int:
    """How many multiply-adds attention takes, its weights among it, for one piece of text."""
    rows = net.summary((1, LENGTH)).rows
    return sum(row.multiply_adds for row in rows if "attention" in str(row.path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()
    letters, codes = manual()
    for attention in (everything_before, neighbours_before):
        net = transformer(len(letters), attention)
        print(f"{attention.__name__}: {products(net):,} multiply-adds in attention")
        learnt(net, codes, LENGTH, args.steps, args.quiet)


if __name__ == "__main__":
    main()
