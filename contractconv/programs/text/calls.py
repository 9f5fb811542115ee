"""Functions of a text that others call: each call is what the function makes, of other values."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from contractconv.programs.build import named
from contractconv.programs.kinds import Kinds, kind
from contractconv.programs.nodes import Cast, Input, Node, in_order, rebuilt
from contractconv.programs.program import Graph
from contractconv.programs.text.source import Source

_MOST_VALUES = 50_000
"""Of all calls of a text: calls of calls of calls may double them each time."""


class Functions:
    """The functions of a text.

    Args:
        source: the text.
        names: what they are called, in order.

    Attributes:
        graphs: those that are read already.
    """

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self._source, self._names = source, tuple(names)
        self.graphs: dict[str, Graph] = {}
        self._sizes: dict[str, int] = {}
        self._made: dict[tuple[str, tuple[Node, ...]], tuple[Node, ...]] = {}
        self._values = 0
        self._kinds = Kinds()

    def add(self, graph: Graph) -> None:
        """Let those that follow call a function."""
        self.graphs[graph.name] = graph
        self._sizes[graph.name] = len(in_order(graph.wanted))

    def check_called(self, tree: ast.AST, name: str) -> None:
        """Refuse a call of what is not read yet.

        Raises:
            ProgramError: it is the function itself, or one of those behind it.
        """
        if name not in self._names or name in self.graphs:
            return
        if name == self._names[len(self.graphs)]:
            said, hint = f"{name} calls itself: a program has no recursion", "write its steps out"
        else:
            said, hint = f"{name} stands below", "a function stands before those that call it"
        raise self._source.error(tree, said, hint)

    def called(self, tree: ast.Call, name: str, given: Sequence[Node]) -> tuple[Node, ...]:
        """What a function makes of some values.

        Args:
            tree: the call.
            name: of the function.
            given: the values, in the order of its inputs.

        Raises:
            ProgramError: they are too few, too many, or do not fit; or there are too many calls.
        """
        inputs = self.graphs[name].inputs
        if len(given) != len(inputs):
            wanted = f"{len(inputs)} input{'s' * (len(inputs) != 1)}"
            known = f"they are {', '.join(node.name for node in inputs)}" if inputs else ""
            raise self._source.error(tree, f"{name} has {wanted}, not {len(given)}", known)
        parts = zip(tree.args, inputs, given, strict=True)
        fitting = tuple(self._fitting(part, name, taken, node) for part, taken, node in parts)
        if (name, fitting) not in self._made:
            self._count(tree, name)
            self._made[name, fitting] = self._of(self.graphs[name], fitting)
        return self._made[name, fitting]

    def _of(self, graph: Graph, given: Sequence[Node]) -> tuple[Node, ...]:
        """The outputs of a function, whose inputs are some values."""
        values: dict[Node, Node] = dict(zip(graph.inputs, given, strict=True))
        made = rebuilt(graph.wanted, lambda node: values.get(node, node))
        # Whoever calls it says what the results are called.
        return tuple(n if n in given else n.called(None) for n in made)

    def _count(self, tree: ast.AST, name: str) -> None:
        self._values += self._sizes[name]
        if self._values > _MOST_VALUES:
            message = f"all calls together make more than {_MOST_VALUES:,} values"
            raise self._source.error(tree, message)

    def _fitting(self, tree: ast.AST, name: str, given: Input, node: Node) -> Node:
        """A value with the axes and the numbers of an input."""
        wanted, held = " ".join(given.axes), " ".join(node.axes)
        what = f"the input {given.name!r} of {name} has the axes '{wanted}', and this '{held}'"
        if len(node.axes) != len(given.axes):
            raise self._source.error(tree, what)
        if node.axes != given.axes and set(node.axes) == set(given.axes):
            hint = f'in which order is meant? write contract("{held} -> {wanted}", ...)'
            raise self._source.error(tree, what, hint)
        return self._in_numbers(tree, name, given, named(node, given.axes))

    def _in_numbers(self, tree: ast.AST, name: str, given: Input, node: Node) -> Node:
        if given.dtype is None or self._kinds[node] == {given.dtype}:
            return node
        if max(map(kind, self._kinds[node])) > kind(given.dtype):
            hint = f'write cast(..., "{given.dtype}") if that is meant'
            said = f"the input {given.name!r} of {name} holds {given.dtype}, and this other numbers"
            raise self._source.error(tree, said, hint)
        return Cast(node.axes, source=node, dtype=given.dtype)
