"""The one pool of threads: work is cut into pieces that run without Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue

from contractconv.errors import ContractionError


class _Job:
    """Pieces of work that are taken one after the other, by whoever comes."""

    def __init__(self, work: Callable[[int], None], pieces: int) -> None:
        self._work = work
        self._pieces = pieces
        self._following = count().__next__
        self._lock = threading.Lock()
        self._ended = threading.Lock()
        self._ended.acquire()
        self._helping = 0
        self._closed = False
        self._error: BaseException | None = None

    def take(self) -> None:
        """Work until nothing is left."""
        _inside.busy = True
        try:
            while (piece := self._following()) < self._pieces:
                self._work(piece)
        except BaseException:
            self._pieces = 0  # nobody shall begin another piece
            raise
        finally:
            _inside.busy = False

    def help(self) -> None:
        """Take part, unless it is over already."""
        with self._lock:
            if self._closed:
                return
            self._helping += 1
        try:
            self.take()
        except BaseException as error:  # raised where the work was asked for
            self._error = error
        with self._lock:
            self._helping -= 1
            if self._closed and not self._helping:
                self._ended.release()

    def close(self) -> None:
        """Wait for those who are still at work."""
        with self._lock:
            self._closed = True
            waiting = self._helping > 0
        interruption: BaseException | None = None
        while waiting:
            # Come what may: they write to memory that is given back afterwards.
            try:
                self._ended.acquire()
                waiting = False
            except BaseException as error:  # whatever a signal raises
                interruption = error
        raised = interruption or self._error
        if raised is not None:
            raise raised


class _Pool:
    """Threads that wait for jobs."""

    def __init__(self, size: int) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._size = size
        for n in range(size):
            threading.Thread(target=self._serve, name=f"contractconv-{n}", daemon=True).start()

    def offer(self, job: _Job, helpers: int) -> None:
        """Ask so many threads to help."""
        for _ in range(helpers):
            self._jobs.put(job)

    def end(self) -> None:
        """Let every thread return when its job is done."""
        for _ in range(self._size):
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.help()
            del job  # it holds arrays


_lock = threading.Lock()
_wanted: int | None = None
_pool: _Pool | None = None
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
    global _wanted, _pool  # noqa: PLW0603 - they are settings of the process
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number is not None and (not whole or number < 1):
        raise ContractionError(f"the number of threads is a positive integer, not {number!r}")
    with _lock:
        _wanted = number
        if _pool is not None:
            # Its threads end with their work, and new ones start when they are needed.
            _pool.end()
        _pool = None


def get_num_threads() -> int:
    """How many threads may work on one contraction."""
    return _wanted or _processors()


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def in_parallel(work: Callable[[int], None], pieces: int) -> None:
    """Call ``work(0) ... work(pieces - 1)``, each once, on all threads; the caller takes part.

    Called from within a piece, or for a single piece, it works in the caller's thread alone.
    If a piece fails, no further ones are begun, and its error is raised when all have ended.
    """
    helpers = min(get_num_threads(), pieces) - 1
    if helpers < 1 or getattr(_inside, "busy", False):
        for piece in range(pieces):
            work(piece)
        return
    job = _Job(work, pieces)
    pool = _running()
    if pool is not None:
        pool.offer(job, helpers)
    try:
        job.take()
    finally:
        job.close()


@contextmanager
def alone() -> Iterator[None]:
    """Work in the caller's thread alone."""
    before = getattr(_inside, "busy", False)
    _inside.busy = True
    try:
        yield
    finally:
        _inside.busy = before


def _running() -> _Pool | None:
    """The pool; ``None`` if no thread can be started any more, as at the end of a process."""
    global _pool  # noqa: PLW0603 - it is started when first needed
    with _lock:
        if _pool is None:
            try:
                _pool = _Pool(get_num_threads() - 1)
            except RuntimeError:
                return None
        return _pool


def _after_fork() -> None:
    # A child has none of its parent's threads, and may have copied a lock that is held.
    global _lock, _pool, _inside
    _lock, _pool, _inside = threading.Lock(), None, threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
