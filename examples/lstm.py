"""A long short-term memory adds two numbers that it saw long ago.

    python examples/lstm.py

Of a row of random numbers two are marked; when the row is over, the network says their sum. The
program is the recurrence unrolled, and its gradient is the way back through time. Task: Hochreiter
and Schmidhuber, Neural Computation 9 (1997), section 5.4.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc
from contractconv.layers import LSTM, Dense
from contractconv.training import Adam, Cosine

Array = NDArray[Any]
Rows = tuple[Array, Array]


def adder(features: int = 16) -> cc.Network:
    return cc.Network([LSTM(features, sequence=False), Dense(1)], name="adder")


def rows(rng: np.random.Generator, count: int, length: int) -> Rows:
    """Numbers beside marks, of which there is one in each half of a row; and the sums."""
    values, marks = rng.random((count, length)), np.zeros((count, length))
    marks[np.arange(count), rng.integers(length // 2, size=count)] = 1
    marks[np.arange(count), rng.integers(length // 2, length, size=count)] = 1
    sums = (values * marks).sum(1, keepdims=True)
    return np.stack([values, marks], -1).astype(np.float32), sums.astype(np.float32)


def endless(length: int) -> Callable[[np.random.Generator], Iterator[Rows]]:
    def source(rng: np.random.Generator) -> Iterator[Rows]:
        while True:
            yield rows(rng, 64, length)

    return source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--length", type=int, default=12)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()
    net = adder()
    fit = net.fit(
        endless(args.length),
        loss="mse",
        optimizer=Adam(Cosine(0.01)),
        epochs=1,
        steps_per_epoch=args.steps,
        progress=False if args.quiet else None,
    )
    inputs, sums = rows(np.random.default_rng(1), 1000, args.length)
    found = net(fit.params, inputs)
    for row, (wanted,), (said,) in zip(inputs[:5], sums, found, strict=False):
        marked = " + ".join(f"{value:.2f}" for value, mark in row if mark)
        print(f"{marked} = {wanted:.2f}, it says {said:.2f}")
    print(
        f"error of 1,000 unseen rows: {np.sqrt(np.mean((found - sums) ** 2)):.3f} "
        f"(who always says one is off by {np.sqrt(np.mean((1 - sums) ** 2)):.3f})"
    )


if __name__ == "__main__":
    main()
