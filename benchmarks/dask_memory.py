"""Does a worker of dask take as much memory as is predicted, for arrays larger than it has?

    python benchmarks/dask_memory.py [--limit MB] [--times N] [--markdown FILE]

A cluster of one worker, of one thread, which is killed if it takes more than its limit. Arrays are
so many times as large as that limit. They lie in a file, or are computed block by block. What is
measured is the growth of the worker's resident memory while it makes all blocks of a result, after
it has made a few: code that is loaded or compiled once does not count. The status is 1 if it
differs from the prediction by more than a fifth where the array lies in a file. What is computed is
there before the task that needs it, and dask decides how many blocks are made ahead and kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Large blocks are given back to the system when they are freed, instead of being kept for later.
os.environ |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask
import dask.array as da
import h5py
import numpy as np
from distributed import Client, LocalCluster

import contractconv as cc
from benchmarks.machine import machine
from benchmarks.report import table

MEGA = 1 << 20
# Bytes of a block: of 512 rows, 512 columns and 32 channels in single precision.
ROWS, CHANNELS = 512, 32
BLOCK = ROWS * ROWS * CHANNELS * 4
# How far a worker may be from what is predicted.
TOLERANCE = 0.2
CONVOLUTION = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
GRADIENT = "b (i+k-1) (j+l-1) c, b i j o -> k l c o"


@dataclass(frozen=True)
class Case:
    """A convolution of an array in blocks.

    Attributes:
        name: what is convolved.
        along: along which of images, rows and columns there are many blocks.
        stored: whether it lies in a file; otherwise it is computed.
        gradient: whether it is the gradient by the kernel, of which every block is a summand.
    """

    name: str
    along: tuple[int, ...]
    stored: bool
    gradient: bool = False

    def shape(self, blocks: int) -> tuple[int, ...]:
        """The shape of an array of about so many blocks."""
        each = round(blocks ** (1 / len(self.along)))
        images, rows, columns = (each if n in self.along else 1 for n in range(3))
        return (images, rows * ROWS, columns * ROWS, CHANNELS)


CASES = (
    Case("images in a file", (0,), stored=True),
    Case("an image in a file, cut along its rows", (1,), stored=True),
    Case("an image in a file, cut along rows and columns", (1, 2), stored=True),
    Case("images that are computed", (0,), stored=False),
    Case("an image that is computed, cut along its rows", (1,), stored=False),
    Case("the kernel's gradient, of images in a file", (0,), stored=True, gradient=True),
)


class Sink:
    """Something that forgets what is stored in it."""

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = array.shape, array.dtype

    def __setitem__(self, at: Any, block: Any) -> None:
        """Forget it."""


class Stored:
    """An array in a file, that each read opens.

    Attributes:
        path: of the file.
        shape: of the array.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape, self.ndim = path, shape, len(shape)
        with h5py.File(path, "w") as file:
            file.create_dataset("whole", shape, self.dtype)

    def __getitem__(self, at: Any) -> Any:
        """Read a part."""
        with h5py.File(self.path) as file:
            return file["whole"][at]


def image_of(case: Case, blocks: int, folder: Path) -> Any:
    """The array of a case."""
    shape, chunks = case.shape(blocks), (1, ROWS, ROWS, CHANNELS)
    if case.stored:
        return da.from_array(Stored(folder / "image.h5", shape), chunks=chunks)
    return da.random.default_rng(0).random(shape, chunks=chunks, dtype="float32")


def contracted(case: Case, image: Any) -> Any:
    """What is computed of an array."""
    kernel = np.full((3, 3, CHANNELS, CHANNELS), 0.01, np.float32)
    if not case.gradient:
        return cc.contract(CONVOLUTION, image, kernel)
    return cc.contract(GRADIENT, image, image, k=3, l=3)


def resident(field: str) -> int:
    """Bytes of memory of this process that are resident, now or at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(field))
    return int(found) * 1024


def begin() -> int:
    """What is resident now; from now on the most is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def growth(client: Client, work: Callable[[], object]) -> int:
    """By how many bytes the worker has grown at most, while something is done."""
    (before,) = client.run(begin).values()
    work()
    (most,) = client.run(resident, "VmHWM").values()
    return int(most - before)


def measured(case: Case, limit: int, blocks: int) -> tuple[int, int, int]:
    """Bytes of the array, those that are predicted, and those that a worker takes."""
    with (
        TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=1, threads_per_worker=1, memory_limit=limit, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        image = image_of(case, blocks, Path(folder))
        made = contracted(case, image)
        # What lies at an edge has other kernels than what lies between.
        _stored(contracted(case, image[:3, : 3 * ROWS, : 3 * ROWS]))
        taken = growth(client, lambda: _stored(made))
        return image.nbytes, max(plan.peak for plan in cc.dask.plan(made)), taken


def _stored(array: Any) -> None:
    da.store(array, Sink(array), lock=False)


def main() -> None:
    """Measure all cases."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    asked.add_argument("--limit", type=int, default=500, help="megabytes of a worker")
    asked.add_argument("--times", type=float, default=2.5, help="of the arrays, in limits")
    asked.add_argument("--markdown", type=Path, help="where the table is written")
    given = asked.parse_args()
    limit, rows, far = given.limit * MEGA, [], False
    blocks = round(given.times * limit / BLOCK)
    # A worker is given no block before it has made what it was given.
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}):
        for case in CASES:
            size, predicted, taken = measured(case, limit, blocks)
            far |= case.stored and abs(taken / predicted - 1) > TOLERANCE
            figures = [f"{number / MEGA:.0f} MB" for number in (size, predicted, taken)]
            rows.append([case.name, *figures, f"{taken / predicted:.2f}"])
            print(*rows[-1], sep=" | ", flush=True)
    text = table(["", "array", "predicted", "measured", "ratio"], rows)
    if given.markdown:
        said = machine(threads=1)
        given.markdown.write_text(f"{said['processor']}, one thread\n\n{text}\n")
    sys.exit(far)


if __name__ == "__main__":
    main()
