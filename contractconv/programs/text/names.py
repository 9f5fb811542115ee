"""What the lines of a program are called: as somebody said, or after what they do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contractconv.notation.spec import Axis, lone_names
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Input,
    Length,
    Map,
    Named,
    Node,
    Number,
    Position,
)
from contractconv.programs.text.words import Taken
from contractconv.reductions.table import REDUCTIONS

_NOUNS = {
    "add": "total", "subtract": "difference", "multiply": "product", "divide": "ratio",
    "power": "power", "mod": "rest", "negative": "minus", "logical_and": "both",
    "logical_or": "either", "logical_not": "not", "less": "is_less", "less_equal": "at_most",
    "greater": "is_greater", "greater_equal": "at_least", "equal": "is_equal",
    "not_equal": "differs", "where": "chosen", "max": "larger", "min": "smaller",
}  # fmt: skip
_LOCAL = {"max": "is_max", "min": "is_min", "prod": "others", "logsumexp": "softmax"}
_LEAVES: dict[type[Node], str] = {Length: "size", Number: "number", Position: "index"}
_LONGEST = 16


class Names:
    """The names of one program's lines, all different.

    Args:
        taken: names that are given already.
        order: every node, each behind what it reads.
    """

    def __init__(self, taken: Iterable[str], order: Sequence[Node]) -> None:
        self._taken = Taken(taken)
        self._whole = _wholes(order)
        self._known: dict[Node, str] = {}

    def __contains__(self, node: Node) -> bool:
        return node in self._known

    def __getitem__(self, node: Node) -> str:
        return node.name if isinstance(node, Input) else self._known[node]

    @property
    def known(self) -> dict[str, Node]:
        """What has a name, by it."""
        return {name: node for node, name in self._known.items()}

    def give(self, node: Node, name: str) -> None:
        """Call a node by a name that is taken for it."""
        self._known[node] = name

    def claim(self, wanted: str) -> str:
        """Take a name, or one like it."""
        return self._taken.claim(wanted)

    def called(self, node: Node) -> str:
        """The name of a node; if it has none yet, one is found."""
        if node not in self._known and not isinstance(node, Input):
            self._known[node] = self.claim(self._fitting(node))
        return self[node]

    def _fitting(self, node: Node, through: frozenset[Node] = frozenset()) -> str:
        """A name that says what a node is, which others may have, too.

        Args:
            node: the node.
            through: the nodes after which it would be called, and which are being called.
        """
        if isinstance(node, Input) or node in self._known:
            return self[node]
        if node.label is not None:
            return node.label
        # A value may be equal to the cotangent of another one, and that to its own.
        if node not in through:
            behind = through | {node}
            if node.cotangent_of is not None:
                return f"d_{self._fitting(node.cotangent_of, behind)}"
            if node in self._whole:
                return f"{self._fitting(self._whole[node], behind)}_part"
        return self._described(node)

    def _described(self, node: Node) -> str:
        """A name after what a node does, and what it does it to."""
        word = _word(node)
        if len(node.sources) != 1 or isinstance(node.sources[0], Number):
            return word
        (source,) = node.sources
        known = isinstance(source, Input) or source in self._known
        of = self[source] if known else _word(source)
        return f"{word}_{of}" if len(of) <= _LONGEST else word


def _wholes(order: Sequence[Node]) -> dict[Node, Node]:
    """The cotangents of which something is a part: one of several that are added up."""
    found: dict[Node, Node] = {}
    for node in reversed(order):
        whole = found.get(node, None if node.cotangent_of is None else node)
        if whole is not None and isinstance(node, Map) and node.function == "add":
            for part in node.sources:
                if part.cotangent_of is None and part.label is None:
                    found.setdefault(part, whole)
    return found


def _word(node: Node) -> str:
    match node:
        case Map():
            return _map(node)
        case Contract():
            return _contraction(node)
        case Named():
            return "renamed"
        case Cast():
            return node.dtype or "cast"
    return _LEAVES[type(node)]


def _map(node: Map) -> str:
    match node.function, node.arguments:
        case "multiply", (first, second) if first == second:
            return "squared"
        case "power", (_, Number(value=2)):
            return "squared"
        case "where", (_, first, second) if isinstance(first, Number) or isinstance(second, Number):
            return "masked"
    return _NOUNS.get(node.function, node.function)


def _contraction(node: Contract) -> str:
    reduce, spec = node.spec.reduce, node.spec
    if node.local:
        return _LOCAL.get(reduce, "local")
    if not REDUCTIONS[reduce].is_sum:
        return reduce
    if len(node.operands) != 1:
        return "y"
    if spec.reduced:
        return "sum"
    return _moved(node)


def _moved(node: Contract) -> str:
    """What a contraction of one operand is that adds nothing up."""
    (operand,), (term,) = node.operands, node.spec.inputs
    if isinstance(operand, Number):
        return "zeros" if operand.value == 0 else "ones" if operand.value == 1 else "full"
    if not all(map(_is_plain, node.spec.output)):
        return "placed"
    if not all(map(_is_plain, term)):
        return "part"
    return "repeated" if set(lone_names([term])) != set(node.spec.indices) else "transposed"


def _is_plain(axis: Axis) -> bool:
    return axis.plain is not None
