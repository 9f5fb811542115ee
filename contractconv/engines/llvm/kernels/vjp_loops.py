"""Gradients of pooling.

The cotangent of a sum belongs to all taps, that of an extremum to the first tap at which it
stands; NaN counts as the extremum. Where the lanes of a gradient are neighbours, it is gathered:
every element asks the windows that it is a tap of. For sums that is a pooling of cotangents; for
extrema ``choosing`` first writes the number of the tap that each window has chosen, a byte for
each, which ``collecting`` compares with. Where windows neither overlap nor leave a gap, ``giving``
does both at once. Otherwise cotangents are added one by one, by ``spreading`` or ``dropping``, to a
gradient that is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from contractconv.engines.llvm.kernels import lane_int
from contractconv.engines.llvm.kernels.native import Native, build
from contractconv.engines.llvm.kernels.pooling_loops import (
    BESIDE_LANE,
    RESULT_LANE,
    SCALE,
    Form,
    Walk,
    mask,
)

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.values import Int, Vector

Mark = Callable[["Int"], "Vector"]


@cache
def choosing(dtype: str, form: Form) -> Native:
    """The kernel that writes, as a byte for each result, at which tap its extremum stands."""
    return _built("choose", _Choosing, dtype, form)


@cache
def collecting(dtype: str, form: Form) -> Native:
    """The kernel that sums the cotangents of the windows that have chosen an element.

    It reads the cotangent as its operand, and the choice beside it.
    """
    return _built("collect", _Collecting, dtype, form)


@cache
def giving(dtype: str, form: Form) -> Native:
    """The kernel that writes the cotangent of each extremum to its tap, and zero to the others."""
    return _built("give", _Giving, dtype, form)


@cache
def dropping(dtype: str, form: Form) -> Native:
    """The kernel that adds the cotangents of extrema to the gradient, one by one."""
    return _built("drop", _Dropping, dtype, form)


@cache
def spreading(dtype: str, form: Form) -> Native:
    """The kernel that adds the cotangents of sums to the gradient, one by one."""
    return _built("spread", _Spreading, dtype, form)


def _built(verb: str, writer: type[Walk], dtype: str, form: Form) -> Native:
    name = f"{verb}_{form.combine}_{form.vectors}by{form.step}_{dtype}"
    return build(name, dtype, lambda emitter: writer(emitter, form).write(), (verb, form))


class _Selecting(Walk):
    """What kernels that look for the taps of extrema have in common."""

    def chosen(
        self, place: list[Int], counts: list[Int | None], taps: tuple[Int, Int], mark: Mark
    ) -> list[Vector]:
        """For each lane the mark of the tap at which its first extremum stands."""
        e, several = self.e, len(counts)

        def tap(which: Int, carried: list[Vector]) -> list[Vector]:
            best, chosen = carried[:several], carried[several:]
            values = self.read(place[0] + self.tap(which)[0], counts)
            here = mark(which)
            wins = [self._wins(v, b) for v, b in zip(values, best, strict=True)]
            best = [e.select(w, v, b) for w, v, b in zip(wins, values, best, strict=True)]
            return best + [e.select(w, here, c) for w, c in zip(wins, chosen, strict=True)]

        first = self.read(place[0] + self.tap(taps[0])[0], counts)
        return self.over(taps, [*first, *[mark(taps[0])] * several], tap, 1)[several:]

    def _wins(self, value: Vector, best: Vector) -> Any:
        """In which lanes a later tap takes the place of the best one so far."""
        builder = self.e.builder
        # Unordered: NaN wins against any number. Nothing wins against NaN.
        beyond = builder.fcmp_unordered(self.form.beyond, value.value, best.value)
        return builder.and_(builder.fcmp_ordered("ord", best.value, best.value), beyond)


class _Numbering(_Selecting):
    """What kernels that number the taps of extrema have in common."""

    def numbers(
        self, place: list[Int], counts: list[Int | None], taps: tuple[Int, Int]
    ) -> list[Vector]:
        """The numbers of the taps at which extrema stand."""
        found, strange = self._among_numbers(place, counts, taps)
        careful = partial(self.chosen, place, counts, taps, self.number)
        return self.e.either(strange, careful, lambda: found)

    def number(self, which: Int) -> Vector:
        """The number of a tap, in every lane."""
        # Where every window has all taps, they are counted like this.
        return lane_int.number(self.e, which if self.form.taps else self.tap(which)[2])

    def _among_numbers(
        self, place: list[Int], counts: list[Int | None], taps: tuple[Int, Int]
    ) -> tuple[list[Vector], Any]:
        """The taps of the extrema of numbers, and whether there is anything that is none."""
        e, several = self.e, len(counts)
        first = self.read(place[0] + self.tap(taps[0])[0], counts)
        # Zero times a number is zero: what is something else, or infinite, leaves NaN.
        none = first[0] * e.zero()
        for value in first[1:]:
            none = e.multiply_add(value, e.zero(), none)

        def tap(which: Int, carried: list[Vector]) -> list[Vector]:
            values = self.read(place[0] + self.tap(which)[0], counts)
            none, best, found = carried[0], carried[1 : several + 1], carried[several + 1 :]
            here = self.number(which)
            for n, value in enumerate(values):
                wins = e.builder.fcmp_ordered(self.form.beyond, value.value, best[n].value)
                best[n] = e.select(wins, value, best[n])
                found[n] = e.select(wins, here, found[n])
                none = e.multiply_add(value, e.zero(), none)
            return [none, *best, *found]

        carried = [none, *first, *[self.number(taps[0])] * several]
        none, *rest = self.over(taps, carried, tap, 1)
        return rest[several:], e.any(e.builder.fcmp_unordered("uno", none.value, none.value))


class _Choosing(_Numbering):
    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        taps = self.taps(place)
        with self.e.builder.if_then(taps[0] < taps[1]):
            found = self.numbers(place, counts, taps)
            for vector, (where, some) in zip(found, self.results(place[1], counts), strict=True):
                lane_int.store_bytes(self.e, vector, where, mask(self.e, some))


class _Giving(_Numbering):
    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e, taps = self.e, self.taps(place)
        found = self.numbers(place, counts, taps)
        given = [self.cotangent(*where) for where in self.results(place[1], counts)]

        def tap(which: Int, _: list[Vector]) -> list[Vector]:
            number, start = self.number(which), place[2] + self.tap(which)[1]
            for n, (chosen, vector) in enumerate(zip(found, given, strict=True)):
                here = e.builder.fcmp_ordered("==", chosen.value, number.value)
                here = e.select(here, vector, e.zero())
                self.put_one(here, start + e.number.bytes * n, counts[n])
            return []

        self.over(taps, [], tap)


class _Collecting(Walk):
    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e = self.e

        def tap(which: Int, totals: list[Vector]) -> list[Vector]:
            there, beside, number = self.tap(which)
            given = self.read(place[0] + there, counts, ahead=False)
            chosen = self._choice(place[2] + beside, counts)
            hits = [lane_int.are(e, choice, number) for choice in chosen]
            sums = [total + value for total, value in zip(totals, given, strict=True)]
            return [e.select(*three) for three in zip(hits, sums, totals, strict=True)]

        self.put(self.over(self.taps(place), [e.zero()] * len(counts), tap), place[1], counts)

    def _choice(self, address: Int, counts: list[Int | None]) -> list[Any]:
        e, lanes = self.e, self.e.number.lanes
        return [
            lane_int.load_bytes(e, address + lanes * n, mask(e, some))
            for n, some in enumerate(counts)
        ]


class _Dropping(_Selecting):
    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        taps = self.taps(place)
        with self.e.builder.if_then(taps[0] < taps[1]):
            self._drop(place, counts, self.chosen(place, counts, taps, self._distance))

    def _distance(self, which: Int) -> Vector:
        return lane_int.words(self.e, self.tap(which)[1])

    def _drop(self, place: list[Int], counts: list[Int | None], chosen: list[Vector]) -> None:
        a, e, lanes = self.arguments, self.e, self.e.number.lanes
        room = e.vector_scratch(len(counts))
        for n, distances in enumerate(chosen):
            lane_int.store_words(e, distances, room + lane_int.WORD * lanes * n)

        def lane(n: Int) -> None:
            where = place[2] + a[BESIDE_LANE] * n + lane_int.word(e, room + n * lane_int.WORD)
            lane_int.add_number(e, place[1] + a[RESULT_LANE] * n, where)

        _each(e, counts, lane)


class _Spreading(Walk):
    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        a, e = self.arguments, self.e
        scale, room = e.broadcast(a[SCALE]), e.vector_scratch(len(counts))
        for n, (address, some) in enumerate(self.results(place[1], counts)):
            e.store(self.cotangent(address, some) * scale, room + n * e.number.bytes)

        def tap(which: Int) -> None:
            start = place[2] + self.tap(which)[1]

            def lane(n: Int) -> None:
                lane_int.add_number(e, room + n * e.number.size, start + a[BESIDE_LANE] * n)

            _each(e, counts, lane)

        e.repeat(*self.taps(place), tap)


def _each(e: Emitter, counts: list[Int | None], work: Callable[[Int], None]) -> None:
    """Do something for every lane."""
    lanes = e.number.lanes
    last = e.whole(lanes) if counts[-1] is None else counts[-1]
    e.repeat(0, last + lanes * (len(counts) - 1), work)
