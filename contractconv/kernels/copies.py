"""Copies between arrays of different strides, in squares that are turned in registers.

Of a copy two axes matter: the one along which numbers are neighbours where they come from, and the
one along which they are neighbours where they go. If both are the same, runs are copied; if not,
squares of both axes are turned. All other axes are tables of offsets.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from contractconv.kernels.native import Native, build

if TYPE_CHECKING:
    from contractconv.kernels.emitter import Emitter, Int

_next = count().__next__
# Places in the table of arguments.
SOURCE, TARGET = _next(), _next()
OUTER, OUTER_SOURCE, OUTER_TARGET = _next(), _next(), _next()
# Numbers along the target's axis and along the source's; bytes from one to the next on the other
# side (on their own side they are neighbours).
ALONG_TARGET, SOURCE_STEP = _next(), _next()
ALONG_SOURCE, TARGET_STEP = _next(), _next()
ARGUMENTS = _next()


@cache
def runs(dtype: str) -> Native:
    """The kernel that copies ``ALONG_TARGET`` neighbours for each entry of the tables."""
    return build(f"runs_{dtype}", dtype, lambda emitter: _Copies(emitter).write_runs(), "runs")


@cache
def squares(dtype: str) -> Native:
    """The kernel that turns a matrix for each entry of the tables."""
    return build(f"squares_{dtype}", dtype, lambda emitter: _Copies(emitter).write_squares(), "")


class _Copies:
    def __init__(self, emitter: Emitter) -> None:
        self.e = emitter
        self.arguments = [emitter.argument(place) for place in range(ARGUMENTS)]

    def _ends(self, entry: Int) -> tuple[Int, Int]:
        a, e = self.arguments, self.e
        source = a[SOURCE] + e.entry_of(a[OUTER_SOURCE], entry)
        return source, a[TARGET] + e.entry_of(a[OUTER_TARGET], entry)

    def write_runs(self) -> None:
        a, e, number = self.arguments, self.e, self.e.number
        whole = a[ALONG_TARGET] // number.lanes * number.lanes

        def run(entry: Int) -> None:
            source, target = self._ends(entry)

            def vector(n: Int) -> None:
                e.store(e.load(source + n * number.size), target + n * number.size)

            e.repeat(0, whole, vector, number.lanes)
            with e.builder.if_then(whole < a[ALONG_TARGET]):
                mask = e.first_lanes(a[ALONG_TARGET] - whole)
                rest = e.load(source + whole * number.size, mask)
                e.store(rest, target + whole * number.size, mask)

        e.repeat(0, a[OUTER], run)

    def write_squares(self) -> None:
        a, e, lanes = self.arguments, self.e, self.e.number.lanes

        def matrix(entry: Int) -> None:
            source, target = self._ends(entry)

            def row(r: Int) -> None:
                e.repeat(
                    0, a[ALONG_TARGET], lambda n: self._square(source, target, n, r), lanes
                )  # fmt: skip

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
            lambda: self._turn(source, target, None),
            lambda: self._turn(source, target, (high, wide)),
        )

    def _turn(self, source: Int, target: Int, sides: tuple[Int, Int] | None) -> None:
        a, e, lanes = self.arguments, self.e, self.e.number.lanes

        def mask(line: int, lines: int) -> object:
            """Of one line of the square: its lanes that exist, or none if it does not itself."""
            if sides is None:
                return None
            there = e.int(line) < sides[lines]
            return e.first_lanes(e.chosen(there, sides[1 - lines], e.int(0)))

        rows = [e.load(source + a[SOURCE_STEP] * n, mask(n, 0)) for n in range(lanes)]
        for r, vector in enumerate(e.turned(rows)):
            e.store(vector, target + a[TARGET_STEP] * r, mask(r, 1))
