"""Lists of kernel calls that run in one go, without Python between them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contractconv.execution.crew import Job, together
from contractconv.execution.rooms import address, room
from contractconv.execution.threads import get_num_threads, in_parallel
from contractconv.execution.views import Array
from contractconv.kernels import copies, products, transforms
from contractconv.kernels.native import Native

# Numbers of a result from which on its pieces are handed out one by one.
_SHORT = 1 << 20
_WIDTH = max(products.ARGUMENTS, transforms.ARGUMENTS, copies.ARGUMENTS)


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

    @staticmethod
    def joined(parts: Iterable[Sequence]) -> Sequence:
        """One finished sequence after another, as one."""
        one, rows = Sequence(), 0
        found = list(parts)
        one.regions = sorted({region for part in found for region in part.regions})
        where, which = [], []
        for part in found:
            places = [one.regions.index(region) for region in part.regions]
            where.append(part._where + rows * _WIDTH)
            which.append(np.array(places, np.int64)[part._which])
            rows += len(part._table)
        one._functions = [function for part in found for function in part._functions]
        one._kept = [kept for part in found for kept in part._kept]
        one._table = np.concatenate([part._table for part in found])
        one._pointers = np.concatenate([part._pointers for part in found])
        one._where, one._which = np.concatenate(where), np.concatenate(which)
        return one

    def run(self, regions: Mapping[str, int]) -> None:
        """Call the kernels, the regions lying at these addresses."""
        self.job(regions).run()

    def job(self, regions: Mapping[str, int]) -> Job:
        """The calls, ready for any thread, with the regions lying at these addresses."""
        table = self._table.copy()
        if self.regions:
            bases = np.array([regions[name] for name in self.regions], np.int64)
            table.reshape(-1)[self._where] += bases[self._which]
        rows = address(table) + table.strides[0] * np.arange(len(table), dtype=np.int64)
        return Job(self._pointers, rows, table)


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


@dataclass(frozen=True, slots=True)
class Program:
    """Sequences on all threads, and the memory that they need.

    The regions of the operands are called as :meth:`run` is told, that of the result ``"out"``.
    Each thread has ``"scratch"`` and ``"trash"`` for itself; all share ``"shared"`` and
    ``"zeros"``.

    Attributes:
        stages: what has to be done, one list of pieces after the other.
        shared: bytes that all threads share.
        scratch: bytes that each thread needs for itself.
        blank: bytes of zeros that are read where there is no element.
        copies: how many results are summed at the end; more than one if threads share out what
            is summed: then the others are called ``"out1"``, ``"out2"``, ...
    """

    stages: tuple[tuple[Sequence, ...], ...]
    shared: int
    scratch: int
    blank: int
    copies: int
    shares: tuple[tuple[Sequence, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        threads = get_num_threads()
        shares = (
            tuple(Sequence.joined(stage[n::threads]) for n in range(min(threads, len(stage))))
            for stage in self.stages
        )
        object.__setattr__(self, "shares", tuple(shares))

    def run(self, operands: Mapping[str, Array], out: Array) -> None:
        """Write to ``out``, or add to it, as the sequences do."""
        # Like the result in memory too: the same offsets lead into all of them.
        extra = [np.zeros_like(out) for _ in range(self.copies - 1)]
        with room(self.shared) as common, room(self.blank) as zeros:
            zeros.fill(0)
            arrays = {"out": out, "shared": common, "zeros": zeros, **operands}
            arrays |= {f"out{n}": array for n, array in enumerate(extra, 1)}
            regions = {name: address(array) for name, array in arrays.items()}
            for stage, shares in zip(self.stages, self.shares, strict=True):
                # Short work is shared out beforehand, longer work as it goes.
                if out.size > _SHORT or not self._together(shares, regions):
                    self._run(stage, regions)
        # Other pieces of the result may not have been written yet: anything lies there.
        with np.errstate(invalid="ignore"):
            for array in extra:
                np.add(out, array, out=out)

    def _together(self, shares: tuple[Sequence, ...], regions: dict[str, int]) -> bool:
        """Each thread with its share, at once; whether there were threads for that."""
        if len(shares) < 2:
            return False
        with ExitStack() as stack:
            jobs = []
            for share in shares:
                place = address(stack.enter_context(room(self.scratch + self.blank)))
                jobs.append(share.job(regions | self._own(place)))
            return together(jobs)

    def _own(self, place: int) -> dict[str, int]:
        return {"scratch": place, "trash": place + self.scratch}

    def _run(self, stage: tuple[Sequence, ...], regions: dict[str, int]) -> None:
        def piece(which: int) -> None:
            with room(self.scratch + self.blank) as scratch:
                stage[which].run(regions | self._own(address(scratch)))

        in_parallel(piece, len(stage))
