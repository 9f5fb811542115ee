"""Two photographs through kernels that everybody knows, each of them a string with given weights.

    python examples/kernels.py                   # kernels.png

Edges, blur, sharpening and Gabor's waves. The photographs ship with scikit-learn. Kernels that were
learnt instead are drawn by ``lenet.py``. Source of the waves: Daugman, JOSA A 2 (1985).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc

Array = NDArray[Any]

BINOMIAL = np.array([1, 6, 15, 20, 15, 6, 1]) / 64
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8


def gabor(directions: int = 8, radius: int = 8) -> Array:
    """Waves under a bell, one for each direction; each adds up to nothing."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1][..., None] / radius
    angle = np.pi * np.arange(directions) / directions
    bell = np.exp(-4 * (x**2 + y**2))
    waves = bell * np.cos(8 * (x * np.cos(angle) + y * np.sin(angle)))
    waves -= bell * waves.sum((0, 1)) / bell.sum()
    kernels: Array = waves / np.abs(waves).sum((0, 1))
    return kernels


def length(x: cc.Tensor) -> cc.Tensor:
    """How long a vector along the last axis is."""
    found: cc.Tensor = cc.sqrt(cc.contract("b i j o, b i j o -> b i j", x, x))
    return found


FILTERS = {
    "edges": cc.Layer(
        "b (i+k-1) (j+l-1) c, k l o -> b i j o", init=np.stack([SOBEL, SOBEL.T], -1), map=length
    ),
    "blur": cc.Layer(
        "b (i+k-3) (j+l-3) c, k, l -> b i j c", init={"W_1": BINOMIAL, "W_2": BINOMIAL}
    ),
    "sharpening": cc.Layer("b (i+k-1) (j+l-1) c, k l -> b i j c", init=SHARPEN),
    "waves": cc.Layer("b (i+k-8) (j+l-8) c, k l o -> b i j o", init=gabor(), map=length),
}


def filtered(images: Array) -> dict[str, Array]:
    """What the kernels make of images ``"b h w c"``, whose numbers are between 0 and 1."""
    found = {"photograph": images}
    for name, layer in FILTERS.items():
        net = cc.Network(layer)
        found[name] = net(net.init(0, images), images)
    return found


def photographs() -> Array:
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        raise SystemExit(
            "the photographs ship with scikit-learn: pip install scikit-learn"
        ) from None
    return np.stack(load_sample_images().images).astype(np.float32) / 255


def picture(found: dict[str, Array], path: Path) -> None:
    """A column for each kernel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(found), 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    for column, (name, images) in enumerate(found.items(), 1):
        for row, image in enumerate(images):
            ax = figure.add_subplot(len(images), len(found), row * len(found) + column)
            shown = image / image.max() if image.ndim == 2 else image.clip(0, 1)
            ax.imshow(shown, cmap="magma")
            ax.axis("off")
            if not row:
                ax.set_title(name)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, default=Path("kernels.png"))
    args = parser.parse_args()
    found = filtered(photographs())
    for name, layer in FILTERS.items():
        print(f"{name:<11} {layer}")
    picture(found, args.picture)
    print(f"picture: {args.picture}")


if __name__ == "__main__":
    main()
