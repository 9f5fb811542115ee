"""Threads of our own, in which no signal raises.

Whatever a signal handler raises, it raises in the main thread, between any two of its steps. What
must not be left half done is done in a thread of our own, while whoever asked for it waits: if he
is interrupted, it is finished without him.

Such threads are begun without the :mod:`threading` module, whose own locks an interrupted main
thread would leave held.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from queue import SimpleQueue
from threading import local
from typing import TypeVar

Made = TypeVar("Made")

_here = local()


def begin(work: Callable[[], object]) -> None:
    """Do something in a thread of our own, which is not waited for at the end of the process.

    Raises:
        RuntimeError: the system refuses, or the process is about to end.
    """
    _thread.start_new_thread(_do, (work,))


def is_ours() -> bool:
    """Whether this thread is one of ours: it works alone, and is not interrupted."""
    return getattr(_here, "ours", False)


def undisturbed(work: Callable[[], Made]) -> Made:
    """Do something in a thread of our own, and wait for it.

    Returns:
        What ``work`` returns; what it raises is raised.

    Example:
        >>> undisturbed(is_ours), is_ours()
        (True, False)
    """
    answer: SimpleQueue[tuple[Made | None, BaseException | None]] = SimpleQueue()
    if is_ours():
        return work()
    try:
        begin(lambda: answer.put(_outcome(work)))
    except RuntimeError:  # then there is nobody else to do it
        return work()
    made, error = answer.get()
    if error is not None:
        raise error
    return made  # type: ignore[return-value]


def _outcome(work: Callable[[], Made]) -> tuple[Made | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:
        return None, error


def _do(work: Callable[[], object]) -> None:
    _here.ours = True
    work()
