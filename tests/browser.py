"""Looking at pages: by their source, and in headless Chromium as their readers do.

A page is a string of HTML. :func:`assert_closed` and :func:`assert_self_contained` read it.
:func:`measure` opens it from a ``file://`` address and returns what a script finds;
:func:`screenshot` takes a picture. What is to be looked at in several ways is opened once, by
:mod:`devtools`, and judged by :mod:`page_judgements`.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from devtools import executable, opened_text

from contractconv.markup.parts import COPYING

# --- the source of a page ---------------------------------------------------------------------

_VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
# Names of vocabularies look like addresses; nobody visits them.
_NAMES_OF_VOCABULARIES = (
    'xmlns="http://www.w3.org/1998/Math/MathML"',
    'xmlns="http://www.w3.org/2000/svg"',
)
_LOADING = re.compile(
    r"https?:|src(?:set|doc)?\s*=|href\s*=\s*(?!\x22#)|@import|url\(|<script|<link|<iframe|<object|\son\w+\s*=",
    re.IGNORECASE,
)


class _Reader(HTMLParser):
    """Refuses HTML whose elements are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element until it ends."""
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that closes itself."""
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The element that was opened last must end first."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def assert_closed(page: str) -> list[str]:
    """Check that every element ends, in order; return the names of all."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader.seen


def assert_self_contained(page: str) -> None:
    """Check that a page loads nothing, and runs nothing but the script that copies."""
    page = page.replace(f"<script>{COPYING}</script>", "", 1)
    for name in _NAMES_OF_VOCABULARIES:
        page = page.replace(name, "")
    found = _LOADING.search(page)
    assert found is None, page[max(0, found.start() - 40) : found.end() + 40]


# --- the browser ------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(executable() is None, reason="there is no Chromium on the PATH")


def measure(page: str, script: str, *, width: int = 1100, dark: bool = False) -> Any:
    """Open a page and return what a script finds in it.

    Args:
        page: a complete HTML document.
        script: a JavaScript function of the page's window; it returns something fit for JSON.
        width: how wide the page is shown, in CSS pixels.
        dark: whether the reader prefers dark colours.
    """
    with opened_text(page) as tab:
        tab.view(width, dark=dark)
        return tab.run(script)


def screenshot(page: str, picture: Path, *, width: int = 1100, dark: bool = False) -> None:
    """Write a picture of a whole page as PNG.

    Args:
        page: a complete HTML document.
        picture: where to write it.
        width: of the window, in CSS pixels.
        dark: whether the reader prefers dark colours.
    """
    with opened_text(page) as tab:
        tab.view(width, dark=dark)
        tab.picture(picture)
