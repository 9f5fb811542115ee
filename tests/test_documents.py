"""README and docs are executed: what they show is what the library does."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import contractconv
from contractconv import api

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_session_in_a_document_runs(path: Path) -> None:
    result = doctest.testfile(str(path), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("module", [contractconv, api], ids=lambda module: module.__name__)
def test_every_session_in_a_docstring_runs(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


def test_a_wrong_session_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n\n```\n")
    runner = doctest.DocTestRunner(verbose=False)
    test = doctest.DocTestParser().get_doctest(page.read_text(), {}, "page", str(page), 0)
    assert runner.run(test, out=lambda _: None).failed == 1
