"""Work of numpy that several threads share: each takes a run of the parts.

numpy lets go of Python's lock while it computes, so that threads of Python do.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from contractconv.execution import blas
from contractconv.execution.threads import alone, get_num_threads, is_alone

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Part = TypeVar("Part")
Made = TypeVar("Made")

# Multiplications that are worth waking another thread.
WORTH = 1 << 24
# Threads that share one contraction: each has a block of its own, all of them a bounded memory.
_MOST = 8


class _Pool:
    """The helpers, which begin when they are first needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.size = 0
        self.helpers: ThreadPoolExecutor | None = None

    def called(self, size: int) -> ThreadPoolExecutor:
        """So many helpers, and no more."""
        from concurrent.futures import ThreadPoolExecutor  # it takes a while to import

        with self.lock:
            if self.helpers is None or self.size != size:
                if self.helpers is not None:
                    self.helpers.shutdown(wait=False)
                self.helpers, self.size = ThreadPoolExecutor(size, "numpy-helper"), size
            return self.helpers


_pool = _Pool()


def sharers(points: int) -> int:
    """How many threads share so many multiplications."""
    if is_alone() or points < WORTH or not blas.available():
        return 1
    return min(get_num_threads(), _MOST)


def portions(points: int) -> int:
    """Into how many parts so many multiplications are cut, however many threads share them."""
    if points < WORTH or not blas.available():
        return 1
    return _MOST if points >= 4 * WORTH else _MOST // 2


def carried_out(
    work: Callable[[Sequence[Part]], Made], parts: Sequence[Part], points: int
) -> list[Made]:
    """Do some work on all parts of so many multiplications, shared if that is worth it.

    What is shared is multiplied in one thread for each part, even if there is one for all of them:
    so the same parts give the same results, to the last bit, whoever takes them.

    Example:
        >>> carried_out(sum, range(6), points=6)
        [15]
    """
    if portions(points) == 1:
        return [work(parts)]
    with blas.single():
        return shared(work, parts, sharers(points))


def shared(
    work: Callable[[Sequence[Part]], Made], parts: Sequence[Part], threads: int
) -> list[Made]:
    """Do some work on all parts, in as many threads as share it.

    Args:
        work: what each thread does with its run of the parts.
        parts: what is shared, in runs of equal length.
        threads: how many threads share it.

    Returns:
        What the work returned for each run, in the order of the parts.

    Example:
        >>> shared(sum, range(6), 2)
        [3, 12]
    """
    runs = _runs(parts, threads)
    if len(runs) == 1:
        return [work(runs[0])]
    with blas.single():
        promised = _promised(work, runs[1:], threads - 1)
        kept = len(runs) - len(promised)
        try:
            made = [_apart(work, run) for run in runs[:kept]]
        finally:
            # Come what may: who calls uses the memory for other things afterwards.
            _wait(promised)
        return [*made, *(promise.result() for promise in promised)]


def _runs(parts: Sequence[Part], threads: int) -> list[Sequence[Part]]:
    count = max(1, min(threads, len(parts)))
    ends = [len(parts) * n // count for n in range(count + 1)]
    return [parts[ends[n] : ends[n + 1]] for n in range(count)]


def _promised(
    work: Callable[[Sequence[Part]], Made], runs: list[Sequence[Part]], helpers: int
) -> list[Future[Made]]:
    """Hand the last runs over to helpers; none, if no thread starts, as at a process's end."""
    promised: list[Future[Made]] = []
    try:
        pool = _pool.called(helpers)
        for run in reversed(runs):
            promised.insert(0, pool.submit(_apart, work, run))
    except RuntimeError:
        pass
    return promised


def _apart(work: Callable[[Sequence[Part]], Made], run: Sequence[Part]) -> Made:
    with alone():
        return work(run)


def _wait(promised: Sequence[Future[Any]]) -> None:
    for promise in promised:
        promise.exception()


def _after_fork() -> None:
    # A child has none of its parent's threads, and may have copied a lock that is held.
    global _pool  # noqa: PLW0603 - it belongs to the process
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
