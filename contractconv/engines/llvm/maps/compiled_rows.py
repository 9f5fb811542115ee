"""Loops over rows that kernels carry out, for arrays of some layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from contractconv.arrays.views import Array
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.maps.compiled_groups import (
    LONGEST,
    WORTH_COMPILING,
    CompiledMaps,
    knows,
)
from contractconv.engines.llvm.maps.layouts import Layout, Steps, contiguous
from contractconv.engines.llvm.maps.long_rows import LongRows
from contractconv.engines.llvm.maps.map_loops import REPEATED, UNIT
from contractconv.engines.llvm.maps.partial_sums import PartialSums
from contractconv.engines.llvm.maps.row_code import RowCode, row_code
from contractconv.engines.llvm.maps.row_kernels import WIDEST, row_kernel
from contractconv.engines.llvm.maps.straight_code import Translated, UnknownMapError
from contractconv.machine.memory import Native
from contractconv.planning.programs.fusion import Fused
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.programs.kinds import itemsize
from contractconv.programs.nodes import Node

Shape = tuple[int, ...]


def compiled_rows(loop: RowLoop, sizes: Shape, dtypes: Mapping[Node, str]) -> CompiledRows | None:
    """Make kernels carry out a loop over rows.

    Args:
        loop: the loop.
        sizes: the sizes of its axes.
        dtypes: the dtype of every node.

    Returns:
        ``None`` if there is little to do, no compiler, or something that it does not know.
    """
    if prod(sizes) < WORTH_COMPILING or not native.available():
        return None
    try:
        written, code = row_code(loop, sizes[-1], dtypes, knows)
    except UnknownMapError:
        return None
    return None if len(code.phases) > LONGEST else CompiledRows(written, code, loop, sizes)


class CompiledRows(CompiledMaps):
    """A loop over rows and its kernels."""

    def __init__(self, written: Translated, code: RowCode, loop: RowLoop, sizes: Shape) -> None:
        group = Fused((), loop.reads, loop.makes, loop.axes, loop.sums)
        super().__init__(written, group, loop.axes, sizes)
        self._rows = code
        self._sums = _RowParts(group, sizes, code)
        stored = zip(code.code.outputs, code.code.stored, strict=True)
        self._results = [
            (*contiguous(sizes[:-1], itemsize(dtype)), 0)
            if code.once[output]
            else contiguous(sizes, itemsize(dtype))
            for output, dtype in stored
        ]

    @property
    def beside(self) -> int:
        """Bytes that a run takes beside what it reads and makes: parts of its sums."""
        return self._parts()

    def _laid_out(self, steps: Sequence[Steps], itemsizes: Sequence[int]) -> LongRows:
        return LongRows(_row_by_row(self._sizes, steps))

    def _written(self) -> list[str]:
        once = (self._rows.once[output] for output in self._code.code.outputs)
        return [REPEATED if alone else UNIT for alone in once]

    def _pieces(self, layout: Layout, shares: int) -> int:
        return min(super()._pieces(layout, shares), prod(layout.sizes[:-1]))

    def _kernel(self, forms: tuple[str, ...]) -> Native:
        return row_kernel(self._rows, forms)


def _row_by_row(sizes: Shape, steps: Sequence[Steps]) -> Layout:
    """A layout whose last axis is the last one, whole."""
    outer = Layout.of(sizes[:-1], [one[:-1] for one in steps])
    along = ((*rest, one[-1]) for rest, one in zip(outer.steps, steps, strict=True))
    return Layout((*outer.sizes, sizes[-1]), tuple(along))


class _RowParts(PartialSums):
    """The sums of a loop over rows, and the room in which each piece keeps parts of a row."""

    def __init__(self, group: Fused, sizes: Shape, code: RowCode) -> None:
        super().__init__(group.sums, sizes, code.code.summed)
        self._dtypes.append(np.dtype(np.uint8))
        self._rooms.append(len(code.kept) * sizes[-1] * WIDEST + WIDEST)
        self.steps.append((0,) * len(sizes))

    def totals(self, parts: Sequence[Array]) -> list[Array]:
        """The sums, from their parts."""
        return super().totals(parts[:-1])
