"""How much memory there is, of a machine and of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from contractconv.machine import available_memory as asked
from contractconv.machine.available_memory import available_memory


def test_a_machine_has_some() -> None:
    assert 1 << 20 < available_memory() < 1 << 50


def test_a_container_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_GROUP", tmp_path)
    monkeypatch.setattr(asked, "_of_machine", lambda: 5000)
    assert available_memory() == 5000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() == 5000
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert available_memory() == 1000
    (tmp_path / "memory.current").write_text("4000\n")
    assert available_memory() == 0


def test_where_nobody_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_GROUP", tmp_path)
    monkeypatch.setattr(asked, "_of_machine", lambda: None)
    assert available_memory() == 4 << 30
