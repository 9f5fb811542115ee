"""What is done within a block of maps that run together, and what is held meanwhile.

Everything that is held has a number: first the arrays that are read, then the numbers that stand in
the maps, the results, the blocks that are needed in between, of which each is filled again as soon
as nobody needs what is in it; and last what is made of indices, which has fewer axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.maps.table import MAPS
from contractconv.planning.programs.fusion import Fused
from contractconv.programs.nodes import Axes, Map, Node, Number, Position


class Operation(NamedTuple):
    """A map within a block.

    Attributes:
        work: makes a new array of its arguments, or fills the one that it is given as ``out``.
        taken: the numbers under which its arguments are held.
        made: the number under which its result is.
        fills: whether there is an array for the result.
    """

    work: Callable[..., Any]
    taken: tuple[int, ...]
    made: int
    fills: bool


class BlockOperations:
    """The maps of a group, as operations on what is held.

    Attributes:
        arrays: the nodes that are read: leaves, and indices as values.
        numbers: the numbers that stand in the maps.
        outputs: how many results there are.
        scratch: the dtypes of the blocks in between.
        small: how many arrays are made anew in each block.
        operations: the maps, in order.
    """

    def __init__(self, group: Fused, dtypes: Mapping[Node, np.dtype[Any]], axes: Axes) -> None:
        read = dict.fromkeys(source for node in group.nodes for source in node.sources)
        indices = [node for node in read if isinstance(node, Position)]
        constants = [node for node in read if isinstance(node, Number)]
        small = [node for node in group.nodes if set(node.axes) != set(axes)]
        self.arrays = [*group.leaves, *indices]
        self.numbers = [node.value for node in constants]
        self.outputs, self.small = len(group.outputs), len(small)
        held = [*self.arrays, *constants, *group.outputs]
        blocks = _Blocks(group.nodes, {*held, *small}, dtypes)
        self.scratch = blocks.dtypes
        places = {node: n for n, node in enumerate(held)}
        places |= {node: len(held) + n for node, n in blocks.places.items()}
        behind = len(held) + len(self.scratch)
        places |= {node: behind + n for n, node in enumerate(small)}
        self.operations = [
            Operation(
                _work(node, dtypes[node]),
                tuple(places[source] for source in node.sources),
                places[node],
                node not in small,
            )
            for node in group.nodes
        ]


class _Blocks:
    """Which block each value in between is in.

    Attributes:
        places: the number of the block of each node.
        dtypes: the dtypes of the blocks.
    """

    def __init__(
        self, nodes: Sequence[Node], kept: set[Node], dtypes: Mapping[Node, np.dtype[Any]]
    ) -> None:
        self.places: dict[Node, int] = {}
        self.dtypes: list[np.dtype[Any]] = []
        self._free: list[int] = []
        last = {source: n for n, node in enumerate(nodes) for source in node.sources}
        for n, node in enumerate(nodes):
            dying = [s for s in dict.fromkeys(node.sources) if last[s] == n and s in self.places]
            filled = [source for source in dying if _may_fill(node, source)]
            self._free += [self.places[source] for source in filled]
            if node not in kept:
                self.places[node] = self._taken(dtypes[node])
            self._free += [self.places[source] for source in dying if source not in filled]

    def _taken(self, dtype: np.dtype[Any]) -> int:
        for place in reversed(self._free):
            if self.dtypes[place] == dtype:
                self._free.remove(place)
                return place
        self.dtypes.append(dtype)
        return len(self.dtypes) - 1


def _may_fill(node: Node, source: Node) -> bool:
    """Whether a map may write over one of its arguments; a choice only over what it starts from."""
    if not isinstance(node, Map) or node.function != "where":
        return True
    return node.arguments[2] == source and source not in node.arguments[:2]


def _work(node: Node, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """What carries out a map; ``out`` is the array that it fills, if any."""
    if not isinstance(node, Map):
        return partial(_converted, dtype)
    if node.function == "where":
        return partial(_chosen, dtype)
    record = MAPS[node.function]
    if isinstance(record.ufunc, np.ufunc):
        return record.ufunc
    return lambda *given, out=None: _filled(record.numpy, given, out)


def _converted(dtype: np.dtype[Any], source: Any, out: Array | None = None) -> Array:
    if np.iscomplexobj(source) and dtype.kind != "c":
        source = np.real(source)
    if out is None:
        return np.asarray(source).astype(dtype)
    np.copyto(out, source, casting="unsafe")
    return out


def _chosen(
    dtype: np.dtype[Any], condition: Any, first: Any, second: Any, out: Array | None = None
) -> Array:
    if out is None:
        made: Array = np.where(condition, first, second).astype(dtype, copy=False)
        return made
    if second is not out:
        np.copyto(out, second, casting="unsafe")
    np.copyto(out, first, where=np.asarray(condition, bool), casting="unsafe")
    return out


def _filled(function: Callable[..., Any], given: Sequence[Any], out: Array | None) -> Array:
    made = np.asarray(function(*given))
    if out is None:
        return made
    np.copyto(out, made, casting="unsafe")
    return out
