"""Carrying out nodes on the arrays of any library: one short rule for each kind of node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from contractconv.arrays.precision import ACCUMULATORS, result_dtype
from contractconv.engines.portable import nodes
from contractconv.engines.portable.libraries import Library, library_of
from contractconv.engines.portable.libraries.record import Runs
from contractconv.engines.portable.nodes import Labels, Node, names_of
from contractconv.engines.portable.tables import Arrivals, Positions, Rows, Run, Table, together
from contractconv.errors import ContractionError
from contractconv.notation.problem import Accesses, Problem, shape_of
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS

# Truth values are added and multiplied as integers: not every library can do it otherwise.
_SUMMED = {"bool": "int64"}


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """In which numbers of a library something is computed.

    Attributes:
        library: whose arrays there are.
        numbers: the name of the dtype that is computed with.
        dtype: the dtype whose identities count.
        result: the name of that of the result.
    """

    library: Library
    numbers: str
    dtype: np.dtype[Any]
    result: str

    @staticmethod
    def of(library: Library, common: str, reduce: str) -> Arithmetic:
        """How operands that meet in a dtype are reduced.

        Raises:
            OperandError: it is not one of numbers.
            ReductionError: the reduction needs an order and the numbers are complex.
        """
        summed = np.dtype(ACCUMULATORS.get(common, common))
        made = result_dtype(reduce, summed)
        numbers = _SUMMED.get(made.name, library.substitutes.get(made.name, made.name))
        return Arithmetic(library, numbers, made, common if made == summed else made.name)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the nodes are carried out on.

    Attributes:
        arithmetic: in which numbers.
        arrays: the operands in them.
        like: an array of the library.
        extents: of every index.
    """

    arithmetic: Arithmetic
    arrays: Sequence[Any]
    like: Any
    extents: Mapping[str, int]

    @property
    def library(self) -> Library:
        """Whose arrays there are."""
        return self.arithmetic.library

    def parts(self, axes: Accesses) -> tuple[list[Positions], list[int]]:
        """Where axes are met, those together that share an index, and in which order they are."""
        groups = together(axes)
        parts = [Positions.of(tuple(axes[n] for n in group), self.extents) for group in groups]
        return parts, [n for group in groups for n in group]

    def value(self, node: Node) -> Any:
        """Carry out a node, and all that it reads."""
        return RULES[type(node)](self, node)

    def filled(self, sizes: Sequence[int], reduce: str) -> Any:
        """An array of the identity of a reduction."""
        outside = identity(REDUCTIONS[reduce], self.arithmetic.dtype)
        return self.constant(np.full(tuple(sizes), outside))

    def constant(self, values: Any) -> Any:
        """Numbers to compute with."""
        return self.library.cast(self.library.array(values, self.like), self.arithmetic.numbers)


def run(node: Node, problem: Problem, operands: Sequence[Any]) -> Any:
    """Carry out what :func:`~contractconv.engines.portable.translation.lowered` describes.

    Args:
        node: the node of the result.
        problem: what it is the result of.
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
    arrays = joined(operands, library, like)
    arithmetic = Arithmetic.of(library, library.promoted(arrays), problem.reduce)
    cast = [library.cast(array, arithmetic.numbers) for array in arrays]
    made = carried_out(node, arithmetic, problem, cast, like)
    return library.cast(made.reshape(problem.result_shape), arithmetic.result)


def joined(arrays: Sequence[Any], library: Library, like: Any) -> list[Any]:
    """Arrays of a library, and of numpy, as that library's, which one of them is."""
    return [array if _is_of(array, like) else library.array(array, like) for array in arrays]


def _is_of(array: Any, like: Any) -> bool:
    return isinstance(array, np.ndarray) == isinstance(like, np.ndarray)


def carried_out(
    node: Node, arithmetic: Arithmetic, problem: Problem, arrays: Sequence[Any], like: Any
) -> Any:
    """Carry out a node on arrays in the numbers that are computed with, compositions not joined."""
    return Setting(arithmetic, arrays, like, problem.extents).value(node)


# --- one rule for each kind ------------------------------------------------------------------


def _operand(setting: Setting, node: nodes.Operand) -> Any:
    return setting.arrays[node.number].reshape(shape_of(node.axes))


def _full(setting: Setting, node: nodes.Full) -> Any:
    return setting.filled(node.sizes, node.reduce)


def _read(setting: Setting, node: nodes.Read) -> Any:
    """Take the axes that share indices at once."""
    parts, order = setting.parts(node.axes)
    array, axis = _turned(setting, setting.value(node.source), order), 0
    for part in parts:
        if not part.whole:
            array = _met(setting, array, axis, part, node.reduce)
        axis += len(part.names)
    labels = tuple(name for part in parts for name in part.names)
    return _contracted(setting, [array], [labels], names_of(node.axes))


def _met(setting: Setting, array: Any, axis: int, part: Positions, reduce: str) -> Any:
    """What is read of the axes that stand together."""
    runs, run = setting.library.runs, part.run
    if runs is None or run is None:
        return _taken(setting, array, axis, len(part.axes), part, reduce)
    found = runs.sliced(array, axis, run.least, abs(run.step), run.number)
    found = runs.turned(found, axis) if run.step < 0 else found
    return found.reshape((*array.shape[:axis], *part.table_shape, *array.shape[axis + 1 :]))


def _taken(setting: Setting, array: Any, axis: int, count: int, table: Table, reduce: str) -> Any:
    """Take by a table, whose axes stand for some axes: join those, append what stands outside."""
    before, after = array.shape[:axis], array.shape[axis + count :]
    joined = array.reshape((*before, table.outside, *after))
    if (table.table == table.outside).any():
        edge = setting.filled((*before, 1, *after), reduce)
        joined = setting.library.joined([joined, edge], axis)
    taken = setting.library.take(joined, table.table.ravel(), axis)
    return taken.reshape((*before, *table.table.shape, *after))


def _turned(setting: Setting, array: Any, order: Sequence[int]) -> Any:
    """The axes in another order."""
    names = tuple(f"x{axis}" for axis in range(len(order)))
    return _contracted(setting, [array], [names], tuple(names[axis] for axis in order))


def _einsum(setting: Setting, node: nodes.Einsum) -> Any:
    return _contracted(setting, map(setting.value, node.sources), node.inputs, node.output)


def _contracted(
    setting: Setting, arrays: Iterable[Any], inputs: Sequence[Labels], output: Labels
) -> Any:
    if [*inputs] == [output]:
        return next(iter(arrays))
    names = dict.fromkeys(name for labels in inputs for name in labels)
    if len(names) > len(ascii_letters):
        raise ContractionError(f"{len(names)} indices meet; an einsum has {len(ascii_letters)}")
    letter = dict(zip(names, ascii_letters, strict=False))
    *words, word = ("".join(letter[name] for name in labels) for labels in (*inputs, output))
    return setting.library.einsum(f"{','.join(words)}->{word}", *arrays)


def inside(setting: Setting, axes: Accesses, labels: Labels) -> Any:
    """Whether the points of some labels are inside some axes: a numpy array, or ``True``."""
    found: Any = True
    for part in setting.parts(axes)[0]:
        order = sorted(part.names, key=labels.index)
        turned = part.inside.transpose([part.names.index(name) for name in order])
        sizes = [setting.extents[name] if name in order else 1 for name in labels]
        found = found & turned.reshape(sizes)
    return found


def _where(setting: Setting, node: nodes.Where) -> Any:
    condition = setting.library.array(inside(setting, node.axes, node.labels), setting.like)
    elsewhere = setting.filled((), node.reduce)
    return setting.library.where(condition, setting.value(node.source), elsewhere)


def _reduce(setting: Setting, node: nodes.Reduce) -> Any:
    axes = tuple(node.labels.index(name) for name in node.gone)
    return _without(setting, setting.value(node.source), axes, node.reduce)


def _without(setting: Setting, source: Any, axes: tuple[int, ...], reduce: str) -> Any:
    record = REDUCTIONS[reduce]
    if not axes:  # to some libraries none are all
        source, axes = source.reshape((*source.shape, 1)), (len(source.shape),)
    if record.portable is not None:
        return record.portable(setting.library, source, axes)
    native = setting.library.reductions.get(record.combine) if record.keeps_one else None
    return record.asked(native, "portable way")(source, axes)


def _land(setting: Setting, node: nodes.Land) -> Any:
    """Gather what arrives at each element, reduce it, and put it where the element is."""
    parts, order = setting.parts(node.axes)
    labels = tuple(name for part in parts for name in part.names)
    array = _contracted(setting, [setting.value(node.source)], [names_of(node.axes)], labels)
    axis = 0
    for part in parts:
        if not part.whole:
            array = _scattered(setting, array, axis, part, node.reduce)
        axis += len(part.axes)
    return _turned(setting, array, _inverse(order))


def _scattered(setting: Setting, array: Any, axis: int, part: Positions, reduce: str) -> Any:
    runs, run = setting.library.runs, part.run
    if runs is not None and run is not None and REDUCTIONS[reduce].linear:
        return _spread(runs, array, axis, part, run)
    arrivals = Arrivals(part)
    array = _taken(setting, array, axis, len(part.names), arrivals, reduce)
    if arrivals.most > 1:
        array = _without(setting, array, (axis + len(arrivals.shape),), reduce)
    if arrivals.everywhere:
        return array
    return _taken(setting, array, axis, 1, Rows(arrivals), reduce)


def _spread(runs: Runs, array: Any, axis: int, part: Positions, run: Run) -> Any:
    """The reverse of slicing, with zeros in between."""
    if not part.names:
        array = array.reshape((*array.shape[:axis], 1, *array.shape[axis:]))
    elif run.step < 0:
        array = runs.turned(array, axis)
    return runs.spread(array, axis, run.least, abs(run.step), part.outside)


def _divide(setting: Setting, node: nodes.Divide) -> Any:
    parts, order = setting.parts(node.axes)
    points: Any = np.asarray(prod(node.repeats), np.float64)
    for part in parts:
        points = np.multiply.outer(points, part.counts)
    points = setting.constant(np.maximum(points.transpose(_inverse(order)), 1))
    return setting.value(node.source) / points


def _inverse(order: Sequence[int]) -> list[int]:
    """Where each axis is in an order."""
    return sorted(range(len(order)), key=order.__getitem__)


RULES: dict[type[Node], Callable[[Setting, Any], Any]] = {
    nodes.Operand: _operand,
    nodes.Full: _full,
    nodes.Read: _read,
    nodes.Einsum: _einsum,
    nodes.Where: _where,
    nodes.Reduce: _reduce,
    nodes.Land: _land,
    nodes.Divide: _divide,
}
