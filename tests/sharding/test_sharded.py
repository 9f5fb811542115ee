"""Sharded contractions and programs: in processes of their own, of as many devices as they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")
HERE = Path(__file__).parent


def test_on_eight_devices() -> None:
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    told = os.environ | {"XLA_FLAGS": flags}
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-x", str(HERE / "on_devices.py")]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
