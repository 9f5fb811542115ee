"""Kernels for other processors than this one are as right: vectors may be of any width."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from kernel_processes import NEEDED, run

from contractconv.engines.llvm.kernels import native

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no compiler")

HERE = Path(__file__).parent
DEEP = settings().max_examples > 1000


@pytest.mark.parametrize("target", ["avx2", "sse"])
def test_kernels_of_narrower_vectors(target: str, tmp_path: Path) -> None:
    if not native._features().get(NEEDED[target]):
        pytest.skip("this processor is of another kind")
    some = [] if DEEP else ["-k", "remainder"]
    done = run(HERE / "kernels_of.py", target, *some, cache=tmp_path / "kept")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "passed" in done.stdout


def test_kernels_are_compiled_for_arm(tmp_path: Path) -> None:
    done = run(HERE / "kernels_for_arm.py", cache=tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 20
