"""Along which axes of a mesh the axes of every value of a program lie, and indices of strings.

It is said by name, for some; the others follow: a map has what its arguments have, a contraction
splits the index that stands on an axis that is split, and with it every other axis on which that
index stands. In a window it is the index that runs furthest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contractconv.notation.spec import Axis, Composition, Term
from contractconv.programs.build import local_axes
from contractconv.programs.dtypes import Typed
from contractconv.programs.gathering import AddedRows
from contractconv.programs.nodes import Contract, Named, Node, in_order


@dataclass
class Spread:
    """What lies along axes of a mesh.

    Attributes:
        axes: for each value, by its axes' names.
        indices: for each contraction, by its indices.
    """

    axes: dict[Node, dict[str, str]] = field(default_factory=dict)
    indices: dict[Node, dict[str, str]] = field(default_factory=dict)

    def of(self, node: Node) -> tuple[str | None, ...]:
        """For each axis of a value the axis of the mesh."""
        told = self.axes[node]
        return tuple(told.get(name) for name in node.axes)


def spread(program: Typed, names: Mapping[str, str]) -> Spread:
    """Find along which axes of a mesh everything lies.

    Args:
        program: the program.
        names: for names of axes and of indices the axis of the mesh; those come first that are
            named first.
    """
    nodes = in_order(program.graph.wanted, references=False)
    work = _Spreading(program, nodes)
    for name, along in names.items():
        for node in nodes:
            work.claim(node, name, along)
    while work.changed:
        work.changed = False
        for node in (*nodes, *reversed(nodes)):
            work.spread(node)
    return work.found


class _Spreading:
    """Names that are claimed, until nothing follows any more."""

    def __init__(self, program: Typed, nodes: Sequence[Node]) -> None:
        self.found = Spread({node: {} for node in nodes}, {})
        self.found.indices = {node: {} for node in nodes if isinstance(node, Contract)}
        self._program = program
        self.changed = True

    def claim(self, node: Node, name: str, along: str) -> None:
        """Split an axis, and an index, of this name; no two along one axis of the mesh."""
        if name in node.axes:
            self._take(self.found.axes[node], name, along)
        if isinstance(node, Contract) and name in node.spec.indices:
            self._take(self.found.indices[node], name, along)

    def spread(self, node: Node) -> None:
        """Split what lies along what is split, in what a node reads and makes."""
        if isinstance(node, Contract):
            self._through(node)
            return
        for source in node.sources:
            names = zip(node.axes, source.axes, strict=True) if isinstance(node, Named) else None
            for mine, its in names or ((name, name) for name in node.axes):
                if its in source.axes:
                    self._link((node, mine), (source, its))
        if isinstance(node, AddedRows):  # both have the axes that are summed
            for name in node.labels.axes:
                self._link((node.labels, name), (node.rows, name))

    def _link(self, *places: tuple[Node, str]) -> None:
        for (node, name), (other, called) in (places, places[::-1]):
            along = self.found.axes[node].get(name)
            if along is not None:
                self._take(self.found.axes[other], called, along)

    def _through(self, node: Contract) -> None:
        indices = self.found.indices[node]
        extents = self._program.problems[node].extents
        for value, name, axis in _axes(node):
            along = self.found.axes[value].get(name)
            index = _longest(axis, extents, indices)
            if along is not None and index is not None:
                self._take(indices, index, along)
        for index, along in indices.items():
            for value, name, axis in _axes(node):
                if index in _leading(axis):
                    self._take(self.found.axes[value], name, along)

    def _take(self, held: dict[str, str], name: str, along: str) -> None:
        if name not in held and along not in held.values():
            held[name] = along
            self.changed = True


def terms_of(node: Contract) -> Iterator[tuple[Node, Term]]:
    """The operands and the result, with their terms."""
    yield from zip(node.operands, node.spec.inputs, strict=True)
    yield node, output_of(node)


def _axes(node: Contract) -> Iterator[tuple[Node, str, Axis]]:
    """The axes of the operands and of the result, with what a string says of each."""
    for value, term in terms_of(node):
        for name, axis in zip(value.axes, term, strict=True):
            yield value, name, axis


def output_of(node: Contract) -> Term:
    """The term of the result."""
    return local_axes(node.spec) if node.local else node.spec.output


def _leading(axis: Axis) -> tuple[str, ...]:
    """The indices with which an axis can be split: of a composition the first one."""
    return axis.names[:1] if isinstance(axis, Composition) else axis.names


def _longest(axis: Axis, extents: Mapping[str, int], claimed: Mapping[str, str]) -> str | None:
    """The index of an axis that runs furthest, if none is split yet."""
    names = _leading(axis)
    if not names or any(name in claimed for name in names):
        return None
    return max(names, key=lambda name: extents[name])
