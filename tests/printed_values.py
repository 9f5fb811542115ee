"""What printed formulas are worth, in plain numbers.

They are taken as a person takes them who has the page of the notation before him: a letter under
a sum runs through its extent, ``N_k`` is the extent of ``k``, and a term that reads outside of an
array, or between two of its elements, contributes nothing.

What one can do:

- ``evaluate``: the array that the text of a formula makes of arrays, which are nested lists.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from operator import itemgetter
from typing import Any

from printed_ellipses import shape_of, spelled
from printed_formulas import (
    Big,
    Composed,
    Condition,
    Element,
    Formula,
    Indicator,
    Name,
    Node,
    Number,
    Operation,
    Together,
    Unreadable,
    letters,
    read,
    walk,
)  # fmt: skip

Array = Any  # a number, or a list of arrays
Point = dict[str, int]
Extent = int | range

_WIDE = range(-12, 13)  # more than any index here runs through
_COMBINE: dict[str, Callable[[list[Any]], Any]] = {
    "Σ": sum,
    "Π": math.prod,
    "max": lambda values: max(values, default=-math.inf),
    "min": lambda values: min(values, default=math.inf),
    "": lambda values: values[0] if values else None,
    "argmax": lambda values: max(values, key=itemgetter(0), default=(0, ()))[1],
    "argmin": lambda values: min(values, key=itemgetter(0), default=(0, ()))[1],
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "+": lambda *parts: sum(parts),
    "·": lambda *parts: math.prod(parts),
    "/": lambda above, below: Fraction(above) / below if isinstance(above, int) else above / below,
    "δ": lambda left, right: int(left == right),
    "agree": lambda left, right: int(left == right),
    "max": max,
    "exp": math.exp,
    "log": lambda value: math.log(value) if value else -math.inf,
}
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "≠": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "≤": lambda left, right: left <= right,
    "∣": lambda left, right: right % left == 0,
}


def evaluate(
    text: str,
    arrays: Mapping[str, Array],
    extents: Mapping[str, Extent],
    shape: Sequence[int],
    numbers: Mapping[str, int] | None = None,
    strict: bool = False,
) -> Array:
    """The array that a formula says.

    Args:
        text: the formula.
        arrays: the arrays in it by name: nested lists, and numbers where there are no axes.
        extents: how far indices run, or what they run through.
        shape: of the result.
        numbers: the parameters.
        strict: where conditions hold, nothing may be read outside of an array.

    Raises:
        Unreadable: it cannot be read, or means more than one thing.
    """
    formula, dots = spelled(read(text), arrays, shape)
    ranges = {name: _range(extent) for name, extent in {**extents, **dots}.items()}
    left = _left_ranges(formula, shape, ranges, numbers or {})
    meaning = _Meaning(arrays, ranges | left, dict(numbers or {}), strict)
    meaning = replace(meaning, numbers={**_ends(formula, meaning), **meaning.numbers})
    result: dict[tuple[int, ...], Any] = {}
    for point in _points(left):
        place = tuple(meaning.value(axis, point) for axis in formula.axes)
        if all(0 <= n < size and n % 1 == 0 for n, size in zip(place, shape, strict=True)):
            value = meaning.value(formula.body, point)
            result[place] = meaning.value(formula.otherwise, point) if value is None else value
    return _nested(shape, result, ())


def _range(extent: Extent) -> range:
    return range(extent) if isinstance(extent, int) else extent


def _nested(
    shape: Sequence[int],
    elements: Mapping[tuple[int, ...], Any],
    place: tuple[int, ...],
) -> Array:
    """The elements as nested lists."""
    if len(place) == len(shape):
        return elements.get(place, 0)
    return [_nested(shape, elements, (*place, n)) for n in range(shape[len(place)])]


def _points(ranges: Mapping[str, range]) -> Iterator[Point]:
    """Every combination of positions."""
    for positions in itertools.product(*ranges.values()):
        yield dict(zip(ranges, positions, strict=True))


def _left_ranges(
    formula: Formula,
    shape: Sequence[int],
    ranges: Mapping[str, range],
    numbers: Mapping[str, int],
) -> dict[str, range]:
    """What the indices on the left run through: their axes, or all that lies on an axis."""
    found: dict[str, range] = {}
    if len(formula.axes) != len(shape):
        raise Unreadable(f"{formula.name} has {len(formula.axes)} axes for {list(shape)}")
    for axis, size in zip(formula.axes, shape, strict=True):
        if isinstance(axis, Name):
            found[axis.text] = range(size)
        elif isinstance(axis, Composed):
            found |= {name: _run_of(name, ranges) for name in axis.names}
    for axis in formula.axes:
        letters = {node.text for node in walk(axis) if isinstance(node, Name)} - {*found}
        found |= dict.fromkeys(letters - {*numbers}, _WIDE)
    return found


def _run_of(name: str, ranges: Mapping[str, range]) -> range:
    """What an index runs through; one with primes is a second copy of that without."""
    for known in (name, name.rstrip("′")):
        if known in ranges:
            return ranges[known]
    raise Unreadable(f"nobody says how far {name} runs")


def _ends(formula: Formula, meaning: _Meaning) -> dict[str, int]:
    """What every ``N_k`` is: an extent, or the size of the axis whose position it bounds."""
    found = {}
    for name in {node.text for node in walk(formula.body) if isinstance(node, Name)}:
        letter = name.removeprefix("N_")
        if letter != name and name not in meaning.sizes:
            found[name] = (
                len(meaning.sizes[letter])
                if letter in meaning.sizes
                else _bounded_size(formula, name, meaning)
            )
    return found


def _bounded_size(formula: Formula, name: str, meaning: _Meaning) -> int:
    """The size of the axis that a bound is said of: the one where the same expression stands."""
    positions = {
        condition.parts[-2]
        for node in walk(formula.body)
        if isinstance(node, Big | Indicator)
        for condition in node.conditions
        if condition.parts[-1] == Name(name)
    }
    sizes = [
        size
        for node in walk(formula.body)
        if isinstance(node, Element)
        for axis, size in zip(node.axes, shape_of(meaning.arrays.get(node.array)), strict=False)
        if axis in positions
    ]
    if not sizes:
        raise Unreadable(f"{name} is the size of no axis")
    return min(sizes)  # of all axes where it stands: it has to be inside each of them


# --- values at a point -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Meaning:
    """What the letters of a formula stand for."""

    arrays: Mapping[str, Array]
    sizes: Mapping[str, range]
    numbers: Mapping[str, int]
    strict: bool = False
    questions: dict[int, list[list[Condition]]] = field(default_factory=dict)

    def value(self, node: Node, point: Point) -> Any:
        """What it is worth at a point; ``None`` if something is read where there is nothing."""
        return _RULES[type(node)](self, node, point)

    def operation(self, node: Operation, point: Point) -> Any:
        """A function of its parts, if all of them are there."""
        if node.sign == "·" and not all(self.value(part, point) for part in _indicators(node)):
            return 0
        parts = [self.value(part, point) for part in node.parts]
        if node.sign == "+":  # what is not there adds nothing
            parts = [part for part in parts if part is not None] or [None]
        if node.sign == "exp" and None in (self.value(e, point) for e in _elements(node)):
            return None
        return None if None in parts else _FUNCTIONS[node.sign](*parts)

    def named(self, name: str, point: Point) -> Any:
        """An index, a parameter, a size, or an array without axes."""
        for known in (point, self.numbers, self.arrays):
            if name in known:
                return known[name]
        raise Unreadable(f"what is {name}?")

    def composed(self, names: Sequence[str], point: Point) -> int:
        """The row-major position of several indices."""
        position = 0
        for name in names:
            position = position * len(_run_of(name, self.sizes)) + point[name]
        return position

    def element(self, node: Element, point: Point) -> Any:
        """An element, if it is there."""
        positions = [self.value(axis, point) for axis in node.axes]
        inside = self.named(node.array, {})
        for position in positions:
            if position is None or position % 1 or not 0 <= position < len(inside):
                if self.strict:
                    raise Unreadable(f"{node.array} is read at {position}")
                return None
            inside = inside[int(position)]
        return inside

    def reduced(self, node: Big, point: Point) -> Any:
        """All that is there at the points that the conditions allow."""
        values = ((self.value(node.body, p), p) for p in self.points(node, point))
        there = [(value, p) for value, p in values if value is not None]
        if node.sign.startswith("arg"):
            chosen = [(value, tuple(p[name] for name in node.indices)) for value, p in there]
            return _COMBINE[node.sign](chosen)
        return _COMBINE[node.sign]([value for value, _ in there])

    def points(self, node: Big, point: Point) -> Iterator[Point]:
        """The points of a reduction; a condition is asked as soon as its letters are known."""
        if id(node) not in self.questions:
            self.questions[id(node)] = [*self.asked(node, set(point))]
        found = iter([point])
        for name, conditions in zip(("", *node.indices), self.questions[id(node)], strict=True):
            found = self.refined(found, name, conditions)
        return found

    def refined(
        self, points: Iterator[Point], name: str, conditions: Sequence[Condition]
    ) -> Iterator[Point]:
        """Points with one index more (or as they are), where some conditions hold."""
        for point in points:
            for more in [{name: n} for n in _run_of(name, self.sizes)] if name else [{}]:
                inner = point | more
                if all(self.holds(condition, inner) for condition in conditions):
                    yield inner

    def asked(self, node: Big, known: set[str]) -> Iterator[list[Condition]]:
        """The conditions that are asked before any index is known, and after each of them."""
        left = [*node.conditions, *(_deltas(node.body) if node.sign == "Σ" else ())]
        bound = {*node.indices} - known
        for name in ("", *node.indices):
            bound.discard(name)
            ready = [c for c in left if not any(name in bound for name in letters(c))]
            left = [c for c in left if c not in ready]
            yield ready

    def holds(self, condition: Condition, point: Point) -> bool:
        """Whether a condition holds."""
        values = [self.value(part, point) for part in condition.parts]
        steps = zip(values[:-1], condition.relations, values[1:], strict=True)
        return all(_HOLDS[relation](left, right) for left, relation, right in steps)


_RULES: dict[type, Callable[[_Meaning, Any, Point], Any]] = {
    Number: lambda meaning, node, point: node.value,
    Name: lambda meaning, node, point: meaning.named(node.text, point),
    Composed: lambda meaning, node, point: meaning.composed(node.names, point),
    Together: lambda meaning, node, point: tuple(meaning.named(n, point) for n in node.names),
    Element: _Meaning.element,
    Operation: _Meaning.operation,
    Big: _Meaning.reduced,
    Indicator: lambda meaning, node, point: int(
        all(meaning.holds(c, point) for c in node.conditions)
    ),
}


def _elements(node: Node) -> Iterator[Element]:
    """The elements that are read."""
    return (part for part in walk(node) if isinstance(part, Element))


def _indicators(product: Operation) -> Iterator[Node]:
    """The factors that are one or zero: beside a zero nothing is read."""
    for part in product.parts:
        if isinstance(part, Indicator) or (isinstance(part, Operation) and part.sign == "δ"):
            yield part


def _deltas(body: Node) -> Iterator[Condition]:
    """The deltas that a term is multiplied by: where one is zero, the term adds nothing."""
    parts = body.parts if isinstance(body, Operation) and body.sign == "·" else (body,)
    for part in parts:
        if isinstance(part, Operation) and part.sign == "δ":
            yield Condition(part.parts, ("=",))
