"""What is kept in memory for the next call, all of it in one register.

Small things (parsed strings, shapes, plans) are counted, by :func:`kept`. What holds tables or
code for one layout in memory is weighed, by :func:`weighed` and :class:`Shelf`: all of it together
has one budget of bytes, and what has not been used for longest is forgotten first.

Nothing takes a lock. A signal handler or a finaliser that contracts may come between any two
steps, and whoever holds a lock then would be waited for by those for whom he waits. Each step is
one that no other thread divides; only the sum of the bytes may go wrong, and is counted anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import lru_cache, wraps
from itertools import count
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast
from weakref import ref

# Bytes of all that is weighed.
BUDGET = 128 << 20
# What an entry takes beside the arrays that it holds.
_BESIDE = 1 << 11
# So many entries after which the bytes are counted anew.
_COUNTED_ANEW = 1 << 12

Given = ParamSpec("Given")
Made = TypeVar("Made")

_clearing: list[Callable[[], object]] = []


class Shelf(dict[Hashable, Any]):
    """Things by their keys, of which the oldest go when there is too much of everything.

    Copied, or pickled, it is empty: what is kept leads into memory.

    Attributes:
        numbers: under which number each of them is entered in the register.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[Hashable, int] = {}

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep something that takes so many bytes, unless it is there already."""
        _ledger.enter(self, key, value, size)

    def __reduce__(self) -> tuple[type[Shelf], tuple[()]]:
        """A copy, here or in another process, has to keep things of its own."""
        return Shelf, ()


class _Entry(NamedTuple):
    """On which shelf something lies, under which key, and how many bytes it takes."""

    shelf: ref[Shelf]
    key: Hashable
    size: int


class _Ledger:
    """What lies on which shelf, and how much it takes; the least recently used first.

    Entries have numbers, since comparing numbers takes no step in Python; comparing keys may.
    """

    def __init__(self) -> None:
        self.entries: OrderedDict[int, _Entry] = OrderedDict()
        self.total = 0
        self._numbers = count(1)

    def enter(self, shelf: Shelf, key: Hashable, value: Any, size: int) -> None:
        self._drop(shelf.numbers.pop(key, 0))
        if size + _BESIDE > BUDGET:
            return
        number = next(self._numbers)
        shelf[key] = value
        shelf.numbers[key] = number
        self.entries[number] = _Entry(ref(shelf), key, size + _BESIDE)
        self.total += size + _BESIDE
        if number % _COUNTED_ANEW == 0:
            self._count()
        if self.total > BUDGET:
            self._make_room()

    def used(self, shelf: Shelf, key: Hashable) -> None:
        try:  # noqa: SIM105 - whatever is looked up passes here, and a context takes longer
            self.entries.move_to_end(shelf.numbers[key])
        except KeyError:  # another thread has dropped it
            pass

    def clear(self) -> None:
        for number in list(self.entries):
            self._drop(number)
        self._count()

    def _count(self) -> None:
        # Two threads that add to the sum at once may have lost what one of them added.
        self.total = sum(entry.size for entry in list(self.entries.values()))

    def _make_room(self) -> None:
        """Forget what went with its shelf, and then the oldest: an eighth, so that it is seldom."""
        self._count()
        for number, entry in list(self.entries.items()):
            if entry.shelf() is None:
                self._drop(number)
        while self.total > BUDGET - BUDGET // 8:
            try:
                self._forget(self.entries.popitem(last=False)[1])
            except KeyError:  # others have dropped all of them
                return

    def _drop(self, number: int) -> None:
        entry = self.entries.pop(number, None)
        if entry is not None:
            self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        self.total -= entry.size
        shelf = entry.shelf()
        if shelf is not None:
            shelf.numbers.pop(entry.key, None)
            shelf.pop(entry.key, None)


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
            made: Made = shelf.get(given, shelf)
            if made is not shelf:
                _ledger.used(shelf, given)
                return made
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

    Nothing but time is lost: what is needed again is made again. What is on disk stays, and so
    does machine code, which other threads may be running.

    Example:
        >>> clear_caches()
    """
    for work in _clearing:
        work()
    _ledger.clear()
    _give_back()


def _give_back() -> None:
    """Let the system have what was freed, where the allocator would rather hold it (glibc's)."""
    import ctypes

    with suppress(AttributeError, TypeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
