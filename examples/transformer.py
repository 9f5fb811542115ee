"""A transformer encoder of two layers learns to sort: attention and its gradient, in strings.

    python examples/transformer.py              # learns for a few seconds
    python examples/transformer.py --program    # prints the network and its gradients, and ends

Heads are an axis of the weights; nothing is split, stacked or transposed. Each position says which
digit belongs there when all ten are in order. Architecture: Vaswani et al., "Attention is all you
need", NeurIPS (2017), with the normalisation before each part, as Xiong et al. (2020) put it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from training import Array, Parameters, trained

import contractconv as cc
from contractconv import functions as F

SIZES = {"v": 10, "d": 32, "h": 4, "k": 8, "f": 64}
TOKENS, SORTED = (cc.tensor(name, "b t", "int64") for name in ("tokens", "in_order"))


def attended(x: cc.Tensor, p: Parameters, n: int) -> cc.Tensor:
    weights = [p.weight(f"W_{part}_{n}", "d h k", "d") for part in ("query", "key", "value")]
    weights.append(p.weight(f"W_heads_{n}", "h k d", "h k"))
    normed = F.layer_norm(x, "d", p.ones(f"scale_a_{n}", "d"), p.zeros(f"shift_a_{n}", "d"))
    return x + F.multi_head_attention(normed, weights, "t", "d", "h")


def transformed(x: cc.Tensor, p: Parameters, n: int) -> cc.Tensor:
    normed = F.layer_norm(x, "d", p.ones(f"scale_f_{n}", "d"), p.zeros(f"shift_f_{n}", "d"))
    inner = cc.contract("b t d, d f -> b t f", normed, p.weight(f"W_in_{n}", "d f", "d"))
    made: cc.Tensor = cc.gelu(inner + p.zeros(f"bias_in_{n}", "f"))
    return x + cc.contract("b t f, f d -> b t d", made, p.weight(f"W_out_{n}", "f d", "f"))


def encoder(p: Parameters, layers: int = 2) -> cc.Tensor:
    """Scores of each digit at each position."""
    x = F.embedding(TOKENS, p.weight("table", "v d", "d"), "v")
    x = x + F.sinusoidal(x, "t", "d")
    for n in range(layers):
        x = transformed(attended(x, p, n), p, n)
    normed = F.layer_norm(x, "d", p.ones("scale", "d"), p.zeros("shift", "d"))
    return cc.contract("b t d, d v -> b t v", normed, p.weight("W_scores", "d v", "d"))


def rows(count: int, length: int, seed: int) -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    while True:
        tokens = rng.integers(10, size=(count, length))
        yield tokens, np.sort(tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--program", action="store_true", help="print the program, and end")
    args = parser.parse_args()
    p = Parameters(**SIZES)
    scores = encoder(p)
    loss = F.cross_entropy(scores, SORTED, "v")
    if args.program:
        print(cc.program(loss=loss, name="encoder").grad())
        return
    parameters = trained(loss, [TOKENS, SORTED], p, rows(64, 10, 0), 0.003, args.steps)
    tokens, wanted = next(rows(1000, 10, 1))
    found = cc.compile(scores, [TOKENS, *p.tensors])(tokens, *parameters).argmax(-1)
    for given, made, right in zip(tokens[:5], found, wanted, strict=False):
        print(*given, "->", *made, "" if (made == right).all() else "(wrong)")
    print(f"digits in their places, of 1,000 unseen rows: {np.mean(found == wanted):.1%}")


if __name__ == "__main__":
    main()
