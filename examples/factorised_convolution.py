"""Kernels in factors: CP, Tucker and tensor-train convolutions, fitted to a layer of filters.

    python examples/factorised_convolution.py

A factorised layer is the same string with more operands. It is never multiplied out: the planner
chooses in which order image and factors meet, and all gradients share what is worked out on the
way. Forms: Lebedev et al., ICLR (2015); Kim et al., ICLR (2016); Garipov et al., (2016).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from training import Array, Parameters, trained

import contractconv as cc
from contractconv import functions as F

SIZES = {"k": 7, "l": 7, "c": 3, "o": 24}
IMAGES, ANSWERS = cc.tensor("images", "b h w c"), cc.tensor("answers", "b i j o")
WHOLE = "b (i+k-3) (j+l-3) c, k l c o -> b i j o"
# How each operand is called, which axes it has, and over which of them it is added up.
FORMS = {
    "CP": (
        "b (i+k-3) (j+l-3) c, k r, l r, c r, r o -> b i j o",
        {"r": 12},
        [("rows", "k r", "k"), ("columns", "l r", "l"), ("in_", "c r", "c"), ("out", "r o", "r")],
    ),
    "Tucker": (
        "b (i+k-3) (j+l-3) c, c p, k l p q, q o -> b i j o",
        {"p": 2, "q": 8},
        [("in_", "c p", "c"), ("core", "k l p q", "k l p"), ("out", "q o", "q")],
    ),
    "tensor train": (
        "b (i+k-3) (j+l-3) c, c p, k p q, l q r, r o -> b i j o",
        {"p": 2, "q": 6, "r": 8},
        [("in_", "c p", "c"), ("rows", "k p q", "k p"), ("columns", "l q r", "l q"),
         ("out", "r o", "r")],
    ),
}  # fmt: skip


def layer(form: str) -> tuple[cc.Tensor, Parameters]:
    string, ranks, factors = FORMS[form]
    p = Parameters(**SIZES, **ranks)
    return cc.contract(string, IMAGES, *(p.weight(*factor) for factor in factors)), p


def filters() -> Array:
    """Gabor filters of all directions: waves under a bell, one colour against another."""
    y, x = np.mgrid[-3:4, -3:4][..., None] / 3
    angle = np.pi * np.arange(SIZES["o"]) / SIZES["o"]
    along = x * np.cos(angle) + y * np.sin(angle)
    wave = np.exp(-1.5 * (x**2 + y**2)) * np.cos(4 * along + angle)
    colours = np.stack([np.ones_like(angle), np.cos(2 * angle), -np.ones_like(angle)])
    kernel: Array = cc.contract("k l o, c o -> k l c o", wave, colours)
    return kernel.astype(np.float32)


def examples(kernel: Array, count: int, seed: int) -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    while True:
        images = rng.standard_normal((count, 12, 12, SIZES["c"])).astype(np.float32)
        yield images, cc.contract(WHOLE, images, kernel)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args()
    kernel = filters()
    images, answers = next(examples(kernel, 32, 1))
    made, _ = layer("CP")
    network = cc.program(loss=F.mse(made, ANSWERS), name="cp_layer")
    print(network.grad("loss", [name for name, _, _ in FORMS["CP"][2]]))
    print(f"{'form':<13} {'numbers':>7}   error")
    print(f"{'whole':<13} {kernel.size:>7}   0.0%")
    for form in FORMS:
        made, p = layer(form)
        batches = examples(kernel, 16, 0)
        loss = F.mse(made, ANSWERS)
        factors = trained(loss, [IMAGES, ANSWERS], p, batches, 0.02, args.steps)
        found = cc.compile(made, [IMAGES, *p.tensors])(images, *factors)
        error = np.linalg.norm(found - answers) / np.linalg.norm(answers)
        print(f"{form:<13} {sum(f.size for f in factors):>7}   {error:.1%}")


if __name__ == "__main__":
    main()
