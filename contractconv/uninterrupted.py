"""Threads of our own, in which no signal raises.

Whatever a signal handler raises, it raises in the main thread, between any two of its steps. What
must not be left half done is done in a thread of our own, while whoever asked for it waits: if he
is interrupted, it is finished without him.

Such threads are begun without the :mod:`threading` module, whose own locks an interrupted main
thread would leave held.
"""

from __future__ import annotations

import _imp
import _thread
import atexit
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import local
from types import FrameType
from typing import TypeVar

# Seconds that the end of a process waits for what nobody else waits for.
_PATIENCE = 60.0
# Seconds that somebody waits for his turn.
_TURN = 1.0
Made = TypeVar("Made")

_here = local()
_busy: dict[int, bool] = {}
_entered: set[str] = set()
# Packages whose modules we import when they are first needed.
_OURS = ("contractconv", "numpy", "opt_einsum", "sympy", "llvmlite")


def begin(work: Callable[[], object]) -> None:
    """Begin to do something in a thread of our own.

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
    # Nobody else could import what this thread is importing.
    if is_ours() or _is_importing():
        return work()
    answer: SimpleQueue[tuple[Made | None, BaseException | None]] = SimpleQueue()
    try:
        begin(lambda: answer.put(_finished(work)))
    except RuntimeError:  # then there is nobody else to do it
        return work()
    made, error = answer.get()
    if error is not None:
        raise error
    return made  # type: ignore[return-value]


def _finished(work: Callable[[], Made]) -> tuple[Made | None, BaseException | None]:
    me = _thread.get_ident()
    _busy[me] = True
    try:
        return work(), None
    except BaseException as error:
        return None, error
    finally:
        del _busy[me]


def _do(work: Callable[[], object]) -> None:
    _here.ours = True
    work()


class Turn:
    """A few steps that one thread of ours takes at a time, as far as that can be.

    Between any two steps objects may be finalised, and what a finaliser calls may come here again,
    or wait for somebody who waits here. So nobody waits for himself, and nobody for long: whoever
    has waited in vain is told so.
    """

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._holder = 0

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Take the turn, and give it back; whether it could be taken.

        Example:
            >>> turn = Turn()
            >>> with turn.taken() as came, turn.taken() as again:
            ...     print(came, again)
            True False
        """
        me = _thread.get_ident()
        if self._holder == me or not self._lock.acquire(timeout=_TURN):
            yield False
            return
        self._holder = me
        try:
            yield True
        finally:
            self._holder = 0
            self._lock.release()


def enter(module: str) -> None:
    """Import a module, so that no interrupt leaves it half done, and nobody meets it half done.

    Whoever imports from it afterwards finds it complete: in a signal handler, too, that contracts
    while the first contraction of the process is on its way.
    """
    if module not in _entered:
        undisturbed(lambda: __import__(module))
        _entered.add(module)


def _is_importing() -> bool:
    """Whether this thread is in the midst of importing something of ours."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load":
            name = frame.f_locals.get("name")
            if isinstance(name, str) and name.startswith(_OURS):
                return True
        frame = frame.f_back
    return False


def _let_imports_end() -> None:
    """Wait for what other threads are importing of ours, and let nobody begin.

    A child that is forked in the midst of it would wait for ever for the module to be complete.
    """
    own: set[str] = set()
    while True:
        _imp.acquire_lock()
        busy = [name for name in _half_done() if name not in own]
        if not busy:
            return
        _imp.release_lock()
        for name in busy:
            with suppress(Exception):
                __import__(name)
        # What is half done even now is being imported by this very thread.
        own.update(_half_done())


def _half_done() -> list[str]:
    modules = [
        (name, module) for name, module in tuple(sys.modules.items()) if name.startswith(_OURS)
    ]
    return [
        name
        for name, module in modules
        if getattr(getattr(module, "__spec__", None), "_initializing", False)
    ]


def _wait_for_the_last() -> None:
    """Let what was begun be finished: the compiler must not go while somebody is in it."""
    deadline = time.monotonic() + _PATIENCE
    while _busy and time.monotonic() < deadline:
        time.sleep(1e-3)


def hold_while_forking(acquire: Callable[[], object], release: Callable[[], object]) -> None:
    """Let nobody fork while another thread holds a lock that a child could not make anew."""

    def free() -> None:
        with suppress(RuntimeError):  # the process was about to be forked when this was registered
            release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=acquire, after_in_parent=free, after_in_child=free)


def _forget() -> None:
    # A child has none of its parent's threads.
    _busy.clear()


atexit.register(_wait_for_the_last)
hold_while_forking(_let_imports_end, _imp.release_lock)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
