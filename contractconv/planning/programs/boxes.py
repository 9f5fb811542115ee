"""Contractions of one array that compute nothing: parts that are taken, and parts that are placed.

A slice is read where it lies. An array that is placed in one of zeros is copied once, together with
all that is placed beside it: that is what a concatenation becomes, and the gradient of slices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod

from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import Contract, Map, Named, Node, Number, Position
from contractconv.reductions.table import REDUCTIONS

# For each axis of an array the places that a part of it takes.
Box = tuple[range, ...]
# Parts of one whole.
_MOST = 1 << 8


@dataclass(frozen=True)
class Part:
    """An array that is placed in a larger one.

    Attributes:
        node: the array.
        box: where it stands.
    """

    node: Node
    box: Box


@dataclass(frozen=True)
class Placed:
    """Arrays that stand in one of zeros, none where another one does.

    Attributes:
        node: the whole.
        parts: what stands in it.
        within: the nodes that lead to it, itself among them.
    """

    node: Node
    parts: tuple[Part, ...]
    within: tuple[Node, ...]


def slice_of(problem: Problem) -> Box | None:
    """The part of its only operand that a contraction takes, if it does nothing else.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> slice_of(resolve(parse("(2*i+1) (0) k -> i k"), [(7, 2, 5)], {"i": 3}))
        (range(1, 6, 2), range(0, 1), range(0, 5))
    """
    if not _is_of_one(problem):
        return None
    return _box(problem.operands[0], problem.output, problem)


def place_of(problem: Problem) -> Box | None:
    """Where a contraction puts its only operand, if it does nothing else.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> place_of(resolve(parse("i k -> (i+2) k"), [(3, 5)], {}, output_shape=(7, 5)))
        (range(2, 5), range(0, 5))
    """
    if not _is_of_one(problem):
        return None
    return _box(problem.output, problem.operands[0], problem)


def _is_of_one(problem: Problem) -> bool:
    return len(problem.operands) == 1 and REDUCTIONS[problem.reduce].is_sum


def _box(large: Accesses, small: Accesses, problem: Problem) -> Box | None:
    """Which part of a larger array a smaller one is, axis by axis in the same order."""
    extents = problem.extents
    names = [access.plain for access in small]
    whole = all(
        name is not None and access.size == extents[name]
        for name, access in zip(names, small, strict=True)
    )
    places = [_places(access, extents) for access in large]
    if not whole or 0 in extents.values():
        return None
    box = tuple(one for one in places if one is not None)
    several = [n for n in names if n is not None and extents[n] > 1]
    along = [n for access in large for n in access.names if extents[n] > 1]
    others = [n for n in extents if extents[n] > 1 and n not in several]
    return box if len(box) == len(large) and several == along and not others else None


def _places(access: Access, extents: Mapping[str, int]) -> range | None:
    """The places of an axis that are met one after the other; ``None`` if some lie outside."""
    moving = [(name, step) for name, step in access.terms if extents[name] > 1]
    if access.divisor != 1 or len(moving) > 1 or any(step < 1 for _, step in moving):
        return None
    count, step = (extents[moving[0][0]], moving[0][1]) if moving else (1, 1)
    last = access.offset + step * (count - 1)
    inside = access.offset >= 0 and last < access.size
    return range(access.offset, last + 1, step) if inside else None


def are_apart(one: Box, other: Box) -> bool:
    """Whether two parts of an array have no element in common.

    Example:
        >>> are_apart((range(0, 6, 2), range(3)), (range(1, 6, 2), range(3)))
        True
        >>> are_apart((range(0, 6, 2), range(3)), (range(4, 5), range(3)))
        False
    """
    return any(_miss(a, b) for a, b in zip(one, other, strict=True))


def _miss(one: range, other: range) -> bool:
    if one.stop <= other.start or other.stop <= one.start:
        return True
    return bool((one.start - other.start) % gcd(one.step, other.step))


def volume(box: Box) -> int:
    """How many elements a part has."""
    return prod(map(len, box))


def is_slice(node: Node, program: Typed) -> bool:
    """Whether a node is a part of an array, which can be read where it lies."""
    if not _moves(node, program):
        return False
    box = slice_of(program.problems[node])
    # Neighbours shall be neighbours still, for whoever reads them.
    return box is not None and (not box or box[-1].step == 1)


def _moves(node: Node, program: Typed) -> bool:
    """Whether a node may be a contraction that moves an array as it is."""
    if not isinstance(node, Contract) or node.local or len(node.operands) != 1:
        return False
    (source,) = node.operands
    return not isinstance(source, Number | Position) and (
        program.dtypes[node] == program.dtypes[source]
    )


def placements(
    program: Typed,
    read_by: Mapping[Node, Sequence[Node]],
    wanted: Collection[Node],
    done: Collection[Node],
) -> list[Placed]:
    """Find what consists of parts that stand beside each other, the largest such wholes."""
    finding = _Placing(program, read_by, wanted, done)
    return list(finding.wholes())


@dataclass
class _Placing:
    """The nodes of a program, and which of them consist of parts."""

    program: Typed
    read_by: Mapping[Node, Sequence[Node]]
    wanted: Collection[Node]
    done: Collection[Node]

    def wholes(self) -> Iterator[Placed]:
        """What is no part of a larger whole."""
        known: dict[Node, Placed] = {}
        for node in self.program.graph.nodes:
            found = self._whole(node, known)
            if found is not None:
                known[node] = found
        inner = {n for one in known.values() for n in one.within if n != one.node}
        yield from (one for node, one in known.items() if node not in inner and self._pays(one))

    def _whole(self, node: Node, known: Mapping[Node, Placed]) -> Placed | None:
        if node in self.done:
            return None
        if _moves(node, self.program):
            return self._part(node)
        parts = [known.get(s) if self._is_alone(s) else None for s in node.sources]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts) or not found:
            return None
        if isinstance(node, Named):
            return Placed(node, found[0].parts, (*found[0].within, node))
        return self._joined(node, found)

    def _part(self, node: Node) -> Placed | None:
        problem, (source,) = self.program.problems[node], node.sources
        box = place_of(problem) if problem.result_shape == problem.output_sizes else None
        return None if box is None else Placed(node, (Part(source, box),), (node,))

    def _joined(self, node: Node, found: Sequence[Placed]) -> Placed | None:
        """Two wholes that are added, if their parts stand apart."""
        if not isinstance(node, Map) or node.function != "add" or len(found) < 2:
            return None
        one, two = found
        if not one.node.axes == two.node.axes == node.axes or len(one.parts) > _MOST:
            return None
        if not all(are_apart(a.box, b.box) for a in one.parts for b in two.parts):
            return None
        return Placed(node, one.parts + two.parts, (*one.within, *two.within, node))

    def _is_alone(self, node: Node) -> bool:
        return node not in self.wanted and len(self.read_by[node]) == 1

    def _pays(self, one: Placed) -> bool:
        """Whether more is made of parts than of a single one that fills the whole."""
        return len(one.parts) > 1 or volume(one.parts[0].box) < prod(self.program.shapes[one.node])
