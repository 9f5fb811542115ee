"""Small sites: what is wrong on a page is a warning, and what cannot be run says so."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from built_site import missing
from extensions import running

pytestmark = pytest.mark.skipif(bool(missing()), reason="what makes sites is not installed")


def site_of(folder: Path, page: str) -> tuple[str, str]:
    """The first page of a site of one page, and the warnings."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    (folder / "index.md").write_text(page, encoding="utf-8")
    warnings = StringIO()
    with docutils_namespace():
        used = ["myst_parser", "extensions.sessions", "extensions.directives"]
        app = Sphinx(
            str(folder), None, str(folder / "out"), str(folder / "trees"), "html",
            confoverrides={"extensions": used}, status=None, warning=warnings, freshenv=True,
        )  # fmt: skip
        app.build()
    return (folder / "out" / "index.html").read_text(encoding="utf-8"), warnings.getvalue()


def block(text: str) -> str:
    return f"```python\n{text}\n```\n"


def test_a_session_that_comes_out_otherwise_is_a_warning(tmp_path: Path) -> None:
    _, warnings = site_of(tmp_path, "# Page\n\n" + block(">>> 1 + 1\n3"))
    assert "comes out otherwise" in warnings
    assert "index.md:3" in warnings


def test_sessions_of_a_page_share_their_names(tmp_path: Path) -> None:
    page = "# Page\n\n" + block(">>> n = 2") + "\n## Part\n\n" + block(">>> n + 1\n3")
    assert site_of(tmp_path, page)[1] == ""


def test_a_section_that_needs_what_is_missing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    needing = "## Needing\n\n" + block(">>> import torch\n>>> torch.ones(1)\nnonsense")
    more = block(">>> also(nonsense)")
    page = f"# Page\n\n{needing}\n{more}\n## Other\n\n" + block(">>> 1 + 1\n2")
    html, warnings = site_of(tmp_path, page)
    assert warnings == ""
    assert "torch was not installed when this page was built" in html
    assert html.index("was not installed") < html.index("Other")


def test_what_reads_names_that_were_not_made_is_left_out_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    first = "## First\n\n" + block(">>> import torch\n>>> x = torch.ones(1)")
    second = "## Second\n\n" + block(">>> y = 2 * x")
    third = "## Third\n\n" + block(">>> x = 1\n>>> x + 1\n2") + block(">>> x\n1")
    fourth = "## Fourth\n\n" + block(">>> y")
    html, warnings = site_of(tmp_path, f"# Page\n\n{first}\n{second}\n{third}\n{fourth}")
    assert warnings == ""
    assert html.count("torch was not installed") == 3


def test_formulas_and_pictures_are_part_of_the_page(tmp_path: Path) -> None:
    shown = "```{formula} (2*i+k), k -> i\n:grad: 0\n```\n\n```{network} i j, j k -> i k\n```\n"
    html, warnings = site_of(tmp_path, f"# Page\n\n{shown}")
    assert warnings == ""
    assert "<math" in html
    assert "<svg" in html
