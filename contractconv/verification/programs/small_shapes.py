"""Small shapes that fit a program, chosen where none are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from contractconv.errors import ContractionError, ShapeError
from contractconv.notation.problem import Shape
from contractconv.programs.differentiated import with_cotangent_shapes
from contractconv.programs.nodes import Contract, Input, Map, Node, in_order, readers
from contractconv.programs.program import Graph
from contractconv.programs.sizing import Sized, Sizing, sized

_TRIES, _ALIKE = 200, 12
# Sizes differ, so that nothing agrees because two axes are alike.
_USUAL, _ANY = (2, 3, 4), (1, 2, 3, 4, 5, 6, 8)


def fitted(graph: Graph, given: Mapping[str, Shape], budget: int) -> Sized:
    """Put small shapes into a program.

    Args:
        graph: the program.
        given: the shapes that are chosen already.
        budget: how many points all contractions together may have.

    Raises:
        ShapeError: nothing that was tried fits, or the given shapes make too many points.
    """
    reasons: list[str] = []
    for number in range(_TRIES):
        random = Random(number)
        try:
            shapes = _Chosen(graph, given, random, _USUAL if number < _TRIES // 2 else _ANY).shapes
            found = sized(graph, with_cotangent_shapes(graph, shapes))
        except ContractionError as error:
            reasons.append(str(error))
        else:
            points = sum(problem.points for problem in found.problems.values())
            if points <= budget:
                return found
            reasons.append(f"{points:,} points are too many to go through one by one")
        # Sizes are not the reason for what is the same with all of them.
        if len(reasons) >= _ALIKE and len(set(reasons[-_ALIKE:])) == 1:
            break
    reason = reasons[-1]
    raise ShapeError(f"no small shapes were found for {graph.name}: give them all ({reason})")


class _Chosen:
    """Shapes of inputs, each chosen when it is first met, to fit what it meets.

    Attributes:
        shapes: the shapes.
    """

    def __init__(
        self, graph: Graph, given: Mapping[str, Shape], random: Random, sizes: tuple[int, ...]
    ) -> None:
        self.shapes: dict[str, Shape] = dict(given)
        self._random, self._sizes = random, sizes
        self._by_axis: dict[str, int] = {}
        order = in_order([*graph.wanted, *graph.inputs])
        self._readers = readers(order)
        self._sizing = Sizing(self.shapes)
        outputs = {f"d_{name}" for name, _ in graph.outputs}
        self._late: set[Node] = {
            n for n in graph.inputs if n.name in outputs and n.name not in given
        }
        for node in order:
            self._add(node)

    def _add(self, node: Node) -> None:
        if node in self._late or any(source in self._late for source in node.sources):
            self._late.add(node)  # what comes back to an output has its shape, which comes out
            return
        if isinstance(node, Input) and node.name not in self.shapes:
            hints = dict(self._hints(node))
            self.shapes[node.name] = tuple(hints.get(a) or self._size(a) for a in node.axes)
        self._sizing.add(node)

    def _size(self, axis: str) -> int:
        return self._by_axis.setdefault(axis, self._random.choice(self._sizes))

    def _hints(self, node: Input) -> Iterator[tuple[str, int]]:
        """The sizes of axes that what reads an input tells."""
        for reader in self._readers.get(node, ()):
            match reader:
                case Map():
                    yield from self._known(reader.arguments)
                case Contract():
                    yield from self._met(node, reader)

    def _known(self, nodes: tuple[Node, ...]) -> Iterator[tuple[str, int]]:
        for node in nodes:
            yield from zip(node.axes, self._shape(node), strict=False)

    def _met(self, node: Input, reader: Contract) -> Iterator[tuple[str, int]]:
        sizes: dict[str, int] = {}
        for term, operand in zip(reader.spec.inputs, reader.operands, strict=True):
            for axis, size in zip(term, self._shape(operand), strict=False):
                if axis.plain is not None:
                    sizes[axis.plain] = size
        for term, operand in zip(reader.spec.inputs, reader.operands, strict=True):
            if operand == node:
                named = zip(node.axes, term, strict=True)
                yield from ((name, sizes[a.plain]) for name, a in named if a.plain in sizes)

    def _shape(self, node: Node) -> Shape:
        """The shape of a node that has been met; nothing of others."""
        made = self._sizing.made.get(node)
        shape = () if made is None else self._sizing.shapes[made]
        return tuple(size for size in shape if size is not None) if None not in shape else ()
