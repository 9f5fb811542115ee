"""A training that is killed at any moment and begun again ends as if nothing had happened."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import killed_training as script
import pytest

pytest.importorskip("safetensors")

ROOT = Path(script.__file__).parents[1]
KILLS = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 6


def trained(folder: Path, form: str, kills: int, **environment: str) -> tuple[int, Any]:
    """Train in processes that are killed; how many were, and what came of it."""
    result = folder / f"{form}.{kills}.pickle"
    subprocess.run(
        [sys.executable, script.__file__, str(folder / form), str(result), str(kills)], check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    found: tuple[int, Any] = pickle.loads(result.read_bytes())
    return found


@pytest.mark.parametrize(
    ("kernels", "forms"), [("", ["one.safetensors", "folder"]), ("numpy", ["folder"])]
)
def test_killed_at_any_moment_it_ends_bit_by_bit_the_same(
    tmp_path: Path, kernels: str, forms: list[str]
) -> None:
    environment = {"CONTRACTCONV_KERNELS": kernels} if kernels else {}
    _, whole = trained(tmp_path, "undisturbed.safetensors", 0, **environment)
    for form in forms:
        kills, pieces = trained(tmp_path, form, KILLS, **environment)
        assert kills > KILLS // 2
        script.same(whole, pieces)
