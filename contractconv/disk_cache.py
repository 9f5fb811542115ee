"""What is worth keeping for the next process: compiled kernels, measured speeds.

Files lie in ``$CONTRACTCONV_CACHE``, or where the system keeps such things. There is machine code
among them, so nothing is read that somebody else may have written: the folder and its files belong
to this user, who alone may write to them, and to the folders above them nobody may who is neither
this user nor root. Files are asked for in the folder that was opened and checked, without following
links. Elsewhere nothing is kept, and a line on stderr says so, once.

A digest tells whether a file is whole, and is what was kept under its name; it proves no more.
Whatever does not hold is made anew.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contractconv import notices
from contractconv.version import VERSION

_DIGEST = hashlib.sha256().digest_size
# More bytes than this nothing has that is kept here.
_MOST = 1 << 26
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
# Where there are no users, as on Windows, a folder is as safe as the profile that it lies in.
_HAS_USERS = hasattr(os, "geteuid") and os.open in os.supports_dir_fd


def _flags(*names: str) -> int:
    return sum(getattr(os, name, 0) for name in names)


_SAFELY = _flags("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY")
_READ = os.O_RDONLY | _SAFELY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder, opened and checked: ``handle`` is ``None`` where there are no users."""

    path: Path
    handle: int | None

    def at(self, name: str) -> str:
        """A file of it, seen from its handle if there is one."""
        return str(self.path / name) if self.handle is None else name


def folder() -> Path | None:
    """The folder, or ``None`` if nothing can be kept."""
    try:
        with _opened() as place:
            return place.path
    except OSError:
        return None


def kept(name: str) -> bytes | None:
    """What was kept under a name, if it is there and whole."""
    try:
        with _opened() as place:
            stored = _read(place, name)
    except OSError:
        return None
    content = stored[_DIGEST:]
    return content if _digest(name, content) == stored[:_DIGEST] else None


def keep(name: str, content: bytes) -> None:
    """Keep something under a name; that a disk is full, or read-only, is no error."""
    try:
        with _opened() as place:
            _write(place, name, _digest(name, content) + content)
    except OSError as error:
        reason = str(error) if error.strerror is None else f"{_chosen()}: {error.strerror}"
        notices.say("keeping", f"nothing is kept for the next process: {reason}")


def first(name: str) -> bool:
    """Whether nobody has asked for this name before, in any process, as far as can be known."""
    try:
        with _opened() as place:
            os.close(os.open(place.at(name), _CREATE, 0o600, dir_fd=place.handle))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def code_of(modules: Iterable[str]) -> str:
    """Digits that are others as soon as modules of this package do anything else.

    Modules need not have been imported, nor be files of their own: they may come from an archive.
    """
    digest = hashlib.sha256(VERSION.encode())
    for name in sorted(modules):
        digest.update(name.encode() + b"\0" + hashlib.sha256(_source(name)).digest())
    return digest.hexdigest()


def _source(module: str) -> bytes:
    loader: Any = getattr(find_spec(module), "loader", None)
    try:
        source: bytes = loader.get_data(loader.get_filename(module))
    except (AttributeError, OSError):  # of a program without files the version has to do
        return b""
    return source


# --- the folder --------------------------------------------------------------------------------


@contextmanager
def _opened() -> Iterator[_Folder]:
    """Open the folder, which is made if need be.

    Raises:
        OSError: there is none that is safe.
    """
    path = _chosen()
    if not _HAS_USERS:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield _Folder(path, None)
        return
    path = _safe(path)
    handle = os.open(path, _READ | os.O_DIRECTORY)
    try:
        _check_own(os.fstat(handle), path)
        yield _Folder(path, handle)
    finally:
        os.close(handle)


def _chosen() -> Path:
    chosen = os.environ.get("CONTRACTCONV_CACHE")
    if chosen:
        if not os.path.isabs(chosen):
            raise OSError(f"CONTRACTCONV_CACHE is {chosen!r}, which is not an absolute path")
        return Path(os.path.normpath(chosen))
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(shared):  # of which its specification says: to be ignored
        shared = os.path.join(_home(), ".cache")
    return Path(os.path.normpath(shared), "contractconv")


def _home() -> str:
    home = os.environ.get("HOME", "") if _HAS_USERS else os.path.expanduser("~")
    if not os.path.isabs(home) and _HAS_USERS:
        home = _entry()
    if not os.path.isabs(home):
        raise OSError("there is no home folder, and CONTRACTCONV_CACHE is not set")
    return home


def _entry() -> str:
    """The home folder that the system has noted down for this user."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def _safe(path: Path) -> Path:
    """The folder without links above it, after it was made if need be, and all above is safe."""
    for above in path.parents:
        _check_above(above)
    path = Path(os.path.realpath(path.parent), path.name)
    for above in path.parents:
        _check_above(above)
    missing = [part for part in (path, *path.parents) if not os.path.lexists(part)]
    for part in reversed(missing):
        # Who made it in between may be somebody else.
        with suppress(FileExistsError):
            part.mkdir(mode=0o700)
        _check_above(part)
    return path


def _check_above(path: Path) -> None:
    """See that nobody else can put another folder in the place of one that lies in this one."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:  # it will be made
        return
    if found.st_uid not in (0, os.geteuid()):
        raise OSError(f"{path} belongs to another user")
    # In a sticky folder, as /tmp is, only owners rename what is theirs. Links have no modes.
    shut = not found.st_mode & _OTHERS_WRITE or found.st_mode & stat.S_ISVTX
    if not shut and not stat.S_ISLNK(found.st_mode):
        raise OSError(f"others may write to {path}")


def _check_own(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        raise OSError(f"{path} belongs to another user")
    if found.st_mode & _OTHERS_WRITE:
        raise OSError(f"others may write to {path}")


# --- its files ---------------------------------------------------------------------------------


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def _read(place: _Folder, name: str) -> bytes:
    handle = os.open(place.at(name), _READ, dir_fd=place.handle)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:
            raise OSError(f"{name} is no file that is kept here")
        if _HAS_USERS:
            _check_own(found, place.path / name)
            if found.st_nlink > 1:
                raise OSError(f"{name} lies in other folders too")
        with open(handle, "rb", closefd=False) as file:
            return file.read(_MOST)
    finally:
        os.close(handle)


def _write(place: _Folder, name: str, content: bytes) -> None:
    # Written aside and moved: another process never sees half a file.
    aside = place.at(f"tmp{os.urandom(8).hex()}")
    handle = os.open(aside, _CREATE, 0o600, dir_fd=place.handle)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(aside, place.at(name), src_dir_fd=place.handle, dst_dir_fd=place.handle)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside, dir_fd=place.handle)
        raise
