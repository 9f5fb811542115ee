"""What tests, benchmarks and documents import of the package is there: inside strings, too.

Scripts of processes are strings, which no type checker reads.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("tests", "benchmarks", "examples", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md")
)
IMPORT = re.compile(r"from (contractconv[.\w]*) import (\w[\w, ]*)")


def missing(text: str) -> list[str]:
    """The names that a text imports and that are not there."""
    found = []
    for room, names in IMPORT.findall(text):
        for name in (part.strip().split(" ")[0] for part in names.split(",")):
            try:
                module = import_module(room)
                if name and not hasattr(module, name):
                    import_module(f"{room}.{name}")
            except ImportError:
                found.append(f"{room}.{name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_there(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8")) == []


def test_what_is_missing_would_be_noticed() -> None:
    assert missing("'from contractconv.nowhere " + "import some, thing'") == [
        "contractconv.nowhere.some", "contractconv.nowhere.thing"
    ]  # fmt: skip
    assert missing("from contractconv.errors " + "import nothing") == [
        "contractconv.errors.nothing"
    ]
