"""A transformer of two layers reads the manual of Python letter by letter, and writes on.

    python examples/transformer.py                # learns for less than a minute
    python examples/transformer.py --program      # prints the network and its gradients, and ends

The text is what ``help()`` says of Python's grammar; it comes with every Python. Heads are an axis
of the weights: nothing is split, stacked or transposed. Architecture: Vaswani et al., "Attention is
all you need", NeurIPS (2017), with the normalisation before each part, as Xiong et al. (2020) put
it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc
from contractconv.layers import Attention, Dense, Embedding, LayerNorm, Part, Positions, Residual
from contractconv.training import Adam, Cosine

Array = NDArray[Any]


def everything_before() -> Part:
    return Attention(heads=4, causal=True)


def transformer(
    letters: int,
    attention: Callable[[], Part] = everything_before,
    features: int = 64,
    layers: int = 2,
) -> cc.Network:
    """Scores of the next letter, for each letter of a text."""

    def block() -> list[Part]:
        inner = [Dense(4 * features, map="gelu"), Dense(features)]
        return [Residual([LayerNorm(), attention()]), Residual([LayerNorm(), *inner])]

    return cc.Network(
        [
            Embedding(letters, features),
            Positions(),
            *(block() for _ in range(layers)),
            LayerNorm(),
            Dense(letters),
        ],
        name="transformer",
    )


def manual() -> tuple[str, Array]:
    """The letters of the manual, and the number of each letter of its text, in one line."""
    text = " ".join(" ".join(topics.values()).split()).encode("ascii", "ignore")
    letters, codes = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    return bytes(letters).decode(), codes.astype(np.int64)


def pieces(codes: Array, length: int, starts: Array | None = None) -> tuple[Array, Array]:
    """Pieces of a text, by default all of them: their letters, and those that are next."""
    if starts is None:
        starts = np.arange(0, len(codes) - length, length)
    rows = codes[starts[:, None] + np.arange(length + 1)]
    return rows[:, :-1], rows[:, 1:]


def learnt(
    net: cc.Network, codes: Array, length: int, steps: int, is_quiet: bool
) -> tuple[Any, float]:
    """Read all but the end of a text; measure on the end how many bits a letter has then."""
    end = len(codes) // 20

    def anywhere(rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        while True:
            starts = rng.integers(len(codes) - end - length, size=1024 // length)
            yield pieces(codes[:-end], length, starts)

    fit = net.fit(
        anywhere,
        optimizer=Adam(Cosine(0.003)),
        epochs=1,
        steps_per_epoch=steps,
        progress=False if is_quiet else None,
    )
    loss = net.evaluate(fit.params, pieces(codes[-end:], length), batch=64)["loss"]
    bits = loss / np.log(2)
    print(
        f"{net.name}: {bits:.3f} bits a letter of what is new, {steps} steps, {fit.seconds:.0f} s"
    )
    return fit.params, bits


def bits_of_letters(codes: Array) -> float:
    """How many bits a letter has for those who know no more than how frequent each is."""
    shares = np.bincount(codes) / len(codes)
    return float(-(shares * np.log2(shares)).sum())


def written(net: cc.Network, params: Any, codes: Array, count: int, seed: int) -> Array:
    """Write on, letter by letter; what is likely is made likelier."""
    rng, length = np.random.default_rng(seed), len(codes)
    for _ in range(count):
        scores = net(params, codes[None, -length:])[0, -1] / 0.7
        codes = np.append(codes, (scores + rng.gumbel(size=scores.shape)).argmax())
    return codes[length:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--length", type=int, default=64, help="letters that are seen at once")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--program", action="store_true", help="print the program, and end")
    args = parser.parse_args()
    letters, codes = manual()
    net = transformer(len(letters))
    if args.program:
        x, labels = pieces(codes, args.length)
        print(net.program(x[:16], labels[:16], loss="cross_entropy", gradients=True))
        return
    print(f"by how frequent each is, {bits_of_letters(codes):.3f} bits a letter")
    params, _ = learnt(net, codes, args.length, args.steps, args.quiet)
    begun = codes[-args.length :]
    for line in (begun, written(net, params, begun, 160, seed=0)):
        print("".join(letters[code] for code in line))


if __name__ == "__main__":
    main()
