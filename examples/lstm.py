"""A long short-term memory adds two numbers that it saw long ago: a recurrence, unrolled.

    python examples/lstm.py

Of a row of random numbers two are marked; when the row is over, the network says their sum. The
loop over time is Python's: the program is what it writes, and its gradient is the way back through
time. Task: Hochreiter and Schmidhuber, Neural Computation 9 (1997), section 5.4.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from training import Array, Parameters, trained

import contractconv as cc
from contractconv import functions as F

SIZES = {"d": 2, "gate": 4, "h": 16, "r": 16}
INPUTS, SUMS = cc.tensor("inputs", "b t d"), cc.tensor("sums", "b")


def recurrence(p: Parameters, length: int) -> cc.Tensor:
    """What is said after the last step."""
    W_x, W_h = p.weight("W_x", "d gate h", "d"), p.weight("W_h", "r gate h", "r")
    bias, W_out = p.zeros("bias", "gate h"), p.weight("W_out", "h", "h")
    # The first state is learnt; it has no batch, as it is the same for all rows.
    h, c = p.zeros("h_0", "h"), p.zeros("c_0", "h")
    for t in range(length):
        h, c = F.lstm_cell(INPUTS.at(t=t), h, c, W_x, W_h, bias)
    return cc.contract("b h, h -> b", h, W_out)


def rows(count: int, length: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Numbers beside marks, of which there is one in each half of a row; and the sums."""
    rng = np.random.default_rng(seed)
    while True:
        values = rng.random((count, length))
        marks = np.zeros((count, length))
        marks[np.arange(count), rng.integers(length // 2, size=count)] = 1
        marks[np.arange(count), rng.integers(length // 2, length, size=count)] = 1
        inputs = np.stack([values, marks], -1).astype(np.float32)
        yield inputs, (values * marks).sum(1).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--length", type=int, default=12)
    args = parser.parse_args()
    p = Parameters(**SIZES)
    made = recurrence(p, args.length)
    loss = F.mse(made, SUMS)
    parameters = trained(loss, [INPUTS, SUMS], p, rows(64, args.length, 0), 0.01, args.steps)
    inputs, sums = next(rows(1000, args.length, 1))
    found = cc.compile(made, [INPUTS, *p.tensors])(inputs, *parameters)
    for row, wanted, said in zip(inputs[:5], sums, found, strict=False):
        marked = " + ".join(f"{value:.2f}" for value, mark in row if mark)
        print(f"{marked} = {wanted:.2f}, it says {said:.2f}")
    print(
        f"error of 1,000 unseen rows: {np.sqrt(np.mean((found - sums) ** 2)):.3f} "
        f"(who always says one is off by {np.sqrt(np.mean((1 - sums) ** 2)):.3f})"
    )


if __name__ == "__main__":
    main()
