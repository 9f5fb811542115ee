"""Carrying out a program on one of several devices, inside of ``jax.shard_map``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from contractconv.engines.portable.libraries import library_of
from contractconv.execution.foreign.programs import RULES, Setting, applied
from contractconv.programs.nodes import Contract, Input, Map, Node, Number, Position
from contractconv.sharding.jax_contractions import carried_out
from contractconv.sharding.jax_windows import inside, positions, read
from contractconv.sharding.programs import ShardedProgram
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
        shapes = {node: plan.shape(node) for node in plan.nodes}
        library, like = library_of([*arrays.values(), jnp.zeros(())])
        local = replace(plan.program, shapes=shapes)
        self._setting = Setting(local, library, like, self.values)

    def carry_out(self, node: Node) -> None:
        """Make the block of a value."""
        if isinstance(node, Input):
            made = self._setting.library.cast(self.arrays[node.name], self.plan.program.dtypes[node])
        elif isinstance(node, Contract):
            made = self._contracted(node)
        elif isinstance(node, Map):
            made = self._mapped(node)
        else:
            made = RULES[type(node)](self._setting, node, self._setting.of(node))
        if isinstance(node, Position) and (split := self.plan.layouts[node][0]):
            made = positions(split).astype(made.dtype)
        self.values[node] = made

    def _contracted(self, node: Contract) -> Any:
        opened = self.plan.opened[node]
        given = [
            self._read(self._numbered(node, source), source, o.joins).reshape(o.shape)
            for source, o in zip(node.operands, opened, strict=True)
        ]
        keys = [(source, o.joins) for source, o in zip(node.operands, opened, strict=True)]
        made = carried_out(self.plan.contractions[node], given, keys, self._known)
        dtype = self.plan.program.dtypes[node]
        return self._setting.library.cast(made.reshape(self.plan.shape(node)), dtype)

    def _numbered(self, node: Contract, source: Node) -> Any:
        """An operand; a number that stands in the program does not widen those that it meets."""
        array, dtypes = self.values[source], self.plan.program.dtypes
        if source.axes or not isinstance(source, Number):
            return array
        others = (o for o in node.operands if not isinstance(o, Number))
        return self._setting.library.cast(array, dtypes[next(others, node)])

    def _read(self, array: Any, source: Node, passages: Sequence[Passage]) -> Any:
        key = (source, passages, array.dtype.name)
        if key not in self._known:
            self._known[key] = read(array, passages, 0, masked=False)
        return self._known[key]

    def _mapped(self, node: Map) -> Any:
        aligned = [
            self._aligned(node, source, self._read(self.values[source], source, passages))
            for source, passages in zip(node.sources, self.plan.aligned[node], strict=True)
        ]
        made = applied(self._setting, node.function, tuple(aligned))
        cast = self._setting.library.cast(made, self.plan.program.dtypes[node])
        return jnp.broadcast_to(cast, self.plan.shape(node))

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
