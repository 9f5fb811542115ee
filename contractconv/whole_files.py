"""Files that are there as a whole or not at all, whenever a process or a machine ends.

What is written goes aside, to the disk, and then in one step to where it belongs; the step goes to
the disk, too. So under its name there is either what was there before or what is there now.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_CLOSED_ELSEWHERE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ASIDE = ".contractconv-"
# Nothing is written for longer: whoever began is not there any more.
_LEFT_BEHIND = 24 * 3600.0


def write(path: Path, content: bytes | bytearray) -> None:
    """Put a file where another one, or none, was; links are followed.

    Raises:
        OSError: it cannot be done; what was there is still there, and nothing else.
    """
    place = Path(os.path.realpath(path))
    _check_place(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    _replace(place, content)
    _sync(place.parent)


def remove(path: Path) -> None:
    """Take a file away, if it is there, for good.

    Raises:
        OSError: it cannot be done.
    """
    place = Path(os.path.realpath(path))
    place.unlink(missing_ok=True)
    _sync(place.parent)


def read(path: Path) -> bytes:
    """What is in a file.

    Raises:
        OSError: it cannot be read, or is no file: a folder, or a device.
    """
    # A pipe that nobody writes to would keep us waiting.
    flags = os.O_RDONLY | _CLOSED_ELSEWHERE | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags)
    try:
        _check_plain(os.fstat(handle).st_mode)
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def _check_place(place: Path) -> None:
    """See that nothing is replaced but a file: root could do so with a device."""
    with suppress(FileNotFoundError):
        _check_plain(os.lstat(place).st_mode)


def _check_plain(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a plain file")


def _replace(place: Path, content: bytes | bytearray) -> None:
    """Write under a name that nobody asks for, to the disk, and move it."""
    aside = place.parent / f"{_ASIDE}{os.urandom(8).hex()}.tmp"
    try:
        with os.fdopen(os.open(aside, _CREATE | _CLOSED_ELSEWHERE, 0o666), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, place)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where a system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _CLOSED_ELSEWHERE)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # as some network file systems say
            raise
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove what processes left behind that were killed while they wrote."""
    now = time.time()
    for aside in folder.glob(f"{_ASIDE}*.tmp"):
        with suppress(OSError):
            if now - aside.lstat().st_mtime > _LEFT_BEHIND:
                aside.unlink()
