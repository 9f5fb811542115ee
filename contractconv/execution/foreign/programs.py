"""A whole program on the arrays of one library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contractconv.engines.portable.libraries import Library, library_of
from contractconv.execution.foreign.contractions import contracted
from contractconv.maps.expression import evaluate
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import record_of
from contractconv.maps.unfolding import expanded
from contractconv.programs.dtypes import Typed
from contractconv.programs.nodes import (
    Axes,
    Cast,
    Contract,
    Input,
    Map,
    Named,
    Node,
    Number,
    Position,
    in_order,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a program is carried out on.

    Attributes:
        program: the program.
        library: how.
        like: an array of the library.
        values: of the nodes that have been carried out.
    """

    program: Typed
    library: Library
    like: Any
    values: dict[Node, Any]

    def of(self, node: Node) -> list[Any]:
        """What a node reads."""
        return [self.values[source] for source in node.sources]


def evaluated(program: Typed, arrays: Mapping[str, Any]) -> list[Any]:
    """Carry out a program on arrays of one library.

    Args:
        program: everything is known of it but the numbers in its arrays.
        arrays: its inputs by name, all of one library, of the shapes that it is for.

    Returns:
        Its outputs in order, arrays of that library.
    """
    library, like = library_of(list(arrays.values()))
    if library.program is not None:
        return library.program(program, arrays)
    values: dict[Node, Any] = {}
    setting = Setting(program, library, like, values)
    for node in in_order(program.graph.wanted):
        if isinstance(node, Input):
            values[node] = library.cast(arrays[node.name], program.dtypes[node])
        else:
            values[node] = RULES[type(node)](setting, node, setting.of(node))
    return [values[node] for node in program.graph.wanted]


# --- one rule for each kind ------------------------------------------------------------------


def _contraction(setting: Setting, node: Contract, given: Sequence[Any]) -> Any:
    made = contracted(setting.program.problems[node], given)
    return setting.library.cast(made, setting.program.dtypes[node])


def _map(setting: Setting, node: Map, given: Sequence[Any]) -> Any:
    aligned = [
        _aligned(setting, array, source.axes, node.axes)
        for array, source in zip(given, node.sources, strict=True)
    ]
    made = applied(setting, node.function, tuple(aligned))
    cast = setting.library.cast(made, setting.program.dtypes[node])
    assert setting.library.broadcast is not None
    return setting.library.broadcast(cast, setting.program.shapes[node])


def applied(setting: Setting, name: str, given: tuple[Any, ...]) -> Any:
    """A map of arrays, by the library's own function or by simpler maps."""
    record = record_of(name)
    function = setting.library.function(record)
    if function is not None:
        return function(*given)
    variables = dict(zip(ARGUMENTS, given, strict=False))
    return evaluate(
        expanded(record.unfolded), variables, lambda n: n, lambda f, a: applied(setting, f, a)
    )


def _aligned(setting: Setting, array: Any, axes: Axes, wanted: Axes) -> Any:
    """An array with all wanted axes in order; those that it lacks have size 1."""
    held = [name for name in wanted if name in axes]
    assert setting.library.transposed is not None
    moved = setting.library.transposed(array, [axes.index(name) for name in held])
    sizes = iter(moved.shape)
    return moved.reshape([next(sizes) if name in held else 1 for name in wanted])


def _named(setting: Setting, node: Named, given: Sequence[Any]) -> Any:
    return given[0]


def _cast(setting: Setting, node: Cast, given: Sequence[Any]) -> Any:
    return setting.library.cast(given[0], setting.program.dtypes[node])


def _number(setting: Setting, node: Number, given: Sequence[Any]) -> Any:
    dtype = setting.program.dtypes[node]
    return setting.library.cast(setting.library.array(np.asarray(node.value), setting.like), dtype)


def _position(setting: Setting, node: Position, given: Sequence[Any]) -> Any:
    (size,) = setting.program.shapes[node]
    assert setting.library.positions is not None
    return setting.library.positions(size, setting.like)


RULES: dict[type[Node], Callable[[Setting, Any, Sequence[Any]], Any]] = {
    Contract: _contraction,
    Map: _map,
    Named: _named,
    Cast: _cast,
    Number: _number,
    Position: _position,
}
