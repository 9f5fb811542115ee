"""The mark beside a result that is not finished: of what it is, and what of it is there.

It lies beside the result's file, as ``NAME.unfinished``, from before the first element is written
until the last one is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from contractconv import whole_files
from contractconv.arrays.mapped import Mapped, mapped, slabs
from contractconv.arrays.views import Array

_ENDS = ".unfinished"
# Bytes of an array in memory that are digested at once.
_SLAB = 1 << 23


@dataclass(frozen=True)
class Unfinished:
    """A result in a file of which only some blocks are there.

    Attributes:
        path: the file.
        what: the contraction.
        done: how many blocks are there.
        blocks: how many there will be.

    Example:
        >>> print(Unfinished(Path("y.npy"), "i k, k j -> i j", 3, 8))
        y.npy: 3 of 8 blocks of 'i k, k j -> i j' are there
    """

    path: Path
    what: str
    done: int
    blocks: int

    def __str__(self) -> str:
        return f"{self.path}: {self.done} of {self.blocks} blocks of '{self.what}' are there"


def unfinished(result: Any) -> Unfinished | None:
    """Ask whether a result in a file is unfinished: the call that makes it was stopped.

    The same call once more goes on where it stopped, and the mark beside the file vanishes when
    all is there.

    Args:
        result: the file, or the array that maps it.

    Returns:
        What is there so far; ``None`` if the file is finished, or was never begun.

    Example:
        >>> unfinished("y.npy")
    """
    path = _path_of(result)
    found = None if path is None else read(path)
    if path is None or found is None:
        return None
    return Unfinished(path, found.what, len(found.done), found.blocks)


def _path_of(result: Any) -> Path | None:
    if isinstance(result, np.ndarray):
        found = mapped(result)
        return None if found is None else found.path
    return Path(os.path.realpath(result))


@dataclass
class Mark:
    """What is known of an unfinished result.

    Attributes:
        path: the file of the result.
        digest: of the contraction and its arrays: all by which the result is what it is.
        what: the contraction, for people.
        cut: how long blocks are.
        blocks: how many there are.
        done: of those that are on the disk, a checksum each.
    """

    path: Path
    digest: str
    what: str
    cut: list[list[Any]]
    blocks: int
    done: dict[int, int] = field(default_factory=dict)

    def write(self) -> None:
        """Put the mark beside the file.

        Raises:
            OSError: it cannot be written; what there was is still there.
        """
        told = {name: getattr(self, name) for name in ("digest", "what", "cut", "blocks")}
        told["done"] = sorted(self.done.items())
        whole_files.write(beside(self.path), json.dumps(told, indent=1).encode())

    def remove(self) -> None:
        """The result is finished.

        Raises:
            OSError: it cannot be removed.
        """
        whole_files.remove(beside(self.path))


def beside(path: Path) -> Path:
    """Where the mark of a result lies."""
    return path.with_name(path.name + _ENDS)


def read(path: Path) -> Mark | None:
    """The mark of a result, if there is one that can be understood."""
    with suppress(FileNotFoundError):
        content = whole_files.read(beside(path))
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(content)
            done = {int(number): int(check) for number, check in told.pop("done")}
            return Mark(path, done=done, **told)
        return Mark(path, "", "an unknown contraction", [], 0)
    return None


def checked(values: Array) -> int:
    """A checksum of a block, row by row."""
    return crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def digest(facts: Mapping[str, Any], arrays: Sequence[Any]) -> str:
    """What tells one contraction of some arrays from all others.

    Arrays in files are told by name, size and time, those in memory by what they hold.
    """
    told = hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=16)
    for array in arrays:
        for part in _told(array):
            told.update(part)
    return told.hexdigest()


def _told(array: Any) -> Iterator[bytes]:
    if not isinstance(array, np.ndarray):
        yield repr(array).encode()
        return
    yield f"{array.shape} {array.dtype} ".encode()
    found = mapped(array)
    if found is not None and found.path is not None:
        yield f"{array.strides} {_of_file(found, found.path)}".encode()
        return
    for piece in slabs(array, _SLAB) if array.size else ():
        yield array[piece].tobytes()
        if found is not None:
            found.let_go(array[piece])


def _of_file(found: Mapped, path: Path) -> str:
    state = path.stat()
    return f"{path} {found.bytes} {state.st_size} {state.st_mtime_ns}"
