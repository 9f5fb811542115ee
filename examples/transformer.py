"""A transformer of two layers reads the manual of Python, letter by letter, and goes on writing it.

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
from contractconv.layers import Attention, Dense, Embedding, LayerNorm, Positions, Residual
from contractconv.training import Adam, Cosine

Array = NDArray[Any]
LENGTH = 64


def transformer(letters: int, features: int = 64, heads: int = 4, layers: int = 2) -> cc.Network:
    """Scores of the next letter, for each letter of a text."""
    return cc.Network(
        [
            Embedding(letters, features),
            Positions(),
            *(block(Attention(heads, causal=True), features) for _ in range(layers)),
            LayerNorm(),
            Dense(letters),
        ],
        name="transformer",
    )


def block(attention: Any, features: int) -> list[Residual]:
    """Each letter looks at those before it, then thinks by itself."""
    dense = [Dense(4 * features, map="gelu"), Dense(features)]
    return [Residual([LayerNorm(), attention]), Residual([LayerNorm(), *dense])]


def manual() -> tuple[str, Array]:
    """The letters of the manual, and the number of each letter of its text, in one line."""
    text = " ".join(" ".join(topics.values()).split()).encode("ascii", "ignore")
    letters, codes = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    return bytes(letters).decode(), codes.astype(np.int64)


def batches(codes: Array, count: int) -> Callable[[np.random.Generator], Iterator[Any]]:
    """Pieces of a text from anywhere: each letter, and the one that is next."""

    def source(rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        while True:
            starts = rng.integers(len(codes) - LENGTH, size=(count, 1))
            pieces = codes[starts + np.arange(LENGTH + 1)]
            yield pieces[:, :-1], pieces[:, 1:]

    return source


def pieces(codes: Array) -> tuple[Array, Array]:
    """A whole text in pieces, one after the other."""
    end = len(codes) - 1 - (len(codes) - 1) % LENGTH
    return codes[:end].reshape(-1, LENGTH), codes[1 : end + 1].reshape(-1, LENGTH)


def bits_of_letters(codes: Array) -> float:
    """How many bits a letter has for those who only know how frequent each is."""
    shares = np.bincount(codes) / len(codes)
    return float(-sum(share * np.log2(share) for share in shares if share))


def written(net: cc.Network, params: Any, codes: Array, count: int, seed: int) -> Array:
    """Go on with a text, letter by letter; what is likely is made likelier."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        scores = net(params, codes[None, -LENGTH:])[0, -1] / 0.7
        codes = np.append(codes, (scores + rng.gumbel(size=scores.shape)).argmax())
    return codes[-count:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--program", action="store_true", help="print the program, and end")
    args = parser.parse_args()
    letters, codes = manual()
    net, end = transformer(len(letters)), len(codes) // 20
    if args.program:
        shape = (16, LENGTH)
        print(net.program(shape, shape, loss="cross_entropy", gradients=True))
        return
    fit = net.fit(
        batches(codes[:-end], 16),
        optimizer=Adam(Cosine(0.003)),
        epochs=1,
        steps_per_epoch=args.steps,
        progress=False if args.quiet else None,
    )
    unseen = pieces(codes[-end:])
    found = net.evaluate(fit.params, unseen)["loss"] / np.log(2)
    print(f"{fit.steps} steps in {fit.seconds:.0f} s")
    print(f"{found:.2f} bits a letter, of {len(unseen[0]) * LENGTH:,} unseen letters")
    print(f"{bits_of_letters(codes):.2f} for who only knows how frequent each letter is")
    begun = unseen[0][0]
    line = [begun, written(net, fit.params, begun, 160, seed=0)]
    print(" ... ".join("".join(letters[code] for code in codes) for codes in line))


if __name__ == "__main__":
    main()
