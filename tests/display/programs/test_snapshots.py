"""What is printed of well-known programs, kept as text that a review can read.

Renew all of them, and read the difference::

    PYTHONPATH=tests python tests/display/programs/test_snapshots.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from explained_programs import NETWORKS, explained

SNAPSHOTS = Path(__file__).parent / "snapshots"


def shown(name: str) -> str:
    """Everything that a snapshot holds."""
    parts = [str(explained(name)), str(explained(name, sized=False)), explained(name).latex()]
    return "\n\n".join(parts) + "\n"


def _file(name: str) -> Path:
    return SNAPSHOTS / f"{name.replace(' ', '-')}.txt"


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_printed_is_what_was_printed(name: str) -> None:
    assert shown(name) == _file(name).read_text(encoding="utf-8")


def test_every_snapshot_has_its_program() -> None:
    assert set(SNAPSHOTS.iterdir()) == set(map(_file, NETWORKS))


if __name__ == "__main__":
    for called in NETWORKS:
        _file(called).write_text(shown(called), encoding="utf-8")
