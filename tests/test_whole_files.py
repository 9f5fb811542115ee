"""Files are removed for good; that they are written whole is tested with checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contractconv import whole_files


def test_a_file_is_removed_and_its_folder_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    file = tmp_path / "file"
    whole_files.write(file, b"content")
    monkeypatch.setattr(os, "fsync", synced.append)
    whole_files.remove(file)
    assert not file.exists()
    assert len(synced) == 1
    whole_files.remove(file)  # nothing is there any more


def test_what_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"directory|not permitted"):
        whole_files.remove(tmp_path)
