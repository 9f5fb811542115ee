"""Pooling: sums and extrema over windows.

Lanes run along one index of the result. Results near a boundary have fewer taps than others; those
with the same taps are of one *class*, and a table lists the taps of every class one after the
other. Gradients (:mod:`contractconv.engines.llvm.kernels.pooling_vjp_loops`) go the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from contractconv.engines.llvm.kernels.epilogue_code import Finish, finished
from contractconv.engines.llvm.kernels.native import Native, build

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int, Vector

_next = count().__next__
# Places in the table of arguments. First the addresses of three arrays, what is read, what is
# written, and a gradient beside them; then bytes from lane to lane.
OPERAND, RESULT, BESIDE = _next(), _next(), _next()
OPERAND_LANE, RESULT_LANE, BESIDE_LANE = _next(), _next(), _next()
# Tables of records for the loops, the last one over runs of lanes of one class.
OUTER, OUTER_START, OUTER_STOP = _next(), _next(), _next()
MIDDLE, MIDDLE_START, MIDDLE_STOP = _next(), _next(), _next()
INNER, INNER_STOP = _next(), _next()
RUNS, RUNS_STOP, LANES = _next(), _next(), _next()
# Where the taps of each class begin, and the taps.
CLASSES, TAPS = _next(), _next()
# The address of the number by which sums are divided, or cotangents multiplied.
SCALE = _next()
ARGUMENTS = _next()
# What a round of a loop adds to its place: bytes in all three arrays, and to the class.
RECORD = 4
# What is known of a tap: bytes from a place in the operand and beside it, and a number of its own.
TAP = 3
# Taps that are reduced by themselves: sums of sums round less than long sums, and sums of these
# less still.
_CHUNK, _BLOCK = 64, 4096
# Bytes. Processors look ahead by themselves, but not beyond the end of a page.
_AHEAD = 4096
# By the ufunc that merges contributions: what nothing makes, and how an extreme compares with what
# it replaces.
LOOPS = {"add": (0.0, ""), "maximum": (-inf, ">"), "minimum": (inf, "<")}


@dataclass(frozen=True, slots=True)
class Form:
    """What is decided when a kernel is written.

    Attributes:
        combine: how contributions are merged, one of :data:`LOOPS`.
        vectors: how many vectors are worked on together.
        step: how many numbers of the operand lie from one lane to the next; 0 if only the table
            of arguments says it, and then ``vectors`` is 1.
        contiguous: whether lanes of the result (or of its cotangent) are neighbours.
        divided: whether results are divided by a number at the end.
        rectified: whether what is negative becomes zero then.
        past_cache: whether results are so large that they are written past the cache; then they
            are neighbours, and vectors of them begin at multiples of their size.
        lanes: how many lanes there are, if all of them are worked on together; otherwise 0.
        taps: how many taps every result has, if they are few and the same; otherwise 0.
    """

    combine: str
    vectors: int
    step: int
    contiguous: bool
    divided: bool = False
    rectified: bool = False
    past_cache: bool = False
    lanes: int = 0
    taps: int = 0

    @property
    def beyond(self) -> str:
        """How an extremum compares with what it replaces; nothing for a sum."""
        return LOOPS[self.combine][1]


@cache
def pooling(dtype: str, form: Form) -> Native:
    """The kernel that reduces windows."""
    ends = "d" * form.divided + "r" * form.rectified
    name = f"pool_{form.combine}{ends}_{form.vectors}by{form.step}_{dtype}"
    return build(name, dtype, lambda emitter: _Pooling(emitter, form).write(), form)


class Walk:
    """Goes through the results, some vectors at a time.

    A place is four integers: addresses in the three arrays, and the class.
    """

    def __init__(self, emitter: Emitter, form: Form) -> None:
        self.e = emitter
        self.form = form
        self.arguments = [emitter.argument(place) for place in range(ARGUMENTS)]

    def write(self) -> None:
        """Write the loops."""
        a, e = self.arguments, self.e
        start = [a[OPERAND], a[RESULT], a[BESIDE], e.whole(0)]

        def outer(n: Int) -> None:
            place = self._moved(start, OUTER, n)
            e.repeat(a[MIDDLE_START], a[MIDDLE_STOP], lambda m: middle(place, m))

        def middle(place: list[Int], n: Int) -> None:
            place = self._moved(place, MIDDLE, n)
            e.repeat(0, a[INNER_STOP], lambda m: inner(self._moved(place, INNER, m)))

        def inner(place: list[Int]) -> None:
            if self.form.lanes:
                self.tile(place, self._counts())
            else:
                e.repeat(0, a[RUNS_STOP], lambda n: self._run(self._moved(place, RUNS, n), n))

        e.repeat(a[OUTER_START], a[OUTER_STOP], outer)

    def _moved(self, place: Sequence[Int], loop: int, which: Int) -> list[Int]:
        records, first = self.arguments[loop], which * RECORD
        return [p + self.e.entry_of(records, first + n) for n, p in enumerate(place)]

    def _counts(self) -> list[Int | None]:
        """The lanes of each vector, if they are known; ``None`` for all."""
        lanes = self.e.number.lanes
        rest = self.form.lanes - lanes * (self.form.vectors - 1)
        return [None] * (self.form.vectors - 1) + [self.e.whole(rest) if rest < lanes else None]

    def _run(self, place: list[Int], which: Int) -> None:
        e, lanes = self.e, self.e.number.lanes
        wide = self.form.vectors * lanes
        left = e.entry_of(self.arguments[LANES], which)
        full = left // wide * wide

        def some(lane: Int) -> None:
            self.tile(self._along(place, lane), [None] * self.form.vectors)

        e.repeat(0, full, some, wide)
        rest, needed = left - full, (left - full + (lanes - 1)) // lanes
        for vectors in range(1, self.form.vectors + 1):
            with e.builder.if_then(needed.equals(vectors)):
                counts = [None] * (vectors - 1) + [rest - lanes * (vectors - 1)]
                self.tile(self._along(place, full), counts)

    def _along(self, place: list[Int], lane: Int) -> list[Int]:
        steps = (OPERAND_LANE, RESULT_LANE, BESIDE_LANE)
        moved = [p + self.arguments[s] * lane for p, s in zip(place, steps, strict=False)]
        return [*moved, place[-1]]

    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        """Work on some vectors, of each of which only so many lanes count."""
        raise NotImplementedError

    def taps(self, place: list[Int]) -> tuple[Int, Int]:
        """The first tap of a place, and the one after its last."""
        if self.form.taps:
            return self.e.whole(0), self.e.whole(self.form.taps)
        classes, which = self.arguments[CLASSES], place[-1]
        return self.e.entry_of(classes, which), self.e.entry_of(classes, which + 1)

    def over(
        self,
        taps: tuple[Int, Int],
        carried: Sequence[Vector],
        tap: Callable[[Int, list[Vector]], list[Vector]],
        first: int = 0,
    ) -> list[Vector]:
        """Go through the taps, from the ``first`` one on; few of them are written out."""
        if not self.form.taps:
            return self.e.loop(taps[0] + first, taps[1], carried, tap)
        values = list(carried)
        for which in range(first, self.form.taps):
            values = tap(self.e.whole(which), values)
        return values

    def tap(self, which: Int) -> tuple[Int, Int, Int]:
        """Bytes in the operand and beside it, and the number of a tap."""
        taps, first = self.arguments[TAPS], which * TAP
        there, beside, number = (self.e.entry_of(taps, first + n) for n in range(TAP))
        return there, beside, number

    def read(self, address: Int, counts: list[Int | None], *, ahead: bool = True) -> list[Vector]:
        """Vectors of the operand."""
        e, step = self.e, self.form.step
        if not step:
            return [e.gather(address, self.arguments[OPERAND_LANE], counts[0])]
        for n in range(len(counts) * step if ahead else 0):
            e.prefetch(address + (_AHEAD + n * e.number.bytes))
        wide = e.number.bytes * step
        return [_every(e, step, address + wide * n, some) for n, some in enumerate(counts)]

    def results(self, address: Int, counts: list[Int | None]) -> list[tuple[Int, Int | None]]:
        """Where the vectors of the result are, and how many of their lanes count."""
        wide = self.arguments[RESULT_LANE] * self.e.number.lanes
        return [(address + wide * n, some) for n, some in enumerate(counts)]

    def put(self, totals: Sequence[Vector], address: Int, counts: list[Int | None]) -> None:
        """Write vectors of the result."""
        for total, (where, some) in zip(totals, self.results(address, counts), strict=True):
            if self.form.contiguous:
                self.put_one(total, where, some)
            else:
                self.e.scatter(total, where, self.arguments[RESULT_LANE], some)

    def put_one(self, vector: Vector, address: Int, some: Int | None) -> None:
        """Write a vector to neighbouring numbers."""
        if self.form.past_cache and some is None:
            self.e.store_past_cache(vector, address)
        else:
            self.e.store(vector, address, self.e.mask(some))

    def cotangent(self, address: Int, some: Int | None) -> Vector:
        """A vector of the result, where that is read."""
        if self.form.contiguous:
            return self.e.load(address, self.e.mask(some))
        return self.e.gather(address, self.arguments[RESULT_LANE], some)


class _Pooling(Walk):
    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e = self.e
        totals = self._reduced(place, counts)
        if self.form.divided:
            points = e.broadcast(self.arguments[SCALE])
            totals = [total / points for total in totals]
        if self.form.rectified:
            after = Finish(relu=True)
            totals = [finished(e, after, total, place[1], None) for total in totals]
        self.put(totals, place[1], counts)

    def _reduced(self, place: list[Int], counts: list[Int | None]) -> list[Vector]:
        e = self.e
        start, stop = self.taps(place)
        nothing = [e.constant(LOOPS[self.form.combine][0])] * len(counts)

        def tap(which: Int, totals: list[Vector]) -> list[Vector]:
            return self._combined(totals, self.read(place[0] + self.tap(which)[0], counts))

        def chunk(first: Int, totals: list[Vector]) -> list[Vector]:
            return self._combined(totals, e.loop(first, (first + _CHUNK).least(stop), nothing, tap))

        def block(first: Int, totals: list[Vector]) -> list[Vector]:
            last = (first + _BLOCK).least(stop)
            return self._combined(totals, e.loop(first, last, nothing, chunk, _CHUNK))

        if self.form.taps:
            return self.over((start, stop), nothing, tap)
        return e.loop(start, stop, nothing, block, _BLOCK)

    def _combined(self, totals: list[Vector], values: list[Vector]) -> list[Vector]:
        pairs = list(zip(totals, values, strict=True))
        if not self.form.beyond:
            return [total + value for total, value in pairs]
        return [self._further(total, value) for total, value in pairs]

    def _further(self, total: Vector, value: Vector) -> Vector:
        e = self.e
        beyond = e.builder.fcmp_ordered(self.form.beyond, value.value, total.value)
        nan = e.builder.fcmp_unordered("uno", value.value, value.value)
        return e.select(nan, value, e.select(beyond, value, total))


def _every(e: Emitter, step: int, address: Int, some: Int | None) -> Vector:
    """Every ``step``-th of neighbouring numbers; those after the last one are not read."""
    lanes = e.number.lanes
    if step == 1:
        return e.load(address, e.mask(some))
    reach = ((e.whole(lanes) if some is None else some) - 1) * step + 1
    result = e.load(address, None if some is None else e.first_lanes(reach))
    for part in range(1, step):
        loaded = e.load(address + e.number.bytes * part, e.first_lanes(reach - part * lanes))
        result = _picked(e, step, part, result, loaded)
    return result


def _picked(e: Emitter, step: int, part: int, before: Vector, loaded: Vector) -> Vector:
    """Put what lies in one more vector beside what was picked from those before."""
    lanes = e.number.lanes
    order = []
    for lane in range(lanes):
        vector, rest = divmod(lane * step, lanes)
        kept = rest if part == 1 else lane
        order.append(lanes + rest if vector == part else kept)
    return e.shuffled(before, loaded, order)
