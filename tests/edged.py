"""Arrays beside memory that nobody may touch: what reads or writes too far ends the process."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np


class Edged:
    """An array at the end, or at the beginning, of memory behind which nobody may read or write."""

    def __init__(self, count: int, dtype: str, *, at_end: bool) -> None:
        page, size = mmap.PAGESIZE, count * np.dtype(dtype).itemsize
        inside = -(-size // page) * page or page
        self._pages = mmap.mmap(-1, inside + 2 * page)
        whole = np.frombuffer(self._pages, np.uint8)
        start = whole.ctypes.data
        for edge in (start, start + page + inside):
            done = ctypes.CDLL(None).mprotect(ctypes.c_void_p(edge), ctypes.c_size_t(page), 0)
            assert done == 0
        first = page + inside - size if at_end else page
        self.array = whole[first : first + size].view(dtype)
