"""How many threads may work on one contraction."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from contractconv.errors import ContractionError

_wanted: int | None = None
_inside = threading.local()


def set_num_threads(number: int | None) -> None:
    """Say how many threads may work on one contraction; ``None`` means one for each processor.

    Raises:
        ContractionError: the number is not a positive integer.

    Example:
        >>> set_num_threads(2)
        >>> get_num_threads()
        2
        >>> set_num_threads(None)
    """
    global _wanted  # noqa: PLW0603 - it is a setting of the process
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number is not None and (not whole or number < 1):
        raise ContractionError(f"the number of threads is a positive integer, not {number!r}")
    _wanted = number


def get_num_threads() -> int:
    """How many threads may work on one contraction."""
    return _wanted or processors()


@cache
def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@contextmanager
def alone() -> Iterator[None]:
    """Work in the caller's thread alone."""
    before = is_alone()
    _inside.alone = True
    try:
        yield
    finally:
        _inside.alone = before


def is_alone() -> bool:
    """Whether this thread shall have no helpers."""
    return getattr(_inside, "alone", False)
