"""A convolution of a LeNet in factors: CP, Tucker and tensor train, on real handwritten digits.

    python examples/factorised_convolution.py

A factorised layer is the same string with more weights. It is never multiplied out: the planner
chooses in which order image and factors meet, and all gradients share what is worked out on the
way. Forms: Lebedev et al., ICLR (2015); Kim et al., ICLR (2016); Garipov et al., (2016).
"""

from __future__ import annotations

import argparse
import os

# The matrices are too small to be worth sharing between threads; BLAS reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from digits import jiggled, sample_digits

import contractconv as cc
from contractconv.layers import Conv, ConvCP, ConvTrain, ConvTucker, Dense, MaxPool, Part
from contractconv.training import Adam, Cosine

FORMS: list[tuple[str, Part]] = [
    ("as it is", Conv(32, 5, map="relu", name="middle")),
    ("CP", ConvCP(32, 5, rank=32, map="relu", name="middle")),
    ("CP", ConvCP(32, 5, rank=8, map="relu", name="middle")),
    ("Tucker", ConvTucker(32, 5, ranks=(8, 16), map="relu", name="middle")),
    ("Tucker", ConvTucker(32, 5, ranks=(4, 8), map="relu", name="middle")),
    ("tensor train", ConvTrain(32, 5, ranks=12, map="relu", name="middle")),
    ("tensor train", ConvTrain(32, 5, ranks=6, map="relu", name="middle")),
]


def network(middle: Part) -> cc.Network:
    """A LeNet with 16 maps, then 32, between which the middle layer is."""
    return cc.Network(
        [
            Conv(16, 5, padding=2, map="relu"),
            MaxPool(2),
            middle,
            MaxPool(2),
            Dense(64, over="h w c", map="relu"),
            Dense(10),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--digits", type=int, default=4000, help="how many are learnt from")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()
    x, y, *unseen = sample_digits(seed=0)
    print(
        f"{'form':<13}{'numbers':>8}{'fewer':>8}{'multiply-adds':>15}{'accuracy':>10}{'seconds':>9}"
    )
    for form, middle in FORMS:
        net = network(middle)
        (row,) = (row for row in net.summary(x[:1]).rows if row.path == ("middle",))
        fit = net.fit(
            (x[: args.digits], y[: args.digits]),
            optimizer=Adam(Cosine(0.003)),
            epochs=args.epochs,
            augment=jiggled,
            progress=False if args.quiet else None,
        )
        share = net.evaluate(fit.params, tuple(unseen))["accuracy"]
        fewer = FULL / row.parameters
        print(
            f"{form:<13}{row.parameters:>8,}{fewer:>7.1f}x{row.multiply_adds:>15,}"
            f"{share:>10.1%}{fit.seconds:>9.1f}"
        )
        print(f"    {middle}")


FULL = 5 * 5 * 16 * 32 + 32

if __name__ == "__main__":
    main()
