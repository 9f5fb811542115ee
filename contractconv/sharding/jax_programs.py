"""Carrying out a program on one of several devices, inside of ``jax.shard_map``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from contractconv.engines.portable.libraries import library_of
from contractconv.execution.foreign.maps import applied, argument_dtypes, converted
from contractconv.maps.table import record_of
from contractconv.programs.gathering import AddedRows, TakenRows
from contractconv.programs.nodes import Cast, Contract, Input, Map, Named, Node, Number, Position
from contractconv.sharding.jax_contractions import carried_out
from contractconv.sharding.jax_rows import chosen
from contractconv.sharding.jax_windows import inside, positions, read
from contractconv.sharding.programs import ShardedProgram
from contractconv.sharding.rows import Rows
from contractconv.sharding.windows import Passage


def evaluated(plan: ShardedProgram, arrays: Mapping[str, Any]) -> list[Any]:
    """Carry out a program.

    Args:
        plan: what is done.
        arrays: the blocks of this device, of each input by name.

    Returns:
        The blocks of each output.
    """
    work = _Work(plan, arrays)
    for node in plan.nodes:
        work.carry_out(node)
    return [work.values[node] for node in plan.program.graph.wanted]


class _Work:
    """The values of one device, and what it has read of others'."""

    def __init__(self, plan: ShardedProgram, arrays: Mapping[str, Any]) -> None:
        self.plan, self.arrays = plan, arrays
        self.values: dict[Node, Any] = {}
        self._known: dict[Any, Any] = {}
        self._library, self._like = library_of([jnp.zeros(())])

    def carry_out(self, node: Node) -> None:
        """Make the block of a value."""
        self.values[node] = _RULES[type(node)](self, node)

    def given(self, node: Input) -> Any:
        """An input."""
        return self._library.cast(self.arrays[node.name], self.plan.program.dtypes[node])

    def number(self, node: Number) -> Any:
        """A number that stands in the program."""
        return self._library.number(node.value, self.plan.program.dtypes[node], self._like)

    def position(self, node: Position) -> Any:
        """The values of an index on this device."""
        (split,), (size,) = self.plan.layouts[node], self.plan.program.shapes[node]
        made = jnp.arange(size) if split is None else positions(split)
        return self._library.cast(made, self.plan.program.dtypes[node])

    def renamed(self, node: Named) -> Any:
        """The same."""
        return self.values[node.source]

    def cast(self, node: Cast) -> Any:
        """The same in other numbers."""
        dtypes = self.plan.program.dtypes
        return converted(self._library, dtypes[node.source], dtypes[node])(self.values[node.source])

    def contracted(self, node: Contract) -> Any:
        """A contraction."""
        opened = self.plan.opened[node]
        given = [
            self._read(self._numbered(node, source), source, o.joins).reshape(o.shape)
            for source, o in zip(node.operands, opened, strict=True)
        ]
        keys = [(source, o.joins) for source, o in zip(node.operands, opened, strict=True)]
        made = carried_out(self.plan.contractions[node], given, keys, self._known)
        dtype = self.plan.program.dtypes[node]
        return self._library.cast(made.reshape(self.plan.shape(node)), dtype)

    def _numbered(self, node: Contract, source: Node) -> Any:
        """An operand; a number that stands in the program does not widen those that it meets."""
        array, dtypes = self.values[source], self.plan.program.dtypes
        if not isinstance(source, Number):
            return array
        others = (o for o in node.operands if not isinstance(o, Number))
        return self._library.cast(array, dtypes[next(others, node)])

    def _read(self, array: Any, source: Node, passages: Sequence[Passage]) -> Any:
        key = (source, passages, array.dtype.name)
        if key not in self._known:
            self._known[key] = read(array, passages, 0, masked=False)
        return self._known[key]

    def mapped(self, node: Map) -> Any:
        """A map."""
        program, library = self.plan.program, self._library
        dtypes = [library.substitutes.get(d, d) for d in argument_dtypes(program, node)]
        passages = self.plan.aligned[node]
        arguments = tuple(
            library.cast(self._aligned(node, s, self._read(self.values[s], s, p)), dtype)
            for s, p, dtype in zip(node.sources, passages, dtypes, strict=True)
        )
        made = applied(library, record_of(node.function), arguments, dtypes[-1], self._like)
        return jnp.broadcast_to(library.cast(made, program.dtypes[node]), self.plan.shape(node))

    def rows(self, node: Rows) -> Any:
        """Rows that labels choose, or sums over rows."""
        given = [
            self._read(self.values[source], source, passages)
            for source, passages in zip(node.sources, self.plan.aligned[node], strict=True)
        ]
        split, shapes = self.plan.split(node), self.plan.program.shapes
        return chosen(self._library, node, given, split, shapes, self.plan.program.dtypes[node])

    def _aligned(self, node: Map, source: Node, array: Any) -> Any:
        """An argument with all axes of a map.

        What is repeated over padding is told apart there: derivatives of what padding holds may be
        no numbers, and would come back to all of it.
        """
        held = [name for name in node.axes if name in source.axes]
        array = array.transpose([source.axes.index(name) for name in held])
        lacked = [n for n, name in enumerate(node.axes) if name not in source.axes]
        array = jnp.expand_dims(array, lacked)
        if isinstance(source, Number):
            return array
        shape, layout = self.plan.program.shapes[node], self.plan.layouts[node]
        for axis in lacked:
            split = layout[axis]
            if split is not None and split.pads(shape[axis]):
                real = inside(split, shape[axis], array.ndim, axis)
                array = jnp.where(real, array, jnp.zeros((), array.dtype))
        return array


_RULES: dict[type[Node], Callable[[_Work, Any], Any]] = {
    Input: _Work.given,
    Contract: _Work.contracted,
    Map: _Work.mapped,
    Named: _Work.renamed,
    Cast: _Work.cast,
    Number: _Work.number,
    Position: _Work.position,
    TakenRows: _Work.rows,
    AddedRows: _Work.rows,
}
