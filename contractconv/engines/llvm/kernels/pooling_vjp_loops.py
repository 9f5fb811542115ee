"""Gradients of pooling.

The cotangent of a sum belongs to all taps, that of an extremum to the first tap at which it
stands; NaN counts as the extremum. Where the lanes of a gradient are neighbours, it is gathered:
every element asks the windows that it is a tap of. For sums that is a pooling of cotangents; for
extrema ``choose`` first writes the number of the tap that each window has chosen, a byte for
each, which ``collect`` compares with, and ``choose_and_keep`` the extrema as well, for a pooling of
these. Where windows neither overlap nor leave a gap, ``give``
does both at once. Otherwise cotangents are added one by one, by ``spread`` or ``drop``, to a
gradient that is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
from contractconv.engines.llvm.kernels.native import Native, build
from contractconv.engines.llvm.kernels.pooling_loops import (
    BESIDE_LANE,
    RESULT_LANE,
    SCALE,
    Form,
    Walk,
)

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter

Mark = Callable[[Int], Vector]
# Bytes of a distance, of which as many fit in a vector as numbers of the shortest kind.
_WORD = 4


@cache
def kernel(verb: str, dtype: str, form: Form) -> Native:
    """One of the kernels; see :data:`_WRITERS`."""
    name = f"{verb}_{form.combine}_{form.vectors}by{form.step}_{dtype}"
    return build(name, dtype, lambda emitter: _WRITERS[verb](emitter, form).write(), (verb, form))


class _Selecting(Walk):
    """What kernels that look for the taps of extrema have in common."""

    def chosen(
        self, place: list[Int], counts: list[Int | None], taps: tuple[Int, Int], mark: Mark
    ) -> list[Vector]:
        """Extrema, and for each lane the mark of the tap at which the first one stands."""
        e, several = self.e, len(counts)

        def tap(which: Int, carried: list[Vector]) -> list[Vector]:
            best, chosen = carried[:several], carried[several:]
            values = self.read(place[0] + self.tap(which)[0], counts)
            here = mark(which)
            wins = [self._wins(v, b) for v, b in zip(values, best, strict=True)]
            best = [e.select(w, v, b) for w, v, b in zip(wins, values, best, strict=True)]
            return best + [e.select(w, here, c) for w, c in zip(wins, chosen, strict=True)]

        first = self.read(place[0] + self.tap(taps[0])[0], counts)
        return self.over(taps, [*first, *[mark(taps[0])] * several], tap, 1)

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
        """Extrema, and the numbers of the taps at which they stand."""
        found, strange = self._among_numbers(place, counts, taps)
        careful = partial(self.chosen, place, counts, taps, self.number)
        return self.e.either(strange, careful, lambda: found)

    def number(self, which: Int) -> Vector:
        """The number of a tap, in every lane."""
        # Where every window has all taps, they are counted like this.
        counted = which if self.form.taps else self.tap(which)[2]
        return self.e.spread(self.e.builder.sitofp(counted.value, self.e.element))

    def _among_numbers(
        self, place: list[Int], counts: list[Int | None], taps: tuple[Int, Int]
    ) -> tuple[list[Vector], Any]:
        """The same of numbers, and whether there is anything that is none."""
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
        return rest, e.any(e.builder.fcmp_unordered("uno", none.value, none.value))


class _Choosing(_Numbering):
    """Writes, as a byte for each result, at which tap its extremum stands."""

    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        taps = self.taps(place)
        with self.e.builder.if_then(taps[0] < taps[1]):
            found = self.numbers(place, counts, taps)
            self.keep(found[: len(counts)], place, counts)
            found = found[len(counts) :]
            for vector, (where, some) in zip(found, self.results(place[1], counts), strict=True):
                self.e.store(self.e.as_bytes(vector), where, self.e.mask(some))

    def keep(self, extrema: list[Vector], place: list[Int], counts: list[Int | None]) -> None:
        """What is done with the extrema themselves."""


class _Keeping(_Choosing):
    """Writes the extrema, too, as neighbours."""

    def keep(self, extrema: list[Vector], place: list[Int], counts: list[Int | None]) -> None:
        for n, (vector, some) in enumerate(zip(extrema, counts, strict=True)):
            self.put_one(vector, place[2] + self.e.number.bytes * n, some)


class _Giving(_Numbering):
    """Writes the cotangent of each extremum to its tap, and zero to the others."""

    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e, taps = self.e, self.taps(place)
        found = self.numbers(place, counts, taps)[len(counts) :]
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
    """Sums the cotangents of the windows that have chosen an element.

    They are read as the operand, and the choice beside them.
    """

    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        e = self.e

        def tap(which: Int, totals: list[Vector]) -> list[Vector]:
            there, beside, number = self.tap(which)
            given = self.read(place[0] + there, counts, ahead=False)
            here = e.spread(e.builder.trunc(number.value, e.byte)).value
            hits = [
                e.builder.icmp_unsigned("==", e.load(choice, e.mask(some), e.byte).value, here)
                for choice, some in self._choice(place[2] + beside, counts)
            ]
            sums = [total + value for total, value in zip(totals, given, strict=True)]
            return [e.select(*three) for three in zip(hits, sums, totals, strict=True)]

        self.put(self.over(self.taps(place), [e.zero()] * len(counts), tap), place[1], counts)

    def _choice(self, address: Int, counts: list[Int | None]) -> list[tuple[Int, Int | None]]:
        lanes = self.e.number.lanes
        return [(address + lanes * n, some) for n, some in enumerate(counts)]


class _Dropping(_Selecting):
    """Adds the cotangents of extrema to the gradient, one by one."""

    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        taps = self.taps(place)
        with self.e.builder.if_then(taps[0] < taps[1]):
            chosen = self.chosen(place, counts, taps, self._distance)
            self._drop(place, counts, chosen[len(counts) :])

    def _distance(self, which: Int) -> Vector:
        return self.e.spread(self.e.builder.trunc(self.tap(which)[1].value, self.e.word))

    def _drop(self, place: list[Int], counts: list[Int | None], chosen: list[Vector]) -> None:
        a, e, lanes = self.arguments, self.e, self.e.number.lanes
        room = e.vector_scratch(len(counts))
        for n, distances in enumerate(chosen):
            e.store(distances, room + _WORD * lanes * n)

        def lane(n: Int) -> None:
            word = e.builder.sext(e.scalar(room + n * _WORD, e.word), n.value.type)
            where = place[2] + a[BESIDE_LANE] * n + Int(e, word)
            _add_number(e, place[1] + a[RESULT_LANE] * n, where)

        _each(e, counts, lane)


class _Spreading(Walk):
    """Adds the cotangents of sums to the gradient, one by one."""

    def tile(self, place: list[Int], counts: list[Int | None]) -> None:
        a, e = self.arguments, self.e
        scale, room = e.broadcast(a[SCALE]), e.vector_scratch(len(counts))
        for n, (address, some) in enumerate(self.results(place[1], counts)):
            e.store(self.cotangent(address, some) * scale, room + n * e.number.bytes)

        def tap(which: Int) -> None:
            start = place[2] + self.tap(which)[1]

            def lane(n: Int) -> None:
                _add_number(e, room + n * e.number.size, start + a[BESIDE_LANE] * n)

            _each(e, counts, lane)

        e.repeat(*self.taps(place), tap)


def _each(e: Emitter, counts: list[Int | None], work: Callable[[Int], None]) -> None:
    """Do something for every lane."""
    lanes = e.number.lanes
    last = e.whole(lanes) if counts[-1] is None else counts[-1]
    e.repeat(0, last + lanes * (len(counts) - 1), work)


def _add_number(e: Emitter, source: Int, target: Int) -> None:
    """Add one number in memory to another one."""
    given = e.scalar(source)
    e.put_scalar(e.builder.fadd(e.scalar(target), given), target)


_WRITERS: dict[str, type[Walk]] = {
    "choose": _Choosing,
    "choose_and_keep": _Keeping,
    "collect": _Collecting,
    "give": _Giving,
    "drop": _Dropping,
    "spread": _Spreading,
}
