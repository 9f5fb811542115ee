"""The one solver of extents: which value every index of a contraction takes.

Operands speak first, then keywords, then the shape of the result, and whoever speaks later is heard
only about what is still free. So a true statement changes nothing: it is never the reason for
something else, as long as that follows without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations
from math import prod

from contractconv.errors import ShapeError, with_carets
from contractconv.notation.affine import Affine
from contractconv.notation.places import axes, give, marks, relabelled, shapes_line
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Axis, Composition, Place, Spec

_KEYWORD: Place = (-2, None)
# Sets of statements that are tried as the reason for all the others: 255 of eight.
_MOST_STATEMENTS = 8


@dataclass
class Solver:
    """Finds the extents of one contraction.

    Attributes:
        spec: the contraction, parameters bound and ellipsis spelled out.
        shapes: the shapes of the operands.
        result: the shape of the result, if a caller says so.
        cotangent: the shape of an array that ought to have the result's: it tells of indices
            that no operand has, and of nothing else.
        labels: what messages call the axes of the ellipsis.
        extents: the extents found so far.
    """

    spec: Spec
    shapes: tuple[Shape, ...]
    result: Shape | None = None
    cotangent: Shape | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    extents: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sources: dict[str, Place] = {}
        self._keywords: dict[str, int] = {}
        self._stated: dict[str, int] = {}
        # What has no reason, and what was said of what follows from operands alone.
        self._given: Set[str] = frozenset()
        self._settled: Set[str] = frozenset()
        self._indices = self.spec.indices
        self._inputs = [
            (place, axis, self.shapes[place[0]][place[1] or 0])
            for place, axis in axes(self.spec)
            if place[0] >= 0
        ]
        self._windows = [
            (place, axis, axis.names, size)
            for place, axis, size in self._inputs
            if isinstance(axis, Affine) and not axis.fractional and not axis.plain
        ]
        self._read = {name for term in self.spec.inputs for axis in term for name in axis.names}

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
            self._sources[name] = _KEYWORD
            self._keywords[name] = value

    def _take_plain(self) -> None:
        for place, axis, size in self._inputs:
            if axis.plain:
                self._compare(axis.plain, size, place)
                self.extents[axis.plain] = size

    def _take_result(self) -> None:
        for place, axis, size in self._outputs():
            if axis.plain and self._speaks_of(axis.plain):
                if self.result is not None:
                    self._compare(axis.plain, size, place)
                self._stated.setdefault(axis.plain, size)

    def _compare(self, name: str, size: int, place: Place) -> None:
        said = {**self._stated, **self._keywords, **self.extents}
        if said.setdefault(name, size) != size:
            raise self._disagree(name, said[name], self._sources[name], size, place)
        self._sources.setdefault(name, place)

    def _speaks_of(self, name: str) -> bool:
        return self.result is not None or name not in self._read

    # -- what follows ----------------------------------------------------------------------------

    def _infer(self) -> None:
        said = self._stated | self._keywords
        # What no operand has follows from nothing.
        self.extents |= {name: size for name, size in said.items() if name not in self._read}
        self._given = frozenset(self.extents)
        self._follow(self.extents, said)
        self._settled = frozenset(name for name in said if name in self.extents)
        for statements, result in ((self._keywords, False), (said, True)):
            if self._missing(self.extents):
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
        rest = {name: said[name] for name in self._missing(self.extents) if name in said}
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
            self._follow(known, {} if result else self._stated, result)
            if self._missing(known):
                return None
            self._check_compositions(known)
            self._check_windows(known, {*chosen, *(() if result else self._stated)})
        except ShapeError:
            return None
        return known

    def _from_all(self, said: Mapping[str, int], result: bool) -> dict[str, int]:
        self.extents = {**said, **self.extents}
        self._follow(self.extents, {} if result else self._stated, result)
        if not self._missing(self.extents):
            self._check_windows(self.extents, {*said, *self._stated})
        return self.extents

    def _missing(self, known: Mapping[str, int]) -> list[str]:
        return [name for name in self._indices if name not in known]

    def _follow(self, known: dict[str, int], said: Mapping[str, int], result: bool = False) -> None:
        """Apply the rules as far as they go.

        Args:
            known: the extents so far; what follows is added.
            said: what is known from elsewhere as soon as it would follow, whatever would follow.
            result: whether compositions of the result may tell what is still free.
        """
        while (
            self._follow_compositions(known, said, self._inputs)
            or self._follow_windows(known, said)
            or (result and self._follow_compositions(known, said, self._outputs()))
        ):
            pass

    def _follow_compositions(
        self, known: dict[str, int], said: Mapping[str, int], sized: Iterable[Sized]
    ) -> bool:
        before = len(known)
        for place, axis, size in sized:
            if not isinstance(axis, Composition):
                continue
            unknown = {name for name in axis.names if name not in known}
            if len(unknown) == 1 and self._speaks(place, unknown):
                (name,) = unknown
                extent = said[name] if name in said else self._factor(place, axis, size, known)
                if extent is not None:
                    known[name] = extent
                    self._sources.setdefault(name, place)
        return len(known) > before

    def _speaks(self, place: Place, names: Iterable[str]) -> bool:
        return place[0] >= 0 or all(map(self._speaks_of, names))

    def _factor(
        self, place: Place, axis: Composition, size: int, known: Mapping[str, int]
    ) -> int | None:
        (unknown,) = {name for name in axis.names if name not in known}
        others = prod(known[name] for name in axis.names if name != unknown)
        times = axis.names.count(unknown)
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

    def _follow_windows(self, known: dict[str, int], said: Mapping[str, int]) -> bool:
        found: dict[str, tuple[int, Place]] = {}
        for place, axis, every, size in self._windows:
            unknown = [name for name in every if name not in known]
            if len(unknown) == 1:
                (name,) = unknown
                other = name in said
                extent = said[name] if other else self._fitting(place, axis, size, name, known)
                before = found.setdefault(name, (extent, place))
                if before[0] != extent:
                    raise self._disagree(name, *before, extent, place)
        for name, (extent, place) in found.items():
            known[name] = extent
            self._sources.setdefault(name, place)
        return bool(found)

    def _fitting(
        self, place: Place, axis: Affine, size: int, unknown: str, known: Mapping[str, int]
    ) -> int:
        """How many values of ``unknown`` stay inside, by the boundary rule."""
        coefficients = {name: c.number for name, c in axis.terms}
        step = coefficients.pop(unknown)
        low = high = axis.offset.number
        for name, coefficient in coefficients.items():
            span = coefficient * max(0, known[name] - 1)
            low, high = low + min(0, span), high + max(0, span)
        if step < 0:  # the mirror image: as much as reaches past the end is allowed below zero
            low, high = size - 1 - high, size - 1 - low
        room = size - 1 + max(0, -low) - high
        extent = room // abs(step) + 1
        if extent >= bool(coefficients):  # without a window, nothing at all is fine: x[2:] of two
            return extent
        if coefficients:
            raise self._too_large(place, axis, size, [unknown], known)
        raise self.error(
            f"{self.shown(axis)} begins beyond its axis of size {size}",
            place,
            hint=f"give the extent, {give([unknown])}, if the window is meant to reach outside",
        )

    def _too_large(
        self, place: Place, axis: Affine, size: int, free: Sequence[str], known: Mapping[str, int]
    ) -> ShapeError:
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

    def _disagree(
        self, name: str, first: int, source: Place, second: int, place: Place
    ) -> ShapeError:
        return self.error(
            f"extents disagree: {self._name(name)} is {first} {_where(source)}, but {second} "
            f"{_where(place)}",
            *(p for p in (source, place) if p != _KEYWORD),
        )

    def _check_known(self) -> None:
        missing = self._missing(self.extents)
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
        read = name in self._read
        reason = "a division determines none" if read else "it occurs only in the output"
        hint = f"give {give([name])}"
        if not read and len(name) > 1 and set(name) <= set(self.spec.indices):
            hint += f"; or did you mean '{' '.join(name)}'? {name!r} is one index"
        if not read and self.cotangent is not None and not [*self._outputs()]:
            hint += f"\n{self._misfit()}"
        raise self.error(f"unknown extent: {name}; {reason}", *places, hint=hint)

    def _misfit(self) -> str:
        """What is said of a cotangent if there is no result to compare it with."""
        count = len(self.spec.output)
        number = f"{count} ax{'i' if count == 1 else 'e'}s"
        return f"the cotangent has shape {self.cotangent}, the result has {number}"

    def _check_compositions(self, known: Mapping[str, int]) -> None:
        told = self._outputs() if self.result is not None else ()
        for place, axis, size in (*self._inputs, *told):
            if isinstance(axis, Composition):
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
        for place, axis, every, size in self._windows:
            names = [name for name in every if name not in self._given]
            if names and fixed.isdisjoint(names):
                limits = {n: self._fitting(place, axis, size, n, known) for n in names}
                if all(known[name] > limit for name, limit in limits.items()):
                    raise self._too_large(place, axis, size, names, known)

    # -- axes and their sizes --------------------------------------------------------------------

    def _outputs(self) -> Iterator[Sized]:
        shape = self.cotangent if self.result is None else self.result
        if shape is not None and len(shape) == len(self.spec.output):
            for position, (axis, size) in enumerate(zip(self.spec.output, shape, strict=True)):
                yield (-1, position), axis, size


Sized = tuple[Place, Axis, int]
"""An axis with its place and its size."""


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


def _where(place: Place) -> str:
    number, position = place
    if place == _KEYWORD:
        return "by keyword"
    return f"on axis {position} of {'the output' if number < 0 else f'operand {number}'}"
