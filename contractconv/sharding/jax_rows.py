"""Rows that labels choose, on one of several devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from jax import lax

from contractconv.engines.portable.libraries import Library
from contractconv.execution.foreign.rows import added_rows, taken_rows
from contractconv.notation.problem import Shape
from contractconv.programs.gathering import AddedRows
from contractconv.programs.nodes import Node
from contractconv.sharding.jax_windows import inside
from contractconv.sharding.layouts import Split
from contractconv.sharding.rows import Rows, summed


def chosen(
    library: Library,
    node: Rows,
    given: Sequence[Any],
    split: Mapping[str, Split],
    shapes: Mapping[Node, Shape],
    dtype: str,
) -> Any:
    """Take rows, or add them up.

    Args:
        library: jax's record.
        node: what is done.
        given: the blocks of this device of the table, or of the rows; and of the labels.
        split: how the axes lie of what it reads and makes, where they are divided.
        shapes: of the whole arrays.
        dtype: of the result.
    """
    first, labels = given
    labels = _own(node, labels, split, shapes)
    local = {n: a.shape for n, a in zip(node.sources, given, strict=True)}
    if isinstance(node, AddedRows):
        size = split[node.axis].block if node.axis in split else node.size
        sizes = dict(zip(node.labels.axes, labels.shape, strict=True))
        sizes |= dict(zip(node.rows.axes, first.shape, strict=True)) | {node.axis: size}
        mine: AddedRows = replace(node, size=size)
        local[mine] = tuple(sizes[name] for name in node.axes)
        made = added_rows(library, mine, local, dtype)([first, labels], first)
    else:
        made = taken_rows(library, node, local, dtype)([first, labels], first)
    for found in summed(node, split):
        made = lax.psum(made, found.along)
    return made


def _own(node: Rows, labels: Any, split: Mapping[str, Split], shapes: Mapping[Node, Shape]) -> Any:
    """Labels as they count on this device; one that is no place of it is less than zero."""
    places = split.get(node.axis)
    size = node.size if isinstance(node, AddedRows) else _size(node.table, node.axis, shapes)
    if places is not None:
        real = (labels >= 0) & (labels < size)
        start = lax.axis_index(places.along) * places.block
        labels = jnp.where(real, labels.astype("int32") - start, -1)
    for axis, (name, whole) in enumerate(zip(node.labels.axes, shapes[node.labels], strict=True)):
        found = split.get(name)
        if found is not None and found.pads(whole):
            labels = jnp.where(inside(found, whole, labels.ndim, axis), labels, -1)
    return labels


def _size(table: Node, axis: str, shapes: Mapping[Node, Shape]) -> int:
    return shapes[table][table.axes.index(axis)]
