"""A small residual network on real handwritten digits: three stages, batch normalisation.

    python examples/resnet.py

Architecture: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR (2016).
"""

from __future__ import annotations

import argparse
import os

# The matrices are too small to be worth sharing between threads; BLAS reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from digits import jiggled, sample_digits

import contractconv as cc
from contractconv.layers import BatchNorm, Conv, Dense, GlobalPool, Residual
from contractconv.training import SGD, Cosine


def block(maps: int, stride: int) -> Residual:
    """Two convolutions are added to what comes in, which is made as small as they make it."""
    return Residual(
        [
            Conv(maps, 3, stride=stride, padding=1, bias=False),
            BatchNorm(),
            "relu",
            Conv(maps, 3, padding=1, bias=False),
            BatchNorm(),
        ],
        shortcut=None if stride == 1 else [Conv(maps, 1, stride=stride, bias=False), BatchNorm()],
        map="relu",
    )


def resnet() -> cc.Network:
    """Scores of ten digits, of images of 28x28 with one channel, last."""
    return cc.Network(
        [
            *(Conv(16, 3, stride=2, padding=1, bias=False), BatchNorm(), "relu"),
            *(block(16, 1), block(32, 2), block(64, 2)),
            GlobalPool(),
            Dense(10),
        ],
        name="resnet",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()
    x, y, *unseen = sample_digits(seed=0)
    net = resnet()
    print(net.summary(x[:1]))
    fit = net.fit(
        (x, y),
        optimizer=SGD(Cosine(0.05), momentum=0.9),
        epochs=args.epochs,
        augment=jiggled,
        progress=False if args.quiet else None,
    )
    share = net.evaluate(fit.params, tuple(unseen))["accuracy"]
    print(f"accuracy on {len(unseen[0])} unseen digits: {share:.1%} after {fit.seconds:.0f} s")


if __name__ == "__main__":
    main()
