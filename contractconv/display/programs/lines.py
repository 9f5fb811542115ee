"""The values that the text of a program names, and what comes back to each of them.

A *line* is a value that has a line of its own in the text, under the name that it has there. A line
that holds what comes back to another value belongs to that one, and so does what was made for it
alone; every other line stands by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contractconv.programs.nodes import Input, Node
from contractconv.programs.program import Graph
from contractconv.programs.text.lines import NamedLines, named_lines


@dataclass(frozen=True, slots=True)
class Line:
    """A value, as it is named in the text of its program.

    Attributes:
        name: what it is called.
        node: the value.
        back: the lines that tell what comes back to it, in order.
        is_back: whether it is itself what comes back to a value.
        is_other: whether the value has a line already, under another name.
    """

    name: str
    node: Node
    back: tuple[Line, ...] = ()
    is_back: bool = False
    is_other: bool = False

    @property
    def is_input(self) -> bool:
        """Whether it is given."""
        return isinstance(self.node, Input) and not self.is_other

    def all(self) -> Iterator[Line]:
        """It, and every line that belongs to it."""
        yield self
        for line in self.back:
            yield from line.all()


@dataclass(frozen=True)
class Lines:
    """The lines of a program.

    Attributes:
        graph: the program, whose nodes are called as in its text.
        top: the inputs in order, then the lines that stand by themselves.
        names: the names of all.
        reads: the named values that each line reads.
    """

    graph: Graph
    top: tuple[Line, ...]
    names: Mapping[Node, str]
    reads: Mapping[Node, tuple[Node, ...]]

    def all(self) -> Iterator[Line]:
        """Every line, each before what belongs to it."""
        for line in self.top:
            yield from line.all()


def lines_of(graph: Graph) -> Lines:
    """Find the lines of a program.

    Args:
        graph: the program.

    Returns:
        Its lines; what is called in the text is called so here.
    """
    told = named_lines(graph)
    found = _Owners(told)
    top = [found.line(node) for node in told.names if found.owner(node) is None]
    top += [other for target, other in found.others if target is None]
    return Lines(told.graph, tuple(top), told.names, found.reads)


class _Owners:
    """Which line belongs to which.

    Attributes:
        reads: the named values that each line reads.
        others: outputs that are other names of lines, each with the value to which it comes back.
    """

    def __init__(self, told: NamedLines) -> None:
        named, targets = told.names, told.targets
        self._named, self._targets = named, targets
        reads = {node: _reads(node, named) for node in named}
        self._home = {part: node for node in reversed(list(named)) for part in reads[node][1]}
        self.reads = {node: tuple(lines) for node, (lines, _) in reads.items()}
        self._readers: dict[Node, list[Node]] = {node: [] for node in named}
        for node, (lines, _) in reads.items():
            for line in lines:
                self._readers[line].append(node)
        self._kept = {*told.graph.wanted, *(self._at_home(target) for target in targets.values())}
        self._owners: dict[Node, Node | None] = {}
        # Readers stand behind what they read.
        for node in reversed(list(named)):
            self._owners[node] = self._owner(node)
        self.others = list(_others(told))
        self._back: dict[Node, list[Node]] = {node: [] for node in named}
        for node in named:
            if (owner := self._owners[node]) is not None:
                self._back[owner].append(node)

    def owner(self, node: Node) -> Node | None:
        """The line to which one belongs."""
        return self._owners[node]

    def line(self, node: Node) -> Line:
        """A line, with those that belong to it."""
        back = (*map(self.line, self._back[node]), *(o for t, o in self.others if t == node))
        return Line(self._named[node], node, back, node in self._targets)

    def _owner(self, node: Node) -> Node | None:
        if node in self._targets:
            home = self._at_home(self._targets[node])
            return home if home in self._named and home != node else None
        owners = [self._owners[reader] for reader in self._readers[node]]
        is_alone = not owners or None in owners or node in self._kept or isinstance(node, Input)
        return None if is_alone else owners[0]

    def _at_home(self, node: Node) -> Node:
        """The line in which a value is written."""
        return node if node in self._named else self._home.get(node, node)


def _others(told: NamedLines) -> Iterator[tuple[Node | None, Line]]:
    """Outputs that are other names of lines."""
    for name, node in told.graph.outputs:
        if told.names.get(node, name) != name:
            target = told.target_of(name, node)
            yield target, Line(name, node, (), target is not None, is_other=True)


def _reads(node: Node, named: Mapping[Node, str]) -> tuple[list[Node], list[Node]]:
    """The lines that a line reads, and the values that are written within it."""
    lines: list[Node] = []
    parts: list[Node] = []
    waiting = list(reversed(node.sources))
    while waiting:
        part = waiting.pop()
        if part in named:
            lines.append(part)
        else:
            parts.append(part)
            waiting += reversed(part.sources)
    return list(dict.fromkeys(lines)), parts
