"""Arrays that lie in files which are mapped into memory: read, written and let go of part by part.

What was read of a map, or written to it, stays in the memory of the process until it is told to let
go. So parts are copied in slabs of a few megabytes, and each slab is let go of: the file's contents
stay with the system, which writes, and forgets, them as it likes.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from contractconv.arrays.index_boxes import boxes
from contractconv.arrays.views import Array
from contractconv.machine.memory import address

Key = tuple[Any, ...]
"""From where to where along each axis, with dots, which keep an array of no axes an array."""

# A touched page brings those around it into memory, at most a folio of the system.
_AROUND, _FOLIO = 1 << 16, 1 << 21
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, eq=False)
class Mapped:
    """An array, or a view of one, in a file that others see change.

    Attributes:
        array: the array.
        path: the file; ``None`` if it has no name any more.
        mapping: what maps the file.
        first: the address at which that begins.
        offset: where in the file it begins.
    """

    array: Array
    path: Path | None
    mapping: mmap.mmap
    first: int
    offset: int

    @property
    def bytes(self) -> tuple[int, int]:
        """From which byte of the file to which one the array lies."""
        low, high = byte_bounds(self.array)
        return self.offset + low - self.first, self.offset + high - self.first

    def read(self, key: Key, into: Array, slab: int) -> None:
        """Copy a part.

        Args:
            key: which part.
            into: an array of that shape.
            slab: bytes that may be in memory of the file.
        """
        part = self._part(key)
        for piece in slabs(part, slab):
            into[piece] = part[piece]
            self.let_go(part[piece])

    def write(self, key: Key, values: Array, slab: int) -> None:
        """Put values into a part.

        Raises:
            OSError: there is no room for them on the disk.
        """
        part = self._part(key)
        self._make_room(part)
        for piece in slabs(part, slab):
            part[piece] = values[piece]
            self.let_go(part[piece])

    def expect(self, key: Key) -> None:
        """Let the system begin to read a part, unless it lies scattered."""
        part = self._part(key)
        low, high = self._pages(part)
        if high - low <= 2 * part.nbytes:
            self._advise("MADV_WILLNEED", low, high)

    def flush(self) -> None:
        """Bring what was written to the disk.

        Raises:
            OSError: that cannot be done.
        """
        low, high = self._pages(self.array)
        self.mapping.flush(low, high - low)

    def _part(self, key: Key) -> Array:
        part: Array = self.array[key if ... in key else (*key, ...)]
        return part

    def let_go(self, part: Array) -> None:
        """Take a part, a view of the array, out of the memory of the process."""
        low, high = self._pages(part)
        self._advise("MADV_DONTNEED", max(0, low - _FOLIO), min(high + _FOLIO, self._end))

    def _pages(self, part: Array) -> tuple[int, int]:
        """Between which bytes of the map a part lies, in whole pages."""
        low, high = byte_bounds(part)
        start = (low - self.first) // mmap.PAGESIZE * mmap.PAGESIZE
        return start, min(high - self.first, self._end)

    @property
    def _end(self) -> int:
        return len(self.mapping)

    def _advise(self, advice: str, low: int, high: int) -> None:
        number = getattr(mmap, advice, None)
        if number is not None and high > low:
            # It is only advice.
            with suppress(OSError):
                self.mapping.madvise(number, low, high - low)

    def _make_room(self, part: Array) -> None:
        """Take the room of a part on the disk: of a full one a map would tell by a signal."""
        if self.path is None or not hasattr(os, "posix_fallocate"):
            return
        low, high = byte_bounds(part)
        handle = os.open(self.path, os.O_RDWR)
        try:
            os.posix_fallocate(handle, self.offset + low - self.first, high - low)
        except OSError as error:
            if error.errno in _FULL:
                raise
        finally:
            os.close(handle)


def in_file(array: Any) -> bool:
    """Whether an array is a map of a file, or a view of one."""
    return isinstance(array, np.ndarray) and array.base is not None and _root(array) is not None


def _root(array: Any) -> Any:
    """The map that an array is, or is a view of.

    A map whose changes stay in memory (mode ``"c"``) is not what is in the file.
    """
    while isinstance(array, np.ndarray) and not isinstance(array.base, mmap.mmap):
        array = array.base
    return array if isinstance(array, np.memmap) and array.mode != "c" else None


def mapped(array: Any) -> Mapped | None:
    """What there is to know of an array in a file; ``None`` if it lies in memory."""
    found = _root(array)
    if found is None or not array.size:
        return None
    beyond = found.offset % mmap.ALLOCATIONGRANULARITY
    name = found.filename
    path = None if name is None or not os.path.isfile(name) else Path(os.path.realpath(name))
    view = array.view(np.ndarray)
    return Mapped(view, path, found.base, address(found) - beyond, found.offset - beyond)


def overlap(one: Any, other: Any) -> bool:
    """Whether two arrays may share elements, in memory or in a file."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    here, there = mapped(one), mapped(other)
    if here is not None and there is not None and here.path is not None:
        (low, high), (first, last) = here.bytes, there.bytes
        return here.path == there.path and low < last and first < high
    return np.may_share_memory(one, other)


def slabs(array: Array, most: int) -> Iterator[Key]:
    """Cut an array into pieces of which so many bytes get into memory, along its longest strides.

    Example:
        >>> [piece[0] for piece in slabs(np.zeros((3, 1 << 16)), 1 << 20)]
        [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    order = sorted(range(array.ndim), key=lambda n: -abs(array.strides[n]))
    weight = -(-touched(array.shape, array.strides, array.itemsize) // max(array.size, 1))
    sizes, names = [array.shape[n] for n in order], [str(n) for n in order]
    for box in boxes(sizes, names, max(1, most // max(weight, 1))):
        key: list[Any] = [slice(None)] * array.ndim
        for name, start, stop in box:
            key[int(name)] = slice(start, stop)
        yield (*key, ...)


def touched(
    shape: Sequence[int], strides: Sequence[int], itemsize: int, around: int = _AROUND
) -> int:
    """Bytes that get into memory when an array of these strides is read from a file.

    Example:
        >>> touched((1000, 1), (8000, 8), 8) > 7_000_000
        True
    """
    along = sorted((abs(stride), size) for stride, size in zip(strides, shape, strict=True))
    run, runs, span = itemsize, prod(shape), itemsize
    for stride, size in along:
        if size > 1 and stride == run:
            run, runs = run * size, runs // size
        span += stride * max(size - 1, 0)
    return min(span + around, runs * (run + around))
