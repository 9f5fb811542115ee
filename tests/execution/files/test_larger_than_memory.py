"""Within a limit the memory of a process keeps to it, and what is killed goes on where it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import larger_than_memory
import numpy as np
import pytest
from larger_than_memory import CASES, MIB, USUAL, Array

import contractconv as cc
from contractconv.execution.files import stream
from contractconv.execution.files.mark import beside

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
LIMIT = 2 * MIB
# Python's objects, plans among them, which a limit does not count.
OBJECTS = MIB


def taps(size: int, stride: int) -> list[tuple[int, int, slice, slice]]:
    """For each tap where positions are, and which pixels they see: windows of 3, padded by 1."""
    found = []
    for tap in range(3):
        places = [i for i in range(size // stride) if 0 <= stride * i + tap - 1 < size]
        first, last = places[0], places[-1] + 1
        seen = slice(stride * first + tap - 1, stride * (last - 1) + tap, stride)
        found.append((tap, stride, slice(first, last), seen))
    return found


def convolution(x: Array, w: Array) -> Array:
    out = np.zeros((*x.shape[:3], w.shape[-1]), x.dtype)
    for k, _, i, h in taps(x.shape[1], 1):
        for m, _, j, v in taps(x.shape[2], 1):
            out[:, i, j] += x[:, h, v] @ w[k, m]
    return out


def weight_gradient(g: Array, x: Array, w: Array) -> Array:
    out = np.zeros_like(w)
    for k, _, i, h in taps(x.shape[1], 2):
        for m, _, j, v in taps(x.shape[2], 2):
            out[k, m] = np.tensordot(x[:, h, v], g[:, i, j], ((0, 1, 2), (0, 1, 2)))
    return out


def input_gradient(g: Array, x: Array, w: Array) -> Array:
    out = np.zeros_like(x)
    for k, _, i, h in taps(x.shape[1], 2):
        for m, _, j, v in taps(x.shape[2], 2):
            out[:, h, v] += g[:, i, j] @ w[k, m].T
    return out


def pooled(x: Array) -> Array:
    b, h, w, c = x.shape
    made: Array = x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))
    return made


ORACLES: dict[str, Callable[..., Any]] = {
    "convolution": convolution,
    "integer product": np.matmul,
    "long sums": np.matmul,
    "strided weight gradient": weight_gradient,
    "strided input gradient": input_gradient,
    "pooling": pooled,
    "mean": lambda x: x.mean((1, 2)),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="nobody says what it takes")
@pytest.mark.parametrize("name", CASES if DEEP else USUAL)
def test_memory_is_kept_and_a_killed_process_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    arrays = case.arrays(tmp_path)
    file = tmp_path / "out.npy"
    np.lib.format.open_memmap(file, "w+", case.dtype, case.result)
    command = [sys.executable, larger_than_memory.__file__, str(tmp_path), name, str(LIMIT)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == -9, said.stderr
    assert int(said.stdout) <= LIMIT + OBJECTS < sum(a.nbytes for a in arrays) / 4

    found = cc.unfinished(file)
    assert found is not None
    assert found.done == found.blocks // 2
    made, out = counted(monkeypatch), np.load(file, mmap_mode="r+")
    # Others read what the files hold; the maps here must not have been written since.
    read = [np.load(tmp_path / f"x{n}.npy", mmap_mode="r") for n in range(len(arrays))]
    assert case(*read, out=out, memory_limit=LIMIT) is out
    assert len(made) == found.blocks - found.done
    assert not beside(file).exists()
    # Small integers: sums are exact, whatever the order.
    assert np.array_equal(out, ORACLES[name](*map(np.array, arrays)))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the blocks that are made from now on."""
    made: list[int] = []
    put = stream._Stream._put

    def counting(self: Any, step: Any, values: Array) -> None:
        made.append(step.number)
        put(self, step, values)

    monkeypatch.setattr(stream._Stream, "_put", counting)
    return made
