"""Contractions over processes: blocks of results and gradients are those of the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import contractconv as cc  # noqa: E402 - torch may be missing

SCRIPT = Path(__file__).parent / "sharding_processes.py"


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is without processes")
def test_blocks_of_two_processes_are_those_of_the_whole(tmp_path: Path) -> None:
    commands = [
        [sys.executable, str(SCRIPT), str(rank), "2", str(tmp_path / "store")] for rank in range(2)
    ]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    said = [process.communicate(timeout=300) for process in processes]
    assert [out for out, _ in said] == ["7 cases are equal\n"] * 2, said


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(cc.OperandError, match="has no axis with k"):
        cc.torch.Sharded("b (i+k) c, k c o -> b i o", "k")
    with pytest.raises(cc.OperandError, match=r"\(h w\) is not cut along h"):
        cc.torch.Sharded("b h w c -> b (h w) c", "h")
