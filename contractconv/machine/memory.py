"""Where arrays lie: addresses and their owners, lines of the cache, memory that is used again."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from sys import getrefcount
from typing import Any, TypeGuard
from weakref import WeakSet, finalize, ref

import numpy as np
from numpy.typing import NDArray

from contractconv.cache_register import on_clearing
from contractconv.machine.arena import Arena
from contractconv.machine.placement import LINE, Placement

Array = NDArray[Any]
# Machine code that takes the address of its arguments.
Native = Callable[[int], None]

# Bytes from which on nothing more is kept for the next call, and the least that are lent. It is
# used again because fresh pages cost more than what is computed in them.
_MOST, _LEAST = 32 << 20, 1 << 12
# Bytes of the smallest result that begins at a line of the cache.
LARGE = 1 << 12
_free: dict[int, list[Array]] = {}
on_clearing(_free.clear)
# All memory as words, none of which is read but where somebody knows what lies there.
_WORD = ctypes.sizeof(ctypes.c_void_p)
_all = (ctypes.c_byte * (sys.maxsize // _WORD * _WORD)).from_address(0)
_words = memoryview(_all).cast("B").cast("P")
# numpy's binary interface: the first field of an array, behind what all objects have, is the
# address of its first element. Asking for it in Python takes ten times as long.
_FIELD = object.__basicsize__


def address(array: Array) -> int:
    """Where the first element of an array lies."""
    return _words[(id(array) + _FIELD) // _WORD]


def _asked(array: Array) -> int:
    place: int = array.__array_interface__["data"][0]
    return place


def _agrees() -> bool:
    probes = (np.empty(3), np.empty((2, 5), np.float32)[1:, ::2], np.empty(0, np.int64))
    return all(address(probe) == _asked(probe) for probe in probes)


if not _agrees():  # another interpreter
    address = _asked


class Table:
    """Integers that machine code reads; where one is an address, the table owns what lies there.

    Whatever keeps an address for later keeps it in such a table.

    Attributes:
        numbers: the integers.
        address: where the first of them lies.

    Example:
        >>> table = Table((2,))
        >>> table.point(1, np.ones(3))
        >>> ctypes.c_double.from_address(int(table.numbers[1])).value
        1.0
    """

    __slots__ = ("_lent", "_owned", "_row", "address", "numbers")

    def __init__(self, shape: tuple[int, ...], numbers: Array | None = None) -> None:
        self.numbers = np.zeros(shape, np.int64) if numbers is None else numbers
        self.address = address(self.numbers)
        # A few integers are written one by one in a part of the time that numpy takes.
        alone = self.numbers.size == self.numbers.shape[-1]
        self._row = self.numbers.reshape(-1).data if alone else None
        self._owned: dict[int, Target] = {}
        self._lent: dict[int, Sequence[Target]] = {}

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next."""
        return self.numbers.strides[0]

    def point(self, place: Any, target: Target) -> None:
        """Let the integers at a place lead to something, which lives as long as the table."""
        self.numbers[place] = _place_of(target)
        self._owned[id(target)] = target

    def write(self, column: int, numbers: Sequence[int]) -> None:
        """Write integers to columns, from one on, of every row."""
        if self._row is None:
            self.numbers[..., column : column + len(numbers)] = numbers
            return
        for place, number in enumerate(numbers, column):
            self._row[place] = number

    def lend(self, column: int, targets: Sequence[Target]) -> None:
        """Let columns, from one on, lead to one target each until something else is lent."""
        self.write(column, addresses(targets))
        self._lent[column] = targets

    def scatter(self, places: Array, targets: Sequence[Target]) -> None:
        """Let integers at some places lead to one target each until something else is lent."""
        self.numbers[places] = addresses(targets)
        self._lent[-1] = targets

    def lend_alike(self, columns: range, target: Target, offset: int) -> None:
        """Let columns lead so many bytes into one target until another one is lent."""
        self.write(columns.start, [_place_of(target) + offset] * len(columns))
        self._lent[columns.start] = (target,)

    def let_go(self) -> None:
        """Do not own any more what was lent; the integers lead nowhere then."""
        self._lent.clear()

    def copy(self) -> Table:
        """A table that leads where this one leads for ever."""
        other = Table((), self.numbers.copy())
        other._owned = dict(self._owned)
        return other


Target = Array | Table | Native


def addresses(targets: Sequence[Target]) -> list[int]:
    """Where arrays, tables or functions begin."""
    # Nearly all of them are arrays.
    return [address(t) if type(t) is np.ndarray else _place_of(t) for t in targets]


def _place_of(target: Target) -> int:
    if isinstance(target, np.ndarray):
        return address(target)
    return target.address if isinstance(target, Table) else code_of(target)


def code_of(function: Callable[..., object]) -> int:
    """Where machine code begins."""
    place = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert place is not None
    return place


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A new array without values, which begins at a line of the cache unless it is small.

    numpy's own begin wherever the system's memory does, most often at a quarter of a line, where
    every vector that is read later lies on two lines.

    Example:
        >>> address(empty((100, 64), np.dtype(float))) % LINE
        0
    """
    return _laid_out(np.empty, shape, dtype)


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A new array of zeros, which begins at a line of the cache unless it is small."""
    return _laid_out(np.zeros, shape, dtype)


def _laid_out(make: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    size = prod(shape) * dtype.itemsize
    if size < LARGE:
        small: Array = make(shape, dtype)
        return small
    lender = _lending.lender
    if lender is None:
        raw = make(asked(size), np.uint8)
    else:
        raw = lender.array(asked(size), cleared=make is np.zeros)
    return np.ndarray(shape, dtype, raw, -address(raw) % LINE)


def asked(size: int) -> int:
    """How many bytes are asked for to lay out so many; none for what is small.

    Example:
        >>> asked(100), asked(10_000)
        (0, 10064)
    """
    return size + LINE if size >= LARGE else 0


def lines(size: int) -> int:
    """So many bytes, up to the end of a line of the cache.

    Example:
        >>> lines(0), lines(1), lines(64)
        (0, 64, 64)
    """
    return -(-size // LINE) * LINE


def lent(size: int) -> int:
    """How many bytes :func:`take` lends: up to a quarter more, so that few sizes have to be kept.

    Example:
        >>> lent(100), lent(9000), lent(1_000_000)
        (4096, 12288, 1048576)
    """
    step = max(_LEAST, 1 << size.bit_length() >> 3)
    return -(-size // step) * step


def take(size: int) -> Array:
    """Lend so many bytes, or some more; anything lies there."""
    planned = None if _lending.lender is None else _lending.lender.scratch(size)
    return spare(size) if planned is None else planned


def spare(size: int) -> Array:
    """Lend so many bytes, or some more, whatever was planned; anything lies there."""
    # Threads meet here: each step on a list is one that no other thread can divide.
    whole = lent(size)
    try:
        return _free[whole].pop()
    except (KeyError, IndexError):
        if sum(kept * len(arrays) for kept, arrays in tuple(_free.items())) > _MOST:
            _free.clear()
        return np.empty(whole, np.uint8)


def give(raw: Array) -> None:
    """Take back what was lent."""
    if raw.base is not None:  # it has its place in an arena
        return
    _free.setdefault(raw.size, []).append(raw)


class Pool:
    """Memory of arrays that are gone, for those that are made next.

    Who makes the same arrays again and again, as a program does, would spend as long on fresh pages
    as on what is computed in them. Arrays are made in it within :meth:`lending`, and what is left
    of them is given back by :meth:`give`. What was planned lies in arenas, one for each run.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[Array]] = {}
        self._arenas: list[Arena] = []
        self._taken = 0
        _pools.add(self)

    def take(self, size: int, cleared: bool = False) -> Array:
        """Lend so many bytes, or some more; anything lies there, unless they are cleared."""
        whole = lines(size)
        self._taken += whole
        raw = self._found(whole)
        if raw is None:
            return (np.zeros if cleared else np.empty)(whole, np.uint8)
        if cleared:
            raw[:size].fill(0)
        return raw

    def _found(self, size: int) -> Array | None:
        """The smallest free piece of so many bytes, and of no more than half as many beside."""
        fitting = sorted(n for n in tuple(self._free) if size <= n <= size * 3 // 2)
        for one in fitting:
            try:
                return self._free[one].pop()
            except (KeyError, IndexError):  # another thread came first, or there is none
                continue
        return None

    def give(self, array: Any) -> None:
        """Take the memory of an array back that was just taken out of where it was.

        Where something else leads to the array, or into its memory as a view does, it stays there.
        """
        raw = getattr(array, "base", None)
        # To the memory leads the array itself.
        if _is_lent(raw) and _references(array) <= _PASSED and _references(raw) <= _ALONE + 1:
            self._free.setdefault(raw.size, []).append(raw)

    def watch(self, array: Array) -> None:
        """Take the memory of an array back when it goes, whoever has it."""
        raw = array.base
        if _is_lent(raw):
            finalize(array, _returned, ref(self), raw).atexit = False

    @contextmanager
    def lending(self, placement: Placement | None = None, keeps: bool = True) -> Iterator[Lender]:
        """Make large arrays in this memory, those of a placement at their places.

        Args:
            placement: the places of arrays that are known beforehand.
            keeps: whether memory comes from here at all; if not, every array has its own.
        """
        before = _lending.lender
        self._taken = 0 if placement is None else placement.size
        arena = None if placement is None or not placement.places else self._arena(placement)
        _lending.lender = lender = Lender(self if keeps else None, arena)
        try:
            yield lender
            if arena is not None and not arena.spoiled:
                self._arenas.append(arena)
        finally:
            _lending.lender = before
            # Other arrays than those of the last time leave what nobody will ask for.
            if self._kept() > 2 * self._taken + _MOST:
                self.clear()

    def _arena(self, placement: Placement) -> Arena:
        """An arena of a placement: the same as last time, or in memory of about its size."""
        try:
            arena = self._arenas.pop()
        except IndexError:
            return Arena(placement)
        if arena.placement is placement:
            return arena
        fits = placement.size + LINE <= arena.raw.size <= placement.size * 3 // 2
        return Arena(placement, arena.raw if fits else None)

    def _kept(self) -> int:
        """Bytes that are free."""
        free = sum(size * len(arrays) for size, arrays in tuple(self._free.items()))
        return free + sum(arena.raw.size for arena in tuple(self._arenas))

    def clear(self) -> None:
        """Let go of everything."""
        self._free.clear()
        self._arenas.clear()


class Lender:
    """What lends memory to one run: an arena what was planned, and a pool the rest.

    Args:
        pool: the pool; if there is none, memory is the system's, which nobody keeps.
        arena: the arena, if something was planned.

    Attributes:
        begin: lends what was planned for the step of some number from now on.
        end: tells that a step is over, so that what was planned until then is free.
    """

    __slots__ = ("_arena", "_pool", "begin", "end")

    def __init__(self, pool: Pool | None, arena: Arena | None) -> None:
        self._pool, self._arena = pool, arena
        self.begin: Callable[[int], None] = _nothing if arena is None else arena.begin
        self.end: Callable[[int], None] = _nothing if arena is None else arena.end

    @property
    def takes_back(self) -> bool:
        """Whether the pool has lent an array that is gone before the run is over."""
        return self._arena is not None and self._arena.astray

    def array(self, size: int, cleared: bool) -> Array:
        """Memory of an array, cleared if it has to be."""
        if self._pool is None:
            return (np.zeros if cleared else np.empty)(size, np.uint8)
        raw = None if self._arena is None else self._arena.lent(size, scratch=False)
        if raw is None:
            return self._pool.take(size, cleared)
        if cleared:
            raw.fill(0)
        return raw

    def scratch(self, size: int) -> Array | None:
        """Memory that is no array, if it was planned, or is not to be kept."""
        if self._pool is None:
            return np.frombuffer(np.empty(size, np.uint8).data, np.uint8)
        return None if self._arena is None else self._arena.lent(size, scratch=True)


def _nothing(step: int) -> None:
    """Nothing was planned."""


def _is_lent(raw: Any) -> TypeGuard[Array]:
    """Whether something is memory that lies behind an array."""
    return type(raw) is np.ndarray and raw.dtype == np.uint8 and raw.ndim == 1


def _returned(pool: ref[Pool], raw: Array) -> None:
    lender = pool()
    # The array that goes still leads to it.
    if lender is not None and _references(raw) <= _ALONE + 1:
        lender._free.setdefault(raw.size, []).append(raw)


def _references(array: Any) -> int:
    return getrefcount(array)


def _passed(array: Any) -> int:
    """How many references there are to an argument that nobody else holds."""
    return _references(array)


def _alone() -> int:
    """How many references there are to an array that one variable holds."""
    raw = np.empty(0, np.uint8)
    return _references(raw)


class _Lending(threading.local):
    """From which memory large arrays are made, in this thread."""

    lender: Lender | None = None


_ALONE = _alone()
_PASSED = _passed({0: np.empty(0, np.uint8)}.pop(0))
_lending = _Lending()
_pools: WeakSet[Pool] = WeakSet()


def _clear_pools() -> None:
    for pool in tuple(_pools):
        pool.clear()


on_clearing(_clear_pools)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free.clear)
