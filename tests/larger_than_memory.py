"""Contractions of files in a process: ``python larger_than_memory.py FOLDER CASE LIMIT``.

It prints by how many bytes the memory of the process grew at most, then begins once more and kills
itself half-way. Arrays of the case are made, and results are judged, by whoever calls.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import contractconv as cc
from contractconv.execution.files import stream

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A contraction of arrays in files, or of one of them a gradient.

    Attributes:
        spec: the contraction.
        shapes: of what it takes, the cotangent first if it is a gradient.
        result: the shape of the result.
        dtype: of all.
        grad: by which operand, if it is a gradient.
        options: of the call.
    """

    spec: str
    shapes: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]
    dtype: str
    options: dict[str, Any]
    grad: int | None = None

    def __call__(self, *arrays: Array, **options: Any) -> Array:
        """Carry it out."""
        contraction = cc.Contraction(self.spec, reduce=self.options.get("reduce", "sum"))
        given = {name: value for name, value in self.options.items() if name != "reduce"}
        called: Any = contraction if self.grad is None else contraction.grad(self.grad)
        made: Array = called(*arrays, **given, **options)
        return made

    def arrays(self, folder: Path) -> list[Array]:
        """Small integers in files."""
        made: list[Array] = []
        for n, shape in enumerate(self.shapes):
            file = np.lib.format.open_memmap(folder / f"x{n}.npy", "w+", self.dtype, shape)
            file[...] = np.random.default_rng(n).integers(-3, 4, shape)
            file.flush()
            made.append(file)
        return made


CONV = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
STRIDED = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"
MIB = 1 << 20
# Those that are run by default; a process each takes seconds.
USUAL = ("convolution", "integer product", "strided weight gradient", "pooling")
# Arrays of 20 to 60 MiB together.
CASES = {
    "convolution": Case(
        CONV, ((24, 64, 64, 32), (3, 3, 32, 32)), (24, 64, 64, 32), "float32", {}
    ),
    "integer product": Case("i k, k j -> i j", ((65536, 40), (40, 48)), (65536, 48), "int64", {}),
    "long sums": Case("i k, k j -> i j", ((40, 65536), (65536, 40)), (40, 40), "int64", {}),
    "strided weight gradient": Case(
        STRIDED, ((24, 32, 32, 64), (24, 64, 64, 32), (3, 3, 32, 64)), (3, 3, 32, 64), "float32",
        {}, grad=1,
    ),
    "strided input gradient": Case(
        STRIDED, ((24, 32, 32, 64), (24, 64, 64, 32), (3, 3, 32, 64)), (24, 64, 64, 32),
        "float32", {}, grad=0,
    ),
    "pooling": Case(
        "b (2*i+k) (2*j+l) c -> b i j c", ((24, 64, 64, 64),), (24, 32, 32, 64), "float32",
        {"reduce": "max", "k": 2, "l": 2},
    ),
    "mean": Case(
        "b h w c -> b c", ((24, 64, 64, 64),), (24, 64), "float32", {"reduce": "mean"}
    ),
}  # fmt: skip


def peak() -> int:
    """The most memory that the process had at once, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise OSError("the system does not say")


def opened(folder: Path, case: Case) -> list[Array]:
    files = [folder / f"x{n}.npy" for n in range(len(case.shapes))]
    return [np.load(file, mmap_mode="r") for file in files]


def measured(folder: Path, name: str, limit: int) -> int:
    """By how much the memory of the process grows."""
    case = CASES[name]
    arrays, out = opened(folder, case), np.load(folder / "out.npy", mmap_mode="r+")
    # The first time kernels are compiled, which the limit does not count.
    case(*arrays, out=out, memory_limit=limit)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    case(*arrays, out=out, memory_limit=limit)
    return peak() - before


def killed(folder: Path, name: str, limit: int) -> None:
    """Fill an empty result, and be killed when half of its blocks are there."""
    case = CASES[name]
    out = np.lib.format.open_memmap(folder / "out.npy", "w+", case.dtype, case.result)
    put = stream._Stream._put

    def counting(self: Any, step: Any, made: Array) -> None:
        if step.number >= self.cut.count // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        put(self, step, made)

    stream._Stream._put = counting  # type: ignore[method-assign]
    stream._UNNOTED = 0
    case(*opened(folder, case), out=out, memory_limit=limit)


if __name__ == "__main__":
    given = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    print(measured(*given), flush=True)
    killed(*given)
