"""Headless Chromium, driven through a pipe by the protocol of its developer tools.

One browser serves all tests of a process; each page is opened in a tab of its own, which is looked
at in any number of views. Nothing but the standard library is needed. Nothing can be loaded from
anywhere but this machine, and nothing is left behind: the profile lies in a temporary folder, and
the browser with all that it started is ended as one group when the process ends.

>>> with opened(Path("page.html").as_uri()) as tab:       # doctest: +SKIP
...     tab.view(360, dark=True)
...     tab.run("(view) => view.document.title")
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)
# The browser expects its pipe at the descriptors 3 and 4, which may be others' here.
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
_PATIENCE = 60.0  # seconds; an idle machine needs one
_HEIGHT = 900


def executable() -> str | None:
    """Where the browser is; ``None`` if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Tab:
    """A page in the browser.

    Attributes:
        loaded: the addresses of all that was asked for, the page itself first.
        complaints: what stands in the console as a warning or an error.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.loaded: list[str] = []
        self.complaints: list[str] = []

    def view(
        self, width: int, *, dark: bool = False, height: int = _HEIGHT, media: str = "screen"
    ) -> None:
        """Look at it in another way.

        Args:
            width: of the window, in CSS pixels.
            dark: whether the reader prefers dark colours.
            height: of the window.
            media: ``"screen"`` or ``"print"``.
        """
        self.call("Emulation.setDeviceMetricsOverride",
                  width=width, height=height, deviceScaleFactor=1, mobile=False)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def run(self, script: str) -> Any:
        """Call a JavaScript function with the page's window; a promise is waited for."""
        asked = {"expression": f"({script})(window)", "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", **asked, userGesture=True)
        if "exceptionDetails" in answer:
            raise AssertionError(_said(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a picture of it as PNG; of the whole page, or of what the window shows."""
        found = self.call(
            "Page.captureScreenshot", captureBeyondViewport=whole, **self._area(whole)
        )
        path.write_bytes(base64.b64decode(found["data"]))

    def paper(self, path: Path) -> None:
        """Write what a printer gets, as PDF on A4."""
        self.call("Emulation.setEmulatedMedia", media="")
        found = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(found["data"]))

    def call(self, method: str, **given: Any) -> Any:
        """Call a method of the protocol."""
        return self._browser.call(method, given, self._session)

    def wait_for(self, event: str) -> None:
        """Wait until something happens."""
        self._browser.wait_for(event, self._session)

    def _area(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "scale": 1, **{n: size[n] for n in ("width", "height")}}}

    def note(self, event: dict[str, Any]) -> None:
        """Keep what happened in it, if a judgement asks for that."""
        told = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                self.loaded.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(_said(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(" ".join(str(a.get("value", a)) for a in told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                entry = told["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}".strip())


def _said(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


@contextlib.contextmanager
def opened(address: str) -> Iterator[Tab]:
    """Open a page by its address, ``file:`` or ``http:``; it is closed at the end."""
    browser = _browser()
    target = browser.call("Target.createTarget", {"url": "about:blank"})["targetId"]
    tab = browser.attached(target)
    try:
        tab.view(1280)
        tab.call("Page.navigate", url=address)
        tab.wait_for("Page.loadEventFired")
        yield tab
    finally:
        if browser is _browser():
            browser.call("Target.closeTarget", {"targetId": target})


@contextlib.contextmanager
def opened_text(page: str) -> Iterator[Tab]:
    """Open a page that is a string, from a file as its readers do."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "page.html")
        path.write_text(page, encoding="utf-8")
        with opened(path.as_uri()) as tab:
            yield tab


class Browser:
    """A browser process and the pipe to it."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._tabs: dict[str, Tab] = {}
        self._happened: set[tuple[str, str | None]] = set()
        self._unread: deque[bytes] = deque()
        self._rest = b""
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        orders, self._write = _pipe()
        self._read, answers = _pipe()
        where = executable()
        assert where, f"none of {', '.join(_NAMES)} is on the PATH"
        command = [sys.executable, "-S", "-c", _LAUNCH, str(orders), str(answers),
                   where, *_FLAGS, f"--user-data-dir={self._folder.name}"]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=_environment(self._folder.name), start_new_session=True,
            pass_fds=(orders, answers),
        )  # fmt: skip
        os.close(orders)
        os.close(answers)

    def call(self, method: str, given: dict[str, Any], session: str | None = None) -> Any:
        """Call a method of the protocol and wait for the answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": given}
        if session is not None:
            message["sessionId"] = session
        _sent(self._write, json.dumps(message).encode() + b"\0")
        answer = next(m for m in self._messages() if m.get("id") == number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def attached(self, target: str) -> Tab:
        """Listen to a page."""
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        tab = self._tabs[session["sessionId"]] = Tab(self, session["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Target.setAutoAttach",
                 autoAttach=True, waitForDebuggerOnStart=True, flatten=True)  # fmt: skip
        return tab

    def wait_for(self, event: str, session: str) -> None:
        """Wait until something happens in a page, or has happened since the last time."""
        key = (event, session)
        if key not in self._happened:
            next(m for m in self._messages() if (m.get("method"), m.get("sessionId")) == key)
        self._happened.discard(key)

    def _messages(self) -> Iterator[dict[str, Any]]:
        """What the browser says from now on; events are noted on the way."""
        until = time.monotonic() + _PATIENCE
        while True:
            while self._unread:
                message = json.loads(self._unread.popleft())
                self._note(message)
                yield message
            *whole, self._rest = (self._rest + self._heard(until)).split(b"\0")
            self._unread.extend(whole)

    def _heard(self, until: float) -> bytes:
        ready, _, _ = select.select([self._read], [], [], max(0, until - time.monotonic()))
        heard = os.read(self._read, 1 << 20) if ready else b""
        if not heard:
            self.end()
            raise TimeoutError("the browser does not answer")
        return heard

    def _note(self, message: dict[str, Any]) -> None:
        session = message.get("sessionId")
        self._happened.add((message.get("method", ""), session))
        if session in self._tabs and "method" in message:
            tab = self._tabs[session]
            tab.note(message)
            if message["method"] == "Target.attachedToTarget":
                self._listen_to_part(tab, message["params"]["sessionId"])

    def _listen_to_part(self, tab: Tab, session: str) -> None:
        """A worker or a frame of a page counts as that page; it waits until someone listens."""
        self._tabs[session] = tab
        for method in ("Runtime.enable", "Network.enable", "Runtime.runIfWaitingForDebugger"):
            message = {"id": next(self._numbers), "method": method, "sessionId": session}
            _sent(self._write, json.dumps(message).encode() + b"\0")

    def end(self) -> None:
        """End the browser and whatever it started."""
        _browser.cache_clear()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


@cache
def _browser() -> Browser:
    browser = Browser()
    atexit.register(browser.end)
    return browser


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the descriptors that the browser expects."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


def _sent(where: int, message: bytes) -> None:
    while message:
        message = message[os.write(where, message) :]


def _environment(home: str) -> dict[str, str]:
    """Settings and caches go where the profile is."""
    return os.environ | {"XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
