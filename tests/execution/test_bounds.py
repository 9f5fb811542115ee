"""Kernels for every kind of processors touch nothing but their arrays: see ``bounds.py``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import kernel_processes
import pytest
from hypothesis import settings
from kernel_processes import NEEDED

from contractconv.engines.llvm.kernels import native

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="there is no compiler"),
    pytest.mark.skipif(sys.platform != "linux", reason="pages are protected in another way"),
]

HERE = Path(__file__).parent
BYTES = {"avx512": 64, "avx2": 32, "sse": 16}
MENUS = {"avx512": "float32", "avx2": "float64", "sse": "float32"}
DEEP = settings().max_examples > 1000


def run(target: str, *arguments: object, cache: Path | None = None) -> tuple[int, str]:
    """The status of a process that runs problems, and what it says."""
    done = kernel_processes.run(HERE / "bounds.py", target, *arguments, cache=cache)
    return done.returncode, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("target", NEEDED)
def test_nothing_is_touched_outside_of_arrays(target: str, tmp_path: Path) -> None:
    if not native._features().get(NEEDED[target]):
        pytest.skip("this processor is of another kind")
    now = tmp_path / "now"
    menu, first, count = ("wide", os.getpid() * 30_000, 30_000) if DEEP else (MENUS[target], 0, 80)
    status, said = run(target, menu, first, count, now)
    assert status == 0, f"{now.read_text()}{said}"
    assert f"registers of {BYTES[target]} bytes, {count} problems\n" in said


@pytest.mark.parametrize("fault", ["load", "store"])
def test_a_kernel_that_forgets_its_masks_is_found_out(fault: str, tmp_path: Path) -> None:
    """By what lies outside, or as it writes what others have written between its own numbers."""
    status, said = run("sse", "float32", 0, 40, tmp_path / "now", fault, cache=tmp_path / "kept")
    assert status == -signal.SIGSEGV or (fault == "store" and "assert near.all()" in said), said
