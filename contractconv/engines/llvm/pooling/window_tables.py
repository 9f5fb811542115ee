"""The tables by which kernels walk through windows.

See :mod:`contractconv.engines.llvm.kernels.pooling_loops`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels import pooling_loops as kernel
from contractconv.engines.llvm.program import Calls
from contractconv.machine.work_sharing import evenly

# Ranges of the outer and of the middle loop.
Piece = tuple[range, range]
# Points of a piece of work that is worth handing over.
_WORTH = 1 << 16
# Up to so many taps are written out, one after the other.
_FEW_TAPS = 12


class Walk(NamedTuple):
    """What a kernel goes through.

    Attributes:
        runs: for every run of lanes of one class what its first one adds to the place, see
            :data:`kernel.RECORD`.
        lanes: how many lanes each run has.
        loops: the same for every round of the outer, the middle and the inner loop.
        along: bytes from lane to lane in each of the three arrays.
        classes: where the taps of each class begin, and where the last ones end.
        taps: what is known of the taps of each class, one class after the other.
    """

    runs: Array
    lanes: Array
    loops: tuple[Array, ...]
    along: Sequence[int]
    classes: Array
    taps: Array

    def known(self, form: kernel.Form, dtype: str) -> kernel.Form:
        """Let a kernel know how many lanes and taps there are, where few are always the same."""
        wide = form.vectors * native.number(dtype).lanes
        lanes = int(self.lanes.sum())
        alike = not self.runs[:, -1].any() and lanes <= wide
        taps = len(self.taps) if len(self.classes) == 2 else 0
        return replace(form, lanes=lanes if alike else 0, taps=taps if taps <= _FEW_TAPS else 0)

    def pieces(self, points: int, threads: int, whole: bool = False) -> tuple[Piece, ...]:
        """Cut the loops for the threads; the middle one stays ``whole`` if that is asked for."""
        outer, middle, _ = self.loops
        count = even(min(4 * threads, points // _WORTH), threads)
        across = evenly(len(outer), count)
        left = 1 if whole else -(-count // len(across))
        return tuple(product(across, evenly(len(middle), left)))

    def calls(
        self, function: native.Native, places: Mapping[int, Any], pieces: Iterable[Piece]
    ) -> list[Calls]:
        """The calls of a kernel for all pieces."""
        arguments = {**places, **self._arguments()}
        found = []
        for outer, middle in pieces:
            calls = Calls()
            bounds = {
                kernel.OUTER_START: outer.start, kernel.OUTER_STOP: outer.stop,
                kernel.MIDDLE_START: middle.start, kernel.MIDDLE_STOP: middle.stop,
            }  # fmt: skip
            calls.call(function, arguments | bounds)
            found.append(calls)
        return found

    def _arguments(self) -> dict[int, Any]:
        outer, middle, inner = self.loops
        along = {kernel.OPERAND_LANE + n: step for n, step in enumerate(self.along)}
        return along | {
            kernel.OUTER: outer,
            kernel.MIDDLE: middle,
            kernel.INNER: inner,
            kernel.INNER_STOP: len(inner),
            kernel.RUNS: np.ascontiguousarray(self.runs),
            kernel.RUNS_STOP: len(self.runs),
            kernel.LANES: self.lanes,
            kernel.CLASSES: self.classes,
            kernel.TAPS: self.taps,
        }


def even(pieces: int, threads: int) -> int:
    """So many pieces of work or some more, at least one, such that threads get as many each."""
    return -(-pieces // threads) * threads if pieces > 1 else 1


def nested(records: Iterable[Array]) -> Array:
    """For every combination of the rounds of loops what they add together, the last one fastest."""
    total = np.zeros((1, kernel.RECORD), np.int64)
    for record in records:
        total = (total[:, None] + record).reshape(-1, kernel.RECORD)
    return total
