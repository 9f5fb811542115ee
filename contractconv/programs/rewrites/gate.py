"""Whether a rewrite is right: both sides, evaluated exactly at random points."""

from __future__ import annotations

from collections.abc import Container

from contractconv.cache_register import on_clearing
from contractconv.programs.agreement import agree_at_random
from contractconv.programs.exact import Known
from contractconv.programs.nodes import Node
from contractconv.programs.rewrites.pattern import Pattern, shrunk, written

# Times that values are drawn from the whole field, and near the numbers of a pattern.
_ANYWHERE, _NEAR = 2, 16
_MOST_REMEMBERED = 4096

_judged: dict[str, bool] = {}
on_clearing(_judged.clear)


def holds(old: Node, new: Node, known: Known, fresh: Container[Node]) -> bool:
    """Whether two nodes are the same, whatever the nodes hold that the new one is made of.

    Args:
        old: a node.
        new: what shall stand in its place.
        known: what is known of both, and of everything that they are made of.
        fresh: the nodes that were made for the new one.
    """
    if old.axes != new.axes or known.shapes[old] != known.shapes[new]:
        return False
    if known.dtypes[old] != known.dtypes[new]:
        return False
    pattern = Pattern.of(old, new, fresh)
    small = shrunk(pattern, known)
    if small is None:
        return False
    key = written(pattern, known)
    if key not in _judged:
        if len(_judged) >= _MOST_REMEMBERED:
            _judged.clear()
        _judged[key] = agree_at_random(
            old, new, pattern.order, small, pattern.leaves, (_ANYWHERE, _NEAR)
        )
    return _judged[key]
