"""The one pool of threads: helpers that stay awake for a moment, and then sleep.

Each helper is a thread that looks, in machine code and without Python's lock, for programs in a
table of its own; after a while without any it sleeps, until it is woken. One caller at a time has
helpers; whoever comes while they are busy works alone.
"""

from __future__ import annotations

import atexit
import os
import threading
from queue import SimpleQueue

import numpy as np

from contractconv.execution.memory import address
from contractconv.execution.threads import get_num_threads, is_alone
from contractconv.execution.views import Array
from contractconv.kernels import crew as kernel

# How often a helper looks before it sleeps: about a millisecond.
_PATIENCE = 20_000


class _Crew:
    def __init__(self, helpers: int) -> None:
        self.size = helpers
        self._tables = np.zeros((helpers, kernel.WORDS), np.int64)
        self._tables[:, kernel.PATIENCE] = _PATIENCE
        self._leader = np.zeros(kernel.LEADER, np.int64)
        self._places = address(self._tables), address(self._leader)
        self._asleep = [False] * helpers
        self._calls: list[SimpleQueue[bool]] = [SimpleQueue() for _ in range(helpers)]
        self._serve, self._lead, self._wait = kernel.serve(), kernel.lead(), kernel.wait()
        self._threads = [
            threading.Thread(target=self._help, args=(n,), name=f"helper-{n}", daemon=True)
            for n in range(helpers)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, heads: Array) -> None:
        """Carry out a program in this thread and those of helpers."""
        helpers = len(heads) - 1
        for n in range(helpers):
            if self._asleep[n]:
                self._asleep[n] = False
                self._calls[n].put(True)
        tables, leader = self._places
        self._leader[:] = helpers, tables, address(heads), heads.strides[0]
        try:
            self._lead(leader)
        finally:
            self._finish(helpers)

    def _finish(self, helpers: int) -> None:
        """Wait for helpers, come what may: they work on memory that is given back afterwards."""
        interruption: BaseException | None = None
        for table in self._tables[:helpers]:
            while table[kernel.LEFT] < table[kernel.BEGUN]:
                try:
                    self._wait(address(table))
                except BaseException as error:  # whatever a signal raises
                    interruption = error
        if interruption is not None:
            raise interruption

    def end(self) -> None:
        """Send all helpers home."""
        for call in self._calls:
            call.put(False)

    def leave(self) -> None:
        """Send them home, and see that they have gone: the code that they run is about to go."""
        self.end()
        for thread in self._threads:
            thread.join(timeout=1)

    def _help(self, n: int) -> None:
        table = self._tables[n]
        while True:
            self._serve(address(table))
            self._asleep[n] = True
            # Who gives a program looks whether its helper sleeps before giving it, so that one
            # that falls asleep in between misses it: then the caller does the work alone.
            if not self._calls[n].get():
                return
            self._asleep[n] = False


_lock = threading.Lock()
_crew: _Crew | None = None
_over = False  # whether the process is about to end


def carry_out(heads: Array) -> None:
    """Carry out a program, in as many threads as it has heads if helpers are free.

    Args:
        heads: the program as each thread sees it, a row for each; see
            :mod:`contractconv.kernels.crew`.
    """
    if len(heads) == 1 or _over or is_alone() or not _lock.acquire(blocking=False):
        kernel.perform()(address(heads))
        return
    try:
        crew = _called()
        if crew is None:
            kernel.perform()(address(heads))
        else:
            crew.run(heads[: crew.size + 1])
    finally:
        _lock.release()


def _called() -> _Crew | None:
    """The crew; ``None`` if no thread can be started any more, as at the end of a process."""
    global _crew  # noqa: PLW0603 - it is called together when first needed
    helpers = get_num_threads() - 1
    if _crew is not None and _crew.size != helpers:
        _crew.end()
        _crew = None
    if _crew is None and helpers:
        try:
            _crew = _Crew(helpers)
        except RuntimeError:
            return None
    return _crew


def _at_exit() -> None:
    # Others may still have work to do while the process ends: it is done without helpers.
    global _over  # noqa: PLW0603
    _over = True
    if _crew is not None:
        _crew.leave()


def _after_fork() -> None:
    # A child has none of its parent's threads, and may have copied a lock that is held.
    global _lock, _crew
    _lock, _crew = threading.Lock(), None


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
