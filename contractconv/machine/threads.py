"""How many threads may work on one contraction, and the helpers among them.

Helpers are lent to one caller at a time; whoever comes while they are busy works alone, and so
does a thread of our own. Nothing waits for its turn, so a contraction may begin while the same
thread is in the middle of another one: in a signal handler, or where an object is finalised.

Whoever is interrupted between two steps may lose the helpers that he has taken. They go home then,
and others are called.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import Any

from contractconv.errors import ContractionError
from contractconv.uninterrupted import begin, is_ours, undisturbed

Inbox = SimpleQueue[Callable[[], object] | None]


class Helpers:
    """Threads that wait for work; they go home when nobody knows of them any more.

    Attributes:
        inboxes: where each of them finds what to do.
        stand_in: where one more does who works in the caller's place while he waits. Where a thread
            is begun for that, the system may put it on the processor of another one.
        kept: what whoever has taken them keeps for the next one.

    Raises:
        RuntimeError: the system refuses to begin so many; then there are none.
    """

    def __init__(self, number: int) -> None:
        self.inboxes: list[Inbox] = []
        self.stand_in: Inbox = SimpleQueue()
        self.kept: Any = None
        self._begun: list[Inbox] = []
        self._gone: SimpleQueue[None] = SimpleQueue()
        try:
            for _ in range(number):
                self.inboxes.append(self._begin(SimpleQueue()))
            self._begin(self.stand_in)
        except BaseException:
            self.leave()
            raise

    def _begin(self, inbox: Inbox) -> Inbox:
        # Each knows its own queue, not this object, which would never be let go otherwise.
        begin(partial(_help, inbox, self._gone))
        self._begun.append(inbox)
        return inbox

    def __len__(self) -> int:
        return len(self.inboxes)

    def dismiss(self) -> None:
        """Send them home."""
        for inbox in self._begun:
            inbox.put(None)

    __del__ = dismiss

    def leave(self) -> None:
        """Send them home, and see that they have gone, unless they are busy for a long time."""
        self.dismiss()
        with suppress(Empty):
            for _ in self._begun:
                self._gone.get(timeout=1)


def _help(inbox: Inbox, gone: SimpleQueue[None]) -> None:
    while (task := inbox.get()) is not None:
        task()
        task = None  # what it has worked on is let go
    gone.put(None)


class Team:
    """So many threads: a caller's own, and helpers that are called when they are first needed.

    Args:
        number: how many; ``None`` means one for each processor.

    Attributes:
        number: the same.
        give: takes back the helpers that were taken.
    """

    def __init__(self, number: int | None) -> None:
        self.number = number
        self._idle: list[Helpers] = []
        # Nothing can come between what was taken and the list to which it is given back.
        self.give = self._idle.append
        self._known: weakref.ref[Helpers] | None = None
        self._lock = threading.Lock()
        self._refused = False

    @property
    def size(self) -> int:
        """How many threads there are."""
        return self.number or processors()

    def take(self) -> Helpers | None:
        """Take the helpers; ``None`` if there are none, or if others have taken them.

        Each step on the list is one that no other thread, and no interrupt, can divide.
        """
        if is_ours():
            return None
        helpers = self._free()
        if helpers is None and self._are_missing() and not (self._refused or _ending):
            self._call()
            helpers = self._free()
        return helpers

    def begin(self) -> None:
        """Call the helpers together, unless they have been.

        Raises:
            RuntimeError: the system refuses to begin so many threads.
        """
        with self._lock:
            if self._are_missing():
                helpers = Helpers(self.size - 1)
                self._known = weakref.ref(helpers)
                self._idle.append(helpers)

    def end(self) -> None:
        """Send all helpers home, and see that they have gone."""
        helpers = self._free()
        if helpers is not None:
            helpers.leave()

    def _free(self) -> Helpers | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _are_missing(self) -> bool:
        return self.size > 1 and (self._known is None or self._known() is None)

    def _call(self) -> None:
        try:
            undisturbed(self.begin)
        except RuntimeError:
            self._refused = True  # it is not asked again and again


_team = Team(None)
_ending = False  # whether the process is about to end


def team() -> Team:
    """The threads that may work on one contraction."""
    return _team


def set_num_threads(number: int | None) -> None:
    """Say how many threads may work on one contraction; ``None`` means one for each processor.

    Raises:
        ContractionError: the number is not a positive integer, or the system refuses to begin so
            many threads; the number is what it was before then.

    Example:
        >>> set_num_threads(2)
        >>> get_num_threads()
        2
        >>> set_num_threads(None)
    """
    global _team  # noqa: PLW0603 - it is a setting of the process
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number is not None and (not whole or number < 1):
        raise ContractionError(f"the number of threads is a positive integer, not {number!r}")
    if number == _team.number:
        return
    wanted = Team(number)
    if number is not None and not _ending:
        try:
            undisturbed(wanted.begin)
        except RuntimeError as error:
            raise ContractionError(
                f"the system does not begin {number} threads ({error}): "
                f"there are {get_num_threads()} as before"
            ) from None
    _team = wanted


def get_num_threads() -> int:
    """How many threads may work on one contraction."""
    return _team.size


@cache
def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _at_exit() -> None:
    # Others may still have work to do while the process ends: it is done without helpers.
    global _ending  # noqa: PLW0603
    _ending = True
    _team.end()


def _after_fork() -> None:
    # A child has none of its parent's threads, and may have copied a lock that is held.
    global _team  # noqa: PLW0603
    _team = Team(_team.number)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
