"""What is not kept, but made again by whoever reads it.

A mask made of indices is never there as a whole: every group of maps makes it for itself, block by
block. The same holds for what little is done to one array, as the mean is taken off before numbers
are normalised: who reads that array and does it again reads as much, and nobody has to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from contractconv.programs.nodes import Cast, Map, Node, Number, Position

# Maps that cost less than an array that is written and read; and how many of them are made again.
_CHEAP = frozenset(
    ("add", "subtract", "multiply", "negative", "where", "less", "less_equal", "greater",
     "greater_equal", "equal", "not_equal", "max", "min", "relu", "relu6", "abs", "square",
     "logical_and", "logical_or", "logical_not")
)  # fmt: skip
_MOST = 4


def is_map(node: Node) -> bool:
    """Whether a node is made element by element."""
    return isinstance(node, (Map, Cast))


def made_again(
    order: Sequence[Node],
    maps: Collection[Node],
    wanted: Collection[Node],
    sums: Collection[Node],
    read_by: Mapping[Node, Sequence[Node]],
) -> dict[Node, tuple[Node, ...]]:
    """Find the nodes that each of their readers makes for itself.

    Args:
        order: every node, each behind what it reads.
        maps: the maps that run in groups.
        wanted: the nodes that are results.
        sums: what adds up what it reads, as maps run.
        read_by: the readers of every node.

    Returns:
        The nodes, indices and numbers among them, and of each the arrays that it is made of.
    """
    found: dict[Node, tuple[Node, ...]] = {}
    costs: dict[Node, int] = {}
    for node in order:
        if isinstance(node, (Number, Position)):
            found[node], costs[node] = (), 0
        elif node in maps and node not in wanted and _by(read_by[node], maps, sums):
            made_of = dict.fromkeys(s for one in node.sources for s in found.get(one, (one,)))
            costs[node] = 1 + sum(costs.get(source, 0) for source in node.sources)
            whole = [s for s in made_of if set(s.axes) == set(node.axes)]
            little = costs[node] <= _MOST and isinstance(node, Map) and node.function in _CHEAP
            # Of one array that is there anyway.
            if not made_of or (little and len(whole) == 1 and whole[0] not in maps):
                found[node] = tuple(made_of)
    return found


def _by(taken: Sequence[Node], maps: Collection[Node], sums: Collection[Node]) -> bool:
    """Whether nothing but maps and sums that are added up as they are read a node."""
    return all(reader in maps or reader in sums for reader in taken)
