"""A convolution of a file into a file, both larger than memory: killed half-way, and gone on with.

python benchmarks/larger_than_memory.py [--gigabytes 20] [--limit 1.5] [--folder /tmp]

It says how long it takes and how much memory the processes had at most, in gigabytes of 1e9 bytes,
and compares examples with numpy. The files are removed afterwards.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import contractconv as cc

Array = np.ndarray[Any, Any]

SPEC = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
# Of an example with 16 channels in single precision.
SIDE, CHANNELS = 256, 16
EXAMPLE = SIDE * SIDE * CHANNELS * 4
GIGABYTE = 10**9


def main() -> int:
    """Make the operand, kill one process, let another one go on, and compare."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--gigabytes", type=float, default=20.0, help="of both files together")
    given.add_argument("--limit", type=float, default=1.5, help="gigabytes in memory")
    given.add_argument("--folder", default=tempfile.gettempdir())
    given.add_argument("--work", help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.work:
        return worked(Path(asked.work), asked.limit)
    folder = Path(tempfile.mkdtemp(dir=asked.folder))
    try:
        return measured(folder, max(4, int(asked.gigabytes * GIGABYTE / 2 / EXAMPLE)), asked.limit)
    finally:
        shutil.rmtree(folder)


def measured(folder: Path, examples: int, limit: float) -> int:
    """Both processes, and whether the result is right."""
    shape = (examples, SIDE, SIDE, CHANNELS)
    size = 2 * examples * EXAMPLE / GIGABYTE
    print(f"{SPEC} on {shape}, float32: {size:.1f} GB in files, within {limit:g} GB")
    make(folder / "x.npy", shape)
    np.lib.format.open_memmap(folder / "y.npy", "w+", np.float32, shape)
    before = time.monotonic()
    said = killed(begun(folder, limit), folder / "y.npy")
    print(f"killed after {time.monotonic() - before:.0f} s: {said}")
    before = time.monotonic()
    process = begun(folder, limit, stderr=sys.stderr)
    told, _ = process.communicate()
    print(f"gone on with, {time.monotonic() - before:.0f} s: {told.strip()}")
    wrong = process.returncode or cc.unfinished(folder / "y.npy") or not right(folder)
    print("WRONG" if wrong else "as numpy has it")
    return int(bool(wrong))


def weights() -> Array:
    """Small integers, whose sums are exact."""
    drawn = np.random.default_rng(1).integers(-3, 4, (3, 3, CHANNELS, CHANNELS))
    return drawn.astype(np.float32)


def make(file: Path, shape: tuple[int, ...]) -> None:
    """An operand of small integers, written as any file is."""
    rng = np.random.default_rng(0)
    np.lib.format.open_memmap(file, "w+", np.float32, shape)
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size - shape[0] * EXAMPLE)
        for _ in range(shape[0]):
            drawn = rng.integers(-3, 4, EXAMPLE // 4, dtype=np.int8)
            stream.write(drawn.astype(np.float32).data)


def begun(folder: Path, limit: float, stderr: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    """A process that contracts the files."""
    command = [sys.executable, __file__, "--work", str(folder), "--limit", str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)


def killed(process: subprocess.Popen[str], result: Path) -> object:
    """Kill a process when half of the result is there; its bar tells when to look."""
    shown: IO[str] | None = process.stderr
    assert shown is not None
    while shown.read(16):
        found = cc.unfinished(result)
        if found is not None and 2 * found.done >= found.blocks:
            process.kill()
            break
    process.wait()
    return cc.unfinished(result)


def worked(folder: Path, limit: float) -> int:
    """What the processes do."""
    x, out = np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy", mmap_mode="r+")
    given: dict[str, Any] = {"memory_limit": int(limit * GIGABYTE), "algorithm": "direct"}
    cc.contract(SPEC, x, weights(), out=out, progress=True, **given)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(f"{most / GIGABYTE:.2f} GB in memory at most")
    return 0


def right(folder: Path) -> bool:
    """Whether some examples are what numpy has for them."""
    x, y = (np.load(folder / name, mmap_mode="r") for name in ("x.npy", "y.npy"))
    some = {0, len(x) // 3, len(x) // 2, len(x) - 1}
    return all(np.array_equal(y[n], convolved(np.array(x[n]))) for n in some)


def convolved(image: Array) -> Array:
    """The same by numpy, tap by tap."""
    padded, w = np.pad(image, ((1, 1), (1, 1), (0, 0))), weights()
    made: Array = sum(
        padded[k : k + SIDE, m : m + SIDE] @ w[k, m] for k in range(3) for m in range(3)
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
