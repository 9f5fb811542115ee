"""What is kept in memory for the next call, all of it in one register.

Small things (parsed strings, shapes, plans) are counted, by :func:`kept`. What holds tables or
code for one layout in memory is weighed, by :func:`weighed` and :class:`Shelf`: all of it together
has one budget of bytes, and what has not been used for longest is forgotten first.

Finding what is there takes no lock. Everything else does, one that its own thread may take again:
a signal handler may contract, too.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import lru_cache, wraps
from threading import RLock
from typing import Any, ParamSpec, TypeVar, cast
from weakref import ref

# Bytes of all that is weighed.
BUDGET = 128 << 20
# What an entry takes beside the arrays that it holds.
_BESIDE = 1 << 11

Given = ParamSpec("Given")
Made = TypeVar("Made")

_clearing: list[Callable[[], object]] = []


class Shelf(dict[Hashable, Any]):
    """Things by their keys, of which the oldest go when there is too much of everything."""

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep something that takes so many bytes, unless it is there already."""
        _ledger.enter(self, key, value, size)


class _Ledger:
    """What lies on which shelf, and how much it takes; the least recently used first."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.entries: OrderedDict[tuple[int, Hashable], tuple[ref[Shelf], int]] = OrderedDict()
        self.total = 0

    def enter(self, shelf: Shelf, key: Hashable, value: Any, size: int) -> None:
        with self.lock:
            self._drop((id(shelf), key))
            if size + _BESIDE > BUDGET:
                return
            self.entries[id(shelf), key] = ref(shelf), size + _BESIDE
            self.total += size + _BESIDE
            shelf[key] = value
            if self.total > BUDGET:
                self._make_room()

    def used(self, shelf: Shelf, key: Hashable) -> None:
        with suppress(KeyError):  # another thread has dropped it
            self.entries.move_to_end((id(shelf), key))

    def clear(self) -> None:
        with self.lock:
            for where in list(self.entries):
                self._drop(where)

    def _make_room(self) -> None:
        """Forget what went with its shelf, and then the oldest: an eighth, so that it is seldom."""
        for where, (shelf, _) in list(self.entries.items()):
            if shelf() is None:
                self._drop(where)
        while self.total > BUDGET - BUDGET // 8:
            self._drop(next(iter(self.entries)))

    def _drop(self, where: tuple[int, Hashable]) -> None:
        held = self.entries.pop(where, None)
        if held is not None:
            self.total -= held[1]
            shelf = held[0]()
            if shelf is not None:
                shelf.pop(where[1], None)


_ledger = _Ledger()


def kept(most: int) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Keep the last results of a function, so many of them.

    Example:
        >>> @kept(most=2)
        ... def square(n):
        ...     print("squaring", n)
        ...     return n * n
        >>> square(3), square(3)
        squaring 3
        (9, 9)
        >>> clear_caches()
        >>> square(3)
        squaring 3
        9
    """

    def decorated(function: Callable[Given, Made]) -> Callable[Given, Made]:
        cached = lru_cache(maxsize=most)(function)
        _clearing.append(cached.cache_clear)
        return cast("Callable[Given, Made]", cached)

    return decorated


def weighed(
    weigh: Callable[[Any], int],
) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Keep the results of a function of positional arguments as long as there is room for them.

    Args:
        weigh: how many bytes a result takes.

    Example:
        >>> @weighed(len)
        ... def zeros(n):
        ...     return bytes(n)
        >>> zeros(1000) is zeros(1000)
        True
        >>> zeros(BUDGET) is zeros(BUDGET)
        False
    """

    def decorated(function: Callable[Given, Made]) -> Callable[Given, Made]:
        shelf = Shelf()

        @wraps(function)
        def remembering(*given: Given.args, **named: Given.kwargs) -> Made:
            found = shelf.get(given, shelf)
            if found is not shelf:
                _ledger.used(shelf, given)
                return cast("Made", found)
            made = function(*given, **named)
            shelf.put(given, made, weigh(made))
            return made

        return remembering

    return decorated


def on_clearing(work: Callable[[], object]) -> None:
    """Let something else be done whenever caches are cleared."""
    _clearing.append(work)


def clear_caches() -> None:
    """Forget everything that is kept in memory for the next call.

    Nothing but time is lost: what is needed again is made again. What is on disk stays.

    Example:
        >>> clear_caches()
    """
    for work in _clearing:
        work()
    _ledger.clear()


def _after_fork() -> None:
    # Another thread of the parent may have held it.
    _ledger.lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
