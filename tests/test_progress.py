"""A bar, or lines, or nothing."""

from __future__ import annotations

import sys

import pytest

from contractconv import progress
from contractconv.progress import Progress


def through(shown: bool | None, lines: bool = True, total: int = 3) -> None:
    with Progress(shown, "block", lines) as bar:
        bar.begin(total, 1)
        bar.step()
        bar.step(loss=0.25)


def test_nothing_is_shown_unless_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    through(False)
    through(None)  # nobody looks: stderr is no terminal
    assert capsys.readouterr().err == ""


def test_a_bar_by_tqdm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    through(True)
    told = capsys.readouterr().err
    assert "3/3" in told
    assert "block" in told
    assert "loss=0.25" in told


def test_lines_without_tqdm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    through(True)
    assert capsys.readouterr().err == "contractconv: 3 of 3 blocks\n"
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    through(True, total=4)
    assert capsys.readouterr().err == "contractconv: 2 of 4 blocks\ncontractconv: 3 of 4 blocks\n"
    through(None)
    assert capsys.readouterr().err == ""
    with pytest.raises(ImportError, match="pip install tqdm"):
        through(True, lines=False)
