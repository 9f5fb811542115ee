"""Constant tables of positions: where the axes of one term meet the index space.

Axes that share an index are read, or written, together: one table holds their position counted in
row-major order, with an axis for each index. Every boundary is met here, once: a point that leaves
an axis gets the position behind the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from contractconv.arrays.views import Array
from contractconv.cache_register import weighed
from contractconv.engines.portable.nodes import names_of
from contractconv.lazy import Value
from contractconv.notation.problem import Access, Accesses, Shape, shape_of


def _bytes(table: Array) -> int:
    return int(table.nbytes)


class Run(NamedTuple):
    """Elements of an axis that an index meets one after the other, inside it.

    Attributes:
        first: the one that it begins with.
        step: from one to the next; below zero if it runs backwards.
        number: how many there are.
    """

    first: int
    step: int
    number: int

    @property
    def least(self) -> int:
        """The first of them on the axis."""
        return min(self.first, self.first + self.step * (self.number - 1))


@dataclass(frozen=True)
class Positions(Value):
    """Where some axes are met, at every point of their indices.

    Attributes:
        axes: the axes.
        extents: their indices with their extents, one axis of the table each.
    """

    axes: Accesses
    extents: tuple[tuple[str, int], ...]

    @staticmethod
    def of(axes: Accesses, extents: Mapping[str, int]) -> Positions:
        """The positions of some axes, given the extent of every index."""
        return Positions(axes, tuple((name, extents[name]) for name in names_of(axes)))

    @property
    def names(self) -> tuple[str, ...]:
        """The indices, in the order of the table's axes."""
        return tuple(name for name, _ in self.extents)

    @property
    def whole(self) -> bool:
        """Whether it is one axis, all along which an index runs alone."""
        sizes = tuple(extent for _, extent in self.extents)
        return [a.plain for a in self.axes] == [*self.names] and self.sizes == sizes

    @property
    def sizes(self) -> Shape:
        """The sizes of the axes that are met."""
        return shape_of(self.axes)

    @property
    def outside(self) -> int:
        """The position of what is outside."""
        return prod(self.sizes)

    @property
    def run(self) -> Run | None:
        """What one index meets, or none, if that stays inside one axis by whole steps."""
        if len(self.axes) != 1 or len(self.names) > 1 or 0 in self.table_shape:
            return None
        (axis,) = self.axes
        low, high = axis.reach(dict(self.extents))
        if axis.divisor > 1 or low < 0 or high >= axis.size:
            return None
        step = axis.terms[0][1] if axis.terms else 1
        return Run(axis.offset, step, prod(self.table_shape))

    @property
    def table_shape(self) -> Shape:
        """The extents of the indices."""
        return tuple(extent for _, extent in self.extents)

    @property
    @weighed(_bytes)
    def table(self) -> Array:
        """The position at every point."""
        place: Any = np.zeros((), np.int64)
        inside: Any = np.ones((), bool)
        for access in self.axes:
            at, remainder = np.divmod(self._numerator(access), access.divisor)
            within = (remainder == 0) & (at >= 0) & (at < access.size)
            place = place * access.size + np.where(within, at, 0)
            inside = inside & within
        return np.broadcast_to(np.where(inside, place, self.outside), self.table_shape)

    def _numerator(self, access: Access) -> Array:
        total = np.full((1,) * len(self.extents), access.offset)
        for name, coefficient in access.terms:
            shape = [-1 if name == label else 1 for label in self.names]
            total = total + coefficient * np.arange(dict(self.extents)[name]).reshape(shape)
        return total

    @property
    @weighed(_bytes)
    def inside(self) -> Array:
        """Whether a point meets an element."""
        return self.table < self.outside

    @property
    @weighed(_bytes)
    def counts(self) -> Array:
        """How many points meet each element."""
        found = np.bincount(self.table.ravel(), minlength=self.outside + 1)
        return found[: self.outside].reshape(self.sizes)


@dataclass(frozen=True)
class Arrivals(Value):
    """The points that meet each element that any point meets: what inverts positions.

    The points of a box that an affine map sends to one element are nearly as many for every
    element. So the table is hardly larger than that of the positions, and to scatter is to gather.
    """

    positions: Positions

    @property
    def outside(self) -> int:
        """The position of a point that does not exist."""
        return self.positions.table.size

    @property
    @weighed(_bytes)
    def met(self) -> Array:
        """The elements that any point meets."""
        return np.flatnonzero(self.positions.counts)

    @property
    def everywhere(self) -> bool:
        """Whether every element is met."""
        return len(self.met) == self.positions.outside

    @property
    def shape(self) -> Shape:
        """The shape of what the points are listed for: the axes, or the elements that are met."""
        return self.positions.sizes if self.everywhere else (len(self.met),)

    @property
    def most(self) -> int:
        """How many points meet one element, at most."""
        return int(self.positions.counts.max(initial=1))

    @property
    @weighed(_bytes)
    def table(self) -> Array:
        """The points of each element in row-major order; on an axis, if there may be several."""
        counts = self.positions.counts.ravel()[self.met]
        points = np.argsort(self.positions.table, axis=None, kind="stable")[: counts.sum()]
        rows = np.repeat(np.arange(len(counts)), counts)
        columns = np.arange(len(points)) - np.repeat(np.cumsum(counts) - counts, counts)
        table = np.full((len(counts), self.most), self.outside)
        table[rows, columns] = points
        return table.reshape(self.shape + (self.most,) * (self.most > 1))


@dataclass(frozen=True)
class Rows(Value):
    """Where each element is among those that are met."""

    arrivals: Arrivals

    @property
    def outside(self) -> int:
        """The row of an element that is not met."""
        return len(self.arrivals.met)

    @property
    @weighed(_bytes)
    def table(self) -> Array:
        """The row of every element."""
        table = np.full(self.arrivals.positions.outside, self.outside)
        table[self.arrivals.met] = np.arange(self.outside)
        return table.reshape(self.arrivals.positions.sizes)


Table = Positions | Arrivals | Rows


def together(axes: Accesses) -> list[tuple[int, ...]]:
    """The numbers of the axes, those together that share an index.

    Example:
        >>> a, b = Access.along("i", 2), Access.along("j", 3)
        >>> together((a, b, Access((("i", 1), ("k", 1)), 0, 1, 4)))
        [(0, 2), (1,)]
    """
    groups: list[tuple[int, ...]] = []
    for number, axis in enumerate(axes):
        shares = [g for g in groups if any({*axis.names} & {*axes[n].names} for n in g)]
        groups = [g for g in groups if g not in shares]
        groups.append((*(n for g in shares for n in g), number))
    return sorted(tuple(sorted(group)) for group in groups)
