"""Lists of kernel calls that run in one go, without Python between them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from contractconv.execution.rooms import address
from contractconv.execution.views import Array
from contractconv.kernels import products, transforms
from contractconv.kernels.native import Native

_WIDTH = max(products.ARGUMENTS, transforms.ARGUMENTS)


class Sequence:
    """Kernel calls in order, with addresses that are filled in when it runs.

    An argument is an integer, an array of offsets (which is kept alive), or a :class:`Place`:
    so many bytes into a region that :meth:`run` is told the address of.
    """

    def __init__(self) -> None:
        self._functions: list[Native] = []
        self._rows: list[dict[int, Any]] = []

    def call(self, function: Native, arguments: Mapping[int, Any]) -> None:
        """Append one call."""
        self._functions.append(function)
        self._rows.append(dict(arguments))

    def finish(self) -> Sequence:
        """Turn what was appended into tables; nothing can be appended afterwards."""
        self._table = np.zeros((len(self._rows), _WIDTH), np.int64)
        self._kept = []
        names: list[tuple[int, int, str]] = []
        for n, row in enumerate(self._rows):
            for column, value in row.items():
                if isinstance(value, Place):
                    names.append((n, column, value.region))
                    self._table[n, column] = value.offset
                elif isinstance(value, np.ndarray):
                    self._kept.append(value)
                    self._table[n, column] = address(value)
                else:
                    self._table[n, column] = value
        self.regions = sorted({region for _, _, region in names})
        self._where = np.array([n * _WIDTH + column for n, column, _ in names], np.int64)
        self._which = np.array([self.regions.index(r) for _, _, r in names], np.int64)
        pointers = [_pointer(function) for function in self._functions]
        self._pointers = np.array(pointers, np.int64)
        self._rows = []
        return self

    def run(self, regions: Mapping[str, int]) -> None:
        """Call the kernels, the regions lying at these addresses."""
        table = self._table.copy()
        if self.regions:
            bases = np.array([regions[name] for name in self.regions], np.int64)
            table.reshape(-1)[self._where] += bases[self._which]
        rows = address(table) + table.strides[0] * np.arange(len(table), dtype=np.int64)
        head = np.array([len(table), address(self._pointers), address(rows)], np.int64)
        transforms.sequencer()(address(head))


class Place:
    """So many bytes into a region of memory whose address is known later."""

    __slots__ = ("offset", "region")

    def __init__(self, region: str, offset: int = 0) -> None:
        self.region = region
        self.offset = offset


def _pointer(function: Native) -> int:
    place = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert place is not None
    return place


def offsets(*loops: tuple[int, int]) -> Array:
    """The bytes to add for every combination of loops (size, step), the last one fastest."""
    total = np.zeros((), np.int64)
    for size, step in loops:
        total = np.add.outer(total, np.arange(size, dtype=np.int64) * step)
    return np.ascontiguousarray(total).reshape(-1)
