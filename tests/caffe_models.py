"""Caffe's models, written by hand as the protocol buffers that they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def varint(value: int) -> bytes:
    """A number of variable length."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int) -> bytes:
    """A field that is a number."""
    return varint(field << 3) + varint(value)


def nested(field: int, content: bytes | str) -> bytes:
    """A field that is text, packed, or another message."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def blob(array: Array, packed: bool = True) -> bytes:
    """An array as Caffe writes it now."""
    double = array.dtype == np.float64
    raw = np.ascontiguousarray(array, "<f8" if double else "<f4").tobytes()
    shape = nested(7, nested(1, b"".join(map(varint, array.shape))))
    field, kind, size = (8, 1, 8) if double else (5, 5, 4)
    if packed:
        return shape + nested(field, raw)
    ones = (raw[at : at + size] for at in range(0, len(raw), size))
    return shape + b"".join(varint(field << 3 | kind) + one for one in ones)


def old_blob(array: Array) -> bytes:
    """An array as Caffe wrote it when all of them had four axes."""
    sizes = (1,) * (4 - array.ndim) + array.shape
    raw = np.ascontiguousarray(array, "<f4").tobytes()
    return b"".join(number(n, size) for n, size in enumerate(sizes, 1)) + nested(5, raw)


def layer(name: str, kind: str, *arrays: Array, bottom: str = "", top: str = "") -> bytes:
    """A layer as it is now."""
    blobs = b"".join(nested(7, blob(array)) for array in arrays)
    ends = nested(3, bottom or name) + nested(4, top or name)
    return nested(100, nested(1, name) + nested(2, kind) + ends + blobs)


def old_layer(name: str, kind: int, *arrays: Array) -> bytes:
    """A layer as it was."""
    blobs = b"".join(nested(6, old_blob(array)) for array in arrays)
    return nested(2, nested(4, name) + number(5, kind) + blobs)
