"""The one solver of extents: which value every index of a contraction takes.

Operands speak first, then keywords, then the shape of the result, and whoever speaks later is heard
only about what is still free. So a true statement changes nothing: it is never the reason for
something else, as long as that follows without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import combinations
from math import prod

from contractconv.errors import ShapeError, with_carets
from contractconv.notation.affine import Affine
from contractconv.notation.carets import (
    axes,
    give,
    marks,
    operand_label,
    relabelled,
    shapes_line,
)
from contractconv.notation.problem import Shape
from contractconv.notation.reach import places
from contractconv.notation.rules import Rules, Said
from contractconv.notation.spec import Axis, Composition, Place, Spec

_KEYWORD: Place = (-2, None)
# Sets of statements that are tried as the reason for all the others: 255 of eight.
_MOST_STATEMENTS = 8


class Solver(Rules[int]):
    """Finds the extents of one contraction.

    Args:
        spec: the contraction, parameters bound and ellipsis spelled out.
        shapes: the shapes of the operands.
        labels: what messages call the axes of the ellipsis.

    Attributes:
        result: the shape of the result, if a caller says so.
        cotangent: the shape of an array that ought to have the result's: it tells of indices
            that no operand has, and of nothing else.
        extents: the extents found so far.
    """

    def __init__(
        self, spec: Spec, shapes: tuple[Shape, ...], labels: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(spec)
        self.shapes = shapes
        self.result: Shape | None = None
        self.cotangent: Shape | None = None
        self.labels = labels or {}
        self.extents: dict[str, int] = {}
        self._keywords: dict[str, int] = {}
        self._stated: dict[str, int] = {}
        # What has no reason, and what was said of what follows from operands alone.
        self._given: Set[str] = frozenset()
        self._settled: Set[str] = frozenset()

    def solve(self, given: Mapping[str, int]) -> dict[str, int]:
        """Determine every extent, or say which one is missing or what disagrees."""
        self._take_keywords(given)
        self._take_plain()
        self._take_result()
        self._infer()
        self._check_known()
        self._check_compositions(self.extents)
        return self.extents

    # -- what is said ----------------------------------------------------------------------------

    def _take_keywords(self, given: Mapping[str, int]) -> None:
        for name, value in given.items():
            if value < 0:
                raise self.error(f"{self._name(name)}={value}: an extent is not negative")
            self.sources[name] = _KEYWORD
            self._keywords[name] = value

    def _take_plain(self) -> None:
        for place, axis in self.inputs:
            if name := axis.plain:
                self._compare(name, size := self._size(place), place)
                self.extents[name] = size

    def _take_result(self) -> None:
        for place, axis in self.outputs:
            if (name := axis.plain) and self.hears(name):
                if self.result is not None:
                    self._compare(name, self._size(place), place)
                self._stated.setdefault(name, self._size(place))

    def _compare(self, name: str, size: int, place: Place) -> None:
        known = next((s for s in (self.extents, self._keywords, self._stated) if name in s), {})
        if known.get(name, size) != size:
            raise self._disagree(name, known[name], self.sources[name], size, place)
        self.sources.setdefault(name, place)

    def hears(self, name: str) -> bool:
        """Whether the shape of the result may tell of an index: of no operand's, as a rule."""
        return self._spoken is not None and (self.result is not None or name not in self.read)

    # -- what follows ----------------------------------------------------------------------------

    def _infer(self) -> None:
        said = self._stated | self._keywords
        # What no operand has follows from nothing.
        self.extents |= {name: size for name, size in said.items() if name not in self.read}
        self._given = frozenset(self.extents)
        self.follow(self.extents, said)
        self._settled = frozenset(name for name in said if name in self.extents)
        for statements, result in ((self._keywords, False), (said, True)):
            if self.missing(self.extents):
                self.extents = self._from_few(statements, result) or self._from_all(
                    statements, result
                )
        self.extents = said | self.extents

    def _from_few(self, said: Mapping[str, int], result: bool) -> dict[str, int] | None:
        """What follows from the fewest statements, if all the other ones are among it.

        Args:
            said: the statements.
            result: whether those of the result are among them.
        """
        rest = {name: said[name] for name in self.missing(self.extents) if name in said}
        if len(rest) > _MOST_STATEMENTS:
            return None
        for count in range(len(rest)):
            for chosen in combinations(rest, count):
                found = self._following(chosen, said, result)
                if found is not None and all(found[n] == size for n, size in rest.items()):
                    return found
        return None

    def _following(
        self, chosen: Sequence[str], said: Mapping[str, int], result: bool
    ) -> dict[str, int] | None:
        """What follows from some statements, if that is everything and without contradiction."""
        known = self.extents | {name: said[name] for name in chosen}
        try:
            self.follow(known, {} if result else self._stated, result)
            if self.missing(known):
                return None
            self._check_compositions(known)
            self._check_windows(known, {*chosen, *(() if result else self._stated)})
        except ShapeError:
            return None
        return known

    def _from_all(self, said: Mapping[str, int], result: bool) -> dict[str, int]:
        self.extents = {**said, **self.extents}
        self.follow(self.extents, {} if result else self._stated, result)
        if not self.missing(self.extents):
            self._check_windows(self.extents, {*said, *self._stated})
        return self.extents

    def told(self, place: Place, axis: Axis, name: str, known: Mapping[str, int]) -> int | None:
        """What an axis says of the one index that is not known, if it says anything."""
        if isinstance(axis, Affine):
            return self._fitting(place, axis, name, known)
        size = self._size(place)
        others = prod(known[other] for other in axis.names if other != name)
        times = axis.names.count(name)
        if not others and not size:
            return None  # any extent would do
        root = _root(size // others, times) if others else 0
        if others * root**times == size:
            return root
        raise self.error(
            f"the composition {self.shown(axis)} does not come out: {size} is not {others} times "
            "a whole number" + f" to the power {times}" * (times > 1),
            place,
            hint="" if place[0] >= 0 or self.result is not None else self._misfit(),
        )

    def _fitting(self, place: Place, axis: Affine, name: str, known: Mapping[str, int]) -> int:
        """How many values of an index stay inside, by the boundary rule."""
        size = self._size(place)
        coefficients = {index: c.number for index, c in axis.terms}
        step = coefficients.pop(name)
        others = ((c, max(0, known[index] - 1)) for index, c in coefficients.items())
        extent: int = places(size, step, axis.offset.number, others)
        if extent >= bool(coefficients):  # without a window, nothing at all is fine: x[2:] of two
            return extent
        if coefficients:
            raise self._too_large(place, axis, [name], known)
        raise self.error(
            f"{self.shown(axis)} begins beyond its axis of size {size}",
            place,
            hint=f"give the extent, {give([name])}, if the window is meant to reach outside",
        )

    def same(self, name: str, first: Said[int], second: Said[int]) -> int:
        """What two windows say of an index, or an error."""
        if first[0] != second[0]:
            raise self._disagree(name, *first, *second)
        return first[0]

    def _too_large(
        self, place: Place, axis: Affine, free: Sequence[str], known: Mapping[str, int]
    ) -> ShapeError:
        size = self._size(place)
        spans = [c.number * max(0, known.get(n, 0) - 1) for n, c in axis.terms if n not in free[:1]]
        span = sum(map(abs, spans)) + 1
        padded = size + 2 * max(0, -axis.offset.number - sum(min(0, s) for s in spans))
        beyond = f" ({padded} with the boundary)" * (padded > size)
        return self.error(
            f"window larger than its axis: {self.shown(axis)} spans {span} "
            f"element{'s' * (span != 1)}, the axis has {size}{beyond}",
            place,
            hint=f"give the extent{'s' * (len(free) > 1)}, {give(free, ' and ')}, if the window is "
            "meant to reach outside",
        )

    # -- what is wrong ---------------------------------------------------------------------------

    def error(self, message: str, *places: Place, hint: str = "") -> ShapeError:
        """Build an error that points at axes, and lists what is known."""
        known = ", ".join(f"{self._name(name)}={size}" for name, size in self._known_so_far())
        lines = [hint, shapes_line(self.shapes), f"so far: {known}" if known else ""]
        text, spans = marks(relabelled(self.spec, self.labels), places)
        return ShapeError(with_carets(message, text, spans, "\n".join(filter(None, lines))))

    def _known_so_far(self) -> Iterable[tuple[str, int]]:
        return {**self._keywords, **self.extents}.items()

    def shown(self, axis: Axis) -> str:
        """An axis as messages show it."""
        return str(axis.renamed(self.labels))

    def _name(self, name: str) -> str:
        return self.labels.get(name, name)

    def _where(self, place: Place) -> str:
        number, position = place
        if place == _KEYWORD:
            return "by keyword"
        array = "the output" if number < 0 else operand_label(self.spec, number)
        return f"on axis {position} of {array}"

    def _disagree(
        self, name: str, first: int, source: Place, second: int, place: Place
    ) -> ShapeError:
        return self.error(
            f"extents disagree: {self._name(name)} is {first} {self._where(source)}, but {second} "
            f"{self._where(place)}",
            *(p for p in (source, place) if p != _KEYWORD),
        )

    def _check_known(self) -> None:
        missing = self.missing(self.extents)
        if not missing:
            return
        for place, axis in axes(self.spec):
            unknown = [name for name in dict.fromkeys(axis.names) if name in missing]
            if isinstance(axis, Composition) and len(unknown) == 1 and place[0] >= 0:
                message = f"{self.shown(axis)} has size 0 whatever {unknown[0]} is"
                raise self.error(message, place, hint=f"give {give(unknown)}")
            if len(unknown) > 1 and place[0] >= 0:
                listed = " and ".join(unknown)
                raise self.error(
                    f"{len(unknown)} unknown extents on one axis: {listed}", place,
                    hint=_what_to_give(unknown, axis),
                )  # fmt: skip
        name = missing[0]
        places = [place for place, axis in axes(self.spec) if name in axis.names]
        read = name in self.read
        reason = "a division determines none" if read else "it occurs only in the output"
        hint = f"give {give([name])}"
        if not read and len(name) > 1 and set(name) <= set(self.spec.indices):
            hint += f"; or did you mean '{' '.join(name)}'? {name!r} is one index"
        if not read and self.cotangent is not None and not self._spoken:
            hint += f"\n{self._misfit()}"
        raise self.error(f"unknown extent: {name}; {reason}", *places, hint=hint)

    def _misfit(self) -> str:
        """What is said of a cotangent if there is no result to compare it with."""
        count = len(self.spec.output)
        number = f"{count} ax{'i' if count == 1 else 'e'}s"
        return f"the cotangent has shape {self.cotangent}, the result has {number}"

    def _check_compositions(self, known: Mapping[str, int]) -> None:
        told = self.outputs if self.result is not None else ()
        for place, axis in (*self.inputs, *told):
            if isinstance(axis, Composition):
                size = self._size(place)
                factors = [known[name] for name in axis.names]
                if prod(factors) != size:
                    product = "*".join(map(str, factors))
                    raise self.error(
                        f"the composition {self.shown(axis)} does not come out: {product} = "
                        f"{prod(factors)}, the axis has {size}",
                        place,
                    )

    def _check_windows(self, known: Mapping[str, int], said: Set[str]) -> None:
        """Refuse what several axes determined together, if the window fits not all of them."""
        fixed = self._settled | said
        for place, axis, every in self.windows:
            names = [name for name in every if name not in self._given]
            if names and fixed.isdisjoint(names):
                limits = {n: self._fitting(place, axis, n, known) for n in names}
                if all(known[name] > limit for name, limit in limits.items()):
                    raise self._too_large(place, axis, names, known)

    # -- axes and their sizes --------------------------------------------------------------------

    @property
    def _spoken(self) -> Shape | None:
        """The shape that speaks for the result, if it is one."""
        shape = self.cotangent if self.result is None else self.result
        return shape if shape is not None and len(shape) == len(self.spec.output) else None

    def _size(self, place: Place) -> int:
        number, position = place
        shape = self._spoken if number < 0 else self.shapes[number]
        assert shape is not None
        assert position is not None
        return shape[position]


def _root(number: int, times: int) -> int:
    """The greatest whole number whose power is at most ``number``."""
    low, high = 0, 1 << -(-number.bit_length() // times)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**times <= number else (low, middle - 1)
    return low


def _what_to_give(unknown: Sequence[str], axis: Axis) -> str:
    if axis.fractional:
        return f"give {give(unknown, ' and ')}"
    enough = f"{len(unknown) - 1} of " * (len(unknown) > 2)
    return f"give {enough}{give(unknown, ', ' if enough else ' or ')}"
