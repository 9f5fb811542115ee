"""The library that multiplies matrices for numpy, and how many threads it takes.

It has threads of its own. Where several of ours multiply at once, each of them shall do so alone:
two pools on the same processors wait for each other. And for a while behind each product its
threads stay awake, and take their processors from whatever comes next.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from contractconv.machine.memory import Table, code_of
from contractconv.uninterrupted import Turn

# Names in OpenBLAS: as numpy's wheels have it, then as systems build it; and what they are like
# where integers have 64 bits.
_FORMS = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
_LONG = "64_"
# What it says of itself where its threads are those of OpenMP, each of which has its own number.
_OPENMP = 2
# Products of matrices, by the dtype of their numbers.
_PRODUCTS = {"float32": "cblas_sgemm", "float64": "cblas_dgemm"}


# Bytes of a vector, by the processors for which OpenBLAS has products: those of x86.
_VECTORS = {
    **dict.fromkeys(("skylakex", "cooperlake", "sapphirerapids"), 64),
    **dict.fromkeys(("sandybridge", "haswell", "zen", "bulldozer", "piledriver"), 32),
    **dict.fromkeys(("steamroller", "excavator"), 32),
    **dict.fromkeys(("core2", "penryn", "dunnington", "nehalem", "barcelona", "bobcat"), 16),
}


class Product(NamedTuple):
    """What multiplies matrices.

    Attributes:
        function: takes what ``cblas_sgemm`` does.
        bits: of the integers that it takes.
    """

    function: Callable[..., object]
    bits: int


# What machine code reads and writes that lets products take one thread each: the functions that
# read and set their number; whose turn it is to do so; how many callers want it; what was found.
READ, SET, TURN, CALLERS, FOUND, GATE = range(6)


class _Pool(NamedTuple):
    """The functions that read and set the number of threads, name the processor, and multiply."""

    get: Callable[[], int]
    set: Callable[[int], object]
    core: Callable[[], bytes]
    products: Mapping[str, Product]


class _Callers:
    """Who multiplies alone at the moment; the last one to end restores what the first one found.

    Machine code counts its own callers, see :func:`gate`. Whoever finds one thread leaves that as
    it is, first and last: it may be the other's, who restores what was there before.
    """

    def __init__(self) -> None:
        self.turn = Turn()
        self.number = 0
        self.found = 1


_callers = _Callers()


@cache
def _pool() -> _Pool | None:
    """The pool of the library that numpy is linked to, if we know it."""
    module = importlib.util.find_spec("numpy._core._multiarray_umath")
    try:
        library = ctypes.CDLL(module.origin if module else None)
    except OSError:
        return None
    for form in _FORMS:
        if hasattr(library, form.format("set_num_threads")):
            get, set_, core = (
                library[form.format(name)]
                for name in ("get_num_threads", "set_num_threads", "get_corename")
            )
            core.restype = ctypes.c_char_p
            return _Pool(get, set_, core, _products(library, form))
    return None


def _products(library: ctypes.CDLL, form: str) -> dict[str, Product]:
    parallel = form.format("get_parallel")
    if not hasattr(library, parallel) or library[parallel]() == _OPENMP:
        return {}
    bits = 64 if form.endswith(_LONG) else 32
    names = {dtype: form.replace("openblas_{}", name) for dtype, name in _PRODUCTS.items()}
    return {d: Product(library[name], bits) for d, name in names.items() if hasattr(library, name)}


def available() -> bool:
    """Whether the number of threads can be set."""
    return _pool() is not None


def core() -> str:
    """The kind of processor that the library multiplies for, which need not be the one it is on."""
    pool = _pool()
    return "" if pool is None else pool.core().decode()


def vector_bytes() -> int | None:
    """How wide the vectors are that it multiplies with; ``None`` if that is unknown."""
    return _VECTORS.get(core().lower())


def product(dtype: str) -> Product | None:
    """What multiplies matrices of some numbers; ``None`` if that is unknown."""
    pool = _pool()
    return None if pool is None else pool.products.get(dtype)


@cache
def gate() -> Table | None:
    """What machine code needs for what :func:`single` does; ``None`` if that is unknown."""
    pool = _pool()
    if pool is None:
        return None
    table = Table((GATE,))
    table.numbers[READ], table.numbers[SET] = code_of(pool.get), code_of(pool.set)
    return table


@contextmanager
def single() -> Iterator[None]:
    """Let matrix products take one thread each, in the whole process; nothing if that is unknown.

    Only threads of our own do so, in which no signal raises: so the number is always set back.

    Example:
        >>> with single():
        ...     pass
    """
    pool = _pool()
    if pool is None:
        yield
        return
    counted = _begin(pool)
    try:
        yield
    finally:
        if counted:
            _end(pool)


def _begin(pool: _Pool) -> bool:
    """Let products take one thread, unless they do; whether this was possible."""
    # A child that is forked in between finds the number already, or not yet changed.
    with _callers.turn.taken() as came:
        if came:
            first = not _callers.number
            if first:
                _callers.found = pool.get()
            _callers.number += 1
            if first and _callers.found != 1:
                pool.set(1)
        return came


def _end(pool: _Pool) -> None:
    with _callers.turn.taken():
        # Whoever has set another number in the meantime wants that one.
        if _callers.number == 1 and _callers.found != 1 and pool.get() == 1:
            pool.set(_callers.found)
        _callers.number -= 1


def _after_fork() -> None:
    # A child has none of the callers, and may have copied a turn that somebody has.
    global _callers  # noqa: PLW0603 - it belongs to the process
    pool = _pool() if _callers.number else None
    if pool is not None and pool.get() == 1:
        pool.set(_callers.found)
    _callers = _Callers()
    _reopen_gate()


def _reopen_gate() -> None:
    pool, table = _pool(), gate()
    if pool is None or table is None:
        return
    if table.numbers[CALLERS] and pool.get() == 1:
        pool.set(int(table.numbers[FOUND]))
    table.numbers[TURN] = table.numbers[CALLERS] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
