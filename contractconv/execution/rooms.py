"""Scratch memory that is used again: fresh pages cost more than what is computed in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from contractconv.execution.views import Array

_LINE = 64
# Bytes that are kept for the next call, all in all.
_MOST = 32 << 20
_free: list[Array] = []


def address(array: Array) -> int:
    """Where the first element of an array lies."""
    place: int = array.__array_interface__["data"][0]
    return place


@contextmanager
def room(size: int) -> Iterator[Array]:
    """Lend so many bytes, which begin at a line of the cache and hold anything."""
    raw = _taken(size + _LINE)
    skip = -address(raw) % _LINE
    try:
        yield raw[skip : skip + size]
    finally:
        _give(raw)


def _taken(size: int) -> Array:
    # Threads meet here: each step on the list is one that no other thread can divide.
    for _ in range(len(_free)):
        try:
            raw = _free.pop()
        except IndexError:
            break
        if size <= raw.size <= 4 * size + (1 << 16):
            return raw
        _free.insert(0, raw)
    return np.empty(size, np.uint8)


def _give(raw: Array) -> None:
    _free.append(raw)
    while sum(kept.size for kept in tuple(_free)) > _MOST:
        try:
            _free.pop(0)
        except IndexError:
            break


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free.clear)
