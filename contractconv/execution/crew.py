"""Helpers that stay awake for a moment: short work is handed over without waking a thread.

Each helper is a thread that looks, in machine code and without Python's lock, for jobs in a table
of its own; after a while without any it sleeps, until it is woken.
"""

from __future__ import annotations

import atexit
import os
import threading
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from contractconv.execution.rooms import address
from contractconv.execution.threads import get_num_threads
from contractconv.execution.views import Array
from contractconv.kernels import crew as kernel
from contractconv.kernels import transforms

# How often a helper looks before it sleeps: about a millisecond.
_PATIENCE = 20_000


class Job(NamedTuple):
    """Kernel calls, one after the other.

    Attributes:
        functions: the addresses of the kernels.
        tables: the addresses of their arguments.
        kept: what must live until they are done.
    """

    functions: Array
    tables: Array
    kept: Array

    def run(self) -> None:
        """Carry it out in this thread."""
        head = np.array(
            [len(self.functions), address(self.functions), address(self.tables)], np.int64
        )
        transforms.sequencer()(address(head))


class _Crew:
    def __init__(self, helpers: int) -> None:
        self.size = helpers
        self._states = np.zeros((helpers, kernel.WORDS), np.int64)
        self._states[:, kernel.PATIENCE] = _PATIENCE
        self._asleep = [False] * helpers
        self._calls: list[SimpleQueue[bool]] = [SimpleQueue() for _ in range(helpers)]
        self._serve, self._give, self._wait = kernel.serve(), kernel.give(), kernel.wait()
        self._threads = [
            threading.Thread(target=self._help, args=(n,), name=f"helper-{n}", daemon=True)
            for n in range(helpers)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, jobs: list[Job]) -> None:
        """Carry out a job in this thread and the others in those of helpers, at the same time."""
        for n, job in enumerate(jobs[1:]):
            state = self._states[n]
            state[kernel.COUNT] = len(job.functions)
            state[kernel.FUNCTIONS], state[kernel.TABLES] = map(address, job[:2])
            self._give(address(state))
            if self._asleep[n]:
                self._asleep[n] = False
                self._calls[n].put(True)
        try:
            jobs[0].run()
        finally:
            self._finish(len(jobs) - 1)

    def _finish(self, helpers: int) -> None:
        """Wait for helpers, come what may: they work on memory that is given back afterwards."""
        interruption: BaseException | None = None
        for state in self._states[:helpers]:
            while state[kernel.GIVEN] != state[kernel.DONE]:
                try:
                    self._wait(address(state))
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
        state = self._states[n]
        while True:
            self._serve(address(state))
            # First say so, then look once more: whoever gives a job looks in the other order.
            self._asleep[n] = True
            if state[kernel.GIVEN] == state[kernel.DONE] and not self._calls[n].get():
                return
            self._asleep[n] = False


_lock = threading.Lock()
_crew: _Crew | None = None
_over = False  # whether the process is about to end


def together(jobs: list[Job]) -> bool:
    """Carry out jobs, each in a thread of its own; ``False`` if the helpers are busy elsewhere."""
    global _crew  # noqa: PLW0603 - it is called together when first needed
    if _over or not _lock.acquire(blocking=False):
        return False
    try:
        if _crew is not None and _crew.size != get_num_threads() - 1:
            _crew.end()
            _crew = None
        if _crew is None:
            _crew = _Crew(get_num_threads() - 1)
        if len(jobs) - 1 > _crew.size:
            return False
        _crew.run(jobs)
        return True
    finally:
        _lock.release()


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
