"""Kernels for other processors than this one are as right: vectors may be of any width."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from contractconv.engines.llvm.kernels import native

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no compiler")

HERE = Path(__file__).parent
# What a processor must have to stand in for one of each kind with narrower vectors.
NEEDED = {"avx2": "avx2", "sse": "sse4.2"}
DEEP = settings().max_examples > 1000


def run(cache: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that remembers nothing of what others have compiled."""
    paths = os.pathsep.join([str(HERE.parent), *filter(None, sys.path)])
    given = os.environ | {"PYTHONPATH": paths, "CONTRACTCONV_CACHE": str(cache)}
    command = [sys.executable, str(HERE / script), *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", NEEDED)
def test_kernels_of_narrower_vectors(target: str, tmp_path: Path) -> None:
    if not native._features().get(NEEDED[target]):
        pytest.skip("this processor is of another kind")
    done = run(tmp_path / "kept", "kernels_of.py", target, *([] if DEEP else ["-k", "remainder"]))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "passed" in done.stdout


def test_kernels_are_compiled_for_arm(tmp_path: Path) -> None:
    done = run(tmp_path / "kept", "kernels_for_arm.py")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 20
