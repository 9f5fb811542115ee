"""A small U-Net finds discs and squares in noise: down, up, and across.

    python examples/unet.py

Down is a maximum over windows; up is the transposed convolution, a string whose result has the
window. What comes from the side has weights of its own beside those of what comes from below, so
nothing is concatenated. Architecture: Ronneberger, Fischer and Brox, "U-Net", MICCAI (2015).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from training import Array, Parameters, trained

import contractconv as cc
from contractconv import functions as F

WINDOWS = {"k": 3, "l": 3, "u": 2, "w": 2}
# Channels of the image, of what is on the way, and of the scores.
CHANNELS = {"x": 1, "a": 8, "b": 16, "c": 24, "d": 16, "e": 16, "f": 8, "g": 8, "z": 3}
IMAGES, LABELS = cc.tensor("images", "n i j x"), cc.tensor("labels", "n i j", "int64")


def convolved(p: Parameters, name: str, *sources: cc.Tensor, to: str) -> cc.Tensor:
    """A 3x3 layer of one or several sources, and a rectifier."""
    whole = p.zeros(f"bias_{name}", to)
    for n, source in enumerate(sources):
        via = source.axes[-1]
        weight = p.weight(f"W_{name}_{n}", f"k l {via} {to}", f"k l {via}")
        string = f"n (i+k-1) (j+l-1) {via}, k l {via} {to} -> n i j {to}"
        whole = cc.contract(string, source, weight) + whole
    y: cc.Tensor = cc.relu(whole)
    return y.called(name)


def down(x: cc.Tensor) -> cc.Tensor:
    return F.max_pool(x, {"i": 2, "j": 2})


def up(p: Parameters, name: str, x: cc.Tensor, to: str) -> cc.Tensor:
    via = x.axes[-1]
    weight = p.weight(name, f"u w {via} {to}", via)
    return cc.contract(f"n i j {via}, u w {via} {to} -> n (2*i+u) (2*j+w) {to}", x, weight)


def unet(p: Parameters) -> cc.Tensor:
    """Scores of background, disc and square for each point of an image."""
    first = convolved(p, "first", IMAGES, to="a")
    second = convolved(p, "second", down(first), to="b")
    deepest = convolved(p, "deepest", down(second), to="c")
    back = convolved(p, "back", second, up(p, "W_up", deepest, "d"), to="e")
    last = convolved(p, "last", first, up(p, "W_up_again", back, "f"), to="g")
    return cc.contract("n i j g, g z -> n i j z", last, p.weight("W_scores", "g z", "g"))


def pictures(count: int, seed: int, side: int = 24) -> Iterator[tuple[Array, Array]]:
    """Noise in which a disc and a square are, and where they are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    while True:
        labels = np.zeros((count, side, side), int)
        centres = rng.integers(6, side - 6, (count, 2, 2, 1, 1))
        radii = rng.integers(4, 7, (count, 2, 1, 1))
        across = np.abs(np.stack([y, x]) - centres)
        labels[(across[:, 0] ** 2).sum(1) <= radii[:, 0] ** 2] = 1
        labels[across[:, 1].max(1) < radii[:, 1]] = 2
        noise = rng.standard_normal((count, side, side))
        yield ((labels > 0) + 0.3 * noise)[..., None].astype(np.float32), labels


def drawn(grid: Array, signs: str) -> list[str]:
    return ["".join(signs[n] for n in row) for row in grid]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    args = parser.parse_args()
    p = Parameters(**WINDOWS, **CHANNELS)
    scores = unet(p)
    loss = F.cross_entropy(scores, LABELS, "z")
    parameters = trained(loss, [IMAGES, LABELS], p, pictures(16, 0), 0.01, args.steps)
    images, labels = next(pictures(100, 1))
    found = cc.compile(scores, [IMAGES, *p.tensors])(images, *parameters).argmax(-1)
    grey = np.clip((images[0, ..., 0] + 0.5) * 3, 0, 5).astype(int)
    print(f"{'what it sees':<25}{'what it finds':<25}what is there")
    columns = [drawn(grey, " .:+#@"), drawn(found[0], ".o#"), drawn(labels[0], ".o#")]
    for row in zip(*columns, strict=True):
        print(" ".join(row))
    for n, name in enumerate(("background", "discs", "squares")):
        print(f"found of {name}, in 100 unseen pictures: {np.mean(found[labels == n] == n):.1%}")


if __name__ == "__main__":
    main()
