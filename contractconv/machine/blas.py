"""How many threads numpy's matrix products take.

The library that multiplies for numpy has threads of its own. Where several of ours multiply at
once, each of them shall do so alone: two pools on the same processors wait for each other.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from contractconv.uninterrupted import Turn

# Names in OpenBLAS: as numpy's wheels have it, then as systems build it.
_FORMS = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")


class _Pool(NamedTuple):
    """The functions that read and set the number of threads, and that name the processor."""

    get: Callable[[], int]
    set: Callable[[int], object]
    core: Callable[[], bytes]


class _Callers:
    """Who multiplies alone at the moment; the last one to end restores what the first one found."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.number = 0
        self.found = 1


_callers = _Callers()


@cache
def _pool() -> _Pool | None:
    """The pool of the library that numpy is linked to, if we know it."""
    module = importlib.util.find_spec("numpy._core._multiarray_umath")
    try:
        library = ctypes.CDLL(module.origin if module else None)
    except OSError:
        return None
    for form in _FORMS:
        if hasattr(library, form.format("set_num_threads")):
            get, set_, core = (
                library[form.format(name)]
                for name in ("get_num_threads", "set_num_threads", "get_corename")
            )
            core.restype = ctypes.c_char_p
            return _Pool(get, set_, core)
    return None


def available() -> bool:
    """Whether the number of threads can be set."""
    return _pool() is not None


def core() -> str:
    """The kind of processor that the library multiplies for, which need not be the one it is on."""
    pool = _pool()
    return "" if pool is None else pool.core().decode()


@contextmanager
def single() -> Iterator[None]:
    """Let matrix products take one thread each, in the whole process; nothing if that is unknown.

    Only threads of our own do so, in which no signal raises: so the number is always set back.

    Example:
        >>> with single():
        ...     pass
    """
    pool = _pool()
    if pool is None:
        yield
        return
    counted = _begin(pool)
    try:
        yield
    finally:
        if counted:
            _end(pool)


def _begin(pool: _Pool) -> bool:
    """Let products take one thread, unless they do; whether this was possible."""
    # A child that is forked in between finds the number already, or not yet changed.
    with _callers.turn.taken() as came:
        if came:
            first = not _callers.number
            if first:
                _callers.found = pool.get()
            _callers.number += 1
            if first:
                pool.set(1)
        return came


def _end(pool: _Pool) -> None:
    with _callers.turn.taken():
        # Whoever has set another number in the meantime wants that one.
        if _callers.number == 1 and pool.get() == 1:
            pool.set(_callers.found)
        _callers.number -= 1


def _after_fork() -> None:
    # A child has none of the callers, and may have copied a turn that somebody has.
    global _callers  # noqa: PLW0603 - it belongs to the process
    pool = _pool() if _callers.number else None
    if pool is not None and pool.get() == 1:
        pool.set(_callers.found)
    _callers = _Callers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
