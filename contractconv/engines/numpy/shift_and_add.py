"""Windows with few results: multiply first, then add shifted products.

Where a window ``y = i + k`` has fewer results than it reads channels, a matrix of all windows is
larger than all products::

    T[k, o, y] = Σ_c data[y, c] taps[k, c, o]        out[i, o] = Σ_k T[k, o, i + k]

The data are read as they lie, without copies of them and without padding; every tap adds one
shifted slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, product
from math import prod
from typing import NamedTuple

import numpy as np

from contractconv.arrays.index_boxes import Range, boxes, within
from contractconv.arrays.summation import TERMS, multiplied
from contractconv.arrays.views import Array, Labelled, Labels, operand_view, put
from contractconv.cache_register import kept
from contractconv.machine.work_sharing import carried_out, portions
from contractconv.notation.problem import Problem
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.roles import roles
from contractconv.planning.scatter_phases import Window, windows

# Products that are there at once, in all threads: 1 MiB of float32.
_MOST = 1 << 18
# Slices with shorter runs are laid out anew, such that they are longer.
_SHORT = 32
# Adding products takes time, too: there must be so many times fewer of them.
_GAIN = 4

Named = dict[str, int | slice]
Key = tuple[int | slice, ...]


class _Shift(NamedTuple):
    """A window along ``axis``: result ``i`` reads tap ``k`` at ``i + step*k + offset``."""

    axis: str
    result: str
    tap: str
    step: int
    offset: int


class _Layout(NamedTuple):
    """How a problem is carried out.

    Attributes:
        which: the operand with the windows; the other one has the taps.
        places: the axes of that operand on which they are.
        batch: the indices of both operands that are kept.
        rows: those of the data alone, without windows.
        columns: those of the taps that are kept.
        depth: those that are summed, without taps.
        sizes: of all indices, and of the windows' axes.
    """

    which: int
    shifts: tuple[_Shift, ...]
    places: tuple[int, ...]
    batch: Labels
    rows: Labels
    columns: Labels
    depth: Labels
    sizes: dict[str, int]

    def volume(self, *groups: Labels) -> int:
        """The points of some groups of indices, or axes."""
        return volume(chain(*groups), self.sizes)

    @property
    def axes(self) -> Labels:
        """The axes of the windows."""
        return tuple(shift.axis for shift in self.shifts)

    @property
    def taps(self) -> Labels:
        """The taps of the windows."""
        return tuple(shift.tap for shift in self.shifts)


def few_results(problem: Problem) -> bool:
    """Whether a leaf has windows, and multiplying before they are taken is worth its while."""
    return _layout(problem) is not None


def temporary_elements(problem: Problem) -> int:
    """The elements of all arrays that :func:`add_shifted` makes, at most, in one thread."""
    layout = _layout(problem)
    if layout is None:
        return 0
    taps = layout.volume(layout.taps, layout.columns)
    rows = layout.volume(layout.axes, layout.batch, layout.rows)
    # Products, the rows of data that they are made of, the taps as a matrix, and the sums.
    at_once = min(rows, max(1, _MOST // taps))
    kernel = taps * layout.volume(layout.depth, layout.batch)
    return at_once * (2 * taps + layout.volume(layout.depth)) + kernel


def add_shifted(
    problem: Problem, arrays: tuple[Array, Array], out: Labelled, accumulate: bool
) -> None:
    """Carry out a leaf with few results.

    Raises:
        ValueError: the leaf has none of the windows that this is for.
    """
    layout = _layout(problem)
    if layout is None:
        raise ValueError(f"'{problem}' has no windows with few results")
    _Shifted(problem, layout, arrays, out, accumulate).run()


@kept(most=512)
def _layout(problem: Problem) -> _Layout | None:
    found = windows(problem)
    if not found or any(window.role != "forward" for window in found):
        return None
    which = found[0].operand
    data, other = problem.operands[which], problem.operands[1 - which]
    shifts = tuple(_shift(problem, window) for window in found)
    places = tuple(window.axis for window in found)
    plain = [a.plain for n, a in enumerate(data) if n not in places]
    names = tuple(name for name in plain if name is not None)
    sizes = problem.extents | {s.axis: data[n].size for s, n in zip(shifts, places, strict=True)}
    whole = len(set(names)) == len(plain) and all(
        a.plain is None or problem.extents[a.plain] == a.size for a in data
    )
    # A window that jumps would throw most of the products away.
    if not whole or any(abs(dict(data[w.axis].terms)[w.result]) != 1 for w in found):
        return None
    taps = labels_of([other])
    batch, rows, columns, summed = roles(names, taps, problem.kept, dict.fromkeys((*names, *taps)))
    depth = tuple(n for n in names if n in summed)
    layout = _Layout(which, shifts, places, batch, rows, columns, depth, sizes)
    alone = {*summed} != {*depth, *layout.taps} or not {*depth} <= {*taps}
    return None if alone or not _is_worth_it(layout) else layout


def _is_worth_it(layout: _Layout) -> bool:
    """Whether there are fewer products than elements in all windows."""
    read = layout.volume(layout.depth, tuple(shift.result for shift in layout.shifts))
    made = layout.volume(layout.columns, layout.axes)
    return layout.volume(layout.taps) > 1 and _GAIN * made <= read


def _shift(problem: Problem, window: Window) -> _Shift:
    access = problem.operands[window.operand][window.axis]
    steps = dict(access.terms)
    step, offset = steps[window.tap], access.offset
    if steps[window.result] < 0:  # seen from the other end of the axis
        step, offset = -step, access.size - 1 - offset
    return _Shift(f"{window.result}+{window.tap}", window.result, window.tap, step, offset)


class _Shifted:
    """Multiplies rows of data by all taps, and adds the products where they belong."""

    def __init__(
        self,
        problem: Problem,
        layout: _Layout,
        arrays: tuple[Array, Array],
        out: Labelled,
        accumulate: bool,
    ) -> None:
        self.layout, self.out, self.accumulate = layout, out, accumulate
        self.data = _data(problem, layout, arrays[layout.which])
        self.kernel = operand_view(problem, 1 - layout.which, arrays[1 - layout.which])
        self.sizes = layout.sizes
        self.points = problem.points
        self.axes, self.free = self._order()
        # How products lie in memory, and what they are added to.
        self.multiplied = (*layout.batch, *layout.taps, *layout.columns, *self.free)
        results = {shift.axis: shift.result for shift in layout.shifts}
        self.made = (*layout.batch, *layout.columns, *(results.get(n, n) for n in self.free))
        self.results = out.sizes
        self.moves: dict[tuple[Range, ...], list[tuple[Key, Key]]] = {}

    def _order(self) -> tuple[Labels, Labels]:
        """The axes, and with them the rows, in the order in which products lie in memory."""
        known = {*self.layout.axes, *self.layout.rows}
        free = tuple(n for n in self.data.by_stride if n in known)
        axes = tuple(n for n in free if n in self.layout.axes)
        if self.sizes[axes[-1]] < _SHORT:
            free = (*axes, *(n for n in free if n not in axes))
        return axes, free

    def run(self) -> None:
        """Rows by rows, shared among threads."""
        labels = (*self.layout.batch, *self.layout.rows)
        shape = [self.sizes[n] for n in labels]
        most = min(self._most() // prod(self.sizes[n] for n in self.axes),
                   -(-prod(shape) // portions(self.points)))  # fmt: skip
        carried_out(self._run, list(boxes(shape, labels, max(1, most))), self.points)

    def _most(self) -> int:
        """How many elements of the data, in depth and batch one, are multiplied at once."""
        products = prod(self.sizes[n] for n in (*self.layout.taps, *self.layout.columns))
        # Where threads share the work, each of them has products of its own.
        most = _MOST if portions(self.points) == 1 else _MOST // 2
        return max(1, most // products)

    def _run(self, rows: Sequence[tuple[Range, ...]]) -> None:
        for box in rows:
            self._add(within(self.data, box), within(self.kernel, box), within(self.out, box))

    def _add(self, data: Labelled, kernel: Labelled, out: Labelled) -> None:
        layout = self.layout
        taps = kernel.matrix(layout.batch, (*layout.taps, *layout.columns), layout.depth)
        total = np.zeros([out.sizes[n] for n in self.made], out.array.dtype)
        most = max(1, self._most() // prod(data.sizes[n] for n in layout.rows))
        for box in boxes([data.sizes[n] for n in self.axes], self.axes, most):
            products = self._products(within(data, box), taps)
            moves = self._moves(box)
            for first in range(0, len(moves), TERMS):
                # Of many taps some are added by themselves, and then to the others.
                some = total if len(moves) <= TERMS else np.zeros_like(total)
                for here, there in moves[first : first + TERMS]:
                    view = some[there]
                    np.add(view, products[here], out=view)
                if some is not total:
                    np.add(total, some, out=total)
        put(total, out.arranged(self.made), self.accumulate)

    def _products(self, data: Labelled, taps: Array) -> Array:
        made = multiplied(taps, data.matrix(self.layout.batch, self.layout.depth, self.free))
        sizes = self.sizes | data.sizes
        return made.reshape([sizes[n] for n in self.multiplied])

    def _moves(self, box: tuple[Range, ...]) -> list[tuple[Key, Key]]:
        """For all taps what is added, of the products in a box, and to which results."""
        if box not in self.moves:
            ranges = {axis: (start, stop) for axis, start, stop in box}
            found = [
                _taps_of(s, self.sizes[s.tap], self.results[s.result],
                         *ranges.get(s.axis, (0, self.sizes[s.axis])))
                for s in self.layout.shifts
            ]  # fmt: skip
            self.moves[box] = [
                (_key(self.multiplied, here), _key(self.made, there))
                for here, there in map(_united, product(*found))
            ]
        return self.moves[box]


def _taps_of(
    shift: _Shift, taps: int, results: int, begin: int, end: int
) -> Iterator[tuple[Named, Named]]:
    """For each tap which elements, of those from ``begin`` to ``end``, are added to results."""
    for tap in range(taps):
        moved = shift.step * tap + shift.offset
        start, stop = max(0, begin - moved), min(results, end - moved)
        if start < stop:
            elements = slice(start + moved - begin, stop + moved - begin)
            yield {shift.tap: tap, shift.axis: elements}, {shift.result: slice(start, stop)}


def _united(parts: Sequence[tuple[Named, Named]]) -> tuple[Named, Named]:
    here = {name: at for part, _ in parts for name, at in part.items()}
    return here, {name: at for _, part in parts for name, at in part.items()}


def _key(labels: Labels, named: Named) -> Key:
    return tuple(named.get(name, slice(None)) for name in labels)


def _data(problem: Problem, layout: _Layout, array: Array) -> Labelled:
    """The data, each window's axis under its own name, in the direction of its results."""
    accesses = problem.operands[layout.which]
    names = dict(zip(layout.places, layout.axes, strict=True))
    labels = tuple(names.get(n, access.names[0]) for n, access in enumerate(accesses))
    view = Labelled(array, labels)
    for n, shift in zip(layout.places, layout.shifts, strict=True):
        if dict(accesses[n].terms)[shift.result] < 0:
            view = view.flipped(shift.axis)
    return view
