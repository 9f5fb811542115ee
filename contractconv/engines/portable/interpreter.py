"""Carrying out nodes on the arrays of any library: one short rule for each kind of node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

import numpy as np

from contractconv.arrays.precision import ACCUMULATORS, result_dtype
from contractconv.engines.portable.libraries import Library, library_of
from contractconv.engines.portable.nodes import (
    Divide,
    Einsum,
    Full,
    Node,
    Operand,
    Reduce,
    Reshape,
    Take,
    Where,
)
from contractconv.errors import ContractionError
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS

# Truth values are added and multiplied as integers: not every library can do it otherwise.
_SUMMED = {"bool": "int64"}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the nodes are carried out on.

    Attributes:
        library: how.
        arrays: the operands, in the numbers that are computed with.
        like: an array of the library.
        numbers: the name of the dtype that is computed with.
        dtype: the dtype whose identities count.
    """

    library: Library
    arrays: tuple[Any, ...]
    like: Any
    numbers: str
    dtype: np.dtype[Any]

    def value(self, node: Node) -> Any:
        """Carry out a node, and all that it reads."""
        return RULES[type(node)](self, node)

    def filled(self, sizes: Sequence[int], reduce: str) -> Any:
        """An array of the identity of a reduction."""
        return self.constant(np.full(tuple(sizes), identity(REDUCTIONS[reduce], self.dtype)))

    def constant(self, values: Any) -> Any:
        """Numbers to compute with."""
        return self.library.cast(self.library.array(values, self.like), self.numbers)


def run(node: Node, reduce: str, operands: Sequence[Any]) -> Any:
    """Carry out what :func:`~contractconv.engines.portable.translation.lowered` describes.

    Args:
        node: the node of the result.
        reduce: the reduction of the contraction.
        operands: arrays of one library, numpy's among them as they like, compositions not split.

    Returns:
        An array of that library, in the dtype in which its operands meet; of integers, means and
        logarithms are floats.

    Raises:
        OperandError: the arrays are of several libraries, of an unknown one, or not of numbers.
        ReductionError: the reduction needs an order and the numbers are complex; or no library
            has it.
        ContractionError: there are more indices than an einsum has letters.
    """
    library, like = library_of(operands)
    arrays = [array if _is_of(array, like) else library.array(array, like) for array in operands]
    common = library.promoted(arrays)
    summed = np.dtype(ACCUMULATORS.get(common, common))
    made = result_dtype(reduce, summed)
    numbers = _SUMMED.get(made.name, library.substitutes.get(made.name, made.name))
    cast = tuple(library.cast(array, numbers) for array in arrays)
    result = Setting(library, cast, like, numbers, made).value(node)
    return library.cast(result, common if made == summed else made.name)


def _is_of(array: Any, like: Any) -> bool:
    return isinstance(array, np.ndarray) == isinstance(like, np.ndarray)


# --- one rule for each kind ------------------------------------------------------------------


def _operand(setting: Setting, node: Operand) -> Any:
    return setting.arrays[node.number].reshape(node.sizes)


def _full(setting: Setting, node: Full) -> Any:
    return setting.filled(node.sizes, node.reduce)


def _reshape(setting: Setting, node: Reshape) -> Any:
    return setting.value(node.source).reshape(node.sizes)


def _take(setting: Setting, node: Take) -> Any:
    """Join the axes to one, append what stands outside, and take."""
    source, table, outside = setting.value(node.source), node.table.table, node.table.outside
    before, after = source.shape[: node.axis], source.shape[node.axis + node.count :]
    joined = source.reshape((*before, outside, *after))
    if (table == outside).any():
        edge = setting.filled((*before, 1, *after), node.reduce)
        joined = setting.library.joined([joined, edge], node.axis)
    taken = setting.library.take(joined, table.ravel(), node.axis)
    return taken.reshape((*before, *table.shape, *after))


def _einsum(setting: Setting, node: Einsum) -> Any:
    names = dict.fromkeys(name for labels in node.inputs for name in labels)
    if len(names) > len(ascii_letters):
        raise ContractionError(f"{len(names)} indices meet; an einsum has {len(ascii_letters)}")
    letter = dict(zip(names, ascii_letters, strict=False))
    *inputs, output = (
        "".join(letter[name] for name in labels) for labels in (*node.inputs, node.output)
    )
    sources = [setting.value(source) for source in node.sources]
    return setting.library.einsum(f"{','.join(inputs)}->{output}", *sources)


def _where(setting: Setting, node: Where) -> Any:
    inside: Any = True
    for part in node.conditions:
        order = sorted(part.names, key=node.labels.index)
        turned = part.inside.transpose([part.names.index(name) for name in order])
        extents = dict(part.extents)
        inside = inside & turned.reshape([extents.get(name, 1) for name in node.labels])
    condition = setting.library.array(inside, setting.like)
    elsewhere = setting.filled((), node.reduce)
    return setting.library.where(condition, setting.value(node.source), elsewhere)


def _reduce(setting: Setting, node: Reduce) -> Any:
    record, source, axes = REDUCTIONS[node.reduce], setting.value(node.source), node.axes
    if not axes:  # to some libraries none are all
        source, axes = source.reshape((*source.shape, 1)), (len(source.shape),)
    if record.portable is not None:
        return record.portable(setting.library, source, axes)
    native = setting.library.reductions.get(record.combine) if record.keeps_one else None
    return record.asked(native, "portable way")(source, axes)


def _divide(setting: Setting, node: Divide) -> Any:
    source = setting.value(node.source)
    points: Any = np.asarray(node.repeats, np.float64)
    for axis, part in node.landings:
        behind = len(source.shape) - axis - len(part.sizes)
        points = points * part.counts.reshape((*part.sizes, *(1,) * behind))
    return source / setting.constant(np.maximum(points, 1))


RULES: dict[type[Node], Callable[[Setting, Any], Any]] = {
    Operand: _operand,
    Full: _full,
    Reshape: _reshape,
    Take: _take,
    Einsum: _einsum,
    Where: _where,
    Reduce: _reduce,
    Divide: _divide,
}
