"""A small U-Net finds discs and squares in noise: down, up, and across.

    python examples/unet.py

Up is the transposed convolution, a string whose result has the window. Architecture: Ronneberger,
Fischer and Brox, "U-Net", MICCAI (2015).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc
from contractconv.layers import Concat, Conv, ConvTransposed, MaxPool
from contractconv.training import Adam, Cosine

Array = NDArray[Any]

seen = partial(Conv, kernel=3, padding=1, map="relu")
up = partial(ConvTransposed, kernel=2, stride=2)


def unet(x: cc.Tensor) -> cc.Tensor:
    """Scores of background, disc and square for each point of an image."""
    first = seen(8)(x)
    second = seen(16)(MaxPool(2)(first))
    deepest = seen(24)(MaxPool(2)(second))
    back = seen(16)(Concat()(second, up(16)(deepest)))
    last = seen(8)(Concat()(first, up(8)(back)))
    return Conv(3, 1)(last)


def pictures(rng: np.random.Generator, count: int = 16, side: int = 24) -> tuple[Array, Array]:
    """Noise in which a disc and a square are, and where they are."""
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((count, side, side), int)
    centres = rng.integers(6, side - 6, (count, 2, 2, 1, 1))
    radii = rng.integers(4, 7, (count, 2, 1, 1))
    across = np.abs(np.stack([y, x]) - centres)
    labels[(across[:, 0] ** 2).sum(1) <= radii[:, 0] ** 2] = 1
    labels[across[:, 1].max(1) < radii[:, 1]] = 2
    noise = rng.standard_normal((count, side, side))
    return ((labels > 0) + 0.3 * noise)[..., None].astype(np.float32), labels


def endless(rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    while True:
        yield pictures(rng)


def drawn(grid: Array, signs: str) -> list[str]:
    return ["".join(signs[n] for n in row) for row in grid]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()
    net = cc.Network(unet)
    fit = net.fit(
        endless,
        optimizer=Adam(Cosine(0.01)),
        epochs=1,
        steps_per_epoch=args.steps,
        progress=False if args.quiet else None,
    )
    images, labels = pictures(np.random.default_rng(1), 100)
    found = net(fit.params, images).argmax(-1)
    grey = np.clip((images[0, ..., 0] + 0.5) * 3, 0, 5).astype(int)
    print(f"{'what it sees':<25}{'what it finds':<25}what is there")
    columns = [drawn(grey, " .:+#@"), drawn(found[0], ".o#"), drawn(labels[0], ".o#")]
    for row in zip(*columns, strict=True):
        print(" ".join(row))
    for n, name in enumerate(("background", "discs", "squares")):
        print(f"found of {name}, in 100 unseen pictures: {np.mean(found[labels == n] == n):.1%}")


if __name__ == "__main__":
    main()
