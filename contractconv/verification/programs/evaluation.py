"""A program carried out from its definition, point by point, in any numbers.

Nothing here is shared with what carries programs out: neither plans nor kernels, and no derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contractconv.notation.problem import Accesses, Problem
from contractconv.notation.spec import lone_names
from contractconv.programs.build import local_axes
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Map,
    Named,
    Node,
    Number,
    Position,
    in_order,
)
from contractconv.programs.sizing import Sized
from contractconv.reductions.table import REDUCTIONS
from contractconv.verification.programs.algebras import Algebra

Array = NDArray[Any]
Values = dict[Node, Array]


def evaluated(
    program: Sized, wanted: Sequence[Node], known: Mapping[Node, Array], algebra: Algebra
) -> Values:
    """Carry a program out.

    Args:
        program: the program, with its sizes.
        wanted: the nodes whose values are wanted.
        known: the values of inputs; those of other nodes are taken as they are.
        algebra: the numbers.

    Returns:
        The arrays of all nodes that were needed, of Python's objects.
    """
    values: Values = dict(known)
    for node in in_order(wanted, references=False, known=known):
        made = _RULES[type(node)](node, values, program, algebra)
        # What has no axes is no array any more, once it was multiplied.
        values[node] = made if isinstance(made, np.ndarray) else as_array((), [made])
    return values


def _number(node: Number, values: Values, program: Sized, algebra: Algebra) -> Array:
    return as_array((), [algebra.number(node.value)])


def _position(node: Position, values: Values, program: Sized, algebra: Algebra) -> Array:
    (size,) = program.shapes[node]
    return as_array((size,), list(range(size)))


def _source(node: Named | Cast, values: Values, program: Sized, algebra: Algebra) -> Array:
    return values[node.source]


def _map(node: Map, values: Values, program: Sized, algebra: Algebra) -> Array:
    given = [aligned(values[source], source, node) for source in node.arguments]
    shape = program.shapes[node]
    columns = (np.broadcast_to(array, shape).ravel() for array in given)
    made = [algebra.applied(node.function, taken) for taken in zip(*columns, strict=True)]
    return as_array(shape, made)


def aligned(array: Array, source: Node, node: Node) -> Array:
    """An array with the axes of another node in their order; those that it lacks have size 1."""
    held = [axis for axis in node.axes if axis in source.axes]
    moved = array.transpose([source.axes.index(axis) for axis in held])
    sizes = iter(moved.shape)
    return moved.reshape([next(sizes) if axis in held else 1 for axis in node.axes])


# -- contractions ------------------------------------------------------------------------------


class _Points:
    """Every point of a contraction: where it reads and where it lands."""

    def __init__(self, problem: Problem) -> None:
        self.extents = dict(problem.sizes)
        shape = [size for _, size in problem.sizes]
        grid = np.indices(shape).reshape(len(shape), -1) if shape else np.zeros((0, 1), np.int64)
        self._places = dict(zip(self.extents, grid, strict=True))
        self.count = prod(shape)
        self.out, self.lands = self._met(problem.output)
        self.read = [self._met(accesses) for accesses in problem.operands]
        valid = np.logical_and.reduce([self.lands, *(inside for _, inside in self.read)])
        self.counted = np.flatnonzero(valid)

    def _met(self, accesses: Accesses) -> tuple[Array, Array]:
        """The position of the element that each point meets, and whether there is one."""
        flat, valid = np.zeros(self.count, np.int64), np.ones(self.count, bool)
        for access in accesses:
            number = access.offset + sum(c * self._places[name] for name, c in access.terms)
            place, rest = np.divmod(np.broadcast_to(number, self.count), access.divisor)
            valid = valid & (rest == 0) & (place >= 0) & (place < access.size)
            flat = flat * access.size + place
        return flat, valid

    def placed(self, names: Sequence[str]) -> Array:
        """The position of each point among the values of some indices."""
        flat = np.zeros(self.count, np.int64)
        for name in names:
            flat = flat * self.extents[name] + self._places[name]
        return flat


def _contraction(node: Contract, values: Values, program: Sized, algebra: Algebra) -> Array:
    points, record = _Points(program.problems[node]), REDUCTIONS[node.spec.reduce]
    shape = program.shapes[node]
    if record.averages and node.local:
        return _shares(points, shape, algebra)
    product = _products(node, points, values)
    if record.linear:
        total = as_array(shape, [0] * prod(shape))
        np.add.at(total.reshape(-1), points.out[points.counted], product)
        return total * _shares(points, shape, algebra) if record.averages else total
    return _reduced(node, points, product, shape, algebra)


def _products(node: Contract, points: _Points, values: Values) -> Array:
    """What each point that counts contributes."""
    product = as_array((len(points.counted),), [1] * len(points.counted))
    for operand, (flat, _) in zip(node.operands, points.read, strict=True):
        product = product * values[operand].reshape(-1)[flat[points.counted]]
    return product


def _shares(points: _Points, shape: tuple[int, ...], algebra: Algebra) -> Array:
    """One over the number of points that land on an element, read inside or not.

    A local derivative that is the same for all elements has no axes.
    """
    landed = np.bincount(points.out[points.lands], minlength=prod(shape)).tolist()
    one = algebra.number(1.0)
    return as_array(shape, [_over(algebra, one, count) for count in landed[: prod(shape)]])


def _over(algebra: Algebra, one: Any, count: int) -> Any:
    return algebra.applied("divide", (one, count)) if count else 0


def _reduced(
    node: Contract, points: _Points, product: Array, shape: tuple[int, ...], algebra: Algebra
) -> Array:
    """A reduction that is no sum; or, at the place of each point, how it changes with that one."""
    record = REDUCTIONS[node.spec.reduce]
    empty = 0 if node.local else algebra.number(record.identity)
    made = np.full(prod(shape), empty, object)
    places = points.placed(lone_names([local_axes(node.spec)])) if node.local else points.out
    for members in _groups(points.out[points.counted]).values():
        at = places[points.counted[members]]
        if node.local:
            made[at] = as_array((len(members),), algebra.slopes(record, list(product[members])))
        else:
            made[at[0]] = algebra.reduced(record, list(product[members]))
    return made.reshape(shape)


def _groups(out: Array) -> dict[int, list[int]]:
    """The points that land on each element."""
    groups: dict[int, list[int]] = {}
    for number, at in enumerate(out.tolist()):
        groups.setdefault(at, []).append(number)
    return groups


def filled(shape: tuple[int, ...], draw: Callable[[], Any]) -> Array:
    """An array of numbers, drawn one after the other."""
    return as_array(shape, [draw() for _ in range(prod(shape))])


def as_array(shape: tuple[int, ...], values: Sequence[Any]) -> Array:
    """An array of Python's objects."""
    made = np.empty(prod(shape), object)
    made[:] = values
    return made.reshape(shape)


_RULES: dict[type[Node], Callable[[Any, Values, Sized, Algebra], Array]] = {
    Cast: _source,
    Contract: _contraction,
    Map: _map,
    Named: _source,
    Number: _number,
    Position: _position,
}
