"""Does memory stay bounded where every shape is new? Many shapes, several times over.

    python benchmarks/shapes.py [--shapes 20000] [--rounds 10]

Sequences of varying length, images of all sizes: each call is planned anew. Every round draws new
shapes; after it the resident memory is noted, and at the end what ``clear_caches()`` returns.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import contractconv as cc

# Each takes three random sizes; sizes are drawn so that hardly any shape comes twice.
KINDS = (
    ("b i, i o -> b o", lambda a, b, c: ((a, b), (b, c))),
    ("a b c, c d b -> d a", lambda a, b, c: ((a, 3, b), (b, c, 3))),
    ("i j, j k, k l -> i l", lambda a, b, c: ((a, b), (b, c), (c, 5))),
    ("b (i+k-1) c, k c o -> b i o", lambda a, b, c: ((2, a, b), (3, b, c))),
    ("b (2*i+k) (j+l) c, k l c -> b i j c", lambda a, b, c: ((1, a + 3, b + 3, c), (3, 2, c))),
)


def resident() -> float:
    """MiB of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def call(rng: random.Random) -> None:
    """Contract operands of a shape that was hardly ever there; a fifth of them with gradients."""
    spec, shapes = rng.choice(KINDS)
    operands = [np.ones(s, np.float32) for s in shapes(*(rng.randint(1, 90) for _ in range(3)))]
    y = cc.contract(spec, *operands)
    if rng.random() < 0.2:
        run = cc.Contraction(spec).compile(*(x.shape for x in operands), dtype="float32")
        run.vjp(0, y, *operands)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    rng = random.Random(0)
    print("| calls | resident MiB | ms a call |\n| --- | --- | --- |", flush=True)
    for n in range(given.rounds):
        start = time.perf_counter()
        for _ in range(given.shapes):
            call(rng)
        spent = 1e3 * (time.perf_counter() - start) / given.shapes
        print(f"| {(n + 1) * given.shapes} | {resident():.0f} | {spent:.2f} |", flush=True)
    cc.clear_caches()
    gc.collect()
    print(f"| cleared | {resident():.0f} | |")


if __name__ == "__main__":
    main()
