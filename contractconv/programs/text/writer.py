"""A program as a text: a node a line, what is read once written where it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from contractconv.errors import ProgramError
from contractconv.programs.nodes import Contract, Input, Length, Node, Number, Position, in_order
from contractconv.programs.program import Graph
from contractconv.programs.text.expressions import Sources, arguments, function, written
from contractconv.programs.text.names import Names
from contractconv.programs.text.operators import Piece
from contractconv.programs.text.words import checked_name

_LEAVES = (Length, Number, Position)
_INDENT = "    "
_WIDEST_LINE = 100
# What is longer gives a part a line of its own; so nothing nests deeper than Python reads.
_WIDEST_EXPRESSION = 76


def write(graph: Graph) -> str:
    """Write a program, such that :func:`~contractconv.programs.text.reader.read` reads it back.

    Args:
        graph: the program.

    Returns:
        A function in a small subset of Python. Reading and writing it again changes nothing.

    Raises:
        ProgramError: an input or an output has a name that no text can have, or both have one.
    """
    check(graph)
    given = [f"{node.name}: {_annotation(node)}" for node in graph.inputs]
    head = _wrapped(f"def {graph.name}(", given, "):", "")
    body = [line for _, line in sorted(_Lines(graph).made, key=lambda made: made[0])]
    back = _returned([name for name, _ in graph.outputs])
    return "\n".join([head, *body, back]) + "\n"


def names(graph: Graph) -> dict[str, Node]:
    """What each name in the text of a program stands for."""
    lines = _Lines(graph)
    leaves = {name: node for (node, _), name in lines.leaves.items()}
    return {**leaves, **lines.names.known, **{node.name: node for node in graph.inputs}}


def check(graph: Graph) -> None:
    """Refuse a program that has no text.

    Raises:
        ProgramError: it has no outputs, an input or an output has a name that no text can have,
            or one of each have the same.
    """
    checked_name(graph.name, "a program")
    if not graph.outputs:
        raise ProgramError(f"{graph.name} has no outputs")
    inputs = {node.name: node for node in graph.inputs}
    for name in inputs:
        checked_name(name, "an input")
    for name, node in graph.outputs:
        checked_name(name, "an output")
        if inputs.get(name, node) != node:
            raise ProgramError(
                f"an input and an output of {graph.name} are called {name!r}: call the output "
                f"otherwise, as in {name}_new"
            )


def _annotation(node: Input) -> str:
    axes = f'"{" ".join(node.axes)}"'
    return axes if node.dtype is None else f"{node.dtype}[{axes}]"


class _Lines:
    """The lines of a program.

    Attributes:
        made: each line, and the place of its node in the order of all of them.
        names: what they are called.
        leaves: numbers, sizes and indices that have names, by these and by what was asked for.
    """

    def __init__(self, graph: Graph) -> None:
        self.made: list[tuple[int, str]] = []
        self._order = in_order(graph.wanted)
        self._place = {node: place for place, node in enumerate(self._order)}
        self._outputs = dict(graph.outputs)
        self._now = 0
        self._labels = _labels(self._order, graph.wanted)
        self._own = _standing_alone(self._order, self._labels, graph)
        self.leaves: dict[tuple[Node, str], str] = {}
        self._inline: dict[Node, Piece] = {}
        self._sources = Sources(self._value, lambda node: self._value(node).text)
        self.names = self._named(graph)
        for place, node in enumerate(self._order):
            self._now = place
            if _is_line(node):
                self._write(node)
        self._now = len(self._order)
        for name, node in graph.outputs:
            self._finish(name, node)

    def _named(self, graph: Graph) -> Names:
        """The names that are said: those of inputs and outputs, then labels."""
        names = Names([*self._outputs, *(node.name for node in graph.inputs)], self._order)
        for name, node in graph.outputs:
            if self._labels.get(node, name) == name and node not in names and _is_line(node):
                names.give(node, name)
        for node in self._order:
            if node in self._labels and node not in names:
                names.give(node, names.claim(self._labels[node]))
        return names

    def _write(self, node: Node) -> None:
        """Write a node, on a line of its own or for the one that reads it."""
        piece = self._fitting(node)
        if node in self._own:
            self._add(node, piece)
        else:
            self._inline[node] = piece

    def _fitting(self, node: Node) -> Piece:
        """An expression that is not too long: its longest parts get lines."""
        piece = written(node, self._sources)
        while len(piece.text) > _WIDEST_EXPRESSION:
            parts = [source for source in node.sources if source in self._inline]
            if not parts:
                break
            longest = max(parts, key=lambda part: len(self._inline[part].text))
            self._add(longest, self._inline.pop(longest))
            piece = written(node, self._sources)
        return piece

    def _add(self, node: Node, piece: Piece) -> None:
        start = f"{_INDENT}{self.names.called(node)} = "
        line = start + piece.text
        if len(line) > _WIDEST_LINE and isinstance(node, Contract):
            line = _wrapped(f"{start}{function(node)}(", arguments(node, self._sources), ")")
        self.made.append((self._place[node], line))

    def _value(self, node: Node) -> Piece:
        """How a node is written where it is read."""
        if isinstance(node, _LEAVES):
            return self._leaf(node)
        return self._inline.get(node) or Piece(self.names[node])

    def _leaf(self, node: Node) -> Piece:
        """A number stands where it is read, unless this very one has a name."""
        if node.label is None:
            return written(node, self._sources)
        known = (node, node.label)
        if known not in self.leaves:
            wanted = self._outputs.get(node.label) == node
            name = node.label if wanted else self.names.claim(node.label)
            self.leaves[known] = name
            self._assign(name, written(node, self._sources).text)
        return Piece(self.leaves[known])

    def _finish(self, name: str, node: Node) -> None:
        """Give an output its name, if it is not that of a line already."""
        if isinstance(node, _LEAVES) and node.label in {None, name}:
            if (node, name) not in self.leaves:
                self.leaves[node, name] = name
                self._assign(name, written(node, self._sources).text)
        elif (value := self._value(node).text) != name:
            self._assign(name, value)

    def _assign(self, name: str, text: str) -> None:
        self.made.append((self._now, f"{_INDENT}{name} = {text}"))


def _is_line(node: Node) -> bool:
    return not isinstance(node, (Input, *_LEAVES))


def _labels(order: Sequence[Node], wanted: Sequence[Node]) -> dict[Node, str]:
    """What somebody called each node, in whichever of its equals."""
    found: dict[Node, str] = {}
    for node in (*(n for known in order for n in (*known.sources, *known.references)), *wanted):
        if node.label is not None and _is_line(node):
            found.setdefault(node, node.label)
    return found


def _standing_alone(order: Sequence[Node], labels: dict[Node, str], graph: Graph) -> set[Node]:
    """The nodes that have lines of their own, whatever their length is."""
    read = Counter(source for node in order for source in node.sources)
    meant = {node for known in order for node in known.references}
    own = {*labels, *graph.wanted, *meant}
    own |= {node for node in order if read[node] > 1 or isinstance(node, Contract)}
    known = own.union(graph.inputs)
    return own | {node for node in order if node.cotangent_of in known}


def _returned(names: Sequence[str]) -> str:
    line = f"{_INDENT}return {', '.join(names)}"
    return line if len(line) <= _WIDEST_LINE else _wrapped(f"{_INDENT}return (", names, ")")


def _wrapped(start: str, items: Sequence[str], end: str, indent: str = _INDENT) -> str:
    """A list in brackets: on one line, on one of its own, or on a line an item."""
    inner = indent + _INDENT
    line, whole = start + ", ".join(items) + end, inner + ", ".join(items)
    if len(line) <= _WIDEST_LINE:
        return line
    if len(whole) < _WIDEST_LINE:
        return f"{start}\n{whole}\n{indent}{end}"
    return "\n".join([start, *(f"{inner}{item}," for item in items), indent + end])
