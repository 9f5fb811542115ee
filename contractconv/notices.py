"""Lines on stderr, each once for a process; none of them may cost a caller the call."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_topics: set[str] = set()


def say(topic: str, text: str) -> None:
    """Write a line, unless there has been one on its topic."""
    if topic not in _topics:
        _topics.add(topic)
        write(f"contractconv: {' '.join(text.split())}\n")


def write(line: str) -> None:
    """Write to stderr, which may be closed, full or missing: then nothing is written."""
    # A stream that somebody put there may raise what it likes.
    with suppress(Exception):
        own = sys.__stderr__
        if own is not None and sys.stderr is own:
            # What its buffer could not get rid of would fail once more when Python ends.
            own.flush()
            os.write(own.fileno(), line.encode(own.encoding, "backslashreplace"))
        else:
            sys.stderr.write(line)
