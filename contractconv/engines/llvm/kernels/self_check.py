"""Whether kernels can run here: what a process is asked before the first one is made."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter

_GUARD = 7.0  # what no sum of the trial is
_PROT_READ, _PROT_EXEC = 1, 4


def may_execute() -> bool:
    """Whether this process may make memory executable, as a compiler does.

    LLVM does not ask: where it may not, it ends the process. So a page is tried of the same kind.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):
        return True
    try:
        with mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
            return _made_executable(page)
    except OSError:
        return False


def _made_executable(page: mmap.mmap) -> bool:
    start = ctypes.byref(ctypes.c_char.from_buffer(page))
    size = ctypes.c_size_t(len(page))
    done: int = ctypes.CDLL(None).mprotect(start, size, _PROT_READ | _PROT_EXEC)
    return done == 0


def write(e: Emitter) -> None:
    """A kernel that does what most do: ``out = x*y + x`` in all lanes, and then in some."""
    x, y, out, count = (e.argument(place) for place in range(4))
    e.store(e.multiply_add(e.load(x), e.load(y), e.load(x)), out)
    mask, after = e.first_lanes(count), out + e.number.bytes
    e.store(e.multiply_add(e.load(x, mask), e.load(y, mask), e.load(x, mask)), after, mask)


def holds(kernel: Callable[[int], None], lanes: int) -> bool:
    """Whether the kernel of :func:`write`, for so many lanes of float32, is right."""
    vector, both = ctypes.c_float * lanes, ctypes.c_float * (2 * lanes)
    x = vector(*range(1, lanes + 1))
    y = vector(*(3 - n for n in range(lanes)))
    out, count = both(*[_GUARD] * (2 * lanes)), lanes - 1
    table = (ctypes.c_int64 * 4)(*map(ctypes.addressof, (x, y, out)), count)
    kernel(ctypes.addressof(table))
    every = [a * b + a for a, b in zip(x, y, strict=True)]
    return [*out] == [*every, *every[:count], _GUARD]
