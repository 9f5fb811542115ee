"""Looking at pages: by their source, and in headless Chromium as their readers do.

A page is a string of HTML. :func:`assert_closed` and :func:`assert_self_contained` read it.
:func:`measure` opens a copy of it, with a script at its end, from a ``file://`` address; what the
script finds comes back as JSON. :func:`screenshot` takes a picture. Nothing but the standard
library is needed, and nothing is left behind: profile and pages lie in a temporary folder, and the
processes of the browser are ended as one group.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_DARK = "--blink-settings=preferredColorScheme=0"
_PATIENCE = 30.0  # seconds; an idle machine needs one
# The window of headless Chromium is never narrower than this, but a frame in it is.
_LEAST_WIDTH = 500
_HEIGHT = 900
_REPORT = re.compile(r'<pre id="cc-report">(.*?)</pre>', re.DOTALL)


# --- the source of a page ---------------------------------------------------------------------

_VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
# Names of vocabularies look like addresses; nobody visits them.
_NAMES_OF_VOCABULARIES = (
    'xmlns="http://www.w3.org/1998/Math/MathML"',
    'xmlns="http://www.w3.org/2000/svg"',
)
_LOADING = re.compile(
    r"https?:|src(?:set|doc)?\s*=|href\s*=|@import|url\(|<script|<link|<iframe|<object|\son\w+\s*=",
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
    """Check that a page neither loads nor runs anything."""
    for name in _NAMES_OF_VOCABULARIES:
        page = page.replace(name, "")
    found = _LOADING.search(page)
    assert found is None, page[max(0, found.start() - 40) : found.end() + 40]


# --- the browser ------------------------------------------------------------------------------


def _found() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


needs_browser = pytest.mark.skipif(
    _found() is None, reason=f"none of {', '.join(_NAMES)} is on the PATH"
)


def measure(page: str, script: str, *, width: int = 1100, dark: bool = False) -> Any:
    """Open a page and return what a script finds in it.

    Args:
        page: a complete HTML document.
        script: a JavaScript function of the page's window; it returns something fit for JSON.
        width: how wide the page is shown, in CSS pixels.
        dark: whether the reader prefers dark colours.
    """
    narrow = width < _LEAST_WIDTH
    document = _framed(page, script, width) if narrow else _with_script(page, script)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "page.html")
        path.write_text(document, encoding="utf-8")
        flags = [f"--window-size={max(width, _LEAST_WIDTH)},{_HEIGHT}", "--dump-dom"]
        shown = _browse(path, [*flags, _DARK] if dark else flags)
    found = _REPORT.search(shown)
    assert found is not None, f"the script left no report; the page ends with {shown[-500:]!r}"
    return json.loads(unescape(found.group(1)))


def screenshot(
    page: str, picture: Path, *, width: int = 1100, height: int = _HEIGHT, dark: bool = False
) -> None:
    """Write a picture of a page as PNG.

    Args:
        page: a complete HTML document.
        picture: where to write it.
        width: of the window, in CSS pixels.
        height: of the window.
        dark: whether the reader prefers dark colours.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "page.html")
        path.write_text(page, encoding="utf-8")
        flags = [f"--window-size={width},{height}", f"--screenshot={picture}"]
        _browse(path, [*flags, _DARK] if dark else flags)


def _with_script(page: str, script: str) -> str:
    body, end, rest = page.rpartition("</body>")
    assert end, "a page has a body"
    return f"{body}{_once_loaded(script, 'window')}{end}{rest}"


def _framed(page: str, script: str, width: int) -> str:
    """The page in a frame of its own: for its media queries that is the window."""
    frame = "document.querySelector('iframe').contentWindow"
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8">'
        "<style>:root { color-scheme: light dark } body { margin: 0 } iframe { border: 0 }</style>"
        f'</head><body><iframe width="{width}" height="{_HEIGHT}" srcdoc="{escape(page)}"></iframe>'
        f"{_once_loaded(script, frame)}</body></html>"
    )


def _once_loaded(script: str, window: str) -> str:
    """Before that, the browser does not know everything that the page loads."""
    return (
        "<script>addEventListener('load', () => {"
        f"const text = JSON.stringify(({script})({window}));"
        "const report = document.createElement('pre');"
        "report.id = 'cc-report'; report.textContent = text; document.body.append(report);"
        "});</script>"
    )


def _browse(path: Path, flags: list[str]) -> str:
    """Show a page; a browser that does not start, or hangs, is started once more."""
    try:
        return _browse_once(path, flags)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return _browse_once(path, flags)


def _browse_once(path: Path, flags: list[str]) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(_found()), *_FLAGS, f"--user-data-dir={profile}", *flags, path.as_uri()]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(profile),
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=_PATIENCE)
            finally:
                _end(process.pid)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return output.decode("utf-8")


def _environment(home: str) -> Mapping[str, str]:
    """Settings and caches go where the profile is."""
    return os.environ | {"XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}


def _end(group: int) -> None:
    """End the browser and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
