"""Pooling: sums and extrema over windows, and their gradients.

``pooling`` reduces the taps of every result. ``unpooling`` is its transpose: it adds the cotangent
of a sum to all taps, that of an extremum to the first tap at which the extremum stands. Lanes run
along one index of the result. Results near a boundary have fewer taps than others; those with the
same taps are of one *class*, and a table lists the taps of every class one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from contractconv.kernels.finish import Finish, finished
from contractconv.kernels.native import Native, build

if TYPE_CHECKING:
    from contractconv.kernels.emitter import Emitter, Int, Vector

_next = count().__next__
# Places in the table of arguments. First the addresses of the arrays, and bytes from lane to lane.
OPERAND, RESULT, GRADIENT = _next(), _next(), _next()
OPERAND_LANE, RESULT_LANE, GRADIENT_LANE = _next(), _next(), _next()
# Tables of records for the loops, the last one over runs of lanes of one class.
OUTER, OUTER_START, OUTER_STOP = _next(), _next(), _next()
MIDDLE, MIDDLE_START, MIDDLE_STOP = _next(), _next(), _next()
INNER, INNER_STOP = _next(), _next()
RUNS, RUNS_STOP, LANES = _next(), _next(), _next()
# Where the taps of each class begin; for each tap bytes in the operand and in the gradient.
CLASSES, TAPS = _next(), _next()
# What each round of the middle loop makes zero: bytes from its place, and elements. The address
# of the number by which a sum's cotangent is multiplied, or by which a sum is divided.
CLEARED, SCALE = _next(), _next()
ARGUMENTS = _next()
# What a round of a loop adds to its place: bytes in all three arrays, and to the class.
RECORD = 4
# Taps that are reduced by themselves: sums of sums round less than long sums.
_CHUNK = 128
# Bytes. Processors look ahead by themselves, but not beyond the end of a page.
_AHEAD = 4096


@dataclass(frozen=True, slots=True)
class Form:
    """What is decided when a kernel is written.

    Attributes:
        reduce: ``"sum"``, ``"max"`` or ``"min"``.
        vectors: how many vectors are worked on together.
        step: how many numbers of the operand lie from one lane to the next; 0 if only the table
            of arguments says it, and then ``vectors`` is 1.
        contiguous: whether lanes of the result (or of its cotangent) are neighbours.
        gradient: how a gradient is made: ``"vectors"`` are added at all taps, an extremum's
            cotangent being zero at all but one; they are written ``"once"`` where windows neither
            overlap nor leave a gap; otherwise ``"numbers"`` are added one by one.
        divided: whether results are divided by a number at the end.
        rectified: whether what is negative becomes zero then.
        lanes: how many lanes there are, if all of them are worked on together; otherwise 0.
        taps: how many taps every result has, if they are few and the same; otherwise 0.
    """

    reduce: str
    vectors: int
    step: int
    contiguous: bool
    gradient: str = "numbers"
    divided: bool = False
    rectified: bool = False
    lanes: int = 0
    taps: int = 0


@cache
def pooling(dtype: str, form: Form) -> Native:
    """The kernel that reduces windows."""
    ends = "d" * form.divided + "r" * form.rectified
    name = f"pool_{form.reduce}{ends}_{form.vectors}by{form.step}_{dtype}"
    return build(name, dtype, lambda emitter: _Pooling(emitter, form).write(), form)


@cache
def unpooling(dtype: str, form: Form) -> Native:
    """The kernel that adds cotangents to a gradient."""
    name = f"unpool_{form.reduce}_{form.vectors}by{form.step}_{dtype}"
    writer = _Spreading if form.reduce == "sum" else _Selection
    return build(name, dtype, lambda emitter: writer(emitter, form).write(), form)


class _Walk:
    """Goes through the results, some vectors at a time.

    A place is four integers: addresses in operand, result and gradient, and the class.
    """

    def __init__(self, emitter: Emitter, form: Form) -> None:
        self.e = emitter
        self.form = form
        self.arguments = [emitter.argument(place) for place in range(ARGUMENTS)]

    def write(self) -> None:
        a, e = self.arguments, self.e
        start = [a[OPERAND], a[RESULT], a[GRADIENT], e.whole(0)]

        def outer(n: Int) -> None:
            place = self._moved(start, OUTER, n)
            e.repeat(a[MIDDLE_START], a[MIDDLE_STOP], lambda m: middle(place, m))

        def middle(place: list[Int], n: Int) -> None:
            place = self._moved(place, MIDDLE, n)
            self._enter(place, n)
            e.repeat(0, a[INNER_STOP], lambda m: inner(self._moved(place, INNER, m)))

        def inner(place: list[Int]) -> None:
            if self.form.lanes:
                self._tile(place, self._counts())
            else:
                e.repeat(0, a[RUNS_STOP], lambda n: self._run(self._moved(place, RUNS, n), n))

        e.repeat(a[OUTER_START], a[OUTER_STOP], outer)

    def _moved(self, place: Sequence[Int], loop: int, which: Int) -> list[Int]:
        records, first = self.arguments[loop], which * RECORD
        return [p + self.e.entry_of(records, first + n) for n, p in enumerate(place)]

    def _enter(self, place: list[Int], middle: Int) -> None:
        """What is done before a round of the middle loop."""

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
            self._tile(self._along(place, lane), [None] * self.form.vectors)

        e.repeat(0, full, some, wide)
        rest, needed = left - full, (left - full + (lanes - 1)) // lanes
        for vectors in range(1, self.form.vectors + 1):
            with e.builder.if_then(needed.equals(vectors)):
                counts = [None] * (vectors - 1) + [rest - lanes * (vectors - 1)]
                self._tile(self._along(place, full), counts)

    def _along(self, place: list[Int], lane: Int) -> list[Int]:
        steps = (OPERAND_LANE, RESULT_LANE, GRADIENT_LANE)
        moved = [p + self.arguments[s] * lane for p, s in zip(place, steps, strict=False)]
        return [*moved, place[-1]]

    def _tile(self, place: list[Int], counts: list[Int | None]) -> None:
        """Work on some vectors, of each of which only so many lanes count."""
        raise NotImplementedError

    def _taps(self, place: list[Int]) -> tuple[Int, Int]:
        if self.form.taps:
            return self.e.whole(0), self.e.whole(self.form.taps)
        classes, which = self.arguments[CLASSES], place[-1]
        return self.e.entry_of(classes, which), self.e.entry_of(classes, which + 1)

    def _over(
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

    def _tap(self, which: Int) -> tuple[Int, Int]:
        taps, first = self.arguments[TAPS], which * 2
        return self.e.entry_of(taps, first), self.e.entry_of(taps, first + 1)

    def _read(self, address: Int, counts: list[Int | None], *, ahead: bool = True) -> list[Vector]:
        e, step = self.e, self.form.step
        if not step:
            return [e.gather(address, self.arguments[OPERAND_LANE], counts[0])]
        for n in range(len(counts) * step if ahead else 0):
            e.prefetch(address + (_AHEAD + n * e.number.bytes))
        wide = e.number.bytes * step
        return [_every(e, step, address + wide * n, some) for n, some in enumerate(counts)]

    def _results(self, address: Int, counts: list[Int | None]) -> list[tuple[Int, Int | None]]:
        wide = self.arguments[RESULT_LANE] * self.e.number.lanes
        return [(address + wide * n, some) for n, some in enumerate(counts)]


class _Pooling(_Walk):
    def _tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e = self.e
        start, stop = self._taps(place)
        identity = {"sum": 0.0, "max": float("-inf"), "min": float("inf")}[self.form.reduce]
        nothing = [e.constant(identity)] * len(counts)

        def tap(which: Int, totals: list[Vector]) -> list[Vector]:
            return self._combined(totals, self._read(place[0] + self._tap(which)[0], counts))

        def chunk(first: Int, totals: list[Vector]) -> list[Vector]:
            return self._combined(totals, e.loop(first, (first + _CHUNK).least(stop), nothing, tap))

        if self.form.taps:
            totals = self._over((start, stop), nothing, tap)
        else:
            totals = e.loop(start, stop, nothing, chunk, _CHUNK)
        if self.form.divided:
            points = e.broadcast(self.arguments[SCALE])
            totals = [total / points for total in totals]
        if self.form.rectified:
            after = Finish(relu=True)
            totals = [finished(e, after, total, place[1], None) for total in totals]
        for total, (address, some) in zip(totals, self._results(place[1], counts), strict=True):
            self._write(total, address, some)

    def _combined(self, totals: list[Vector], values: list[Vector]) -> list[Vector]:
        pairs = list(zip(totals, values, strict=True))
        if self.form.reduce == "sum":
            return [total + value for total, value in pairs]
        return [self._further(total, value) for total, value in pairs]

    def _further(self, total: Vector, value: Vector) -> Vector:
        e = self.e
        beyond = e.builder.fcmp_ordered(_beyond(self.form), value.value, total.value)
        nan = e.builder.fcmp_unordered("uno", value.value, value.value)
        return e.select(nan, value, e.select(beyond, value, total))

    def _write(self, total: Vector, address: Int, some: Int | None) -> None:
        e = self.e
        if self.form.contiguous:
            e.store(total, address, _mask(e, some))
        else:
            lanes = e.whole(e.number.lanes) if some is None else some
            e.scatter(total, address, self.arguments[RESULT_LANE], lanes)


class _Unpooling(_Walk):
    """What gradients have in common."""

    def _enter(self, place: list[Int], middle: Int) -> None:
        a, e = self.arguments, self.e
        start = place[2] + e.entry_of(a[CLEARED], middle * 2)
        elements = e.entry_of(a[CLEARED], middle * 2 + 1)
        whole = elements // e.number.lanes * e.number.lanes

        def clear(n: Int, mask: Any = None) -> None:
            e.store(e.zero(), start + n * e.number.size, mask)

        e.repeat(0, whole, clear, e.number.lanes)
        clear(whole, e.first_lanes(elements - whole))

    def _cotangent(self, address: Int, some: Int | None) -> Vector:
        if self.form.contiguous:
            return self.e.load(address, _mask(self.e, some))
        return self.e.gather(address, self.arguments[RESULT_LANE], some)

    def _add(self, start: Int, counts: list[Int | None], given: list[Vector]) -> None:
        e = self.e
        for n, (some, vector) in enumerate(zip(counts, given, strict=True)):
            where, mask = start + e.number.bytes * n, _mask(e, some)
            total = vector if self.form.gradient == "once" else e.load(where, mask) + vector
            e.store(total, where, mask)

    def _each(self, counts: list[Int | None], add: Callable[[Int], None]) -> None:
        """Do something for every lane."""
        lanes = self.e.number.lanes
        last = self.e.whole(lanes) if counts[-1] is None else counts[-1]
        self.e.repeat(0, last + lanes * (len(counts) - 1), add)


class _Spreading(_Unpooling):
    def _tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e, scale = self.e, self.e.broadcast(self.arguments[SCALE])
        given = [self._cotangent(*where) * scale for where in self._results(place[1], counts)]
        room = e.vector_scratch(len(counts))
        for n, vector in enumerate(given):
            e.store(vector, room + n * e.number.bytes)

        def tap(which: Int) -> None:
            start = place[2] + self._tap(which)[1]
            if self.form.gradient == "numbers":
                self._each(counts, lambda n: self._add_one(room, start, n))
            else:
                self._add(start, counts, given)

        e.repeat(*self._taps(place), tap)

    def _add_one(self, room: Int, start: Int, lane: Int) -> None:
        target = start + self.arguments[GRADIENT_LANE] * lane
        _add_number(self.e, room + lane * self.e.number.size, target)


class _Selection(_Unpooling):
    def _tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e = self.e
        start, stop = self._taps(place)

        def marked() -> None:
            add = self._drop if self.form.gradient == "numbers" else self._spread
            add(place, counts, self._chosen(place, counts, start, stop))

        with e.builder.if_then(start < stop):
            if self.form.gradient == "numbers":
                marked()
                return
            best, strange = self._extrema(place, counts, start, stop)
            e.when(strange, marked, lambda: self._give(place, counts, best))

    def _extrema(
        self, place: list[Int], counts: list[Int | None], start: Int, stop: Int
    ) -> tuple[list[Vector], Any]:
        """The extrema of numbers, and whether there is anything that is none."""
        e, several = self.e, len(counts)
        first = self._read(place[0] + self._tap(start)[0], counts)
        # Zero times a number is zero: what is something else, or infinite, leaves NaN.
        none = [value * e.zero() for value in first]

        def tap(which: Int, carried: list[Vector]) -> list[Vector]:
            values = self._read(place[0] + self._tap(which)[0], counts)
            best, none = carried[:several], carried[several:]
            for n, value in enumerate(values):
                beyond = e.builder.fcmp_ordered(_beyond(self.form), value.value, best[n].value)
                best[n] = e.select(beyond, value, best[n])
                none[n] = e.multiply_add(value, e.zero(), none[n])
            return best + none

        carried = self._over((start, stop), [*first, *none], tap, 1)
        total = carried[several]
        for vector in carried[several + 1 :]:
            total = total + vector
        return carried[:several], e.any(e.builder.fcmp_unordered("uno", total.value, total.value))

    def _give(self, place: list[Int], counts: list[Int | None], best: list[Vector]) -> None:
        """Give the cotangents to the first taps that are equal to the extrema."""
        e, wide = self.e, self.e.number.bytes
        given = [self._cotangent(*where) for where in self._results(place[1], counts)]
        waiting = [type(v)(e, e.builder.fcmp_ordered("==", v.value, v.value)) for v in best]

        def tap(which: Int, waiting: list[Vector]) -> list[Vector]:
            source, target = self._tap(which)
            values = self._read(place[0] + source, counts, ahead=False)
            left = []
            for n, (value, some) in enumerate(zip(values, counts, strict=True)):
                equal = e.builder.fcmp_ordered("==", value.value, best[n].value)
                hit = e.builder.and_(waiting[n].value, equal)
                left.append(type(value)(e, e.builder.and_(waiting[n].value, e.builder.not_(hit))))
                where, mask = place[2] + target + wide * n, _mask(e, some)
                before = e.zero() if self.form.gradient == "once" else e.load(where, mask)
                e.store(e.select(hit, before + given[n], before), where, mask)
            return left

        self._over(self._taps(place), waiting, tap)

    def _chosen(
        self, place: list[Int], counts: list[Int | None], start: Int, stop: Int
    ) -> list[Vector]:
        """For each lane the mark of the tap at which its first extremum stands."""
        e = self.e

        def tap(which: Int, carried: list[Vector]) -> list[Vector]:
            best, chosen = carried[: len(counts)], carried[len(counts) :]
            values = self._read(place[0] + self._tap(which)[0], counts)
            mark = self._mark(which)
            wins = [self._wins(v, b) for v, b in zip(values, best, strict=True)]
            best = [e.select(w, v, b) for w, v, b in zip(wins, values, best, strict=True)]
            return best + [e.select(w, mark, c) for w, c in zip(wins, chosen, strict=True)]

        first = self._read(place[0] + self._tap(start)[0], counts)
        carried = [*first, *[self._mark(start)] * len(counts)]
        return e.loop(start + 1, stop, carried, tap)[len(counts) :]

    def _mark(self, which: Int) -> Vector:
        """The number of a tap if all are gone through again, otherwise where it lies."""
        by_place = self.form.gradient == "numbers"
        return _words(self.e, self._tap(which)[1] if by_place else which)

    def _wins(self, value: Vector, best: Vector) -> Any:
        """In which lanes a later tap takes the place of the best one so far."""
        builder = self.e.builder
        # Unordered: NaN wins against any number. Nothing wins against NaN.
        beyond = builder.fcmp_unordered(_beyond(self.form), value.value, best.value)
        return builder.and_(builder.fcmp_ordered("ord", best.value, best.value), beyond)

    def _spread(self, place: list[Int], counts: list[Int | None], chosen: list[Vector]) -> None:
        e = self.e
        given = [self._cotangent(*where) for where in self._results(place[1], counts)]

        def tap(which: Int) -> None:
            mark = self._mark(which).value
            hits = [e.builder.icmp_signed("==", tap.value, mark) for tap in chosen]
            here = [e.select(hit, g, e.zero()) for hit, g in zip(hits, given, strict=True)]
            self._add(place[2] + self._tap(which)[1], counts, here)

        e.repeat(*self._taps(place), tap)

    def _drop(self, place: list[Int], counts: list[Int | None], chosen: list[Vector]) -> None:
        a, e, lanes = self.arguments, self.e, self.e.number.lanes
        room = e.vector_scratch(len(counts))
        for n, words in enumerate(chosen):
            pointer = _pointer(e, room + _WORD * lanes * n, words.value.type.as_pointer())
            e.builder.store(words.value, pointer, align=_WORD)

        def lane(n: Int) -> None:
            where = place[2] + a[GRADIENT_LANE] * n + _word(e, room + n * _WORD)
            _add_number(e, place[1] + a[RESULT_LANE] * n, where)

        self._each(counts, lane)


def _beyond(form: Form) -> str:
    return ">" if form.reduce == "max" else "<"


def _mask(e: Emitter, some: Int | None) -> Any:
    return None if some is None else e.first_lanes(some)


def _every(e: Emitter, step: int, address: Int, some: Int | None) -> Vector:
    """Every ``step``-th of neighbouring numbers; those after the last one are not read."""
    lanes = e.number.lanes
    if step == 1:
        return e.load(address, _mask(e, some))
    reach = ((e.whole(lanes) if some is None else some) - 1) * step + 1
    result = e.load(address, None if some is None else e.first_lanes(reach))
    for part in range(1, step):
        loaded = e.load(address + e.number.bytes * part, e.first_lanes(reach - part * lanes))
        result = _picked(e, step, part, result, loaded)
    return result


def _picked(e: Emitter, step: int, part: int, before: Vector, loaded: Vector) -> Vector:
    """Put what lies in one more vector beside what was picked from those before."""
    from llvmlite import ir

    lanes = e.number.lanes
    order = []
    for lane in range(lanes):
        vector, rest = divmod(lane * step, lanes)
        kept = rest if part == 1 else lane
        order.append(lanes + rest if vector == part else kept)
    picks = ir.Constant(ir.VectorType(ir.IntType(32), lanes), order)
    return type(loaded)(e, e.builder.shuffle_vector(before.value, loaded.value, picks))


# --- what the language of kernels lacks --------------------------------------------------------

# Bytes of a short integer, of which as many fit in a vector as numbers of the shortest kind.
_WORD = 4


def _pointer(e: Emitter, address: Int, kind: Any) -> Any:
    return e.builder.inttoptr(address.value, kind)


def _words(e: Emitter, value: Int) -> Vector:
    """The same short integer in every lane."""
    from llvmlite import ir

    from contractconv.kernels.emitter import Vector

    word = ir.IntType(8 * _WORD)
    kind = ir.VectorType(word, e.number.lanes)
    blank = ir.Constant(kind, ir.Undefined)
    short = e.builder.trunc(value.value, word)
    first = e.builder.insert_element(blank, short, ir.Constant(word, 0))
    order = ir.Constant(kind, [0] * e.number.lanes)
    return Vector(e, e.builder.shuffle_vector(first, blank, order))


def _word(e: Emitter, address: Int) -> Int:
    """One short integer from memory."""
    from llvmlite import ir

    from contractconv.kernels.emitter import Int

    pointer = _pointer(e, address, ir.IntType(8 * _WORD).as_pointer())
    word = e.builder.load(pointer, align=_WORD)
    return Int(e, e.builder.sext(word, ir.IntType(64)))


def _add_number(e: Emitter, source: Int, target: Int) -> None:
    """Add one number in memory to another one."""
    kind, size = e.element.as_pointer(), e.number.size
    place = _pointer(e, target, kind)
    given = e.builder.load(_pointer(e, source, kind), align=size)
    e.builder.store(e.builder.fadd(e.builder.load(place, align=size), given), place, align=size)
