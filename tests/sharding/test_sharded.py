"""Sharded contractions and programs: in processes of their own, of as many devices as they need."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")
HERE = Path(__file__).parent


def devices(count: int) -> dict[str, str]:
    """An environment in which this processor pretends to be so many devices."""
    flags = f"--xla_force_host_platform_device_count={count} --xla_backend_optimization_level=0"
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


def test_on_eight_devices() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-x", str(HERE / "on_devices.py")]
    done = subprocess.run(command, env=devices(8), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_on_two_processes() -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(HERE / "two_processes.py")]
    started = [
        subprocess.Popen(
            [*command, str(number), str(port)], env=devices(2), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for number in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=300)[0] for process in started]
    assert [text.strip().endswith("equal") for text in told] == [True, True], "\n".join(told)


def test_without_jax() -> None:
    code = """
import sys
sys.modules["jax"] = None
import contractconv as cc
for wanted in (lambda: cc.shard(cc.Contraction("i -> i"), None, i="m"), lambda: cc.jax.Layer):
    try:
        wanted()
    except cc.OperandError as error:
        print("contractconv[jax]" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
