"""Whether two values of programs are equal, whatever the inputs are: Schwartz and Zippel's test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from contractconv.maps.table import MAPS
from contractconv.notation.problem import Shape
from contractconv.programs.build import transposed
from contractconv.programs.dtypes import Typed, typed
from contractconv.programs.exact import Known, drawn, evaluated
from contractconv.programs.kinds import kind
from contractconv.programs.nodes import Cast, Contract, Input, Map, Node, Number
from contractconv.programs.program import Graph
from contractconv.programs.residues import Residues
from contractconv.programs.small_sizes import fitting
from contractconv.reductions.table import REDUCTIONS

# With how many sizes that fit the values are compared.
_ENOUGH = 2
# Points of contractions, and elements of everything else, that are evaluated.
_MOST_POINTS = 200_000
# Times that values are drawn: from the whole field; near the numbers that stand in a program, which
# is where comparisons turn; and fewer of these where nothing is compared.
_ANYWHERE, _NEAR, _SMOOTH = 3, 60, 1


def agree(first: Node, second: Node, shapes: Mapping[str, Shape]) -> bool:
    """Whether two nodes are equal for all inputs.

    Args:
        first: a node.
        second: another one; axes are compared by name.
        shapes: shapes of inputs that are not to be chosen.

    Raises:
        ProgramError: two different inputs have one name.
        ShapeError: no small sizes fit.
    """
    if set(first.axes) != set(second.axes):
        return False
    graph = Graph.of({"first": first, "second": transposed(second, first.axes)})
    programs = islice(fitting(graph, shapes, _MOST_POINTS), _ENOUGH)
    return all(_agree(typed(program, "float64")) for program in programs)


def _agree(program: Typed) -> bool:
    first, second = program.graph.wanted
    if program.shapes[first] != program.shapes[second]:
        return False
    order, known = program.graph.nodes, Known(program.shapes, program.dtypes, program.problems)
    return agree_at_random(first, second, order, known, (), (_ANYWHERE, _NEAR))


def agree_at_random(
    first: Node,
    second: Node,
    order: Sequence[Node],
    known: Known,
    leaves: Sequence[Node],
    often: tuple[int, int],
) -> bool:
    """Whether two nodes have the same elements, whatever some leaves hold.

    Args:
        first: a node.
        second: another one.
        order: what they are made of, each behind what it reads.
        known: what is known of that.
        leaves: those that hold anything.
        often: how often elements are drawn from the whole field, and near some integers.
    """
    for field in fields(order, *often):
        given = {node: drawn(node, known, field) for node in leaves}
        values = evaluated(order, known, field, given)
        # Near small integers denominators vanish, which says nothing.
        excused = field.is_near and field.has_divided_by_zero
        if values[first] != values[second] and not excused:
            return False
    return True


def fields(order: Sequence[Node], anywhere: int, near: int) -> Iterator[Residues]:
    """Fields in which nodes are evaluated, each with other functions, and inputs, by chance.

    Args:
        order: the nodes.
        anywhere: how often inputs are drawn from the whole field.
        near: how often they are drawn near the numbers that stand in the nodes, where something is
            compared, or rounded.
    """
    numbers = sorted({0, 2, *_integers(order)})
    close = sorted({n + step for n in numbers for step in (-1, 0, 1)})
    for seed in range(anywhere):
        yield Residues(seed)
    for seed in range(near if any(map(_turns, order)) else _SMOOTH):
        yield Residues(anywhere + seed, close)


def _integers(order: Sequence[Node]) -> Iterator[int]:
    for node in order:
        if isinstance(node, Number) and type(node.value) is int:
            yield node.value


def _turns(node: Node) -> bool:
    """Whether something is compared, or rounded."""
    match node:
        case Map() if node.function in MAPS:
            record = MAPS[node.function]
            return record.ordered or record.kind == "bool" or record.conditions > 0
        case Contract():
            return REDUCTIONS[node.spec.reduce].ordered
        case Cast() | Input():
            return node.dtype is not None and kind(node.dtype) < kind("float32")
    return False
