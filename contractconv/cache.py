"""What is worth keeping for the next process: compiled kernels, derived numbers, measured speeds.

Files lie in ``$CONTRACTCONV_CACHE``, or where the system keeps such things. Whatever is found there
is checked, and made anew if it is damaged; where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

_DIGEST = hashlib.sha256().digest_size


def folder() -> Path | None:
    """The folder, or ``None`` if nothing can be kept."""
    chosen = os.environ.get("CONTRACTCONV_CACHE")
    if chosen:
        place = Path(chosen)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        place = Path(home) / "contractconv"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return place if os.access(place, os.W_OK) else None


def kept(name: str) -> bytes | None:
    """What was kept under a name, if it is there and whole."""
    place = folder()
    if place is None:
        return None
    try:
        stored = (place / name).read_bytes()
    except OSError:
        return None
    digest, content = stored[:_DIGEST], stored[_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes) -> None:
    """Keep something under a name; a full or read-only disk is no error."""
    place = folder()
    if place is None:
        return
    # Written aside and moved: another process never sees half a file.
    try:
        handle, temporary = tempfile.mkstemp(dir=place)
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        os.replace(temporary, place / name)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
