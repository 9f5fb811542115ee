"""What is said on stderr costs nobody a call, whatever has become of stderr."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contractconv import notices

LINE = "contractconv: something\n"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_topics", set())


def test_each_topic_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for topic, text in [("a", "something"), ("a", "something else"), ("b", "two\n  lines")] * 3:
        notices.say(topic, text)
    said = capsys.readouterr()
    assert said.err == f"{LINE}contractconv: two lines\n"
    assert said.out == ""


class Raising(io.StringIO):
    """A stream that cannot be written to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        """Fail."""
        raise self.error


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "closed": closed,
    "no stream": object,
    "full": lambda: Raising(OSError(28, "No space left on device")),
    "a pipe that nobody reads": lambda: Raising(BrokenPipeError()),
    "not for letters": lambda: Raising(UnicodeEncodeError("ascii", "é", 0, 1, "no")),
    "for bytes": io.BytesIO,
    "something else": lambda: Raising(RuntimeError("lost")),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_any_stream_will_do(
    stream: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", STREAMS[stream]())
        notices.say("topic", "something")
    assert capfd.readouterr() == ("", "")


# What comes before something is said, and where stderr of the process leads.
ENDS: dict[str, tuple[str, Any]] = {
    "open": ("", subprocess.PIPE),
    "closed from the start": ("", None),
    "closed later": ("os.close(2)", subprocess.PIPE),
    "closed as a file": ("sys.stderr.close()", subprocess.PIPE),
    "full": ("", "/dev/full"),
}
ENTER = """
import os, sys
os.environ["CONTRACTCONV_CACHE"] = "not absolute"
import numpy as np, contractconv as cc
from contractconv import disk_cache
{0}
assert cc.contract("i, i ->", np.arange(9.0), np.arange(9.0)) == 204
disk_cache.keep("something", b"")
"""


@pytest.mark.parametrize("end", ENDS)
def test_no_call_fails_for_want_of_stderr(end: str, tmp_path: Path) -> None:
    before, where = ENDS[end]
    if isinstance(where, str):
        if not os.path.exists(where):
            pytest.skip("this system has no device that is full")
        where = os.open(where, os.O_WRONLY)
    command = [sys.executable, "-c", ENTER.format(before)]
    if where is None:
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=where, timeout=60,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, b"")
    if end == "open":
        assert b"not an absolute path" in run.stderr


def test_the_command_fails_in_silence_too() -> None:
    command = [sys.executable, "-m", "contractconv", "explain", "b (("]
    run = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command], capture_output=True, check=False, timeout=60
    )
    assert (run.returncode, run.stdout) == (2, b"")
