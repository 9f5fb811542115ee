"""Where nodes of a program are made anew, with everything that is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contractconv.notation.extents import resolved
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.programs.build import named
from contractconv.programs.dtypes import Typed
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Axes, Cast, Contract, Map, Named, Node, Number, readers
from contractconv.programs.sizes import Size


class Workshop:
    """The nodes of a typed program, and those that are made in their places.

    Attributes:
        shapes, dtypes, problems: what is known of every node.
        fresh: the nodes that were made since :meth:`begin`.
        uses: how many nodes of the program read a node, or stand for it as results.
    """

    def __init__(self, program: Typed) -> None:
        self.shapes = dict(program.shapes)
        self.dtypes = dict(program.dtypes)
        self.problems = dict(program.problems)
        self.fresh: set[Node] = set()
        self.uses = {node: len(read) for node, read in readers(program.graph.nodes).items()}
        for node in program.graph.wanted:
            self.uses[node] = self.uses.get(node, 0) + 2

    def begin(self) -> None:
        """Forget which nodes were made."""
        self.fresh = set()

    def replaced(self, node: Node, new: Node) -> None:
        """Whoever reads a node reads another one from now on."""
        self.uses[new] = self.uses.get(new, 0) + self.uses.get(node, 0)

    def over(self, node: Node, sources: tuple[Node, ...]) -> Node:
        """The same node of other sources."""
        made = self.over_same(node, sources)
        self.replaced(node, made)
        return made

    def over_same(self, node: Node, sources: tuple[Node, ...]) -> Node:
        """The same node of the same arrays under other names."""
        made = node.over(sources, {})
        if node in self.problems:
            self.problems[made] = self.problems[node]
        self._known(made, self.shapes[node], self.dtypes[node])
        return made

    def number(self, value: bool | int | float | complex, dtype: str) -> Number:
        """A number."""
        made = Number((), value=value)
        self._known(made, (), self.dtypes.get(made, dtype))
        return made

    def map(
        self, function: str, arguments: Sequence[Node], like: Node, axes: Axes | None = None
    ) -> Map:
        """A map with the numbers of a node, and with its axes, perhaps under other names."""
        made = Map(axes or like.axes, function=function, arguments=tuple(arguments))
        self._known(made, self.shapes[like], self.dtypes[like])
        return made

    def cast(self, source: Node, dtype: str) -> Node:
        """A node in other numbers."""
        if self.dtypes[source] == dtype and source.axes:
            return source
        made = Cast(source.axes, source=source, dtype=dtype)
        self._known(made, self.shapes[source], dtype)
        return made

    def named(self, source: Node, axes: Axes) -> Node:
        """A node whose axes have other names."""
        made = named(source, axes)
        if isinstance(made, Named):
            self._known(made, self.shapes[source], self.dtypes[source])
        return made

    def contract(
        self,
        spec: Spec,
        operands: Sequence[Node],
        axes: Axes,
        dtype: str,
        extents: Mapping[str, int],
        shape: Shape | None = None,
    ) -> Contract:
        """A contraction, whose result has some axes."""
        given = tuple((name, Size.of(size)) for name, size in extents.items())
        told = None if shape is None else tuple(map(Size.of, shape))
        made = Contract(axes, spec=spec, operands=tuple(operands), extents=given, shape=told)
        shapes = tuple(self.shapes[operand] for operand in operands)
        problem: Problem = resolved(spec, shapes, extents, shape, None)
        self.problems[made] = problem
        self._known(made, problem.result_shape, dtype)
        return made

    def taken(self, table: Node, labels: Node, axis: str) -> TakenRows:
        """Rows of a table."""
        made = TakenRows.of(table, labels, axis)
        self._known(made, self._sizes(made.axes, (table, labels)), self.dtypes[table])
        return made

    def added(self, rows: Node, labels: Node, axis: str, size: int, kept: Axes) -> AddedRows:
        """Rows, added up by labels."""
        made = AddedRows.of(rows, labels, axis, size, kept)
        shape = self._sizes(made.axes, (rows, labels), {axis: size})
        self._known(made, shape, self.dtypes[rows])
        return made

    def _sizes(
        self, axes: Axes, sources: Sequence[Node], more: Mapping[str, int] | None = None
    ) -> Shape:
        sizes = dict(more or {})
        for source in sources:
            sizes.update(zip(source.axes, self.shapes[source], strict=True))
        return tuple(sizes[name] for name in axes)

    def _known(self, made: Node, shape: Shape, dtype: str) -> None:
        self.fresh.add(made)
        self.shapes[made], self.dtypes[made] = shape, dtype
