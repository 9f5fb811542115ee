"""The one pool of threads: work is cut into pieces that run without Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

from contractconv.errors import ContractionError

_lock = threading.Lock()
_wanted: int | None = None
_pool: ThreadPoolExecutor | None = None
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
    with _lock:
        _wanted = number
        _forget()


def get_num_threads() -> int:
    """How many threads may work on one contraction."""
    if _wanted is not None:
        return _wanted
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def in_parallel(work: Callable[[int], None], pieces: int) -> None:
    """Call ``work(0) ... work(pieces - 1)``, each once, on all threads; the caller takes part.

    Called from within a piece, or for a single piece, it works in the caller's thread alone.
    """
    helpers = min(get_num_threads(), pieces) - 1
    if helpers < 1 or getattr(_inside, "busy", False):
        for piece in range(pieces):
            work(piece)
        return
    following = count().__next__

    def take() -> None:
        _inside.busy = True
        try:
            while (piece := following()) < pieces:
                work(piece)
        finally:
            _inside.busy = False

    futures = _started(take, helpers)
    try:
        take()
    finally:
        for future in futures:
            # A helper that has not begun yet would find nothing left.
            if not future.cancel():
                future.result()


def _started(take: Callable[[], None], helpers: int) -> list[Future[None]]:
    global _pool  # noqa: PLW0603 - it is started when first needed
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(get_num_threads() - 1, "contractconv")
        return [_pool.submit(take) for _ in range(helpers)]


def _forget() -> None:
    """Let go of the pool: its threads end with their work, and new ones start when needed."""
    global _pool  # noqa: PLW0603
    if _pool is not None:
        _pool.shutdown(wait=False)
    _pool = None


def _after_fork() -> None:
    # A child has none of its parent's threads, and may have copied a lock that is held.
    global _lock, _pool, _inside  # noqa: PLW0603
    _lock, _pool, _inside = threading.Lock(), None, threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
