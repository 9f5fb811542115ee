"""How long does a derivation take? Each question in processes of its own, medians of several.

    python benchmarks/derivation.py [--rounds 7]

The first time includes everything but the imports of sympy, numpy and the library; "again" is the
same question asked once more in the same process, which is what a training loop asks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

CONVOLUTION = ["b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"]
LENET = [
    "b (i+k-2) (j+l-2) c, k l c o -> b i j o",
    "b (2*i+k) (2*j+l) c -> b i j c | max",
    "b (i+k) (j+l) c, k l c o -> b i j o",
    "b h w c, h w c o -> b o",
    "b i, i o -> b o",
    "o -> b i j o",
    "o -> b o",
]
QUESTIONS = {
    "both gradients of a 2-D convolution": CONVOLUTION,
    "LeNet's whole backward pass": LENET,
}

ASK = """
import json, sys, time
import numpy, opt_einsum, sympy
import contractconv as cc, contractconv.api.derivation, contractconv.calculus.backward
layers = json.loads(sys.argv[1])

def ask():
    start = time.perf_counter()
    for layer in layers:
        spec, _, reduce = layer.partition(" | ")
        contraction = cc.Contraction(spec, reduce or "sum")
        for n in range(spec.count(",") + 1):
            str(contraction.grad(n).scatter), str(contraction.grad(n).gather)
    return 1e3 * (time.perf_counter() - start)

print(json.dumps([ask(), ask()]))
"""


def measured(layers: list[str], rounds: int) -> tuple[float, float]:
    """Milliseconds of the first time and of the second."""
    command = [sys.executable, "-c", ASK, json.dumps(layers)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    runs = [
        json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)
        for _ in range(rounds)
    ]
    return statistics.median(r[0] for r in runs), statistics.median(r[1] for r in runs)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(f"Python {platform.python_version()}, {platform.machine()}, median of {rounds}\n")
    print("| derived | first time | again |")
    print("| --- | --- | --- |")
    for question, layers in QUESTIONS.items():
        first, again = measured(layers, rounds)
        print(f"| {question} | {first:.0f} ms | {again:.2f} ms |")


if __name__ == "__main__":
    main()
