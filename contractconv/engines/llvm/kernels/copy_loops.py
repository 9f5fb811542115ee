"""Copies between arrays of different strides, in squares that are turned in registers.

Of a copy two axes matter: the one along which numbers are neighbours where they come from, and the
one along which they are neighbours where they go. If both are the same, runs are copied; if not,
squares of both axes are turned. Neighbours on one side that are a few numbers apart on the other
are shuffled into vectors; runs that are short come one after the other along one more axis. All
other axes are tables of offsets.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING

from contractconv.engines.llvm.kernels.epilogue_code import RAW, Finish, finished
from contractconv.engines.llvm.kernels.native import Native, build

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector

_next = count().__next__
# Places in the table of arguments.
SOURCE, TARGET = _next(), _next()
OUTER, OUTER_SOURCE, OUTER_TARGET = _next(), _next(), _next()
# Numbers along the target's axis and along the source's; bytes from one to the next on the other
# side (on their own side they are neighbours).
ALONG_TARGET, SOURCE_STEP = _next(), _next()
ALONG_SOURCE, TARGET_STEP = _next(), _next()
BIAS = _next()  # the address of one number for each along the target's axis, if they are finished
ARGUMENTS = _next()
# Memory is asked for so many entries of the tables ahead, where runs are short.
_AHEAD = 4


@cache
def kernel(
    dtype: str, how: str, adding: bool = False, finish: Finish = RAW, apart: int = 1
) -> Native:
    """One of the kernels.

    Args:
        how: ``"runs"`` for neighbours on both sides, ``"short runs"`` for a few of them each,
            ``"squares"`` for neighbours along different axes, ``"spread"`` and ``"thinned"`` for
            numbers that are neighbours only in the source, or only in the target, ``"points"`` for
            numbers one by one, ``"zeros"`` for a source of zeros.
        adding: whether numbers are added to the target.
        finish: what is done to them before they are stored, in runs and in squares.
        apart: how many numbers lie from one to the next on the side where they are no neighbours,
            if they are spread or thinned; how many neighbours there are, if runs are short.
    """
    form = f"{how.replace(' ', '_')}{apart if apart > 1 else ''}{finish.name}"
    name = f"{'add' if adding else 'copy'}_{form}_{dtype}"

    def write(emitter: Emitter) -> None:
        copies = _Copies(emitter, adding, finish, apart)
        writers = {
            "runs": copies.runs, "squares": copies.squares, "points": copies.points,
            "spread": copies.spread, "thinned": copies.thinned, "zeros": copies.zeros,
            "short runs": copies.short_runs,
        }  # fmt: skip
        writers[how]()

    return build(name, dtype, write, (how, adding, finish, apart))


class _Copies:
    """Writes the loops of one copy."""

    def __init__(self, emitter: Emitter, adding: bool, finish: Finish, apart: int) -> None:
        self.e = emitter
        self.adding, self.apart = adding, apart
        self.finish = finish
        self.arguments = [emitter.argument(place) for place in range(ARGUMENTS)]

    def _ends(self, entry: Int) -> tuple[Int, Int]:
        a, e = self.arguments, self.e
        source = a[SOURCE] + e.entry_of(a[OUTER_SOURCE], entry)
        return source, a[TARGET] + e.entry_of(a[OUTER_TARGET], entry)

    def _put(self, vector: Vector, address: Int, place: Int, mask: object = None) -> None:
        """Write a vector, the first number of which is the ``place``-th along the target's axis."""
        self.e.store(self._ended(vector, address, place, mask), address, mask)

    def _ended(self, vector: Vector, address: Int, place: Int, mask: object) -> Vector:
        """What is written instead: with what is there, or finished."""
        e = self.e
        if self.adding:
            vector = vector + e.load(address, mask)
        bias = self.arguments[BIAS] + place * e.number.size
        return finished(e, self.finish, vector, bias, mask)

    def runs(self) -> None:
        """Neighbours on both sides."""
        self._lines(lambda source, some: self.e.load(source, self.e.mask(some)))

    def short_runs(self) -> None:
        """A few neighbours on both sides, again and again along one axis: no loop, no masks."""
        a, e = self.arguments, self.e

        def line(entry: Int) -> None:
            source, target = self._ends(entry)
            # Runs of the next entries may lie in other pages, which are not fetched by themselves.
            soon, _ = self._ends((entry + _AHEAD).least(a[OUTER] - 1))

            def run(n: Int) -> None:
                e.prefetch(soon + n * a[SOURCE_STEP])
                some = e.neighbours(source + n * a[SOURCE_STEP], self.apart)
                e.store(some, target + n * a[TARGET_STEP])

            e.repeat(0, a[ALONG_TARGET], run)

        e.repeat(0, a[OUTER], line)

    def zeros(self) -> None:
        """No source at all."""
        self._lines(lambda source, some: self.e.zero())

    def _lines(self, read: Callable[[Int, Int | None], Vector], apart: int = 1) -> None:
        """Neighbours where they go, from numbers so far apart."""
        e, size = self.e, self.e.number.size

        def vector(source: Int, target: Int, n: Int, some: Int | None) -> None:
            found = read(source + n * (apart * size), some)
            self._put(found, target + n * size, n, e.mask(some))

        self._vectors(vector)

    def _vectors(self, work: Callable[[Int, Int, Int, Int | None], None]) -> None:
        """Each vector of each line: the ends of the line, its place, and its numbers if few."""
        a, e = self.arguments, self.e

        def line(entry: Int) -> None:
            e.lines(a[ALONG_TARGET], partial(work, *self._ends(entry)), again=not self.adding)

        e.repeat(0, a[OUTER], line)

    def points(self) -> None:
        """Numbers one by one, along one axis."""
        a, e = self.arguments, self.e
        first = e.first_lanes(e.whole(1))

        def line(entry: Int) -> None:
            source, target = self._ends(entry)

            def point(n: Int) -> None:
                where = target + n * a[TARGET_STEP]
                number = e.broadcast(source + n * a[SOURCE_STEP])
                e.put_first(self._ended(number, where, n, first), where)

            e.repeat(0, a[ALONG_TARGET], point)

        e.repeat(0, a[OUTER], line)

    def thinned(self) -> None:
        """Numbers that are a few apart become neighbours."""
        self._lines(self._gathered, self.apart)

    def _gathered(self, source: Int, count: Int | None) -> Vector:
        """Numbers that are a few apart; nothing behind the last of them is read."""
        e, lanes, apart = self.e, self.e.number.lanes, self.apart
        found = e.zero()
        for part in range(apart):
            mask = e.lanes_where([part * lanes + n <= (lanes - 1) * apart for n in range(lanes)])
            if count is not None:
                mask = e.first_lanes((count - 1) * apart + (1 - part * lanes))
            vector = e.load(source + part * e.number.bytes, mask)
            places = [n * apart - part * lanes for n in range(lanes)]
            order = [lanes + p if 0 <= p < lanes else n for n, p in enumerate(places)]
            found = e.shuffled(found, vector, order)
        return found

    def spread(self) -> None:
        """Neighbours are written a few numbers apart; what lies between them stays as it is."""
        e, size = self.e, self.e.number.size

        def vector(source: Int, target: Int, n: Int, some: Int | None) -> None:
            read = e.load(source + n * size, e.mask(some))
            self._put_apart(read, target + n * (self.apart * size), n, some)

        self._vectors(vector)

    def _put_apart(self, vector: Vector, address: Int, place: Int, count: Int | None) -> None:
        e, lanes, apart = self.e, self.e.number.lanes, self.apart
        for part in range(apart):
            places = range(part * lanes, (part + 1) * lanes)
            mask = e.lanes_where([n % apart == 0 for n in places])
            if count is not None:
                mask = e.builder.and_(mask, e.first_lanes(count * apart - part * lanes))
            moved = e.shuffled(vector, vector, [n // apart for n in places])
            self._put(moved, address + part * e.number.bytes, place, mask)

    def squares(self) -> None:
        """Neighbours along one axis where they come from, along another where they go."""
        a, e, lanes = self.arguments, self.e, self.e.number.lanes

        def matrix(entry: Int) -> None:
            source, target = self._ends(entry)

            def row(r: Int) -> None:
                e.repeat(0, a[ALONG_TARGET], lambda n: self._square(source, target, n, r), lanes)

            e.repeat(0, a[ALONG_SOURCE], row, lanes)

        e.repeat(0, a[OUTER], matrix)

    def _square(self, source: Int, target: Int, n: Int, r: Int) -> None:
        a, e, number = self.arguments, self.e, self.e.number
        source = source + n * a[SOURCE_STEP] + r * number.size
        target = target + n * number.size + r * a[TARGET_STEP]
        high, wide = a[ALONG_TARGET] - n, a[ALONG_SOURCE] - r
        full = e.builder.and_(high >= number.lanes, wide >= number.lanes)
        e.when(
            full,
            lambda: self._turn(source, target, n, None),
            lambda: self._turn(source, target, n, (high, wide)),
        )

    def _turn(self, source: Int, target: Int, n: Int, sides: tuple[Int, Int] | None) -> None:
        a, e, lanes = self.arguments, self.e, self.e.number.lanes

        high, wide = sides or (None, None)
        read, written = e.mask(wide), e.mask(high)
        lines = [a[SOURCE_STEP] * line for line in range(lanes)]
        if high is not None:
            # Of a line that does not exist the first one is read: masks without lanes are slow.
            lines = [e.chosen(e.whole(m) < high, line, e.whole(0)) for m, line in enumerate(lines)]
        rows = [e.load(source + line, read) for line in lines]
        for r, vector in enumerate(e.turned(rows)):
            there = nullcontext() if wide is None else e.builder.if_then(e.whole(r) < wide)
            with there:
                self._put(vector, target + a[TARGET_STEP] * r, n, written)
