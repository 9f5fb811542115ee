"""Programs, evaluated exactly on small arrays: in integers modulo a prime, and at random.

Nothing is shared with what carries programs out but the reading of strings: an element of a
contraction is a sum over points, as the notation's boundary rule says.

Two polynomials of degree ``d`` that differ agree at a random point with a probability of at most
``d / PRIME`` (Schwartz 1980, Zippel 1979). So do two programs, of which every function that is no
sum, product or quotient is drawn by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from contractconv.cache_register import kept
from contractconv.notation.problem import Accesses, Problem, Shape, shape_of
from contractconv.programs.build import local_axes
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import (
    Axes,
    Cast,
    Contract,
    Input,
    Map,
    Named,
    Node,
    Number,
    Position,
)
from contractconv.programs.residues import PRIME, Residues
from contractconv.reductions.table import REDUCTIONS

Values = list[int]
"""The elements of a node, row by row."""


class Known(NamedTuple):
    """What is known of nodes: shapes, dtypes, and what contractions are."""

    shapes: Mapping[Node, Shape]
    dtypes: Mapping[Node, str]
    problems: Mapping[Node, Problem]


def evaluated(
    order: Sequence[Node], known: Known, field: Residues, leaves: Mapping[Node, Values]
) -> dict[Node, Values]:
    """The elements of some nodes.

    Args:
        order: the nodes, each behind what it reads.
        known: shapes, dtypes and problems.
        field: the numbers.
        leaves: the elements of nodes that are given; inputs that are not are drawn.
    """
    values = dict(leaves)
    for node in order:
        if node not in values:
            values[node] = _RULES[type(node)](node, known, field, values)
    return values


def is_known(node: Node) -> bool:
    """Whether there is a rule for nodes of a kind."""
    return type(node) in _RULES


def drawn(node: Node, known: Known, field: Residues) -> Values:
    """Elements for a node, by chance."""
    return field.drawn(known.dtypes[node], prod(known.shapes[node]))


# -- a rule for each kind of node ------------------------------------------------------------------


def _number(node: Number, known: Known, field: Residues, values: Mapping[Node, Values]) -> Values:
    return [field.number(node.value)]


def _cast(node: Cast, known: Known, field: Residues, values: Mapping[Node, Values]) -> Values:
    source, dtype = known.dtypes[node.source], known.dtypes[node]
    return [field.converted(value, source, dtype) for value in values[node.source]]


def _map(node: Map, known: Known, field: Residues, values: Mapping[Node, Values]) -> Values:
    shape = known.shapes[node]
    given = []
    for argument in node.arguments:
        places = _spread(node.axes, shape, argument.axes)
        elements = values[argument]
        given.append([elements[place] for place in places])
    return [field.applied(node.function, row) for row in zip(*given, strict=True)]


@kept(most=4096)
def _spread(axes: Axes, shape: Shape, held: Axes) -> list[int]:
    """For every element of an array that of another one, which has some of its axes."""
    steps = dict(zip(held, _steps([shape[axes.index(name)] for name in held]), strict=True))
    strides = [steps.get(name, 0) for name in axes]
    return [sum(map(int.__mul__, place, strides)) for place in product(*map(range, shape))]


def _steps(shape: Sequence[int]) -> list[int]:
    return [prod(shape[n + 1 :]) for n in range(len(shape))]


def _contraction(
    node: Contract, known: Known, field: Residues, values: Mapping[Node, Values]
) -> Values:
    problem = known.problems[node]
    operands = [values[operand] for operand in node.operands]
    if node.local:
        return _local(node, problem, field, operands)
    record = REDUCTIONS[problem.reduce]
    size = prod(problem.output_sizes)
    if not record.linear:
        found = [field.number(record.identity)] * size
        for out, group in _groups(problem, operands).items():
            found[out] = field.reduced(problem.reduce, group)
        return found
    total = [0] * size
    for point in _points(problem):
        total[point.out] += _factor(operands, point)
    if record.averages:
        shares = _shares(problem, field)
        total = [value * share for value, share in zip(total, shares, strict=True)]
    made = [value % PRIME for value in total]
    return [int(value != 0) for value in made] if known.dtypes[node] == "bool" else made


def _local(node: Contract, problem: Problem, field: Residues, operands: Sequence[Values]) -> Values:
    if REDUCTIONS[problem.reduce].linear:
        shares = _shares(problem, field)
        return shares if local_axes(node.spec) == node.spec.output else shares[:1] or [0]
    found = [0] * problem.points
    places: dict[int, list[int]] = {}
    for point in _points(problem):
        places.setdefault(point.out, []).append(point.number)
    for out, group in _groups(problem, operands).items():
        for place, weight in zip(places[out], field.local(problem.reduce, group), strict=True):
            found[place] = weight
    return found


def _groups(problem: Problem, operands: Sequence[Values]) -> dict[int, Values]:
    """What each element of a result reduces."""
    groups: dict[int, Values] = {}
    for point in _points(problem):
        groups.setdefault(point.out, []).append(_factor(operands, point))
    return groups


def _factor(operands: Sequence[Values], point: Point) -> int:
    whole = 1
    for elements, place in zip(operands, point.places, strict=True):
        whole = whole * elements[place] % PRIME
    return whole


class Point(NamedTuple):
    """A point that contributes: its number among all, where it lands, and what it reads."""

    number: int
    out: int
    places: tuple[int, ...]


@kept(most=256)
def _points(problem: Problem) -> list[Point]:
    """The points that contribute."""
    found = []
    terms = [_Place(term) for term in (problem.output, *problem.operands)]
    for number, values in enumerate(_all_points(problem)):
        out, *places = (term.at(values) for term in terms)
        taken = tuple(place for place in places if place is not None)
        if out is not None and len(taken) == len(places):
            found.append(Point(number, out, taken))
    return found


def _all_points(problem: Problem) -> list[dict[str, int]]:
    ranges = (range(size) for _, size in problem.sizes)
    return [dict(zip(problem.indices, point, strict=True)) for point in product(*ranges)]


def _shares(problem: Problem, field: Residues) -> Values:
    """One over the number of points that land on each element, also those that read outside."""
    counts = [0] * prod(problem.output_sizes)
    output = _Place(problem.output)
    for values in _all_points(problem):
        out = output.at(values)
        if out is not None:
            counts[out] += 1
    return [field.inverse(count) if count else 0 for count in counts]


class _Place:
    """Where a point is in an array."""

    def __init__(self, accesses: Accesses) -> None:
        self._axes = [*zip(accesses, _steps(shape_of(accesses)), strict=True)]

    def at(self, values: Mapping[str, int]) -> int | None:
        """The number of the element; ``None`` if there is none."""
        place = 0
        for access, step in self._axes:
            number = access.offset + sum(c * values[name] for name, c in access.terms)
            at, rest = divmod(number, access.divisor)
            if rest or not 0 <= at < access.size:
                return None
            place += at * step
        return place


def _taken(node: TakenRows, known: Known, field: Residues, values: Mapping[Node, Values]) -> Values:
    size = known.shapes[node.table][node.table.axes.index(node.axis)]
    rows, labels = values[node.table], values[node.labels]
    made = []
    for place in _places(node.axes, known.shapes[node]):
        label = labels[_at(node.labels, known, place)]
        held = place | {node.axis: label}
        made.append(rows[_at(node.table, known, held)] if label < size else 0)
    return made


def _added(node: AddedRows, known: Known, field: Residues, values: Mapping[Node, Values]) -> Values:
    made = [0] * prod(known.shapes[node])
    size = known.shapes[node][node.axes.index(node.axis)]
    rows, labels = values[node.rows], values[node.labels]
    for value, place in zip(rows, _places(node.rows.axes, known.shapes[node.rows]), strict=True):
        label = labels[_at(node.labels, known, place)]
        if label < size:
            made[_at(node, known, place | {node.axis: label})] += value
    return [value % PRIME for value in made]


def _places(axes: Axes, shape: Shape) -> list[dict[str, int]]:
    return [dict(zip(axes, place, strict=True)) for place in product(*map(range, shape))]


def _at(node: Node, known: Known, place: Mapping[str, int]) -> int:
    steps = _steps(known.shapes[node])
    return sum(place[name] * step for name, step in zip(node.axes, steps, strict=True))


_RULES: dict[type[Node], Callable[[Any, Known, Residues, Mapping[Node, Values]], Values]] = {
    Input: lambda node, known, field, values: drawn(node, known, field),
    Number: _number,
    Position: lambda node, known, field, values: [*range(known.shapes[node][0])],
    Named: lambda node, known, field, values: values[node.source],
    Cast: _cast,
    Map: _map,
    Contract: _contraction,
    TakenRows: _taken,
    AddedRows: _added,
}
