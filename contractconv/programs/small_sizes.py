"""Sizes that have to be equal, and small ones for all of them.

Every axis of a node, and every index of a contraction, has a size. Those that stand for each other
are one class. A class on whose axis an expression, or a composition, of indices stands has the size
that these need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from random import Random

from contractconv.errors import ContractionError, ShapeError
from contractconv.notation.affine import Affine
from contractconv.notation.problem import Shape
from contractconv.notation.reach import reached
from contractconv.notation.spec import Axis, Composition
from contractconv.programs.build import local_axes
from contractconv.programs.differentiated import with_cotangent_shapes
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Cast, Contract, Map, Named, Node, Position
from contractconv.programs.program import Graph
from contractconv.programs.sizes import Extent, Size
from contractconv.programs.sizing import Sized, sized

# Sizes that are drawn; and those that are, where expressions need what nothing has.
_USUAL, _ANY = (2, 3, 4), (1, 2, 3, 4, 5, 6, 8)
# How often; and after how many failures for one reason no more, as sizes are not that.
_ATTEMPTS, _ALIKE = 200, 12

Place = tuple[Node, str, bool]
"""An axis of a node by name, or an index of a contraction if the last is true."""


def fitting(
    graph: Graph, shapes: Mapping[str, Shape], most: int, alike: bool = False
) -> Iterator[Sized]:
    """A program with small sizes that fit all strings, again and again with others.

    Args:
        graph: the program.
        shapes: shapes of inputs that are not to be chosen.
        most: how many points its contractions, and elements its values, may have together.
        alike: whether inputs that have the same axes shall have the same sizes, if that fits.

    Raises:
        ShapeError: nothing that was tried fits, or the given shapes make too many points.
    """
    reasons: list[str] = []
    found = False
    for joined in (True, False) if alike else (False,):
        attempts = _ATTEMPTS // (1 + alike)
        for program in _tried(graph, shapes, most, _classes(graph, joined), attempts, reasons):
            found = True
            yield program
    if not found:
        hint = "give shapes of its inputs, as in x=(2, 3)"
        raise ShapeError(f"no small sizes fit all strings of {graph.name}: {hint} ({reasons[-1]})")


def _tried(
    graph: Graph,
    shapes: Mapping[str, Shape],
    most: int,
    classes: SizeClasses,
    attempts: int,
    reasons: list[str],
) -> Iterator[Sized]:
    """The sizes that fit; why others did not is added to the reasons."""
    given: dict[Place, int] = {
        (node, name, False): size
        for node in graph.inputs
        if node.name in shapes
        for name, size in zip(node.axes, shapes[node.name], strict=False)
    }
    for attempt in range(attempts):
        sizes = _ANY if attempt >= attempts // 2 else None
        try:
            yield _sized(graph, shapes, classes.drawn(Random(attempt), given, sizes), most)
        except ContractionError as error:
            reasons.append(str(error))
            if len(reasons) >= _ALIKE and len(set(reasons[-_ALIKE:])) == 1:
                return


def _classes(graph: Graph, joined: bool) -> SizeClasses:
    """The classes of a program's sizes; those of inputs with the same axes may be joined."""
    classes = SizeClasses([*graph.nodes, *graph.inputs])
    first: dict[frozenset[str], Node] = {}
    for node in graph.inputs if joined else ():
        like = first.setdefault(frozenset(node.axes), node)
        for name in node.axes:
            classes.join((node, name, False), (like, name, False))
    return classes


def _sized(graph: Graph, shapes: Mapping[str, Shape], size: _Drawn, most: int) -> Sized:
    """The program with sizes; what comes back to outputs has the shapes of these."""
    backs = {f"d_{name}" for name, _ in graph.outputs}
    chosen = {
        node.name: tuple(size((node, name, False)) for name in node.axes)
        for node in graph.inputs
        if node.name not in backs
    }
    found = sized(graph, with_cotangent_shapes(graph, chosen | dict(shapes)))
    points = sum(problem.points for problem in found.problems.values())
    points += sum(map(prod, found.shapes.values()))
    if points > most:
        raise ShapeError(f"{points:,} points are too many to go through one by one")
    return found


class SizeClasses:
    """Which axes and indices of some nodes have one size.

    Args:
        order: the nodes, each behind what it reads.
        told: whether sizes that nodes are told hold; if not, small ones shall replace them.
    """

    def __init__(self, order: Sequence[Node], told: bool = True) -> None:
        self._leader: dict[Place, Place] = {}
        self._numbers: dict[Place, int] = {}
        self._windows: dict[Place, tuple[Node, Axis]] = {}
        for node in order:
            for first, second in _links(node):
                self.join(first, second)
            if isinstance(node, Contract):
                self._add_windows(node)
            self._add_told(node, told)

    def join(self, first: Place, second: Place) -> None:
        """Two places have one size."""
        self._leader[self.root(first)] = self.root(second)

    def root(self, place: Place) -> Place:
        """Who stands for a class."""
        found = place
        while (leader := self._leader.get(found, found)) != found:
            found = leader
        if found != place:
            self._leader[place] = found
        return found

    def drawn(
        self, chance: Random, given: Mapping[Place, int], sizes: Sequence[int] | None = None
    ) -> _Drawn:
        """Small sizes for every class.

        Args:
            chance: draws them.
            given: sizes that are not to be chosen.
            sizes: those that may be drawn, whatever expressions need; by default a few small ones,
                and for an axis on which an expression stands what that needs.
        """
        numbers = {**self._numbers, **given}
        known = {self.root(place): size for place, size in numbers.items()}
        windows = {self.root(place): w for place, w in self._windows.items()} if not sizes else {}
        return _Drawn(self, chance, known, windows, sizes or _USUAL)

    def _add_windows(self, node: Contract) -> None:
        for term, operand in zip(node.spec.inputs, node.operands, strict=True):
            for axis, name in zip(term, operand.axes, strict=True):
                if axis.plain is None:
                    self._windows.setdefault((operand, name, False), (node, axis))
        if not node.local:
            for axis, name in zip(node.spec.output, node.axes, strict=True):
                if axis.plain is None:
                    self._windows.setdefault((node, name, False), (node, axis))

    def _add_told(self, node: Node, extents: bool) -> None:
        parameters = node.spec.parameters if isinstance(node, Contract) else ()
        for place, size in _told(node):
            if not (extents or place[1] in parameters):
                continue
            if size.number is not None:
                self._numbers[place] = size.number
            elif size.alone is not None:
                self.join(place, _place(size.alone))


class _Drawn:
    """Sizes of classes, drawn when they are first asked for."""

    def __init__(
        self,
        classes: SizeClasses,
        chance: Random,
        known: dict[Place, int],
        windows: Mapping[Place, tuple[Node, Axis]],
        sizes: Sequence[int],
    ) -> None:
        self._classes, self._chance, self._known = classes, chance, known
        self._windows, self._sizes = dict(windows), sizes

    def __call__(self, place: Place) -> int:
        """The size of an axis or an index."""
        root = self._classes.root(place)
        if root not in self._known:
            window = self._windows.pop(root, None)  # once: a window may lead back to itself
            size = None if window is None else self._needed(*window)
            self._known[root] = self._chance.choice(self._sizes) if size is None else size
        return self._known[root]

    def _needed(self, node: Node, axis: Axis) -> int | None:
        """The size of an axis on which an expression stands."""
        sizes = [self((node, name, True)) for name in axis.names]
        if isinstance(axis, Composition):
            return prod(sizes)
        assert isinstance(axis, Affine)
        if axis.parameters:
            axis = axis.bind({name: self((node, name, True)) for name in axis.parameters})
        steps = [(c.number, size - 1) for (_, c), size in zip(axis.terms, sizes, strict=True)]
        size: int = reached(axis.offset.number, axis.divisor.number, steps)
        return max(size, 1)


def _place(extent: Extent) -> Place:
    return extent.node, extent.name, extent.of_index


def _told(node: Node) -> Iterator[tuple[Place, Size]]:
    """The sizes that a node is told."""
    if isinstance(node, Position) and node.size is not None:
        yield (node, node.axes[0], False), node.size
    if isinstance(node, Contract):
        yield from (((node, name, True), size) for name, size in node.extents)
        if node.shape is not None and not node.local:
            for name, size in zip(node.axes, node.shape, strict=True):
                yield (node, name, False), size


def _links(node: Node) -> Iterator[tuple[Place, Place]]:
    """The places of a node that have the sizes of places of its sources."""
    if isinstance(node, Contract):
        yield from _contraction_links(node)
    elif isinstance(node, Named):
        for name, inner in zip(node.axes, node.source.axes, strict=True):
            yield (node, name, False), (node.source, inner, False)
    elif isinstance(node, (Map, Cast, TakenRows, AddedRows)):
        for source in node.sources:
            for name in source.axes:
                # Twice the axis is one of labels, or of a table, alone: that has no other.
                yield (node, name, False), (source, name, False)
        if isinstance(node, AddedRows):
            for name in node.labels.axes:
                yield (node.labels, name, False), (node.rows, name, False)


def _contraction_links(node: Contract) -> Iterator[tuple[Place, Place]]:
    terms = [*zip(node.spec.inputs, node.operands, strict=True)]
    output = local_axes(node.spec) if node.local else node.spec.output
    for term, held in (*terms, (output, node)):
        for axis, name in zip(term, held.axes, strict=True):
            if axis.plain is not None:
                yield (node, axis.plain, True), (held, name, False)
