"""The sizes that generated code works with: read from shapes, or computed from other sizes.

Only those that are asked for get a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from contractconv.display.source_code.agreement import agreement, fitted
from contractconv.display.source_code.naming import POSITIONS, Names
from contractconv.display.source_code.quantities import Quantity
from contractconv.display.source_code.solving import RESULT, Places, Solution, plain
from contractconv.display.source_code.text import (
    grouped,
    multiples,
    product,
    total,
    tupled,
)
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.reach import places, reached
from contractconv.notation.spec import Axis, Composition, Place, Spec


class Sizes:
    """Extents of indices and sizes of axes, as texts; remembers which lines they take.

    Args:
        spec: the forward contraction.
        solution: how its extents are known.
        shapes: those of its terms, by number; without the result's, its sizes are computed.
        arguments: the variables of parameters and of extents that are given.
        names: where to get names from.
    """

    def __init__(
        self,
        spec: Spec,
        solution: Solution,
        shapes: Mapping[int, str],
        arguments: Mapping[str, str],
        names: Names,
    ) -> None:
        self.spec = spec
        self.solution = solution
        self.shapes = shapes
        self._arguments = arguments
        self._names = names
        self._extents = {name: arguments[name] for name in solution.arguments}
        self._fitted: list[str] = []
        self._shapes: dict[int, dict[int, str]] = {}
        self._results: dict[int, str] = {}
        self._positions: dict[str, tuple[Place, str | None]] = {}
        self._calls: dict[Place, str] = {}
        self._formulas: list[str] = []

    def rename(self, parameter: str) -> str:
        """The variable of a parameter."""
        return self._arguments[parameter]

    def name_position(self, name: str, place: Place, index: str | None = None) -> None:
        """Give a name to the position on an axis; its extent is that of the index there, if any."""
        self._positions[name] = (place, index)

    def axis(self, place: Place) -> Axis:
        """An axis of the forward contraction."""
        number, position = place
        assert position is not None
        return self.spec.terms[number][position]

    def extent(self, index: str) -> str:
        """The number of values of an index."""
        if index in self._positions:
            place, same = self._positions[index]
            return self.extent(same) if same else self.size(place)
        if index not in self._extents:
            self._extents[index] = self._found(index, self.solution.found[index])
        return self._extents[index]

    def extents(self, names: Iterable[str]) -> str:
        """The product of some extents, or ``""``."""
        return product([self.extent(name) for name in names])

    def size(self, place: Place) -> str:
        """The size of an axis of the forward contraction."""
        axis = self.axis(place)
        if not isinstance(axis, Affine):
            return self.extents(axis.names)
        if axis.plain:
            return self.extent(axis.plain)
        if place[0] in self.shapes:
            return self._shape(place, self._called(place))
        return self._result(place, axis)

    def holds(self, place: Place, met: Affine) -> bool:
        """Whether an axis of the forward contraction certainly has every element that is met."""
        if place not in self.solution.windows or not never_below(met):
            return False
        axis = self.axis(place)
        if not isinstance(axis, Affine) or {*met.terms} != {*axis.terms}:
            return False
        return (met.offset, met.divisor) == (axis.offset, axis.divisor)

    def lines(self) -> list[str]:
        """The lines that define what was asked for, and refuse shapes that do not agree."""
        checks = agreement(self)
        if self.solution.dynamic and not self._fitted:
            checks.append(fitted(self))
        return [*map(self._shape_line, sorted(self._shapes)), *self._formulas, *checks]

    def refuse(self, condition: str, message: str) -> None:
        """Write that sizes raise an error, with their values in the message."""
        quoted = f'{"f" * ("{" in message)}"{message}"'
        self._formulas += [f"if {condition}:", f"    raise ValueError({quoted})"]

    # -- where sizes come from -----------------------------------------------------------------

    def _found(self, index: str, places: Places) -> str:
        place, axis = places[0], self.axis(places[0])
        if plain(axis):
            return self._shape(place, index)
        if self.solution.dynamic and place[0] != RESULT:
            return self._define(index, f'{self._fitting()}["{index}"]')
        if isinstance(axis, Composition):
            return self._define(index, self._factor(index, axis, place))
        return self._counted(index, places)

    def _define(self, index: str, formula: str) -> str:
        name = self._names.extent(index)
        self._formulas.append(f"{name} = {formula}")
        return name

    def _fitting(self) -> str:
        """The variable with the extents that numbers in the place of symbols determine."""
        if not self._fitted:
            call = fitted(self)
            self._fitted.append(self._names.fresh("extents", "sizes"))
            self._formulas.append(f"{self._fitted[0]} = {call}")
        return self._fitted[0]

    def _counted(self, index: str, places: Iterable[Place]) -> str:
        """The number of places of a window, if it fits; of several, all must say the same."""
        names = []
        for place in places:
            axis = self.axis(place)
            assert isinstance(axis, Affine)
            size = self.size(place)
            names.append(self._define(index, self._count(index, axis, size)))
            least = int(len(axis.terms) > 1)
            if least or not _reaches_less(axis):
                message = f"{axis} has no place on an axis of {{{size}}}"
                self.refuse(f"{names[-1]} < {least}", message)
            if len(names) > 1:
                message = f"extents disagree: {index} is {{{names[0]}}}, but also {{{names[-1]}}}"
                self.refuse(f"{names[-1]} != {names[0]}", message)
        return names[0]

    def _factor(self, index: str, axis: Composition, place: Place) -> str:
        others = [name for name in axis.names if name != index]
        size = f"{self.shapes[place[0]]}[{place[1]}]"
        if others:
            known = self.extents(others)
            unknown = f"{axis} has size {{{size}}} whatever {index} is"
            self.refuse(f"{known} == 0", unknown)
            size = f"{size} // {grouped(known, (' * ',))}"
        times = Counter(axis.names)[index]
        return size if times == 1 else f"round({grouped(size, ('//',))} ** (1 / {times}))"

    def _count(self, index: str, axis: Affine, size: str) -> str:
        """The number of places of a window, as the notation's rule says."""
        # Without a tap a window is as large as with one.
        extents = {n: f"max(1, {self.extent(n)})" for n in axis.names if n != index}
        step = dict(axis.terms)[index].number
        offset = Quantity.number(axis.offset.number)
        return str(places(Quantity.of(size), step, offset, _steps(axis, extents)))

    def _result(self, place: Place, axis: Affine) -> str:
        """The natural size of an axis of the result."""
        position = place[1]
        assert position is not None
        if position not in self._results:
            formula = self._natural(axis)
            if not formula.isdigit():
                formula = self._define(self._called(place), formula)
            self._results[position] = formula
        return self._results[position]

    def _natural(self, axis: Affine) -> str:
        if axis.parameters:
            return self._reached(axis)
        extents = {name: self.extent(name) for name in axis.names}
        number, divisor = axis.offset.number, axis.divisor.number
        offset = Quantity.number(number) if extents else number
        size = str(reached(offset, divisor, _steps(axis, extents)))
        return f"{size} if {product([*extents.values()])} else 0" if extents else size

    def _reached(self, axis: Affine) -> str:
        numbers = [total(multiples(p, self.rename)) for p in (axis.offset, axis.divisor)]
        factors = ((total(multiples(c, self.rename)), self.extent(n)) for n, c in axis.terms)
        return f"reached({', '.join([*numbers, *map(tupled, factors)])})"

    def _called(self, place: Place) -> str:
        """What the position on an axis is called."""
        for name, where in self._positions.items():
            if where == (place, None):
                return name
        used = {*self.spec.indices, *self._positions, *self._calls.values()}
        free = next((name for name in POSITIONS if name not in used), "n")
        return self._calls.setdefault(place, free)

    def _shape(self, place: Place, index: str) -> str:
        number, position = place
        assert position is not None
        known = self._shapes.setdefault(number, {})
        if position not in known:
            known[position] = self._names.extent(index)
        return known[position]

    def _shape_line(self, number: int) -> str:
        shape, known = self.shapes[number], self._shapes[number]
        if len(known) == 1:
            ((position, name),) = known.items()
            return f"{name} = {shape}[{position}]"
        rank = len(self.spec.terms[number])
        return f"{', '.join(known.get(n, '_') for n in range(rank))} = {shape}"


def never_below(axis: Affine) -> bool:
    """Whether an axis certainly is never met below zero."""
    return all(_sign(p) > 0 for p in (axis.divisor, axis.offset, *(c for _, c in axis.terms)))


def _sign(polynomial: Polynomial) -> int:
    """1 or -1 of a number (zero counts as 1), 0 if there are parameters, whose values decide it."""
    if polynomial.constant is None:
        return 0
    return 1 if polynomial.constant >= 0 else -1


def _steps(axis: Affine, extents: Mapping[str, str]) -> list[tuple[int, Quantity]]:
    """The coefficients of some indices, and how far these go."""
    return [(c.number, Quantity.of(extents[n], least=1) - 1) for n, c in axis.terms if n in extents]


def _reaches_less(axis: Affine) -> bool:
    """Whether an axis with one index surely begins inside, however short it is."""
    ((_, step),) = axis.terms
    return _sign(step) * _sign(axis.offset) < 0 or not axis.offset
